"""Debts: blobs that are not, or may not be, where their rules want them.

A debt is a row under its blob's id, and an empty one in a queue, by the time it is due. There is a
queue of those that can be looked at, one for each backend that others wait for, that of blobs for
whose copies too few backends are left, and that of the dead letters; one that waits for any of
several backends is in the queue of each. All of it changes in one transaction.

A blob with a debt has a row in `copies`, too, so that one look says whether a blob has either.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.debt_counts import TOO_FEW, Backlog, change_counts, counted, read_counts
from s3proxy.catalog.errors import UnknownDebt
from s3proxy.catalog.records import (
    DebtRecord,
)
from s3proxy.catalog.tables import DEBT_ORDER, DEBTS, encode
from s3proxy.kv.engine import Engine, Snapshot, Transaction

_SEPARATOR = b"\x00"
_DUE_BYTES = 8
# No name of a backend: FF is not in UTF-8.
_DEAD_QUEUE = b"\xff"
# Before the name of a backend: debts that wait for their turn there, not for it to be up.
_TURN = "~"
_NO_BOUNDS: Mapping[str, int] = MappingProxyType({})
_EVER_NS = 2**63
# Changed in one transaction: a few milliseconds.
BATCH_ROWS = 1000
# Of each queue, what is looked at for the oldest debt.
OLDEST_ROWS = 64


def find(view: Snapshot, blob_id: str) -> DebtRecord | None:
    """Return what is owed for a blob, or None."""
    value = view.get(DEBTS, blob_id.encode())
    return None if value is None else tables.debts.decode(value)


def store(txn: Transaction, debt: DebtRecord) -> None:
    """Keep a debt in place of the blob's former one, if there is one."""
    old = find(txn, debt.blob.id)
    if old is not None:
        _leave_queues(txn, old)
    if old is None or (counted(old), old.dead) != (counted(debt), debt.dead):
        if old is not None:
            change_counts(txn, old, -1)
        change_counts(txn, debt, 1)
    txn.put(DEBTS, debt.blob.id.encode(), encode(debt))
    for row in _rows(debt):
        txn.put(DEBT_ORDER, row, b"")


def remove(txn: Transaction, blob_id: str) -> None:
    """Forget what is owed for a blob."""
    old = find(txn, blob_id)
    if old is not None:
        txn.delete(DEBTS, blob_id.encode())
        _leave_queues(txn, old)
        change_counts(txn, old, -1)


def owe(txn: Transaction, debt: DebtRecord) -> None:
    """Add a debt; one that the blob has is renewed, and due as the new one is.

    Who is at the former one finds that it is another now, and leaves it.
    """
    old = find(txn, debt.blob.id)
    if old is not None:
        debt = msgspec.structs.replace(debt, since_ns=old.since_ns)
    store(txn, debt)


