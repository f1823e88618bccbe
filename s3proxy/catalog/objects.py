"""Objects of managed buckets: every change of one is a single transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, cast

import msgspec

from s3proxy.catalog import keys, manifests, tables, usage, versions
from s3proxy.catalog.buckets import require
from s3proxy.catalog.copies import keep_owed, owe_by_tag
from s3proxy.catalog.data_keys import DataKeys
from s3proxy.catalog.errors import ObjectChanged
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.intents import check_open, settle
from s3proxy.catalog.listing import Range, listed, walk
from s3proxy.catalog.records import BucketRecord, ObjectRecord, Owed
from s3proxy.catalog.tables import INLINE, OBJECTS, encode
from s3proxy.kv.engine import Engine, Transaction
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListPage

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer
    from s3proxy.s3.conditions import WriteCondition

# Rows read in one snapshot by a scan: short enough to hold no page of the store for long.
_SCAN_ROWS = 256
# Times of objects are kept in whole milliseconds.
_MARKER_NS = 1_000_000


def replace(
    txn: Transaction,
    bucket: BucketRecord,
    key: bytes,
    record: ObjectRecord,
    *,
    old: ObjectRecord | None,
    due_ns: int,
) -> ObjectRecord:
    """Make `record` the current object under `key`; what is no version any more becomes garbage.

    Args:
        bucket: as it is in this transaction.
        old: the current object.
    Returns:
        The record as it was stored, with its version id.

    Raises:
        S3Error: QuotaExceeded.
    """
    stored, lost = record, old
    if bucket.versioning:
        stored = versions.stamped(txn, bucket, record)
        lost = versions.keep(txn, bucket, key, old)
    keys.put(txn, OBJECTS, bucket.id, key, encode(stored))
    if bucket.counted:
        usage.change(txn, bucket, key, added=stored, removed=lost)
    if lost is not None:
        kept = {blob.id for blob in record.blobs}
        discard(txn, (blob for blob in lost.blobs if blob.id not in kept), due_ns)
        if lost.sequence != stored.sequence:
            manifests.note(txn, bucket, key, lost)
    manifests.note(txn, bucket, key, stored, changed=False)
    return stored


class Deletion(msgspec.Struct, frozen=True):
    """What is to be deleted: a key, or one version of it.

    Attributes:
        condition: of what is deleted.
        bypass_governance: a retention in that mode does not keep the version.
    """

    key: str
    version_id: str = ""
    condition: WriteCondition | None = None
    bypass_governance: bool = False


class ObjectTable:
    """Object records in the byte order of their keys."""

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

    def get_object(
        self, bucket: BucketRecord, key: str, version_id: str = ""
    ) -> ObjectRecord | None:
        """Return the object, or the version of it with that id, which may be a delete marker."""
        encoded = key.encode()
        if not version_id and len(encoded) <= keys.PIECE_BYTES:
            value = self._engine.get(OBJECTS, bucket.id + encoded)
            return None if value is None else tables.objects.decode(value)
        with self._engine.read() as view:
            return versions.find(view, bucket, encoded, version_id)

    def get_object_with_inline(
        self, bucket: BucketRecord, key: str, version_id: str = ""
    ) -> tuple[ObjectRecord | None, bytes | None]:
        """Return what `get_object` does and, if its only blob is inline, the data: one snapshot."""
        encoded = key.encode()
        with self._engine.read() as view:
            if version_id or len(encoded) > keys.PIECE_BYTES:
                record = versions.find(view, bucket, encoded, version_id)
            else:
                value = view.get(OBJECTS, bucket.id + encoded)
                record = None if value is None else tables.objects.decode(value)
            blobs = () if record is None else record.blobs
            if len(blobs) != 1 or blobs[0].backend:
                return record, None
            return record, view.get(INLINE, blobs[0].id.encode())

    def get_latest(self, bucket: BucketRecord, key: str) -> ObjectRecord | None:
        """Return the current version of `key`, object or delete marker, or None."""
        with self._engine.read() as view:
            return versions.find_latest(view, bucket, key.encode())

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
        next_after = rows[-1][0].decode() if truncated else ""
        common_prefixes = []
        if delimiter:
            common_prefixes = [key.decode() for key, value in rows if value is None]
            rows = [row for row in rows if row[1] is not None]
        # What is no common prefix has a value.
        objects = listed(cast("list[tuple[bytes, bytes]]", rows))
        return ListPage(objects, common_prefixes, truncated, next_after)

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
        announcer: Announcer | None = None,
        owed: Sequence[Owed] = (),
    ) -> ObjectRecord:
        """Make `record` the object under `key`; returns it as it was stored.

        Args:
            bucket: as it was when it was decided where the blobs go.
            condition: checked against the current object in the same transaction.
            intents: the blobs' intents, settled in the same transaction.
            inline: bytes of `record.blobs[0]`, whose backend is "".
            replaces: the current object has to equal this one. Needed where `record` goes on
                pointing at its blobs (a copy onto itself), which would else be deleted under it;
                and the bucket may have no versions, which would share them.
            announcer: of the bucket's events, where it has some.
            owed: of its blobs, where they have other places, or should have.

        Raises:
            NoSuchBucket: the bucket is gone.
            S3Error: the condition does not hold; QuotaExceeded; ObjectChanged for `replaces`.
            IntentLost: the blobs may have been deleted, or lie where the bucket is no more.
        """
        encoded, due_ns, now_ns = key.encode(), self._due_ns(), self._now_ns()

        def change(txn: Transaction) -> ObjectRecord:
            now = require(txn, bucket)
            old = versions.find(txn, bucket, encoded)
            if condition is not None:
                condition.check(old.etag if old else None)
            if replaces is not None and (old != replaces or now.versioning):
                raise ObjectChanged(key)
            check_open(txn, intents, bucket, now)
            renewed = self._renewed(record)
            stored = replace(txn, now, encoded, renewed, old=old, due_ns=due_ns)
            settle(txn, intents)
            if replaces is not None:
                manifests.note(txn, now, encoded, stored, changed=True)
            if inline is not None:
                txn.put(INLINE, record.blobs[0].id.encode(), inline)
            late = stored.blobs if now.walks != bucket.walks else ()
            if owed or late:
                name = stored.named_version
                keep_owed(txn, now, key, owed, now_ns=now_ns, version_id=name, late=late)
            if announcer is not None:
                announcer.created(txn, key, stored)
            return stored

        return await self._engine.commit(change)

    async def update_object(
        self,
        bucket: BucketRecord,
        key: str,
        change: Callable[[ObjectRecord], ObjectRecord],
        *,
        version_id: str = "",
        announcer: Announcer | None = None,
    ) -> ObjectRecord | None:
        """Change a version in its place: neither its blobs nor its time; returns it after that.

        Args:
            change: gets the version as it is in the transaction; what it raises, nothing changes.
            version_id: "" for the current object.
        Returns:
            None when there is no such version; a delete marker as it is, without `change`.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        encoded, now_ns = key.encode(), self._now_ns()

        def store(txn: Transaction) -> ObjectRecord | None:
            now = require(txn, bucket)
            record = versions.find(txn, bucket, encoded, version_id)
            if record is None or record.delete_marker:
                return record
            changed = change(record)
            versions.update(txn, bucket, encoded, changed)
            owe_by_tag(txn, now, key, (record, changed), now_ns)
            if announcer is not None:
                announcer.changed(txn, key, changed)
            return changed

        return await self._engine.commit(store)

    async def delete_object(
        self, bucket: BucketRecord, deletion: Deletion, *, announcer: Announcer | None = None
    ) -> ObjectRecord | None:
        """Delete the object, or one version of it for good.

        Returns:
            The version that was removed, or the delete marker that was made; None when there was
            nothing to remove.

        Raises:
            NoSuchBucket, S3Error: as put_object.
        """
        (outcome,) = await self.delete_objects(bucket, [deletion], announcer=announcer)
        if isinstance(outcome, S3Error):
            raise outcome
        return outcome

    async def delete_objects(
        self,
        bucket: BucketRecord,
        deletions: Sequence[Deletion],
        *,
        announcer: Announcer | None = None,
    ) -> list[ObjectRecord | S3Error | None]:
        """Do several deletions in one transaction.

        Returns:
            In order, what delete_object returns or raises for each by itself.

        Raises:
            NoSuchBucket: the bucket is gone; nothing was removed.
        """
        due_ns = self._due_ns()
        now_ns = self._now_ns()

        def change(txn: Transaction) -> list[ObjectRecord | S3Error | None]:
            now = require(txn, bucket)
            outcomes: list[ObjectRecord | S3Error | None] = []
            for deletion in deletions:
                try:
                    outcome = delete(
                        txn, now, deletion, due_ns=due_ns, now_ns=now_ns, announcer=announcer
                    )
                except S3Error as error:  # raised before anything is changed
                    outcomes.append(error)
                else:
                    outcomes.append(outcome)
            return outcomes

        return await self._engine.commit(change)


