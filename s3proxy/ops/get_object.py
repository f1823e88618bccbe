"""GetObject and HeadObject: conditions, ranges, parts, overridden headers, checksums.

The hot path of the gateway: one catalog read gives the record, and the data too where that is
inline; headers are built once, straight from the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.encryption import answer_headers, open_cipher, open_range
from s3proxy.ops.lifecycle import expiration_headers
from s3proxy.ops.resolve import open_namespace
from s3proxy.ops.sosapi import find_document
from s3proxy.ops.versions import require_object, version_header
from s3proxy.s3.conditions import NotModified, check_read, range_applies
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import parse_part_number
from s3proxy.s3.metadata import SYSTEM_HEADERS, response_headers, response_overrides
from s3proxy.s3.object_lock import lock_headers
from s3proxy.s3.ranges import content_range, parse_range
from s3proxy.s3.time import http_date

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Headers = list[tuple[str, str]]
# What a 304 repeats of a 200 (RFC 9110 §15.4.5).
_KEPT_WHEN_UNCHANGED = ("cache-control", "expires")


async def get_object(call: Call) -> Response:
    """GetObject.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker), PreconditionFailed,
            InvalidRange, InvalidPartNumber; see `open_cipher`.
    """
    namespace = open_namespace(call.services, call.bucket)
    key = call.route.key
    found, data = await namespace.find_to_read(key, call.route.query.get("versionId", ""))
    if found is None:
        found, data = await find_document(call)
    record = require_object(call, found)
    cipher = None
    if record.encryption is not None or not call.route.plain:
        cipher = open_cipher(call, record.encryption)
    try:
        status, headers, span = describe(call, record)
    except NotModified:
        return _not_modified(call, record)
    if data is not None and cipher is None:
        return Response(status, headers, data if span is None else data[span[0] : span[1] + 1])
    first, last = span or (0, record.size - 1)
    if last < first:
        return Response(status, headers)
    body = await open_range(namespace, key, record, cipher, (first, last), inline=data)
    return Response(status, headers, body)


async def head_object(call: Call) -> Response:
    """HeadObject; answers ranges and parts as GetObject does.

    Raises:
        S3Error: as GetObject.
    """
    namespace = open_namespace(call.services, call.bucket)
    found = await namespace.find(call.route.key, call.route.query.get("versionId", ""))
    if found is None:
        found, _ = await find_document(call)
    record = require_object(call, found)
    if record.encryption is not None or not call.route.plain:
        open_cipher(call, record.encryption)
    try:
        status, headers, span = describe(call, record)
    except NotModified:
        return _not_modified(call, record)
    length = record.size if span is None else span[1] - span[0] + 1
    return Response(status, headers, length=length)


def describe(call: Call, record: ObjectRecord) -> tuple[int, Headers, tuple[int, int] | None]:
    """Status, headers and byte range (None: whole) of the answer about an object.

    Raises:
        NotModified: answer 304.
        S3Error: PreconditionFailed, InvalidRange, InvalidPartNumber, InvalidRequest.
    """
    route = call.route
    if route.plain:
        return 200, _object_headers(call, record), None
    request = route.headers
    if request.prefixed(b"if-"):
        check_read(request, record.etag, record.modified_ns)
    query = route.query
    headers = _object_headers(call, record)
    wanted = request.get(b"range")
    span = None
    checksums = record.checksums
    if "partNumber" in query:
        span, checksums = _part(record, query, headers, ranged=wanted is not None)
    elif wanted is not None and range_applies(request, record.etag, record.modified_ns):
        span = parse_range(wanted, record.size)
        if span is not None and span != (0, record.size - 1):
            checksums = {}  # they are of the whole object
    if checksums and (request.get(b"x-amz-checksum-mode") or "").upper() == "ENABLED":
        add_checksums(headers, checksums, record.checksum_type)
    if span is None:
        return 200, headers, None
    headers.append(("Content-Range", content_range(*span, record.size)))
    return 206, headers, span


def add_checksums(headers: Headers, checksums: dict[str, str], checksum_type: str) -> None:
    """Append the checksum headers of an answer."""
    for algorithm, value in checksums.items():
        headers.append((f"x-amz-checksum-{algorithm}", value))
    if checksum_type:
        headers.append(("x-amz-checksum-type", checksum_type))


def _object_headers(call: Call, record: ObjectRecord) -> Headers:
    query = call.route.query
    headers = [
        ("Last-Modified", http_date(record.modified_ns)),
        ("ETag", f'"{record.etag}"'),
        ("Accept-Ranges", "bytes"),
    ]
    overrides = response_overrides(query) if query else None
    headers += response_headers(record.system, record.user, overrides)
    if record.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", record.storage_class))
    if record.tags:
        headers.append(("x-amz-tagging-count", str(len(record.tags))))
    if record.lock is not None:
        headers += lock_headers(record.lock)
    if call.bucket.versioning:
        headers += version_header(call.bucket, record)
    if call.configured and "versionId" not in query:
        headers += expiration_headers(call, record)
    if record.encryption is not None:
        headers += answer_headers(record.encryption)
    return headers


def _part(
    record: ObjectRecord, query: dict[str, str], headers: Headers, *, ranged: bool
) -> tuple[tuple[int, int] | None, dict[str, str]]:
    """Byte range and checksums of one part; an object that came whole is its own part 1.

    Part numbers count the parts of the completed object from 1.
    """
    if ranged:
        message = "Cannot specify both Range header and partNumber query parameter"
        raise S3Error("InvalidRequest", message)
    number = parse_part_number(query)
    parts = record.parts
    if number > max(len(parts), 1):
        raise S3Error(
            "InvalidPartNumber",
            PartNumberRequested=str(number),
            ActualPartCount=str(max(len(parts), 1)),
        )
    if not parts:
        return (0, record.size - 1) if record.size else None, record.checksums
    headers.append(("x-amz-mp-parts-count", str(len(parts))))
    first = sum(part.size for part in parts[: number - 1])
    part = parts[number - 1]
    span = (first, first + part.size - 1) if part.size else None
    return span, part.checksums


def _not_modified(call: Call, record: ObjectRecord) -> Response:
    headers = [("ETag", f'"{record.etag}"'), ("Last-Modified", http_date(record.modified_ns))]
    headers += [
        (SYSTEM_HEADERS[name], record.system[name])
        for name in _KEPT_WHEN_UNCHANGED
        if name in record.system
    ]
    return Response(304, headers + version_header(call.bucket, record))
