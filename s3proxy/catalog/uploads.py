"""Multipart uploads of a bucket and their parts.

An upload is found by key, then upload id: the key's entry names a node of the same keyspace, which
holds the key's uploads. So any number of uploads of one key costs each of them the same, and a
listing is in S3's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from s3proxy.catalog import keys, tables, usage
from s3proxy.catalog.buckets import require
from s3proxy.catalog.copies import keep_owed
from s3proxy.catalog.data_keys import DataKeys
from s3proxy.catalog.errors import NoSuchUpload
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.intents import check_open, check_place, settle
from s3proxy.catalog.records import BucketRecord, Owed, PartRecord, UploadRecord
from s3proxy.catalog.tables import INLINE, PARTS, UPLOADS, allocate_id, encode
from s3proxy.catalog.walks import forget_drains
from s3proxy.kv.engine import Engine, Snapshot, Transaction

_NUMBER_BYTES = 2
# Upload ids are ASCII: the separator keeps one from being a prefix of another.
_SEPARATOR = b"\xff"


def find(view: Snapshot, bucket: BucketRecord, key: str, upload_id: str) -> UploadRecord | None:
    """Return the upload as `view` sees it."""
    node = keys.get(view, UPLOADS, bucket.id, key.encode())
    value = None if node is None else view.get(UPLOADS, node + upload_id.encode())
    return None if value is None else tables.uploads.decode(value)


def require_upload(view: Snapshot, bucket: BucketRecord, key: str, upload_id: str) -> UploadRecord:
    """Return the upload.

    Raises:
        NoSuchUpload: it is not there.
    """
    found = find(view, bucket, key, upload_id)
    if found is None:
        raise NoSuchUpload(upload_id)
    return found


def stored_parts(
    view: Snapshot, bucket: BucketRecord, upload_id: str, after: int = 0
) -> list[tuple[bytes, PartRecord]]:
    """Return (stored key, part) of the parts numbered above `after`, in order."""
    return list(iter_parts(view, bucket, upload_id, after))


def iter_parts(
    view: Snapshot, bucket: BucketRecord, upload_id: str, after: int = 0
) -> Iterator[tuple[bytes, PartRecord]]:
    """Yield what `stored_parts` returns."""
    start = parts_prefix(bucket, upload_id)
    first = start + (after + 1).to_bytes(_NUMBER_BYTES, "big")
    for stored, value in view.scan(PARTS, first, keys.successor(start)):
        yield stored, tables.parts.decode(value)


def find_part(
    view: Snapshot, bucket: BucketRecord, upload_id: str, number: int
) -> PartRecord | None:
    """Return the part of that number, or None."""
    value = view.get(PARTS, _part_row(bucket, upload_id, number))
    return None if value is None else tables.parts.decode(value)


def parts_prefix(bucket: BucketRecord, upload_id: str) -> bytes:
    """Return what the stored keys of an upload's parts start with."""
    return bucket.id + upload_id.encode() + _SEPARATOR


def _part_row(bucket: BucketRecord, upload_id: str, number: int) -> bytes:
    return parts_prefix(bucket, upload_id) + number.to_bytes(_NUMBER_BYTES, "big")


def remove(txn: Transaction, bucket: BucketRecord, key: str, upload_id: str) -> None:
    """Remove an upload (not its parts); the key's entry goes with its last upload."""
    encoded = key.encode()
    node = keys.get(txn, UPLOADS, bucket.id, encoded)
    if node is None or not txn.delete(UPLOADS, node + upload_id.encode()):
        return
    if keys.is_empty(txn, UPLOADS, node):
        keys.delete(txn, UPLOADS, bucket.id, encoded)


def count_out(
    txn: Transaction,
    bucket: BucketRecord,
    upload: UploadRecord,
    stored: Sequence[tuple[bytes, PartRecord]],
) -> None:
    """Count the parts of an upload no more."""
    parts = [part for _, part in stored]
    usage.change_parts(txn, bucket, upload.key, upload.upload_id, removed=parts)


