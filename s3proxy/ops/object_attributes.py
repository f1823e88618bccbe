"""GetObjectAttributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.encryption import open_cipher
from s3proxy.ops.resolve import XML_HEADERS, open_namespace
from s3proxy.ops.versions import find_object, version_header
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.listing import parse_count
from s3proxy.s3.time import http_date
from s3proxy.s3.xml_objects import Attributes, AttributesPart, AttributesParts, object_attributes

if TYPE_CHECKING:
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

_NAMES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_PARTS_MAX = 1000


async def get_object_attributes(call: Call) -> Response:
    """GetObjectAttributes: those of x-amz-object-attributes.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion, MethodNotAllowed, InvalidArgument, InvalidRequest; see
            `open_cipher`.
    """
    wanted = _wanted(call.route.headers)
    namespace = open_namespace(call.services, call.bucket)
    record = await find_object(call, namespace)
    open_cipher(call, record.encryption)
    parts = _parts(record, call.route.headers) if "ObjectParts" in wanted else None
    attributes = Attributes(
        etag=record.etag if "ETag" in wanted else None,
        checksums=record.checksums if "Checksum" in wanted else None,
        checksum_type=record.checksum_type,
        parts=parts,
        storage_class=record.storage_class if "StorageClass" in wanted else None,
        size=record.size if "ObjectSize" in wanted else None,
    )
    headers = [*XML_HEADERS, ("Last-Modified", http_date(record.modified_ns))]
    headers += version_header(call.bucket, record)
    return Response(200, headers, object_attributes(attributes))


def _wanted(headers: Headers) -> set[str]:
    value = headers.get(b"x-amz-object-attributes")
    if not value:
        message = "The x-amz-object-attributes header specifying the attributes to be retrieved"
        raise S3Error("InvalidRequest", f"{message} is either missing or empty")
    names = {name.strip() for name in value.split(",")} - {""}
    if not names or not names <= _NAMES:
        message = "Invalid attribute name specified."
        raise invalid_argument(message, "x-amz-object-attributes", value)
    return names


def _parts(record: ObjectRecord, headers: Headers) -> AttributesParts | None:
    """A page of the parts; those without checksums of their own are only counted, as by S3."""
    total = len(record.parts)
    if not total:
        return None
    if not all(part.checksums for part in record.parts):
        return AttributesParts(total)
    limit = _count(headers, "x-amz-max-parts", _PARTS_MAX, _PARTS_MAX)
    marker = _count(headers, "x-amz-part-number-marker", 2**31 - 1, 0)
    following = [part for part in record.parts if part.number > marker]
    shown = following[:limit]
    return AttributesParts(
        total,
        marker,
        shown[-1].number if shown else 0,
        limit,
        len(following) > limit,
        tuple(AttributesPart(part.number, part.size, part.checksums) for part in shown),
    )


def _count(headers: Headers, name: str, maximum: int, default: int) -> int:
    value = headers.get(name.encode()) or ""
    return parse_count(value, name, argument=name, maximum=maximum, default=default)
