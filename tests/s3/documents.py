"""Documents as botocore, the client most use, reads them."""

from typing import Any

import botocore.session
from botocore.handlers import (
    decode_list_object,
    decode_list_object_v2,
    decode_list_object_versions,
)
from botocore.parsers import RestXMLParser

MODEL = botocore.session.get_session().get_service_model("s3")
DECODERS = {
    "ListObjects": decode_list_object,
    "ListObjectsV2": decode_list_object_v2,
    "ListObjectVersions": decode_list_object_versions,
}


def parse(operation: str, body: bytes, *, url_encoded: bool = False) -> dict[str, Any]:
    """What boto3 would return for an answer of 200 with this body."""
    response = {"status_code": 200, "headers": {}, "body": body}
    shape = MODEL.operation_model(operation).output_shape
    parsed: dict[str, Any] = RestXMLParser().parse(response, shape)
    if url_encoded:
        DECODERS[operation](parsed, {"encoding_type_auto_set": True})
    parsed.pop("ResponseMetadata", None)
    return parsed


def parse_error(status: int, body: bytes) -> dict[str, Any]:
    """What boto3 would put into the exception for an error answer."""
    response = {"status_code": status, "headers": {}, "body": body}
    error: dict[str, Any] = RestXMLParser().parse(response, None)["Error"]
    return error