class DebtTable:
    """Debts by the id of their blob, and in the order they fall due."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int], gateway: str) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._gateway = gateway

    def get_debt(self, blob_id: str) -> DebtRecord | None:
        """Return what is owed for a blob, or None."""
        value = self._engine.get(DEBTS, blob_id.encode())
        return None if value is None else tables.debts.decode(value)

    def due_debts(self, now_ns: int, limit: int, waits_for: str = "") -> list[DebtRecord]:
        """Return up to `limit` debts due at `now_ns`, the oldest first.

        Args:
            waits_for: of those that wait for this backend.
        """
        with self._engine.read() as view:
            return _due(view, waits_for.encode(), now_ns, limit)

    def next_debt_ns(self) -> int | None:
        """Return when the next debt falls due of those that wait for no backend."""
        with self._engine.read() as view:
            first = next(view.scan(DEBT_ORDER, _SEPARATOR, keys.successor(_SEPARATOR)), None)
        return None if first is None else int.from_bytes(first[0][1 : 1 + _DUE_BYTES], "big")

    def has_due_debts(
        self, now_ns: int, waited: Sequence[str], turns: Sequence[str], *, short_ns: int = 0
    ) -> bool:
        """Say whether `claim_debts` would find some, of those that wait for one of `waited`, or for
        their turn at one of `turns`, too.
        """
        with self._engine.read() as view:
            return bool(_due(view, TOO_FEW.encode(), max(now_ns, short_ns), 1)) or any(
                _due(view, queue.encode(), now_ns, 1)
                for queue in ("", *waited, *map(turn_at, turns))
            )

    def list_debts(
        self, after: str = "", limit: int = 100, *, dead: bool = False
    ) -> list[DebtRecord]:
        """Return up to `limit` debts in the order of their blobs' ids; dead letters: oldest first.

        Args:
            after: the id of the blob that the page before ended with.
        """
        with self._engine.read() as view:
            if dead:
                last = find(view, after) if after else None
                first = _DEAD_QUEUE + _SEPARATOR
                start = _rows(last)[0] + b"\x00" if last is not None and last.dead else first
                rows = islice(view.scan(DEBT_ORDER, start, keys.successor(first)), limit)
                found = (find(view, _blob_id(key)) for key, _ in rows)
                return [debt for debt in found if debt is not None]
            rows = islice(view.scan(DEBTS, after.encode() + b"\x00" if after else b""), limit)
            return [tables.debts.decode(value) for _, value in rows]

    def debt_counts(self) -> dict[str, Backlog]:
        """Return what is owed to each backend; "" stands for debts that expect no copy, TOO_FEW
        for those that wait until there is a backend for it.

        Cost: a few rows of each queue, however many debts there are.
        """
        with self._engine.read() as view:
            counts = read_counts(view)
            oldest = _oldest(view, ["", TOO_FEW, *counts, *map(turn_at, counts)])
        return {
            name: Backlog(found.objects, found.bytes, found.dead, oldest.get(name, 0))
            for name, found in counts.items()
        }

    async def claim_debts(
        self,
        now_ns: int,
        limit: int,
        lease_ns: int,
        waited: Sequence[str] = (),
        *,
        room: Mapping[str, int] = _NO_BOUNDS,
        short_ns: int = 0,
    ) -> list[DebtRecord]:
        """Lease up to `limit` due debts to this gateway; returns them as they are now.

        Args:
            waited: backends that are up: what waits for them is due.
            room: how many to claim whose first target is that backend, where there is a bound;
                those beyond it wait for their turn there, apart from all others.
            short_ns: those of TOO_FEW that fall due until then are due.
        """

        def change(txn: Transaction) -> list[DebtRecord]:
            claiming = _Claiming(txn, dict(room), now_ns + lease_ns, self._gateway)
            for debt in _due(txn, b"", now_ns, limit):
                claiming.take(debt)
            for name, left in room.items():
                for debt in _due(txn, turn_at(name).encode(), now_ns, min(left, limit)):
                    claiming.take(debt)
            for name in waited:
                left = min(claiming.room.get(name, limit), limit - len(claiming.claimed))
                for debt in _due(txn, name.encode(), now_ns, left):
                    claiming.take(debt)
            left = min(claiming.room.get("", limit), limit - len(claiming.claimed))
            for debt in _due(txn, TOO_FEW.encode(), max(now_ns, short_ns), left):
                claiming.take(debt)
            return claiming.claimed

        return await self._engine.commit(change)

    async def release_debts(self, backends: Iterable[str]) -> int:
        """Make due at once what another run of a gateway has leased; returns how many.

        So is what waits for backends that are not configured any more.

        Args:
            backends: those that are.
        """
        names = ("", *backends)
        queues = {_DEAD_QUEUE, *(name.encode() for name in (*names, *map(turn_at, names)))}
        released, after = 0, b""
        while brought := await self._engine.commit(partial(self._bring_back, queues=queues)):
            released += brought
        while True:
            found, count, after = await self._engine.commit(self._release(after))
            released += count
            if found < BATCH_ROWS:
                return released

    def _bring_back(self, txn: Transaction, *, queues: Container[bytes]) -> int:
        """Make due what is in the first queue that is none of these; returns how many rows."""
        start: bytes | None = b""
        while found := next(txn.scan(DEBT_ORDER, start or b""), None):
            queue = found[0][: found[0].index(_SEPARATOR) + 1]
            start = keys.successor(queue)
            if queue[:-1] in queues:
                continue
            rows = [key for key, _ in islice(txn.scan(DEBT_ORDER, queue, start), BATCH_ROWS)]
            for row in rows:
                debt = find(txn, _blob_id(row))
                if debt is not None:
                    due = {"due_ns": self._now_ns(), "waits_for": "", "or_for": ()}
                    store(txn, msgspec.structs.replace(debt, **due))
            return len(rows)
        return 0

    def _release(self, after: bytes) -> Callable[[Transaction], tuple[int, int, bytes]]:
        now_ns = self._now_ns()
        start = after or _SEPARATOR + now_ns.to_bytes(_DUE_BYTES, "big")

        def change(txn: Transaction) -> tuple[int, int, bytes]:
            rows = txn.scan(DEBT_ORDER, start, keys.successor(_SEPARATOR))
            found = [key for key, _ in islice(rows, BATCH_ROWS)]
            count = 0
            for key in found:
                debt = find(txn, _blob_id(key))
                if debt is not None and debt.lease not in ("", self._gateway):
                    store(txn, msgspec.structs.replace(debt, due_ns=now_ns, lease=""))
                    count += 1
            return len(found), count, found[-1] + b"\x00" if found else b""

        return change

    async def retry_debts(self, ids: Sequence[str] = ()) -> int:
        """Make debts due at once, as if they had never been tried; returns how many.

        Args:
            ids: of their blobs; none: all dead letters.
        Raises:
            UnknownDebt: nothing is owed for one of them.
        """
        if ids:
            return await self._engine.commit(partial(self._revive, ids=ids, strict=True))
        total = 0
        while dead := [debt.blob.id for debt in self.list_debts(limit=BATCH_ROWS, dead=True)]:
            total += await self._engine.commit(partial(self._revive, ids=dead))
        return total

    def _revive(self, txn: Transaction, *, ids: Sequence[str], strict: bool = False) -> int:
        found = [debt for debt in (find(txn, blob_id) for blob_id in ids) if debt is not None]
        if strict and len(found) < len(ids):
            missing = set(ids) - {debt.blob.id for debt in found}
            raise UnknownDebt(f"nothing is owed for {', '.join(sorted(missing))}")
        for debt in found:
            store(
                txn,
                msgspec.structs.replace(
                    debt,
                    due_ns=self._now_ns(),
                    tries=0,
                    dead=False,
                    waits_for="",
                    or_for=(),
                    lease="",
                ),
            )
        return len(found)


class _Claiming:
    """Leases debts while there is room for them."""

    def __init__(self, txn: Transaction, room: dict[str, int], until_ns: int, gateway: str) -> None:
        self._txn = txn
        self._until_ns = until_ns
        self._gateway = gateway
        self.room = room
        self.claimed: list[DebtRecord] = []

    def take(self, debt: DebtRecord) -> None:
        """Lease it, or have it wait for its turn."""
        target = next(iter(debt.targets), "")
        target = target if target in self.room else ""
        left = self.room.get(target)
        if left is not None and left <= 0:
            if debt.waits_for != turn_at(target):
                turn = msgspec.structs.replace(debt, waits_for=turn_at(target), or_for=())
                store(self._txn, turn)
            return
        if left is not None:
            self.room[target] = left - 1
        leased = msgspec.structs.replace(
            debt, due_ns=self._until_ns, lease=self._gateway, waits_for="", or_for=()
        )
        store(self._txn, leased)
        self.claimed.append(leased)


def turn_at(backend: str) -> str:
    """What a debt waits for that is one of many for a backend."""
    return _TURN + backend


def awaited(debt: DebtRecord) -> tuple[str, ...]:
    """The backends of which one has to be up first; none for a debt that waits for its turn."""
    if debt.waits_for.startswith((_TURN, TOO_FEW)) or not debt.waits_for:
        return ()
    return (debt.waits_for, *debt.or_for)


def _due(view: Snapshot, queue: bytes, now_ns: int, limit: int) -> list[DebtRecord]:
    start = queue + _SEPARATOR
    rows = view.scan(DEBT_ORDER, start, start + (now_ns + 1).to_bytes(_DUE_BYTES, "big"))
    found = [find(view, _blob_id(key)) for key, _ in islice(rows, max(limit, 0))]
    return [debt for debt in found if debt is not None]


def _oldest(view: Snapshot, queues: Sequence[str]) -> dict[str, int]:
    """When the oldest debt of each target came to be, among the first rows of the queues."""
    debts = [debt for name in queues for debt in _due(view, name.encode(), _EVER_NS, OLDEST_ROWS)]
    oldest: dict[str, int] = {}
    for debt in debts:
        for name in counted(debt):
            oldest[name] = min(oldest.get(name, debt.since_ns), debt.since_ns)
    return oldest


def _rows(debt: DebtRecord) -> list[bytes]:
    """Where a debt is in each of its queues."""
    queues = [_DEAD_QUEUE]
    if not debt.dead:
        queues = [name.encode() for name in (debt.waits_for, *debt.or_for)]
    due = debt.due_ns.to_bytes(_DUE_BYTES, "big")
    return [queue + _SEPARATOR + due + debt.blob.id.encode() for queue in queues]


def _leave_queues(txn: Transaction, debt: DebtRecord) -> None:
    for row in _rows(debt):
        txn.delete(DEBT_ORDER, row)


def _blob_id(row: bytes) -> str:
    # A name of a backend has no zero byte; the time behind it may have some.
    return row[row.index(_SEPARATOR) + 1 + _DUE_BYTES :].decode()
