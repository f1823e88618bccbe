"""From a request head to the S3 operation it asks for.

Levels: the service (`/`), a bucket, an object; a bucket comes from the path, or from the host when
a domain is set. Within a level the sub-resource in the query and the method decide
(subresources.py). What is not implemented is refused by name; nothing falls through to a plain GET,
PUT or DELETE.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy._fast.http1 import HeaderNames
from s3proxy._fast.target import split_path
from s3proxy.s3 import subresources
from s3proxy.s3.errors import S3Error, invalid_argument, method_not_allowed
from s3proxy.s3.headers import Headers, effective_headers
from s3proxy.s3.names import check_bucket_name, check_key, check_version_id, is_addressable_bucket
from s3proxy.s3.refusals import REFUSABLE, REFUSABLE_PREFIXES, refuse_unkept_headers
from s3proxy.s3.uri import parse_query, percent_decode

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead

__all__ = ["Route", "parse_query", "route"]

_NO_QUERY: Final[dict[str, str]] = {}
# What a browser asks before a request from another origin: nobody signs it, it is no operation.
PREFLIGHT: Final = "preflight"
# Operations that name a version of an object; elsewhere versionId is refused.
_VERSIONED: Final = frozenset(
    {
        "delete_object",
        "delete_object_tagging",
        "get_object",
        "get_object_acl",
        "get_object_attributes",
        "get_object_legal_hold",
        "get_object_retention",
        "get_object_tagging",
        "head_object",
        "put_object_acl",
        "put_object_legal_hold",
        "put_object_retention",
        "put_object_tagging",
    }
)


class Route(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for.

    Attributes:
        operation: AWS's action in snake_case.
        bucket: "" on the service level.
        key: "" on the service and bucket levels.
        query: decoded parameters; the first of a repeated one.
        headers: the request's headers, with the `x-amz-*` parameters of a presigned URL among them.
            Operations read headers here, not in the head, where S3 gives them a meaning.
        plain: nothing in the request asks for more than the operation on the object: no query, no
            condition, range or other header of MODIFIERS.
    """

    operation: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: Headers
    plain: bool = False


def route(head: "RequestHead", bucket: str = "") -> Route:
    """Find the operation of a request.

    Args:
        head: the parsed request head.
        bucket: that the host names; "": the path does.

    Raises:
        S3Error: NotImplemented naming the sub-resource or header, MethodNotAllowed, InvalidURI,
            InvalidBucketName, KeyTooLongError, InvalidArgument, NoSuchVersion.
    """
    if not head.query and not bucket:
        named = split_path(head.path)
        operation = _PLAIN_METHODS.get(head.method)
        if named is not None and operation is not None and not head.has_any(MODIFIERS):
            return Route(operation, named[0], named[1], _NO_QUERY, head, True)
    return _route(head, bucket)


def _route(head: "RequestHead", bucket: str) -> Route:
    bucket, raw_key = _split(head.path, bucket)
    query = parse_query(head.query) if head.query else _NO_QUERY
    method = head.method
    if method == "OPTIONS":
        return Route(PREFLIGHT, bucket, percent_decode(raw_key), query, head)
    if not bucket:
        return Route(_service_operation(method), "", "", query, head)
    if not is_addressable_bucket(bucket):
        raise S3Error("InvalidBucketName", BucketName=bucket)
    if not raw_key:
        operation = _bucket_operation(method, query)
        if operation == "create_bucket":
            check_bucket_name(bucket)
        return Route(operation, bucket, "", query, _checked_headers(head, operation, query))
    key = percent_decode(raw_key)
    check_key(key)
    operation = _object_operation(method, query)
    headers = _checked_headers(head, operation, query)
    if operation in _COPIES and headers.get(b"x-amz-copy-source") is not None:
        operation = _COPIES[operation]
    if "versionId" in query:
        _check_version(operation, query["versionId"])
    return Route(operation, bucket, key, query, headers)