def delete(
    txn: Transaction,
    bucket: BucketRecord,
    deletion: Deletion,
    *,
    due_ns: int,
    now_ns: int,
    announcer: Announcer | None = None,
) -> ObjectRecord | None:
    """Delete an object or one version of it; returns what `ObjectTable.delete_object` does.

    Args:
        bucket: as it is in this transaction.
        now_ns: the time of a delete marker.
    Raises:
        S3Error: nothing was changed.
    """
    outcome = _delete(txn, bucket, deletion, due_ns, now_ns)
    if announcer is not None and outcome is not None:
        marked = outcome.delete_marker and not deletion.version_id
        tell = announcer.marked if marked else announcer.removed
        tell(txn, deletion.key, outcome)
    return outcome


def _check(found: ObjectRecord | None, deletion: Deletion, now_ns: int) -> None:
    """Refuse a deletion whose condition does not hold, or of a locked version.

    A lock is no hindrance to a delete marker, which removes nothing.
    """
    if deletion.condition is not None:
        deletion.condition.check(found.etag if found else None)
    if found is not None and found.lock is not None and deletion.version_id:
        found.lock.check_deletion(now_ns, bypass_governance=deletion.bypass_governance)


def _delete(
    txn: Transaction, bucket: BucketRecord, deletion: Deletion, due_ns: int, now_ns: int
) -> ObjectRecord | None:
    key = deletion.key.encode()
    if deletion.condition is not None or deletion.version_id:
        _check(versions.find(txn, bucket, key, deletion.version_id), deletion, now_ns)
    if deletion.version_id:
        removed = versions.remove(txn, bucket, key, deletion.version_id, due_ns)
        usage.change(txn, bucket, key, removed=removed)
        return removed
    old = versions.find(txn, bucket, key)
    lost = versions.keep(txn, bucket, key, old)
    if lost is not None:
        discard(txn, lost.blobs, due_ns)
        manifests.note(txn, bucket, key, lost)
    usage.change(txn, bucket, key, removed=lost)
    if old is not None:
        keys.delete(txn, OBJECTS, bucket.id, key)
    if not bucket.versioning:
        return old
    modified_ns = now_ns // _MARKER_NS * _MARKER_NS
    marker = ObjectRecord(size=0, etag="", modified_ns=modified_ns, delete_marker=True)
    stored = versions.stamped(txn, bucket, marker)
    versions.insert(txn, bucket, key, stored)
    manifests.note(txn, bucket, key, stored)
    return stored
