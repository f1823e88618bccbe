"""Delivery of events: each target has a worker, and so none waits for another.

A round takes the oldest events whose keys are not waiting for a retry, sends those of different
keys together and those of one key one after the other, and settles in one commit what became of
them. What was delivered and not yet settled when the process dies is sent again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
import trio

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.outbox import DEAD_LETTERS_MAX, Queued
from s3proxy.delivery.target import DeliveryError, Target, Unavailable
from s3proxy.log import get_logger
from s3proxy.s3.events import message
from s3proxy.workers.worker import backoff_s

logger = get_logger("deliver")
ROUND_EVENTS_MAX = 256  # also what a crash repeats at most
PARALLEL = 32
# Events behind those of keys that wait are looked for so far, not farther.
SCANNED_EVENTS_MAX = 8192
# How long a round waits for company once something has changed.
GATHER_S = 0.02
POLL_S = 5.0
SWEEP_S = 60.0

Key = tuple[str, str]


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When an event is given up."""

    age_s_max: float = 24 * 3600.0
    tries_max: int = 20
    pending_max: int = 1_000_000
    dead_letters_max: int = DEAD_LETTERS_MAX


class _Waiting(msgspec.Struct):
    """A key whose first event could not be delivered; `until_s` of Trio's clock."""

    position: int
    failures: int = 0
    refusals: int = 0
    until_s: float = 0.0


class _Round:
    """What became of the events of one round."""

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.dead: list[Queued] = []
        self.unavailable = ""


