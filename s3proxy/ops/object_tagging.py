"""Tags of an object: PutObjectTagging, GetObjectTagging, DeleteObjectTagging.

They change neither the object's ETag nor its Last-Modified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.records import ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.delete_object import require_digest
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.placing import plan_of
from s3proxy.ops.resolve import XML_HEADERS, open_namespace, open_target
from s3proxy.ops.versions import find_object, require_object, version_header
from s3proxy.s3.placement import REPLICAS_TAG
from s3proxy.s3.tagging import OBJECT_TAGS_MAX, TAGGING_BYTES_MAX, parse_tagging, tagging

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def put_object_tagging(call: Call) -> Response:
    """PutObjectTagging: the tags given take the place of all that were there.

    Raises:
        S3Error: NoSuchKey; MalformedXML, InvalidTag, BadRequest; InvalidRequest without a digest,
            or for more copies than rules of placement leave backends.
    """
    require_digest(call)
    document = await read_document(call, TAGGING_BYTES_MAX)
    return Response(200, await _put_tags(call, parse_tagging(document, tags_max=OBJECT_TAGS_MAX)))


async def get_object_tagging(call: Call) -> Response:
    """GetObjectTagging; an object without tags has an empty set.

    Raises:
        S3Error: NoSuchKey.
    """
    namespace = open_namespace(call.services, call.bucket)
    record = await find_object(call, namespace)
    headers = [*XML_HEADERS, *version_header(call.bucket, record)]
    return Response(200, headers, tagging(await namespace.find_tags(call.route.key, record)))


async def delete_object_tagging(call: Call) -> Response:
    """DeleteObjectTagging: 204 whether there were tags or not.

    Raises:
        S3Error: NoSuchKey.
    """
    return Response(204, await _put_tags(call, {}))


async def _put_tags(call: Call, tags: dict[str, str]) -> list[tuple[str, str]]:
    namespace = open_target(call)
    if REPLICAS_TAG in tags and call.bucket.kind == "managed":
        plan_of(call.services, call.bucket, tags)
    version_id = call.route.query.get("versionId", "")

    def change(record: ObjectRecord) -> ObjectRecord:
        if call.target is not None:
            call.target.require(record)
        return msgspec.structs.replace(record, tags=tags)

    tagged = await namespace.update(call.route.key, change, version_id)
    return version_header(call.bucket, require_object(call, tagged))
