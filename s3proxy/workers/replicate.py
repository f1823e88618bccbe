"""The replicator: settles debts, many at once, and none twice at the same time.

A debt is leased, settled (ops/settle_debt.py), and kept or dropped in one transaction. Each backend
has a lane: a few leased debts wait there for their turn, the rest wait in the catalog, so that
memory does not grow with what is owed, and a slow backend holds up nobody else.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.catalog.debt_counts import TOO_FEW
from s3proxy.catalog.debts import turn_at
from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.tables import DEBT_ORDER
from s3proxy.kv.errors import KvError
from s3proxy.log import get_logger
from s3proxy.ops.settle_debt import Outcome, Settling

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, DebtRecord
    from s3proxy.ops.call import Services
    from s3proxy.ops.lanes import Lanes

# Longer than any copy of a small blob takes; who still works on a larger one keeps it all the same.
LEASE_S: Final = 300.0
# Debts in the hands of workers, for each copy that may be made at once: while one is copied, the
# transaction that notes another waits for the disk.
IN_HAND: Final = 2
# Leased and waiting for a worker, for each that may be copied at once in a lane.
AHEAD: Final = 4
# Leased in one transaction.
CLAIM_MAX: Final = 256
# How long it may take until a backend is seen to be up again, or a retry to be due.
POLL_S: Final = 1.0
BACKOFF_S_MIN: Final = 1.0
# What no rule allows a place for is looked at again when rules or backends change, and now and
# then.
SHORT_S: Final = 300.0

logger = get_logger("replicate")


class Replicator:
    """Worker that settles debts until it is cancelled.

    Args:
        workers: blobs copied at once.
        tries_max: a debt that failed so often is a dead letter.
        retry_s_max: the longest pause before a try, on average half of that.
    """

    name = "replicate"

    def __init__(
        self,
        services: Services,
        lanes: Lanes,
        *,
        workers: int = 16,
        tries_max: int = 60,
        retry_s_max: float = 20.0,
    ) -> None:
        self._services = services
        self._catalog = services.catalog
        self._lanes = lanes
        self._workers = workers
        self._tries_max = tries_max
        self._retry_s_max = retry_s_max
        self._waiting: dict[str, deque[DebtRecord]] = {}
        self._active: dict[str, int] = {}
        # Blobs that are being settled, each with the debt that was claimed for it meanwhile.
        self._in_hand: dict[str, DebtRecord | None] = {}
        self._released = False
        # What makes of backends too few, or enough: as it was last seen, and until when debts that
        # wait for this have to be due to have been kept before it changed.
        self._basis: tuple[object, ...] = ()
        self._short_ns = 0
        self._woken = trio.Event()
        self._idle = trio.Event()
        self.counts = {"settled": 0, "copied": 0, "removed": 0, "failed": 0, "dead": 0}
        self.copied_bytes: dict[str, int] = {}
        services.catalog.engine.on_change(self.wake, DEBT_ORDER)

    @property
    def busy(self) -> int:
        """Debts that are leased to it."""
        return len(self._in_hand)

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    async def work(self) -> bool:
        """Settle debts for as long as nothing goes wrong with the catalog.

        Raises:
            KvError: what is leased meanwhile is done once more when its lease ends.
        """
        if not self._released:
            await self._catalog.release_debts(self._services.backends)
            self._released = True
        async with trio.open_nursery() as nursery:
            for _ in range(IN_HAND * self._workers):
                nursery.start_soon(self._settle_all)
            await self._claim_all()
        return True

    async def wait_for_work(self) -> None:
        """Return at once: `work` waits by itself."""

    async def _claim_all(self) -> None:
        """Keep the lanes filled."""
        while True:
            self._woken = trio.Event()
            try:
                claimed = await self._claim()
            except KvError as error:
                logger.warning("debts not claimed, will retry", error=str(error))
                claimed = 0
            if not claimed:
                with trio.move_on_after(POLL_S):
                    await self._woken.wait()

    async def _claim(self) -> int:
        names = [*self._services.backends, ""]
        room = {name: self._room(name) for name in names}
        if max(room.values()) <= 0:
            return 0
        is_up = self._services.health.is_up
        up = [name for name in names[:-1] if room[name] > 0 and is_up(name)]
        now_ns = self._services.clock_ns()
        basis = (self._services.draining, tuple(self._services.facts.values()))
        if basis != self._basis:
            self._basis, self._short_ns = basis, now_ns + int(SHORT_S * 1e9)
        short_ns, turns = self._short_ns, [name for name in names if room[name] > 0]
        if not self._catalog.has_due_debts(now_ns, up, turns, short_ns=short_ns):
            return 0
        claimed = await self._catalog.claim_debts(
            now_ns, CLAIM_MAX, int(LEASE_S * 1e9), up, room=room, short_ns=short_ns
        )
        for debt in claimed:
            self._take(debt)
        return len(claimed)

    def _take(self, debt: DebtRecord) -> None:
        if debt.blob.id in self._in_hand:
            self._in_hand[debt.blob.id] = debt  # owed anew, or a lease has ended
            return
        self._in_hand[debt.blob.id] = None
        self._waiting.setdefault(self._lane(debt), deque()).append(debt)
        self._idle.set()

    def _room(self, lane: str) -> int:
        """How many debts to lease for a lane; none while it is half full: leases cost a commit."""
        most = AHEAD * self._lanes.width(lane)
        waiting = len(self._waiting.get(lane, ()))
        return 0 if 2 * waiting > most else most - waiting

    def _next(self) -> DebtRecord | None:
        """A debt whose lane is free; lanes take turns."""
        for lane, waiting in self._waiting.items():
            if waiting and self._active.get(lane, 0) < IN_HAND * self._lanes.width(lane):
                debt = waiting.popleft()
                self._active[lane] = self._active.get(lane, 0) + 1
                self._waiting[lane] = self._waiting.pop(lane)
                if self._room(lane):
                    self._woken.set()
                return debt
        return None

    async def _settle_all(self) -> None:
        """Settle one debt after the other."""
        while True:
            debt = self._next()
            if debt is None:
                if self._idle.is_set():
                    self._idle = trio.Event()
                await self._idle.wait()
                continue
            try:
                await self._settle(debt)
            except (KvError, CatalogError) as error:
                # It is leased: it comes again when the lease ends.
                logger.warning("debt not settled", blob=debt.blob.id, error=str(error))
                await trio.sleep(POLL_S)
            finally:
                self._done(debt)

    def _done(self, debt: DebtRecord) -> None:
        self._active[self._lane(debt)] -= 1
        self._idle.set()
        again = self._in_hand.pop(debt.blob.id)
        if again is not None:
            self._take(again)

    async def _settle(self, debt: DebtRecord) -> None:
        settling = Settling(self._services, self._lanes, debt)
        try:
            outcome = await settling.run()
            rest = self._rest(debt, outcome)
            await self._catalog.settle_debt(outcome.settled(debt, rest))
        except BaseException:
            await self._abandon(settling.added)
            raise
        self._count(outcome, rest)

    def _rest(self, debt: DebtRecord, outcome: Outcome) -> DebtRecord | None:
        """What is still owed: after an error for a later try, or for when a backend is up."""
        now_ns = self._services.clock_ns()
        rest = msgspec.structs.replace(
            debt,
            targets=outcome.missing,
            lease="",
            waits_for="",
            or_for=(),
            due_ns=now_ns,
            error="",
            short=outcome.short,
        )
        if outcome.error:
            tries = debt.tries + 1
            pause_s = min(BACKOFF_S_MIN * float(1 << min(tries, 30)), self._retry_s_max)
            return msgspec.structs.replace(
                rest,
                tries=tries,
                error=outcome.error,
                due_ns=now_ns + int(random.uniform(0, pause_s) * 1e9),
                dead=tries >= self._tries_max,
            )
        if outcome.turn:
            return msgspec.structs.replace(rest, waits_for=turn_at(outcome.turn))
        if outcome.waits_for:
            first, *others = outcome.waits_for
            named = ", ".join(outcome.waits_for)
            return msgspec.structs.replace(
                rest, waits_for=first, or_for=tuple(others), error=f"no answer from {named}"
            )
        if outcome.short:
            return msgspec.structs.replace(
                rest,
                error="the rules leave too few backends",
                waits_for=TOO_FEW,
                due_ns=now_ns + int(SHORT_S * 1e9) + 1,
            )
        return None

    async def _abandon(self, copies: list[BlobRef]) -> None:
        """Give up copies that no place may have come to be of."""
        with trio.CancelScope(shield=True):
            for copy in copies:
                try:
                    await self._catalog.drop_intent(copy.id, garbage=copy)
                except KvError:
                    return  # recovery does it at the next start

    def _count(self, outcome: Outcome, rest: DebtRecord | None) -> None:
        self.counts["copied"] += len(outcome.added)
        self.counts["removed"] += len(outcome.removed)
        for copy in outcome.added:
            self.copied_bytes[copy.backend] = self.copied_bytes.get(copy.backend, 0) + copy.size
        if rest is None:
            self.counts["settled"] += 1
        elif outcome.error:
            self.counts["dead" if rest.dead else "failed"] += 1
            logger.warning(
                "blob not where it should be, given up" if rest.dead else "blob not copied yet",
                bucket=rest.bucket,
                key=rest.key,
                tries=rest.tries,
                error=rest.error,
            )

    def _lane(self, debt: DebtRecord) -> str:
        target = next(iter(debt.targets), "")
        return target if target in self._services.backends else ""
