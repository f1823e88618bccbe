"""What becomes of debts: places come and go, in the transaction that notes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import msgspec

from s3proxy.catalog import copies, debts, manifests, marks, uploads, versions
from s3proxy.catalog.blob_records import CopiesRecord, Transfer
from s3proxy.catalog.buckets import current, require
from s3proxy.catalog.garbage import discard, queue
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    DebtRecord,
    Owed,
)
from s3proxy.catalog.tables import INTENTS
from s3proxy.catalog.walks import forget_drains
from s3proxy.kv.engine import Engine, Snapshot, Transaction


class Owing(msgspec.Struct, frozen=True):
    """A blob that is found not to be where it should, and what points at it.

    Attributes:
        version_id: as S3 gives it.
        upload_id, number: of a part; then `version_id` means nothing.
    """

    key: str
    owed: Owed
    version_id: str = ""
    upload_id: str = ""
    number: int = 0


class Settlement(msgspec.Struct, frozen=True):
    """What was done about a debt.

    Attributes:
        debt: as it was claimed.
        places: those on which the decision was taken.
        added: copies that were made, with their intents open.
        removed: places that are one too many, not allowed or damaged; of the others and the copies,
            one at least was found sound.
        rest: what is still owed; None: nothing.
        bucket: needed for a blob in the catalog: its record comes to point at a copy.
        allowed: where what was copied of a large blob stays, if the debt does; None: everywhere.
    """

    debt: DebtRecord
    places: tuple[BlobRef, ...]
    added: tuple[BlobRef, ...] = ()
    removed: tuple[BlobRef, ...] = ()
    rest: DebtRecord | None = None
    bucket: BucketRecord | None = None
    allowed: tuple[str, ...] | None = None


class SettlingTable:
    """Changes of places and debts."""

    def __init__(
        self, engine: Engine, now_ns: Callable[[], int], due_ns: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._due_ns = due_ns

    async def add_debts(self, bucket: BucketRecord, found: Sequence[Owing]) -> int:
        """Owe for blobs of a bucket, all in one transaction; returns for how many.

        What nothing points at any more is passed over.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        now_ns = self._now_ns()

        def change(txn: Transaction) -> int:
            now = require(txn, bucket)
            there = [one for one in found if one.upload_id and _is_there(txn, now, one)]
            versions_owed = [one for one in found if not one.upload_id]
            # Records of many blobs are read once, not for each of them.
            for (key, version_id), group in groupby(versions_owed, _version_of):
                record = versions.find(txn, now, key.encode(), version_id)
                blobs = frozenset(() if record is None else record.blobs)
                there += [one for one in group if one.owed.blob in blobs]
            for one in there:
                copies.owe(txn, _debt_of(now, one, now_ns))
            return len(there)

        return await self._engine.commit(change)

    async def settle_debt(self, settlement: Settlement) -> bool:
        """Keep what was done about a debt, in one transaction.

        Copies of a blob that is gone meanwhile become garbage. Where the debt is another by now
        (renewed, since rules or places changed), or the places or the bucket's rules are, or a copy
        was given up meanwhile, copies are kept, but nothing is removed and the debt stays, due at
        once. The last place is never removed.

        Returns:
            Whether the blob is still there.
        """
        due_ns, now_ns = self._due_ns(), self._now_ns()
        return await self._engine.commit(lambda txn: _settle(txn, settlement, due_ns, now_ns))

    async def remove_place(
        self, bucket: BucketRecord, owing: Owing, place: BlobRef, sound: BlobRef
    ) -> bool:
        """Forget a place that has not got the bytes, and owe for it: it becomes garbage.

        Args:
            owing: what is owed then.
            sound: another place, which was found to have them.
        Returns:
            False when either is no place any more, or nothing points at the blob: nothing was
            changed.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        due_ns, now_ns = self._due_ns(), self._now_ns()
        blob = owing.owed.blob

        def change(txn: Transaction) -> bool:
            now = require(txn, bucket)
            record = copies.read(txn, blob)
            places = tuple(one for one in record.places if one.id != place.id)
            gone = sound not in places or len(places) == len(record.places)
            if gone or not _is_there(txn, now, owing):
                return False
            copies.store(txn, blob, msgspec.structs.replace(record, places=places))
            queue(txn, place, due_ns)
            copies.owe(txn, _debt_of(now, owing, now_ns))
            return True

        return await self._engine.commit(change)


def _debt_of(bucket: BucketRecord, one: Owing, now_ns: int) -> DebtRecord:
    return copies.debt_of(
        bucket,
        one.key,
        one.owed,
        now_ns=now_ns,
        version_id=one.version_id,
        part=(one.upload_id, one.number),
    )


def _version_of(one: Owing) -> tuple[str, str]:
    return one.key, one.version_id


def _is_there(view: Snapshot, bucket: BucketRecord, one: Owing) -> bool:
    blob = one.owed.blob
    if one.upload_id:
        part = uploads.find_part(view, bucket, one.upload_id, one.number)
        return part is not None and part.blob == blob
    record = versions.find(view, bucket, one.key.encode(), one.version_id)
    return record is not None and blob in record.blobs


def _settle(txn: Transaction, settlement: Settlement, due_ns: int, now_ns: int) -> bool:
    blob = settlement.debt.blob
    debt = debts.find(txn, blob.id)
    # A copy without its intent was given up meanwhile.
    added = [one for one in settlement.added if txn.delete(INTENTS, one.id.encode())]
    if debt is None:
        for copy in added:
            queue(txn, copy, due_ns)
        return False
    _restart_drains(txn, debt, added)
    record = copies.read(txn, blob)
    places = (*record.places, *added)
    rest = settlement.rest
    same = debt == settlement.debt
    all_added = len(added) == len(settlement.added)
    if same and not (all_added and _is_as_seen(txn, settlement, record)):
        same, rest = False, msgspec.structs.replace(debt, due_ns=now_ns, lease="")
        debts.store(txn, rest)
    outside = [place for place in places if place.backend and place not in settlement.removed]
    # Bytes in the catalog go once a copy is new, or was found sound.
    moves = not blob.backend and outside and (added or blob in settlement.removed)
    if same and moves and settlement.bucket is not None:
        surplus = [place for place in places if place.backend and place not in outside]
        for place in surplus:
            queue(txn, place, due_ns)
        return _move_out(txn, settlement, outside, due_ns)
    if same:
        removed = [place for place in settlement.removed if place in places]
        if len(removed) < len(places):
            places = tuple(place for place in places if place not in removed)
            for place in removed:
                queue(txn, place, due_ns)
    transfers = record.transfers
    if same:
        transfers = _give_up_transfers(txn, record, settlement, due_ns)
        if rest is None:
            debts.remove(txn, blob.id)
        else:
            debts.store(txn, rest)
    copies.store(txn, blob, CopiesRecord(places=places, transfers=transfers))
    if places != record.places:
        _note_manifest(txn, settlement.debt)
    return True


def _give_up_transfers(
    txn: Transaction, settled: CopiesRecord, settlement: Settlement, due_ns: int
) -> tuple[Transfer, ...]:
    """Have copies under way go once nothing is owed, and before from where none may be.

    Returns:
        Those that go on.
    """
    allowed = settlement.allowed if settlement.rest is not None else ()
    kept = tuple(one for one in settled.transfers if allowed is None or one.copy.backend in allowed)
    gone = tuple(one for one in settled.transfers if one not in kept)
    given_up = msgspec.structs.replace(settled, transfers=gone)
    for copy, upload_id in copies.take_transfers(txn, given_up):
        queue(txn, copy, due_ns, upload_id)
    return kept


def _restart_drains(txn: Transaction, debt: DebtRecord, added: Sequence[BlobRef]) -> None:
    """Where a copy comes to a backend that is drained, its bucket may be about to leave it."""
    if any(marks.draining_since(txn, place.backend) is not None for place in added):
        bucket = current(txn, debt.tenant, debt.bucket)
        if bucket is not None and bucket.id == debt.bucket_id:
            forget_drains(txn, bucket)


def _is_as_seen(view: Snapshot, settlement: Settlement, record: CopiesRecord) -> bool:
    """Whether a blob's places, and its bucket's rules, are those that it was decided on."""
    if set(record.places) != set(settlement.places):
        return False
    seen, debt = settlement.bucket, settlement.debt
    now = None if seen is None else current(view, debt.tenant, debt.bucket)
    if seen is None or now is None:
        return True
    # A walk that has begun since may have passed the blob before the copies are noted.
    return (now.placement_revision, now.walks) == (seen.placement_revision, seen.walks)


def _note_manifest(txn: Transaction, debt: DebtRecord) -> None:
    """The manifest of a version lies where its blobs do."""
    bucket = current(txn, debt.tenant, debt.bucket)
    if bucket is None or bucket.id != debt.bucket_id or not (bucket.manifests and debt.version_id):
        return
    key = debt.key.encode()
    record = versions.find(txn, bucket, key, debt.version_id)
    if record is not None:
        manifests.note(txn, bucket, key, record)


def _move_out(
    txn: Transaction, settlement: Settlement, places: Sequence[BlobRef], due_ns: int
) -> bool:
    """Have a record point at the first copy of a blob in the catalog, which goes.

    Args:
        places: all that hold it beside the catalog.
    """
    debt, bucket = settlement.debt, settlement.bucket
    assert bucket is not None, "the caller has it"
    copies.take(txn, debt.blob)
    key = debt.key.encode()
    record = versions.find(txn, bucket, key, debt.version_id)
    if record is None or debt.blob not in record.blobs:
        for copy in places:
            queue(txn, copy, due_ns)
        return False
    moved = places[0]
    blobs = tuple(moved if blob == debt.blob else blob for blob in record.blobs)
    versions.update(txn, bucket, key, msgspec.structs.replace(record, blobs=blobs))
    if len(blobs) > 1:
        queue(txn, debt.blob, due_ns)  # readers open one after the other
    else:
        discard(txn, (debt.blob,), due_ns)
    if settlement.rest is not None:
        debts.store(txn, msgspec.structs.replace(settlement.rest, blob=moved))
    copies.store(txn, moved, CopiesRecord(places=tuple(places)))
    _note_manifest(txn, debt)
    return True
