"""CopyObject and UploadPartCopy, within a bucket, between buckets and between backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.http.body import Body, BytesBody
from s3proxy.http.handler import Response
from s3proxy.ops.acls import acl_of_write
from s3proxy.ops.encryption import (
    answer_headers,
    asks_encryption,
    new_cipher,
    open_part_cipher,
    open_range,
    open_source_cipher,
)
from s3proxy.ops.lifecycle import expiration_headers
from s3proxy.ops.multipart import find_upload
from s3proxy.ops.namespace import CopyFrom, Namespace, ObjectWrite
from s3proxy.ops.object_lock import requested_lock
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.ops.resolve import XML_HEADERS, check_owner, find_bucket, open_namespace, open_target
from s3proxy.ops.storage_classes import classes_of
from s3proxy.ops.versions import version_header, written_version
from s3proxy.s3 import xml_objects
from s3proxy.s3.checksums import parse_algorithm
from s3proxy.s3.conditions import check_copy_source, parse_write_condition
from s3proxy.s3.copy_source import parse_copy_source
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import parse_part_number
from s3proxy.s3.metadata import (
    copied_system,
    parse_directive,
    parse_metadata,
    parse_storage_class,
)
from s3proxy.s3.names import no_such_version
from s3proxy.s3.ranges import parse_copy_range
from s3proxy.s3.tagging import parse_tagging_directive, parse_tagging_header

if TYPE_CHECKING:
    from s3proxy.ops.call import Call
    from s3proxy.ops.chunk_cipher import ObjectCipher

_TO_ITSELF = (
    "This copy request is illegal because it is trying to copy an object to itself without changing"
    " the object's metadata, storage class, website redirect location or encryption attributes."
)

_OF_A_MARKER = (
    "The source of a copy request may not specifically refer to a delete marker by version id."
)


class Source(msgspec.Struct, frozen=True):
    """The object a copy reads, checked against the copy's conditions."""

    namespace: Namespace
    key: str
    record: ObjectRecord
    version_id: str = ""  # as the request names it
    cipher: ObjectCipher | None = None

    async def open(self, first: int, last: int) -> Body:
        """Plain bytes first..last (inclusive); the caller closes."""
        if last < first:
            return BytesBody(b"")
        span = (first, last)
        return await open_range(self.namespace, self.key, self.record, self.cipher, span)


async def copy_object(call: Call) -> Response:
    """CopyObject.

    Raises:
        S3Error: NoSuchKey, PreconditionFailed, InvalidRequest (onto itself, over 5 GiB).
    """
    source = await find_source(call)
    target = open_target(call)
    write = _write_of(call, source, target, await _tags_of(call, source))
    if source.record.size > call.services.settings.put_bytes_max:
        message = "The specified copy source is larger than the maximum allowable size: 5368709120"
        raise S3Error("InvalidRequest", message)
    record = await _copy(call, source, target, write)
    document = xml_objects.copy_object(
        record.etag, record.modified_ns, record.checksums, record.checksum_type
    )
    headers = [*XML_HEADERS, *written_version(record), *_source_version(source)]
    headers += [*expiration_headers(call, record), *answer_headers(record.encryption)]
    return Response(200, headers, document)


async def upload_part_copy(call: Call) -> Response:
    """UploadPartCopy, of a whole object or a range of it.

    Raises:
        S3Error: NoSuchKey, NoSuchUpload, PreconditionFailed, InvalidArgument (range).
    """
    namespace, upload = find_upload(call)
    number = parse_part_number(call.route.query)
    source = await find_source(call)
    cipher = open_part_cipher(call, upload.encryption)
    payload, body = await open_part(call, source, upload.checksum_algorithm)
    try:
        part = await namespace.put_part(upload, number, payload, cipher=cipher)
    finally:
        await body.aclose()
    document = xml_objects.copy_part(part.etag, part.modified_ns, part.checksums)
    headers = [*XML_HEADERS, *_source_version(source), *answer_headers(upload.encryption)]
    return Response(200, headers, document)


