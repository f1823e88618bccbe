"""Objects of managed buckets: every change of one is a single transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.buckets import require
from s3proxy.catalog.errors import ObjectChanged
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.intents import check_open, settle
from s3proxy.catalog.listing import Range, walk
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.tables import INLINE, OBJECTS, encode
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.listing import ListedObject, ListPage

if TYPE_CHECKING:
    from s3proxy.s3.conditions import WriteCondition

# Rows read in one snapshot by a scan: short enough to hold no page of the store for long.
_SCAN_ROWS = 256


def find(view: Snapshot, bucket: BucketRecord, key: bytes) -> ObjectRecord | None:
    """Return the object under `key` as `view` sees it."""
    value = keys.get(view, OBJECTS, bucket.id, key)
    return None if value is None else tables.objects.decode(value)


def replace(
    txn: Transaction,
    bucket: BucketRecord,
    key: bytes,
    record: ObjectRecord,
    *,
    old: ObjectRecord | None,
    due_ns: int,
) -> None:
    """Make `record` the object under `key`; what only `old` pointed at becomes garbage."""
    keys.put(txn, OBJECTS, bucket.id, key, encode(record))
    if old is not None:
        kept = {blob.id for blob in record.blobs}
        discard(txn, (blob for blob in old.blobs if blob.id not in kept), due_ns)


class ObjectTable:
    """Object records in the byte order of their keys."""

    def __init__(self, engine: Engine, due_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._due_ns = due_ns

    def get_object(self, bucket: BucketRecord, key: str) -> ObjectRecord | None:
        """Return the object, or None."""
        encoded = key.encode()
        if len(encoded) <= keys.PIECE_BYTES:
            value = self._engine.get(OBJECTS, bucket.id + encoded)
            return None if value is None else tables.objects.decode(value)
        with self._engine.read() as view:
            return find(view, bucket, encoded)

    def get_object_with_inline(
        self, bucket: BucketRecord, key: str
    ) -> tuple[ObjectRecord | None, bytes | None]:
        """Return the object and, if its only blob is inline, the data: one snapshot."""
        with self._engine.read() as view:
            record = find(view, bucket, key.encode())
            if record is None or len(record.blobs) != 1 or record.blobs[0].backend:
                return record, None
            return record, view.get(INLINE, record.blobs[0].id.encode())

    def get_inline(self, blob_id: str) -> bytes | None:
        """Return the bytes of an inline blob; None when its object was replaced meanwhile."""
        return self._engine.get(INLINE, blob_id.encode())

    def scan_objects(
        self, bucket: BucketRecord, *, prefix: str = "", after: str = ""
    ) -> Iterator[tuple[str, ObjectRecord]]:
        """Yield (key, object) in order, in short snapshots: the consumer may await in between."""
        position = after.encode()
        while True:
            wanted = Range(prefix.encode(), b"", position)
            with self._engine.read() as view:
                rows = list(islice(walk(view, OBJECTS, bucket.id, wanted), _SCAN_ROWS))
            for key, value in rows:
                if value is not None:
                    yield key.decode(), tables.objects.decode(value)
            if len(rows) < _SCAN_ROWS:
                return
            position = rows[-1][0]

    def list_page(
        self,
        bucket: BucketRecord,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        limit: int = 1000,
    ) -> ListPage:
        """Return up to `limit` objects and common prefixes above `after`.

        Cost: O(page), about 1 us a row, whatever the bucket holds.
        """
        if limit <= 0:
            return ListPage(objects=[], common_prefixes=[], truncated=False, next_after="")
        wanted = Range(prefix.encode(), delimiter.encode(), after.encode())
        with self._engine.read() as view:
            rows = list(islice(walk(view, OBJECTS, bucket.id, wanted), limit + 1))
        truncated = len(rows) > limit
        del rows[limit:]
        return ListPage(
            objects=[_listed(key, value) for key, value in rows if value is not None],
            common_prefixes=[key.decode() for key, value in rows if value is None],
            truncated=truncated,
            next_after=rows[-1][0].decode() if truncated else "",
        )

    async def put_object(
        self,
        bucket: BucketRecord,
        key: str,
        record: ObjectRecord,
        *,
        condition: WriteCondition | None = None,
        intents: Sequence[str] = (),
        inline: bytes | None = None,
        replaces: ObjectRecord | None = None,
    ) -> ObjectRecord | None:
        """Make `record` the object under `key`; returns the one it replaced.

        Args:
            condition: checked against the current object in the same transaction.
            intents: the blobs' intents, settled in the same transaction.
            inline: bytes of `record.blobs[0]`, whose backend is "".
            replaces: the current object has to equal this one. Needed where `record` goes on
                pointing at its blobs (a copy onto itself), which would else be deleted under it.

        Raises:
            NoSuchBucket: the bucket is gone.
            S3Error: the condition does not hold; ObjectChanged for `replaces`.
            IntentLost: the blobs may have been deleted.
        """
        encoded, due_ns = key.encode(), self._due_ns()

        def change(txn: Transaction) -> ObjectRecord | None:
            require(txn, bucket)
            old = find(txn, bucket, encoded)
            if condition is not None:
                condition.check(old.etag if old else None)
            if replaces is not None and old != replaces:
                raise ObjectChanged(key)
            check_open(txn, intents)
            replace(txn, bucket, encoded, record, old=old, due_ns=due_ns)
            settle(txn, intents)
            if inline is not None:
                txn.put(INLINE, record.blobs[0].id.encode(), inline)
            return old

        return await self._engine.commit(change)

    async def put_tags(self, bucket: BucketRecord, key: str, tags: dict[str, str]) -> bool:
        """Make `tags` the tags of the object under `key`; all else of it stays as it is.

        Returns:
            False when there is no object.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        encoded = key.encode()

        def change(txn: Transaction) -> bool:
            require(txn, bucket)
            record = find(txn, bucket, encoded)
            if record is None:
                return False
            tagged = msgspec.structs.replace(record, tags=tags)
            keys.put(txn, OBJECTS, bucket.id, encoded, encode(tagged))
            return True

        return await self._engine.commit(change)

    async def delete_object(
        self, bucket: BucketRecord, key: str, *, condition: WriteCondition | None = None
    ) -> ObjectRecord | None:
        """Remove the object under `key`; returns it, or None when there was none.

        Raises:
            NoSuchBucket, S3Error: as put_object.
        """
        encoded, due_ns = key.encode(), self._due_ns()

        def change(txn: Transaction) -> ObjectRecord | None:
            require(txn, bucket)
            old = find(txn, bucket, encoded)
            if condition is not None:
                condition.check(old.etag if old else None)
            _remove(txn, bucket, encoded, old, due_ns)
            return old

        return await self._engine.commit(change)

    async def delete_objects(
        self, bucket: BucketRecord, names: Sequence[str]
    ) -> list[ObjectRecord | None]:
        """Remove the objects under `names` in one transaction; returns them in that order.

        Raises:
            NoSuchBucket: the bucket is gone; nothing was removed.
        """
        due_ns = self._due_ns()

        def change(txn: Transaction) -> list[ObjectRecord | None]:
            require(txn, bucket)
            removed = []
            for name in names:
                old = find(txn, bucket, name.encode())
                _remove(txn, bucket, name.encode(), old, due_ns)
                removed.append(old)
            return removed

        return await self._engine.commit(change)


def _remove(
    txn: Transaction, bucket: BucketRecord, key: bytes, old: ObjectRecord | None, due_ns: int
) -> None:
    if old is not None:
        keys.delete(txn, OBJECTS, bucket.id, key)
        discard(txn, old.blobs, due_ns)


def _listed(key: bytes, value: bytes) -> ListedObject:
    fields = tables.listed.decode(value)
    return ListedObject(
        key.decode(),
        fields.size,
        fields.etag,
        fields.modified_ns,
        fields.storage_class,
        next(iter(fields.checksums)) if fields.checksums else "",
        fields.checksum_type,
    )
