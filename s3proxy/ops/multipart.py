"""Multipart uploads: CreateMultipartUpload, UploadPart, AbortMultipartUpload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import UploadRecord
from s3proxy.http.handler import Response
from s3proxy.ops.acls import acl_of_write
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.encryption import answer_headers, new_cipher, open_part_cipher
from s3proxy.ops.lifecycle import upload_headers
from s3proxy.ops.namespace import Namespace
from s3proxy.ops.object_lock import requested_lock
from s3proxy.ops.payload_source import request_payload
from s3proxy.ops.put_object import check_put_size
from s3proxy.ops.resolve import XML_HEADERS, open_namespace
from s3proxy.ops.storage_classes import classes_of
from s3proxy.s3 import xml_objects
from s3proxy.s3.checksums import (
    parse_checksum_header,
    parse_multipart_checksum,
    parse_trailer_header,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import parse_part_number
from s3proxy.s3.metadata import parse_metadata
from s3proxy.s3.tagging import parse_tagging_header

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def create_multipart_upload(call: Call) -> Response:
    """CreateMultipartUpload.

    Raises:
        S3Error: what is wrong with the head.
    """
    headers = call.route.headers
    metadata = parse_metadata(headers, classes_of(call))
    object_owner, acl = acl_of_write(call)
    algorithm, checksum_type = parse_multipart_checksum(headers)
    cipher = new_cipher(call)
    upload = UploadRecord(
        upload_id=new_id(),
        key=call.route.key,
        initiated_ns=call.services.now_ns(),
        system=metadata.system,
        user=metadata.user,
        checksum_algorithm=algorithm,
        checksum_type=checksum_type,
        storage_class=metadata.storage_class,
        owner=call.sender.identity.user_id,
        tags=parse_tagging_header(headers),
        encryption=None if cipher is None else cipher.encryption,
        lock=requested_lock(call),
        object_owner=object_owner,
        acl=acl,
    )
    await open_namespace(call.services, call.bucket).create_upload(upload)
    answer = [*XML_HEADERS, *upload_headers(call, upload.initiated_ns)]
    answer += answer_headers(upload.encryption)
    if algorithm:
        answer.append(("x-amz-checksum-algorithm", algorithm.upper()))
        answer.append(("x-amz-checksum-type", checksum_type))
    document = xml_objects.create_multipart_upload(call.bucket.name, upload.key, upload.upload_id)
    return Response(200, answer, document)


async def upload_part(call: Call) -> Response:
    """UploadPart: may be sent again, and in any order.

    Raises:
        S3Error: NoSuchUpload, InvalidArgument (number), InvalidRequest (another checksum algorithm
            than the upload's), what is wrong with the body; see `open_part_cipher`.
    """
    namespace, upload = find_upload(call)
    number = parse_part_number(call.route.query)
    _check_algorithm(call, upload)
    payload = request_payload(call, algorithm=upload.checksum_algorithm)
    check_put_size(call, payload.length)
    cipher = open_part_cipher(call, upload.encryption)
    part = await namespace.put_part(upload, number, payload, cipher=cipher)
    headers = [("ETag", f'"{part.etag}"'), *answer_headers(upload.encryption)]
    headers += [(f"x-amz-checksum-{name}", value) for name, value in part.checksums.items()]
    return Response(200, headers)


async def abort_multipart_upload(call: Call) -> Response:
    """AbortMultipartUpload.

    Raises:
        S3Error: NoSuchUpload.
    """
    upload_id = call.route.query.get("uploadId", "")
    async with call.services.key_locks.hold_upload(call.bucket.id, upload_id):
        namespace, upload = find_upload(call)
        await namespace.abort_upload(upload)
    return Response(204)


def find_upload(call: Call) -> tuple[Namespace, UploadRecord]:
    """The upload that the query names, with its namespace.

    Raises:
        S3Error: NoSuchUpload.
    """
    upload_id = call.route.query.get("uploadId", "")
    upload = None
    if upload_id.isascii() and upload_id:
        upload = call.services.catalog.get_upload(call.bucket, call.route.key, upload_id)
    if upload is None:
        raise S3Error("NoSuchUpload", UploadId=upload_id)
    return open_namespace(call.services, call.bucket), upload


def _check_algorithm(call: Call, upload: UploadRecord) -> None:
    headers = call.route.headers
    sent = parse_checksum_header(headers)
    algorithm = sent[0] if sent is not None else parse_trailer_header(headers)
    expected = upload.checksum_algorithm
    if algorithm and expected and algorithm != expected:
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {expected},"
            f" actual checksum Type: {algorithm}"
        )
        raise S3Error("InvalidRequest", message)