async def find_source(call: Call) -> Source:
    """The object named by x-amz-copy-source; its conditions hold.

    Raises:
        S3Error: NoSuchBucket, NoSuchKey, NoSuchVersion, PreconditionFailed, AccessDenied.
    """
    headers = call.route.headers
    named = parse_copy_source(headers)
    bucket = find_bucket(call, named.bucket)
    check_owner(call, bucket, b"x-amz-source-expected-bucket-owner")
    namespace = open_namespace(call.services, bucket)
    record = await namespace.find(named.key, named.version_id)
    if record is None and named.version_id:
        raise no_such_version(named.key, named.version_id)
    if record is None:
        raise S3Error("NoSuchKey", Key=named.key)
    if record.delete_marker:
        raise S3Error("InvalidRequest", _OF_A_MARKER)
    cipher = open_source_cipher(call, bucket, record)
    if call.source is not None:
        call.source.require(record)
    check_copy_source(headers, record.etag, record.modified_ns)
    return Source(namespace, named.key, record, named.version_id, cipher)


async def open_part(call: Call, source: Source, algorithm: str) -> tuple[ObjectPayload, Body]:
    """The bytes an UploadPartCopy names as a payload, and the body to be closed after it.

    Raises:
        S3Error: InvalidArgument for a range outside the source; EntityTooLarge.
    """
    size = source.record.size
    wanted = call.route.headers.get(b"x-amz-copy-source-range")
    first, last = parse_copy_range(wanted, size) or (0, size - 1)
    length = last - first + 1
    limit = call.services.settings.put_bytes_max
    if length > limit:
        raise S3Error("EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(limit))
    body = await source.open(first, last)
    return ObjectPayload(body, length, algorithm=algorithm), body


def same_object(source: Source, target: BucketRecord, key: str) -> bool:
    """Whether a copy would read what it writes; a version that is named becomes the current one."""
    return source.namespace.bucket.id == target.id and source.key == key and not source.version_id


def _source_version(source: Source) -> list[tuple[str, str]]:
    name = "x-amz-copy-source-version-id"
    return version_header(source.namespace.bucket, source.record, name)


async def _tags_of(call: Call, source: Source) -> dict[str, str]:
    """Tags of the copy, by their directive; with COPY those of the request are ignored."""
    headers = call.route.headers
    if parse_tagging_directive(headers) == "REPLACE":
        return parse_tagging_header(headers)
    return await source.namespace.find_tags(source.key, source.record)


def _write_of(call: Call, source: Source, target: Namespace, tags: dict[str, str]) -> ObjectWrite:
    """Metadata and condition of the copy, by its directive."""
    headers = call.route.headers
    directive = parse_directive(headers)
    owner, acl = acl_of_write(call)
    condition = parse_write_condition(headers)
    cipher = new_cipher(call)
    lock = requested_lock(call)
    if directive == "REPLACE":
        metadata = parse_metadata(headers, classes_of(call))
        return ObjectWrite(
            system=metadata.system,
            user=metadata.user,
            storage_class=metadata.storage_class,
            condition=condition,
            tags=tags,
            cipher=cipher,
            lock=lock,
            owner=owner,
            acl=acl,
        )
    system = copied_system(source.record.system, headers)
    storage_class = parse_storage_class(headers, classes_of(call))
    changed = (
        asks_encryption(headers)
        or system != source.record.system
        or storage_class != source.record.storage_class
    )
    if same_object(source, target.bucket, call.route.key) and not changed:
        raise S3Error("InvalidRequest", _TO_ITSELF)
    return ObjectWrite(
        system=system,
        user=source.record.user,
        storage_class=storage_class,
        condition=condition,
        tags=tags,
        cipher=cipher,
        lock=lock,
        owner=owner,
        acl=acl,
    )


async def _copy(call: Call, source: Source, target: Namespace, write: ObjectWrite) -> ObjectRecord:
    key = call.route.key
    record = source.record
    algorithm = parse_algorithm(call.route.headers, "x-amz-checksum-algorithm")
    if source.namespace.bucket.id == target.bucket.id:
        done = await target.copy(CopyFrom(source.key, record, algorithm), key, write)
        if done is not None:
            return done
    # A copy is one piece: of what a multipart object had, only the algorithm is kept.
    algorithm = algorithm or next(iter(record.checksums), "")
    body = await source.open(0, record.size - 1)
    try:
        payload = ObjectPayload(body, record.size, algorithm=algorithm)
        return await target.put(key, payload, write)
    finally:
        await body.aclose()