class UploadTable:
    """Uploads in progress."""

    def __init__(
        self,
        engine: Engine,
        now_ns: Callable[[], int],
        due_ns: Callable[[], int],
        data_keys: DataKeys,
    ) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._due_ns = due_ns
        self._renewed = data_keys.renewed

    async def create_upload(self, bucket: BucketRecord, record: UploadRecord) -> None:
        """Store a new upload of `record.key`; its id is ASCII and unique.

        Args:
            bucket: as it was when it was decided where the upload goes.
        Raises:
            NoSuchBucket: the bucket is gone.
            ContainerLeft: it has left the backend whose own upload it is.
        """
        encoded = record.key.encode()

        def change(txn: Transaction) -> None:
            now = require(txn, bucket)
            if record.blob is not None and now.walks != bucket.walks:
                check_place(record.blob, now)
                forget_drains(txn, now)
            renewed = self._renewed(record)
            node = keys.get(txn, UPLOADS, bucket.id, encoded)
            if node is None:
                node = allocate_id(txn)
                keys.put(txn, UPLOADS, bucket.id, encoded, node)
            txn.put(UPLOADS, node + record.upload_id.encode(), encode(renewed))

        await self._engine.commit(change)

    def get_upload(self, bucket: BucketRecord, key: str, upload_id: str) -> UploadRecord | None:
        """Return the upload, or None."""
        with self._engine.read() as view:
            return find(view, bucket, key, upload_id)

    async def put_part(
        self,
        bucket: BucketRecord,
        key: str,
        upload_id: str,
        part: PartRecord,
        *,
        intents: Sequence[str] = (),
        inline: bytes | None = None,
        owed: Sequence[Owed] = (),
    ) -> PartRecord | None:
        """Store a part, replacing the one of its number, whose blob becomes garbage.

        Args:
            bucket, intents: as in put_object.
            inline: bytes of `part.blob`, whose backend is "".
            owed: of its blob, as in put_object; becomes the object's with it.

        Returns:
            The part that was replaced.

        Raises:
            NoSuchUpload: it was completed or aborted meanwhile.
            S3Error: QuotaExceeded.
            IntentLost: the blob may have been deleted.
        """
        stored = _part_row(bucket, upload_id, part.number)
        due_ns, now_ns = self._due_ns(), self._now_ns()

        def change(txn: Transaction) -> PartRecord | None:
            require_upload(txn, bucket, key, upload_id)
            now = require(txn, bucket)
            check_open(txn, intents, bucket, now)
            old = find_part(txn, bucket, upload_id, part.number)
            less = () if old is None else (old,)
            usage.change_parts(txn, now, key, upload_id, added=(part,), removed=less)
            if old is not None and old.blob is not None and old.blob != part.blob:
                discard(txn, (old.blob,), due_ns)
            txn.put(PARTS, stored, encode(part))
            settle(txn, intents)
            if inline is not None and part.blob is not None:
                txn.put(INLINE, part.blob.id.encode(), inline)
            late = (part.blob,) if part.blob and now.walks != bucket.walks else ()
            if owed or late:
                name = (upload_id, part.number)
                keep_owed(txn, now, key, owed, now_ns=now_ns, part=name, late=late)
            return old

        return await self._engine.commit(change)

    def get_part(self, bucket: BucketRecord, upload_id: str, number: int) -> PartRecord | None:
        """Return one part, or None."""
        with self._engine.read() as view:
            return find_part(view, bucket, upload_id, number)

    def list_parts(
        self, bucket: BucketRecord, upload_id: str, *, after: int = 0, limit: int | None = None
    ) -> list[PartRecord]:
        """Return up to `limit` parts numbered above `after`, by number; all without a limit."""
        with self._engine.read() as view:
            rows = iter_parts(view, bucket, upload_id, after)
            return [part for _, part in islice(rows, limit)]

    async def abort_upload(self, bucket: BucketRecord, key: str, upload_id: str) -> UploadRecord:
        """Remove an upload and its parts; their blobs, and its native upload, become garbage.

        Raises:
            NoSuchUpload: it is not there.
        """
        due_ns = self._due_ns()

        def change(txn: Transaction) -> UploadRecord:
            upload = require_upload(txn, bucket, key, upload_id)
            stored = stored_parts(txn, bucket, upload_id)
            for row, part in stored:
                txn.delete(PARTS, row)
                discard(txn, (part.blob,) if part.blob else (), due_ns)
            count_out(txn, require(txn, bucket), upload, stored)
            if upload.blob is not None:
                backend_id = upload.backend_upload_id
                discard(txn, (upload.blob,), due_ns, backend_upload_id=backend_id)
            remove(txn, bucket, key, upload_id)
            return upload

        return await self._engine.commit(change)
