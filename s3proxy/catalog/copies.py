"""Where a blob's bytes are, when that is not only where its record says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from s3proxy.catalog import debts, keys, tables
from s3proxy.catalog.blob_records import (
    CopiesRecord,
)
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    DebtRecord,
    ObjectRecord,
    Owed,
)
from s3proxy.catalog.tables import COPIED_PARTS, COPIES, DEBTS, encode
from s3proxy.catalog.walks import forget_drains
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.placement import REPLICAS_TAG


def read(view: Snapshot, blob: BlobRef) -> CopiesRecord:
    """Return all places of a blob, and its copies under way."""
    value = view.get(COPIES, blob.id.encode())
    return CopiesRecord(places=(blob,)) if value is None else tables.copies.decode(value)


def store(txn: Transaction, blob: BlobRef, record: CopiesRecord) -> None:
    """Keep a blob's places; no row where it says nothing that the blob's own does not."""
    key = blob.id.encode()
    if record == CopiesRecord(places=(blob,)) and txn.get(DEBTS, key) is None:
        txn.delete(COPIES, key)
    else:
        txn.put(COPIES, key, encode(record))


def take(txn: Transaction, blob: BlobRef) -> list[tuple[BlobRef, str]]:
    """Forget a blob's places and what is owed for it.

    Returns:
        All places, and the copies under way with their backend's upload ids.
    """
    value = txn.get(COPIES, blob.id.encode())
    if value is None:
        return [(blob, "")]
    record = tables.copies.decode(value)
    debts.remove(txn, blob.id)
    txn.delete(COPIES, blob.id.encode())
    return [*((place, "") for place in record.places), *take_transfers(txn, record)]


def take_transfers(txn: Transaction, record: CopiesRecord) -> list[tuple[BlobRef, str]]:
    """Forget the parts of the copies under way; returns these with their upload ids."""
    for transfer in record.transfers:
        start = transfer.copy.id.encode()
        for key in [key for key, _ in txn.scan(COPIED_PARTS, start, keys.successor(start))]:
            txn.delete(COPIED_PARTS, key)
    return [(transfer.copy, transfer.backend_upload_id) for transfer in record.transfers]


def owe(txn: Transaction, debt: DebtRecord) -> None:
    """Add a debt, and the row that says that there is one."""
    record = read(txn, debt.blob)
    debts.owe(txn, debt)
    store(txn, debt.blob, record)


def keep_owed(
    txn: Transaction,
    bucket: BucketRecord,
    key: str,
    owed: Sequence[Owed],
    *,
    now_ns: int,
    version_id: str = "",
    part: tuple[str, int] = ("", 0),
    late: Sequence[BlobRef] = (),
) -> None:
    """Keep what a write knows of its blobs' other places, and owes for them.

    Args:
        bucket: as it is in this transaction.
        version_id: of the object.
        part: upload id and number, of a part.
        late: blobs for which is owed in any case, since it was decided where they go before a walk
            over the bucket began.
    """
    debt = partial(debt_of, bucket, key, now_ns=now_ns, version_id=version_id, part=part)
    for one in owed:
        if len(one.copies) > 1:
            txn.put(COPIES, one.blob.id.encode(), encode(CopiesRecord(places=one.copies)))
        if one.targets:
            owe(txn, debt(one))
    for blob in late:
        found = debts.find(txn, blob.id)
        if found is None or found.dead:
            owe(txn, debt(Owed(blob)))
    if late:
        forget_drains(txn, bucket)


def owe_as_object(txn: Transaction, blobs: Iterable[BlobRef], version_id: str, now_ns: int) -> None:
    """Have what is owed for parts be owed for the version that they have become.

    Who is at one of these debts leaves it, as it is another now.
    """
    for blob in blobs:
        debt = debts.find(txn, blob.id)
        if debt is not None and not debt.version_id:
            due_ns = now_ns if debt.lease else debt.due_ns
            debts.store(
                txn,
                msgspec.structs.replace(
                    debt,
                    version_id=version_id,
                    upload_id="",
                    part_number=0,
                    lease="",
                    due_ns=due_ns,
                ),
            )


def owe_by_tag(
    txn: Transaction,
    bucket: BucketRecord,
    key: str,
    change: tuple[ObjectRecord, ObjectRecord],
    now_ns: int,
) -> None:
    """Owe for a version whose tags ask for another number of copies now than before."""
    before, after = change
    if before.tags.get(REPLICAS_TAG) == after.tags.get(REPLICAS_TAG):
        return
    for blob in after.blobs:
        owed = Owed(blob)
        owe(txn, debt_of(bucket, key, owed, now_ns=now_ns, version_id=after.named_version))


def debt_of(
    bucket: BucketRecord,
    key: str,
    owed: Owed,
    *,
    now_ns: int,
    version_id: str = "",
    part: tuple[str, int] = ("", 0),
) -> DebtRecord:
    """The debt of a blob, due at once."""
    upload_id, number = part
    return DebtRecord(
        blob=owed.blob,
        bucket_id=bucket.id,
        tenant=bucket.tenant,
        bucket=bucket.name,
        key=key,
        since_ns=now_ns,
        due_ns=now_ns,
        replicas=owed.replicas,
        targets=owed.targets,
        version_id=version_id,
        upload_id=upload_id,
        part_number=number,
    )


class CopyTable:
    """Places by the id of the blob that records point at."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def places_of(self, blob: BlobRef) -> tuple[BlobRef, ...]:
        """Return all places that hold a blob's bytes, in no order; one get."""
        value = self._engine.get(COPIES, blob.id.encode())
        return (blob,) if value is None else tables.copies.decode(value).places

    def get_copies(self, blob: BlobRef) -> CopiesRecord:
        """Return the places of a blob with its copies under way."""
        value = self._engine.get(COPIES, blob.id.encode())
        return CopiesRecord(places=(blob,)) if value is None else tables.copies.decode(value)
