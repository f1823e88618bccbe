"""Moving a version's bytes to the backend of another storage class.

The blobs are copied and checked first; then one transaction makes the version point at the copies,
if its bytes are still those, and the old blobs become garbage. Encrypted bytes move as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.expiry import Candidate, Moved
from s3proxy.http.body import Body, BytesBody
from s3proxy.ops.blob_writer import DAMAGED, BlobWriter, WrittenBlob
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.notification import announcer_for
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.ops.placed_writer import owed_for
from s3proxy.ops.placing import Plan, plan_of
from s3proxy.ops.soundness import known_md5
from s3proxy.ops.storage_classes import class_writer
from s3proxy.s3.errors import S3Error
from s3proxy.s3.events import LIFECYCLE

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, BucketRecord
    from s3proxy.ops.call import Services


async def move_version(services: Services, bucket: BucketRecord, candidate: Candidate) -> bool:
    """Give a version the storage class of its verdict, and its bytes the place of that.

    Returns:
        False when it was replaced meanwhile; nothing was changed.
    Raises:
        S3Error: its bytes are missing or damaged.
        BackendError, TransportError: a backend failed; what was copied becomes garbage.
    """
    tags, storage_class = candidate.record.tags, candidate.verdict.storage_class
    plan = plan_of(services, bucket, tags, storage_class)
    if plan is not None:
        return await _move_placed(services, bucket, candidate, plan)
    writer = await class_writer(services, bucket, storage_class)
    namespace = ManagedNamespace(services, bucket)
    written: list[WrittenBlob] = []
    blobs: list[BlobRef] = []
    moved = False
    try:
        first = 0
        for blob in candidate.record.blobs:
            if writer.keeps(blob):
                blobs.append(blob)
            else:
                written.append(await _copied(writer, namespace, candidate, first, blob))
                blobs.append(written[-1].blob)
            first += blob.size
        inline = {one.blob.id: one.inline for one in written if one.inline is not None}
        intents = tuple(name for one in written for name in one.intents)
        moved = await services.catalog.move_version(
            bucket,
            candidate,
            Moved(tuple(blobs), intents, inline),
            announcer_for(services, bucket, "LifecycleTransition", LIFECYCLE),
        )
    finally:
        for one in () if moved else written:
            await writer.abandon(one)
    return moved


async def _move_placed(
    services: Services, bucket: BucketRecord, candidate: Candidate, plan: Plan
) -> bool:
    """Change the class alone: the bytes follow as a debt, by the bucket's rules."""
    record = candidate.record
    announcer = announcer_for(services, bucket, "LifecycleTransition", LIFECYCLE)
    moved = Moved(record.blobs, owed=owed_for(services, record.blobs, plan))
    return await services.catalog.move_version(bucket, candidate, moved, announcer)


async def _copied(
    writer: BlobWriter, namespace: ManagedNamespace, candidate: Candidate, first: int, blob: BlobRef
) -> WrittenBlob:
    """Copy the blob that begins at `first`.

    Its length is checked where it came to lie, its MD5 where that is known.
    """
    record, size = candidate.record, blob.size
    body: Body = BytesBody(b"")
    if size:
        body = await namespace.open(candidate.key, record, first, first + size - 1)
    try:
        payload = ObjectPayload(body, size)
        payload.md5 = bytes.fromhex(known_md5(record, blob))
        written = await writer.write(candidate.key, payload)
    finally:
        await body.aclose()
    try:
        if payload.md5 and written.etag != payload.md5.hex():
            raise S3Error("InternalError", DAMAGED)
        if written.inline is None and (await writer.store.head(written.blob.name)).size != size:
            raise S3Error("InternalError", DAMAGED)
    except BaseException:
        await writer.abandon(written)
        raise
    return written
