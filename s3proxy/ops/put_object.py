"""PutObject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.records import ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.acls import acl_of_write
from s3proxy.ops.delete_object import require_digest
from s3proxy.ops.encryption import answer_headers, new_cipher
from s3proxy.ops.get_object import add_checksums
from s3proxy.ops.lifecycle import expiration_headers
from s3proxy.ops.namespace import ObjectWrite
from s3proxy.ops.object_lock import requested_lock
from s3proxy.ops.payload_source import request_payload
from s3proxy.ops.resolve import open_target
from s3proxy.ops.spooled import Unmeasured, put_spooled
from s3proxy.ops.storage_classes import classes_of
from s3proxy.ops.versions import written_version
from s3proxy.s3.conditions import parse_write_condition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.metadata import parse_metadata
from s3proxy.s3.tagging import parse_tagging_header

if TYPE_CHECKING:
    from s3proxy.ops.call import Call


async def put_object(call: Call) -> Response:
    """PutObject.

    Raises:
        S3Error: what is wrong with head or body; PreconditionFailed; InvalidRequest for a lock
            without a digest of the body; see `new_cipher`.
    """
    head, headers = call.request.head, call.route.headers
    if head.chunked and headers.get(b"x-amz-decoded-content-length") is None:
        body = Unmeasured(call.request.body, call.services.settings.put_bytes_max)
        return await put_spooled(call, body, headers, put_object)
    metadata = parse_metadata(headers, classes_of(call))
    owner, acl = acl_of_write(call)
    write = ObjectWrite(
        system=metadata.system,
        user=metadata.user,
        storage_class=metadata.storage_class,
        condition=parse_write_condition(headers),
        tags=parse_tagging_header(headers),
        cipher=new_cipher(call),
        lock=None if call.route.plain else requested_lock(call),
        owner=owner,
        acl=acl,
    )
    if write.lock is not None:
        require_digest(call)
    payload = request_payload(call)
    check_put_size(call, payload.length)
    namespace = open_target(call)
    record = await namespace.put(call.route.key, payload, write)
    answer = written_headers(record)
    if call.configured:
        answer += expiration_headers(call, record)
    return Response(200, answer)


def check_put_size(call: Call, length: int) -> None:
    """Refuse a body over the bound of one PUT.

    Raises:
        S3Error: EntityTooLarge.
    """
    limit = call.services.settings.put_bytes_max
    if length > limit:
        raise S3Error("EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(limit))


def written_headers(record: ObjectRecord) -> list[tuple[str, str]]:
    """ETag, version, checksums and encryption of what was stored."""
    headers = [("ETag", f'"{record.etag}"'), *written_version(record)]
    if record.checksums:
        add_checksums(headers, record.checksums, record.checksum_type)
    if record.encryption is not None:
        headers += answer_headers(record.encryption)
    return headers
