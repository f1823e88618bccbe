"""How much is owed to each backend: rows that change in the transactions that change debts."""

from __future__ import annotations

import msgspec

from s3proxy.catalog import tables
from s3proxy.catalog.blob_records import DebtCounts
from s3proxy.catalog.records import DebtRecord
from s3proxy.catalog.tables import DEBT_COUNTS, encode
from s3proxy.kv.engine import Snapshot, Transaction

# In place of a backend: debts of blobs for whose copies the rules leave too few. No backend has a
# name like this.
TOO_FEW = "!too-few"
_SEPARATOR = b"\x00"


class Backlog(msgspec.Struct, frozen=True):
    """What is owed to one backend.

    Attributes:
        objects, bytes: dead letters apart.
        since_ns: of the oldest debt among the first of each queue; 0: there is none.
    """

    objects: int
    bytes: int
    dead: int
    since_ns: int


NOTHING_OWED = Backlog(0, 0, 0, 0)


def read_counts(view: Snapshot) -> dict[str, DebtCounts]:
    """What is counted under each name."""
    return {
        key.removesuffix(_SEPARATOR).decode(): tables.debt_counts.decode(value)
        for key, value in view.scan(DEBT_COUNTS, b"")
    }


def counted(debt: DebtRecord) -> tuple[str, ...]:
    """What a debt is counted under: the backends that owe a copy, or what stands for none."""
    return debt.targets or (TOO_FEW if debt.short else "",)


def change_counts(txn: Transaction, debt: DebtRecord, change: int) -> None:
    """Add a debt to the counts of the backends that owe a copy, or take it off."""
    for name in counted(debt):
        key = name.encode() + _SEPARATOR  # no key is empty
        value = txn.get(DEBT_COUNTS, key)
        old = DebtCounts() if value is None else tables.debt_counts.decode(value)
        if debt.dead:
            counts = msgspec.structs.replace(old, dead=old.dead + change)
        else:
            counts = msgspec.structs.replace(
                old, objects=old.objects + change, bytes=old.bytes + change * debt.blob.size
            )
        txn.put(DEBT_COUNTS, key, encode(counts))
