"""CompleteMultipartUpload: the parts checked against what was sent, then one object, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import ObjectRecord, PartRecord, UploadRecord
from s3proxy.http.handler import Response
from s3proxy.ops.encryption import answer_headers, check_upload_key
from s3proxy.ops.lifecycle import expiration_headers
from s3proxy.ops.namespace import Completion
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, open_target
from s3proxy.ops.versions import written_version
from s3proxy.s3 import checksums, xml_objects
from s3proxy.s3.conditions import WriteCondition, parse_write_condition
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml_listings import url_encode
from s3proxy.s3.xml_read import COMPLETE_BYTES_MAX, CompletedPart, read_complete

if TYPE_CHECKING:
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers


async def complete_multipart_upload(call: Call) -> Response:
    """CompleteMultipartUpload; a repeated one gets the same answer.

    Raises:
        S3Error: NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedXML,
            PreconditionFailed, BadDigest and InvalidRequest (checksums, sizes).
    """
    condition = parse_write_condition(call.route.headers)
    body = await read_document(call, COMPLETE_BYTES_MAX, checksums_of_body=False)
    named = read_complete(body)
    upload_id = call.route.query.get("uploadId", "")
    # Of the same Complete sent twice at once the second waits, and gets the first one's answer.
    async with call.services.key_locks.hold_upload(call.bucket.id, upload_id):
        return _answer(call, await _complete(call, upload_id, named, condition))


async def _complete(
    call: Call, upload_id: str, named: list[CompletedPart], condition: WriteCondition | None
) -> ObjectRecord:
    headers = call.route.headers
    namespace = open_target(call)
    key = call.route.key
    catalog = call.services.catalog
    upload = catalog.get_upload(call.bucket, key, upload_id) if upload_id.isascii() else None
    pairs = [(part.number, part.etag) for part in named]
    if upload is None:
        done = await namespace.find_completed(key, upload_id, pairs)
        if done is None:
            raise S3Error("NoSuchUpload", UploadId=upload_id)
        return done
    stored = {part.number: part for part in catalog.list_parts(call.bucket, upload_id)}
    parts = [_kept_part(upload, part, stored.get(part.number)) for part in named]
    check_upload_key(call, upload, parts)
    _check_sizes(call, parts)
    values, checksum_type = _object_checksums(upload, parts)
    _check_announced(headers, upload, values)
    completion = Completion(
        parts=parts,
        etag=_etag(parts),
        size=sum(part.size for part in parts),
        checksums=values,
        checksum_type=checksum_type,
        condition=condition,
    )
    return await namespace.complete_upload(upload, completion)


def _kept_part(upload: UploadRecord, named: CompletedPart, stored: PartRecord | None) -> PartRecord:
    """The stored part that the client names.

    Raises:
        S3Error: InvalidPart, also where the client names another checksum.
    """
    if stored is None or stored.etag != named.etag:
        raise _invalid_part(upload, named)
    for algorithm, value in named.checksums.items():
        if stored.checksums.get(algorithm, value) != value:
            raise _invalid_part(upload, named)
    return stored


def _invalid_part(upload: UploadRecord, named: CompletedPart) -> S3Error:
    number = str(named.number)
    return S3Error("InvalidPart", UploadId=upload.upload_id, PartNumber=number, ETag=named.etag)


def _check_sizes(call: Call, parts: list[PartRecord]) -> None:
    settings = call.services.settings
    for part in parts[:-1]:
        if part.size < settings.part_bytes_min:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.size),
                MinSizeAllowed=str(settings.part_bytes_min),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    size = sum(part.size for part in parts)
    if size > settings.object_bytes_max:
        limit = str(settings.object_bytes_max)
        raise S3Error("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=limit)
    announced = call.route.headers.get(b"x-amz-mp-object-size")
    if announced is None:
        return
    if not (announced.isascii() and announced.isdecimal() and len(announced) <= 19):
        message = "Value for x-amz-mp-object-size header is invalid."
        raise invalid_argument(message, "x-amz-mp-object-size", announced)
    if int(announced) != size:
        message = (
            f"The provided 'x-amz-mp-object-size' header value {announced} does not match what was"
            f" computed: {size}"
        )
        raise S3Error("InvalidRequest", message)


def _object_checksums(upload: UploadRecord, parts: list[PartRecord]) -> tuple[dict[str, str], str]:
    """Checksum of the object and its type; none where a part lacks it."""
    algorithm = upload.checksum_algorithm
    if not algorithm or any(algorithm not in part.checksums for part in parts):
        return {}, ""
    values = [part.checksums[algorithm] for part in parts]
    if upload.checksum_type == "COMPOSITE":
        return {algorithm: checksums.composite(algorithm, values)}, "COMPOSITE"
    sizes = [part.size for part in parts]
    whole = checksums.full_object(algorithm, zip(values, sizes, strict=True))
    return {algorithm: whole}, "FULL_OBJECT"


def _check_announced(headers: Headers, upload: UploadRecord, values: dict[str, str]) -> None:
    """Compare the checksum and type that the head gives for the whole object."""
    checksum_type = (headers.get(b"x-amz-checksum-type") or "").upper()
    if checksum_type and checksum_type != upload.checksum_type:
        message = (
            f"The upload was created using the {upload.checksum_type or 'no'} checksum mode. The"
            " complete request must use the same checksum mode."
        )
        raise S3Error("InvalidRequest", message)
    for algorithm in checksums.DIGEST_BYTES:
        announced = headers.get(checksums.header_name(algorithm).encode())
        computed = values.get(algorithm)
        if announced is None or computed is None:
            continue
        if announced not in (computed, computed.partition("-")[0]):
            message = (
                f"The {algorithm.upper()} you specified did not match the calculated checksum."
            )
            raise S3Error("BadDigest", message)


def _etag(parts: list[PartRecord]) -> str:
    """The ETag S3 gives; "" where a backend's part ETags are no MD5s, so that its own is taken."""
    try:
        return checksums.multipart_etag([part.etag for part in parts])
    except ValueError:
        return ""


def _answer(call: Call, record: ObjectRecord) -> Response:
    head = call.request.head
    scheme = "https" if call.request.secure else "http"
    path = head.path.decode("latin-1") if head.path else f"/{url_encode(call.route.key)}"
    document = xml_objects.complete_multipart_upload(
        f"{scheme}://{head.host}{path}",
        call.bucket.name,
        call.route.key,
        record.etag,
        checksums=record.checksums,
        checksum_type=record.checksum_type,
    )
    headers = [*XML_HEADERS, *written_version(record)]
    if record.modified_ns:  # a repeated Complete knows no more than its first answer
        headers += expiration_headers(call, record)
    return Response(200, headers + answer_headers(record.encryption), document)