# Headers that change what is done, or that the gateway may refuse; the rest describes the request
# and the bytes it brings.
MODIFIERS: Final = HeaderNames(
    (
        *("origin", "range", "x-amz-checksum-mode", "x-amz-expected-bucket-owner"),
        "x-amz-request-payer",
        *REFUSABLE,
    ),
    ("if-", "x-amz-copy-source", "x-amz-object-lock-", *REFUSABLE_PREFIXES),
)
_PLAIN_METHODS: Final = {
    method: operation
    for method, operation in subresources.OBJECT_METHODS.items()
    if operation in subresources.IMPLEMENTED
}
_COPIES: Final = {"put_object": "copy_object", "upload_part": "upload_part_copy"}


def _split(path: bytes, bucket: str) -> tuple[str, bytes]:
    """Bucket and still encoded key of a request."""
    if path[:1] != b"/":
        raise S3Error("InvalidURI", URI=path.decode("latin-1"))
    if bucket:
        return bucket, path[1:]
    raw_bucket, _, raw_key = path[1:].partition(b"/")
    if not raw_bucket and raw_key:
        raise S3Error("InvalidBucketName", BucketName="")
    return percent_decode(raw_bucket), raw_key


def _service_operation(method: str) -> str:
    operation = subresources.SERVICE_METHODS.get(method)
    if operation is None:
        raise method_not_allowed(method, "SERVICE", subresources.SERVICE_METHODS)
    return operation


def _bucket_operation(method: str, query: dict[str, str]) -> str:
    table = subresources.BUCKET
    operation = _subresource_operation(method, query, table) if query else ""
    if not operation:
        operation = subresources.BUCKET_METHODS.get(method, "")
        if not operation:
            raise method_not_allowed(method, "BUCKET", subresources.BUCKET_METHODS)
        if operation == "list_objects" and "list-type" in query:
            return _list_operation(query["list-type"])
    return _implemented(operation)


def _list_operation(list_type: str) -> str:
    if list_type == "2":
        return "list_objects_v2"
    if list_type == "1":
        return "list_objects"
    raise invalid_argument("Invalid List Type specified in Request", "list-type", list_type)


def _object_operation(method: str, query: dict[str, str]) -> str:
    operation = _subresource_operation(method, query, subresources.OBJECT) if query else ""
    if not operation:
        operation = subresources.OBJECT_METHODS.get(method, "")
        if not operation:
            raise method_not_allowed(method, "OBJECT", subresources.OBJECT_METHODS)
    if operation == "upload_part" and "partNumber" not in query:
        message = "This operation requires a partNumber beside the uploadId."
        raise invalid_argument(message, "partNumber", "")
    if operation == "put_object" and "partNumber" in query:
        message = "This operation does not accept a partNumber without an uploadId."
        raise invalid_argument(message, "uploadId", "")
    return _implemented(operation)


def _subresource_operation(
    method: str, query: dict[str, str], table: dict[str, dict[str, str]]
) -> str:
    """Operation of the sub-resource the query names; "" when it names none."""
    named = [name for name in query if name in table]
    if not named:
        if method not in ("GET", "HEAD"):
            _refuse_unknown_flags(method, query)
        return ""
    if len(named) > 1:
        message = f"Conflicting query string parameters: {', '.join(sorted(named))}"
        raise invalid_argument(message, "ResourceType", named[0])
    operation = table[named[0]].get(method)
    if operation is None:
        raise method_not_allowed(method, named[0].upper(), table[named[0]])
    return operation


def _refuse_unknown_flags(method: str, query: dict[str, str]) -> None:
    """Refuse a write with an unknown valueless parameter: it may be a newer sub-resource."""
    for name, value in query.items():
        if not value and name not in subresources.KNOWN_PARAMETERS and name[:2].lower() != "x-":
            raise S3Error(
                "NotImplemented",
                f"The sub-resource {name} is not implemented for {method}.",
                SubResource=name,
            )


def _implemented(operation: str) -> str:
    if operation in subresources.IMPLEMENTED:
        return operation
    name = subresources.action_name(operation)
    raise S3Error("NotImplemented", f"{name} is not implemented.", Operation=name)


def _checked_headers(head: "RequestHead", operation: str, query: dict[str, str]) -> Headers:
    headers = effective_headers(head, query) if query else head
    refuse_unkept_headers(headers, operation)
    return headers


def _check_version(operation: str, version_id: str) -> None:
    if operation in _VERSIONED:
        check_version_id(version_id)
    else:
        message = "This operation does not accept a version-id."
        raise invalid_argument(message, "versionId", version_id)