class Deliverer:
    """Worker that tells one target of its events.

    Attributes:
        delivered, failed: messages taken by the target, and those that were not, at one try.
        died: events made dead letters.
    """

    def __init__(
        self,
        catalog: Catalog,
        target: Target,
        limits: DeliveryLimits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = f"deliver {target.name}"
        self.target = target
        self.delivered = 0
        self.failed = 0
        self.died = 0
        self._catalog = catalog
        self._limits = limits
        self._clock = clock
        self._waiting: dict[Key, _Waiting] = {}
        self._outages = 0
        self._paused_until_s = 0.0
        self._retry_s = math.inf  # when the first of the keys that wait may be tried
        self._changed = trio.Event()
        catalog.engine.on_change(self._notice)

    def _notice(self) -> None:
        self._changed.set()

    async def work(self) -> bool:
        """Deliver one round; True when another is worth it at once."""
        self._changed = trio.Event()
        if trio.current_time() < self._paused_until_s:
            return False
        given_up = await give_up(self._catalog, self.target.arn, self._limits, self._clock())
        self.died += given_up
        chains = self._choose()
        if not chains:
            return bool(given_up)
        outcome = _Round()
        try:
            await self._send(chains, outcome)
        finally:
            # Also when it is cancelled: what was delivered is not to be sent again.
            with trio.CancelScope(shield=True):
                await self._settle(outcome)
        self._pause_if_out(outcome)
        return bool(outcome.delivered or outcome.dead)

    async def wait_for_work(self) -> None:
        """Until the catalog changes, a key may be tried again, or a pause is over."""
        if trio.current_time() < self._paused_until_s:
            await trio.sleep_until(self._paused_until_s)
            return
        with trio.move_on_at(min(self._retry_s, trio.current_time() + POLL_S)):
            await self._changed.wait()
        await trio.sleep(GATHER_S)

    def _choose(self) -> list[list[Queued]]:
        """The oldest events that may be sent, by key."""
        now_s = trio.current_time()
        chains: dict[Key, list[Queued]] = {}
        chosen = scanned = after = 0
        self._retry_s = math.inf
        while chosen < ROUND_EVENTS_MAX and scanned < SCANNED_EVENTS_MAX:
            rows = self._catalog.pending_events(self.target.arn, after, ROUND_EVENTS_MAX)
            for queued in rows:
                waiting = self._waiting.get(_key(queued))
                if waiting is not None and waiting.until_s > now_s:
                    self._retry_s = min(self._retry_s, waiting.until_s)
                    continue
                chains.setdefault(_key(queued), []).append(queued)
                chosen += 1
            scanned += len(rows)
            if len(rows) < ROUND_EVENTS_MAX:
                break
            after = rows[-1].position
        if not scanned:
            self._waiting.clear()
        return list(chains.values())

    async def _send(self, chains: Iterable[list[Queued]], outcome: _Round) -> None:
        limiter = trio.CapacityLimiter(PARALLEL)

        async def send(chain: list[Queued]) -> None:
            async with limiter:
                for queued in chain:
                    # Where the target is gone, its other events need not find out by themselves.
                    if outcome.unavailable or not await self._deliver(queued, outcome):
                        return

        async with trio.open_nursery() as nursery:
            for chain in chains:
                nursery.start_soon(send, chain)

    async def _deliver(self, queued: Queued, outcome: _Round) -> bool:
        """Send one event; whether the next of its key may follow."""
        try:
            await self.target.send(message(queued.record.event))
        except DeliveryError as error:
            self.failed += 1
            return self._fail(queued, error, outcome)
        self.delivered += 1
        outcome.delivered.append(queued.position)
        self._waiting.pop(_key(queued), None)
        return True

    def _fail(self, queued: Queued, error: DeliveryError, outcome: _Round) -> bool:
        waiting = self._waiting.get(_key(queued))
        if waiting is None or waiting.position != queued.position:
            waiting = self._waiting[_key(queued)] = _Waiting(queued.position)
        waiting.failures += 1
        if isinstance(error, Unavailable):
            outcome.unavailable = error.hint
        else:
            waiting.refusals += 1
        if waiting.refusals >= self._limits.tries_max:
            outcome.dead.append(_dead(queued, self._clock(), error.hint, waiting.refusals))
            del self._waiting[_key(queued)]
            return True
        waiting.until_s = trio.current_time() + backoff_s(waiting.failures)
        self._retry_s = min(self._retry_s, waiting.until_s)
        return False

    async def _settle(self, outcome: _Round) -> None:
        if outcome.delivered or outcome.dead:
            limit = self._limits.dead_letters_max
            await self._catalog.settle_events(
                self.target.arn, outcome.delivered, outcome.dead, dead_max=limit
            )
        for dead in outcome.dead:
            _log_dead(self.target.arn, dead)
        self.died += len(outcome.dead)

    def _pause_if_out(self, outcome: _Round) -> None:
        """After a round in which nothing arrived, let the whole target rest."""
        if not outcome.unavailable or outcome.delivered:
            self._outages = 0
            return
        self._outages += 1
        pause_s = backoff_s(self._outages)
        self._paused_until_s = trio.current_time() + pause_s
        logger.warning(
            "target unavailable, will retry",
            target=self.target.name,
            error=outcome.unavailable,
            pause_s=round(pause_s, 1),
        )


class UnclaimedEvents:
    """Worker that gives up events of targets that are no longer configured, once they are old."""

    name = "unclaimed events"

    def __init__(
        self,
        catalog: Catalog,
        targets: Mapping[str, Target],
        limits: DeliveryLimits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._targets = targets
        self._limits = limits
        self._clock = clock

    async def work(self) -> bool:
        """Look at each destination without a target once."""
        more = False
        for arn, counts in self._catalog.event_counts().items():
            if arn not in self._targets and counts.pending:
                more |= await give_up(self._catalog, arn, self._limits, self._clock()) > 0
        return more

    async def wait_for_work(self) -> None:
        """Events grow old by time alone."""
        await trio.sleep(SWEEP_S)


async def give_up(catalog: Catalog, arn: str, limits: DeliveryLimits, now_s: float) -> int:
    """Make the oldest events of a destination dead letters where they are too old or too many.

    Returns:
        How many; at most ROUND_EVENTS_MAX, so that more may be left.
    """
    rows = catalog.pending_events(arn, 0, 1)
    if not rows:
        return 0
    before_ns = int((now_s - limits.age_s_max) * 1e9)
    counts = catalog.event_counts().get(arn)
    excess = max(0, counts.pending - limits.pending_max) if counts is not None else 0
    if not excess and rows[0].record.queued_ns > before_ns:
        return 0
    dead = []
    for number, queued in enumerate(catalog.pending_events(arn, 0, ROUND_EVENTS_MAX)):
        if queued.record.queued_ns <= before_ns:
            dead.append(_dead(queued, now_s, "waited too long"))
        elif number < excess:
            dead.append(_dead(queued, now_s, "too many events wait for the target"))
        else:
            break
    await catalog.settle_events(arn, [], dead, dead_max=limits.dead_letters_max)
    logger.error("events became dead letters", destination=arn, count=len(dead))
    return len(dead)


def _key(queued: Queued) -> Key:
    event = queued.record.event
    return event.bucket, event.key


def _dead(queued: Queued, now_s: float, error: str, tries: int = 0) -> Queued:
    record = msgspec.structs.replace(
        queued.record, tries=tries, error=error, died_ns=int(now_s * 1e9)
    )
    return Queued(queued.position, record)


def _log_dead(arn: str, dead: Queued) -> None:
    event = dead.record.event
    logger.error(
        "event refused, a dead letter now",
        destination=arn,
        bucket=event.bucket,
        key=event.key,
        event_name=event.name,
        error=dead.record.error,
    )
