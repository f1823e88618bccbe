"""Delivery: in order for each key, again after failures, given up by the limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
import trio
from trio.testing import MockClock

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.event_records import EventCounts
from s3proxy.catalog.outbox import Announcer
from s3proxy.catalog.records import BucketRecord
from s3proxy.delivery.target import DeliveryError, Refused, Unavailable
from s3proxy.s3.events import Cause
from s3proxy.s3.notification import Notification, Rule
from s3proxy.workers import deliver
from s3proxy.workers.deliver import PARALLEL, Deliverer, DeliveryLimits, UnclaimedEvents
from s3proxy.workers.worker import BACKOFF_S_MIN, Supervised
from tests.catalog.catalogs import bucket_record, object_record, open_catalog

ARN = "arn:s3proxy:webhook:::hook"
NOW_S = 1_700_000_000.0
Verdict = Callable[[str, int], DeliveryError | None]


class FakeTarget:
    """Takes messages, or what `verdict` says of (key, sequence)."""

    name = "hook"
    arn = ARN
    kind = "QueueConfiguration"

    def __init__(self, verdict: Verdict = lambda key, sequence: None) -> None:
        self.verdict = verdict
        self.taken: list[tuple[str, int]] = []
        self.tried: list[tuple[float, str]] = []
        self.together = 0
        self.together_max = 0

    async def send(self, message: bytes) -> None:
        (record,) = json.loads(message)["Records"]
        about = record["s3"]["object"]
        key, sequence = unquote_plus(about["key"]), int(about["sequencer"], 16)
        self.tried.append((trio.current_time(), key))
        self.together += 1
        self.together_max = max(self.together_max, self.together)
        try:
            await trio.sleep(0.001)
        finally:
            self.together -= 1
        error = self.verdict(key, sequence)
        if error is not None:
            raise error
        self.taken.append((key, sequence))

    def keys(self) -> list[str]:
        return [key for key, _ in self.taken]


class Deliveries:
    """A catalog with a bucket that tells `target`."""

    def __init__(self, catalog: Catalog, bucket: BucketRecord, target: FakeTarget) -> None:
        self.catalog = catalog
        self.target = target
        self.clock_s = NOW_S
        self.worker = self.deliverer()
        rule = Rule("QueueConfiguration", "all", ARN, ("s3:ObjectCreated:*",))
        self._notification = Notification([rule])
        self._bucket = bucket

    def deliverer(self, **limits: Any) -> Deliverer:
        self.worker = Deliverer(
            self.catalog, self.target, DeliveryLimits(**limits), clock=lambda: self.clock_s
        )
        return self.worker

    async def put(self, *keys: str, queued_s: float = NOW_S) -> None:
        announcer = Announcer(
            self._bucket,
            self._notification,
            Cause("AWS:user", "192.0.2.7"),
            time_ns=int(queued_s * 1e9),
            name="ObjectCreated:Put",
        )
        for key in keys:
            await self.catalog.put_object(self._bucket, key, object_record(), announcer=announcer)

    async def run_until(self, done: Callable[[], bool]) -> None:
        """Run the worker, supervised, until `done` after a commit."""
        reached = trio.Event()
        self.catalog.engine.on_change(lambda: reached.set() if done() else None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Supervised(self.worker).run)
            await reached.wait()
            nursery.cancel_scope.cancel()

    @property
    def counts(self) -> EventCounts:
        return self.catalog.event_counts()[ARN]

    @property
    def empty(self) -> bool:
        return self.counts.pending == 0


@asynccontextmanager
async def open_deliveries(directory: Path, target: FakeTarget) -> AsyncIterator[Deliveries]:
    async with open_catalog(directory) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        yield Deliveries(catalog, bucket, target)


async def test_deliverer_sends_all_events_once_and_each_keys_in_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    keys = [f"k{n % 70}" for n in range(700)]
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        await deliveries.put(*keys)
        await deliveries.run_until(lambda: deliveries.empty)
        taken = deliveries.target.taken
        assert sorted(deliveries.target.keys()) == sorted(keys)
        for key in set(keys):
            order = [sequence for name, sequence in taken if name == key]
            assert order == sorted(set(order))
        assert deliveries.target.together_max == PARALLEL
        assert deliveries.worker.delivered == 700
        assert deliveries.counts == EventCounts()


async def test_deliverer_sends_what_comes_while_it_waits(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Virtual time runs on while the catalog's thread commits: what is waited for is far away.
    monkeypatch.setattr(deliver, "POLL_S", 1e9)
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        await deliveries.put("a")

        async def put_later() -> None:
            await trio.sleep(100)
            assert deliveries.empty
            await deliveries.put("b")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put_later)
            await deliveries.run_until(lambda: len(deliveries.target.taken) == 2)
        assert deliveries.target.keys() == ["a", "b"]
        assert trio.current_time() < 1e9


async def test_deliverer_failure_holds_up_its_key_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    failing = {"bad": 5}

    def verdict(key: str, sequence: int) -> DeliveryError | None:
        if failing.get(key, 0):
            failing[key] -= 1
            return Refused("not now")
        return None

    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        await deliveries.put("bad", "a", "bad", "b")
        await deliveries.run_until(lambda: deliveries.empty)
        assert sorted(deliveries.target.keys()[:2]) == ["a", "b"]
        assert deliveries.target.keys()[2:] == ["bad", "bad"]
        sequences = [sequence for key, sequence in deliveries.target.taken if key == "bad"]
        assert sequences == sorted(sequences)
        times = [time_s for time_s, key in deliveries.target.tried if key == "bad"]
        pauses = [later - earlier for earlier, later in pairwise(times[:6])]
        assert all(pause >= BACKOFF_S_MIN / 2 * 2**n for n, pause in enumerate(pauses))
        assert deliveries.worker.failed == 5


async def test_deliverer_event_refused_too_often_is_a_dead_letter(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def verdict(key: str, sequence: int) -> DeliveryError | None:
        return Refused("answered 400: bad") if sequence == 1 else None

    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        deliveries.deliverer(tries_max=3)
        await deliveries.put("k", "k")
        await deliveries.run_until(lambda: deliveries.empty)
        assert deliveries.target.taken == [("k", 2)]
        (dead,) = deliveries.catalog.dead_events(ARN)
        assert (dead.record.tries, dead.record.error) == (3, "answered 400: bad")
        assert dead.record.died_ns == int(NOW_S * 1e9)
        assert deliveries.worker.died == 1


async def test_deliverer_tries_of_one_event_do_not_count_for_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    refusals = dict.fromkeys(range(1, 4), 2)

    def verdict(key: str, sequence: int) -> DeliveryError | None:
        refusals[sequence] -= 1
        return Refused("not yet") if refusals[sequence] >= 0 else None

    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        deliveries.deliverer(tries_max=3)
        await deliveries.put("k", "k", "k")
        await deliveries.run_until(lambda: deliveries.empty)
        assert deliveries.target.taken == [("k", 1), ("k", 2), ("k", 3)]


async def test_deliverer_outage_loses_and_gives_up_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    back_s = trio.current_time() + 1800

    def verdict(key: str, sequence: int) -> DeliveryError | None:
        return Unavailable("gone") if trio.current_time() < back_s else None

    keys = [f"k{n % 40}" for n in range(200)]
    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        deliveries.deliverer(tries_max=1)
        await deliveries.put(*keys)
        await deliveries.run_until(lambda: deliveries.empty)
        assert sorted(deliveries.target.keys()) == sorted(keys)
        # Some 30 rounds with pauses of up to a minute, of what is in flight together at most.
        assert deliveries.worker.failed < 60 * PARALLEL


async def test_deliverer_keys_a_target_chokes_on_do_not_starve_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def verdict(key: str, sequence: int) -> DeliveryError | None:
        return Unavailable("answered 500: ") if key.startswith("bad") else None

    bad, good = [f"bad{n}" for n in range(300)], [f"k{n}" for n in range(50)]
    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        await deliveries.put(*bad, *good)
        await deliveries.run_until(lambda: len(deliveries.target.taken) == 50)
        assert sorted(deliveries.target.keys()) == sorted(good)
        assert deliveries.counts.pending == 300


async def test_deliverer_old_events_become_dead_letters(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        deliveries.deliverer(age_s_max=60, dead_letters_max=2)
        await deliveries.put("a", "b", "c", queued_s=NOW_S - 61)
        await deliveries.put("d", queued_s=NOW_S - 59)
        await deliveries.run_until(lambda: deliveries.empty)
        assert deliveries.target.keys() == ["d"]
        assert deliveries.counts == EventCounts(dead=2, lost=1)
        (first, _) = deliveries.catalog.dead_events(ARN)
        assert (first.record.event.key, first.record.error) == ("b", "waited too long")


async def test_deliverer_too_many_events_give_up_the_oldest(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        deliveries.deliverer(pending_max=2)
        await deliveries.put("a", "b", "c")
        await deliveries.run_until(lambda: deliveries.empty)
        assert sorted(deliveries.target.keys()) == ["b", "c"]
        assert deliveries.counts.dead == 1


async def test_deliverer_cancelled_settles_what_was_delivered(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        await deliveries.put(*(f"k{n}" for n in range(200)))
        await deliveries.run_until(lambda: bool(deliveries.target.taken))
        assert deliveries.counts.pending == 200 - len(deliveries.target.taken)


async def test_dead_letters_retried_are_delivered_with_their_sequencers(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    down = [True]

    def verdict(key: str, sequence: int) -> DeliveryError | None:
        return Refused("no") if down[0] else None

    async with open_deliveries(tmp_path, FakeTarget(verdict)) as deliveries:
        deliveries.deliverer(tries_max=1)
        await deliveries.put("a", "b")
        await deliveries.run_until(lambda: deliveries.empty)
        down[0] = False
        assert await deliveries.catalog.retry_events(ARN, int(NOW_S * 1e9)) == 2
        await deliveries.run_until(lambda: deliveries.empty)
        assert sorted(deliveries.target.taken) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("claimed", [True, False])
async def test_unclaimed_events_grow_old(
    tmp_path: Path, autojump_clock: MockClock, claimed: bool
) -> None:
    async with open_deliveries(tmp_path, FakeTarget()) as deliveries:
        targets: Any = {ARN: deliveries.target} if claimed else {}
        sweeper = UnclaimedEvents(
            deliveries.catalog, targets, DeliveryLimits(age_s_max=60), clock=lambda: NOW_S
        )
        await deliveries.put("a", queued_s=NOW_S - 61)
        await deliveries.put("b", queued_s=NOW_S)
        while await sweeper.work():
            pass
        assert deliveries.counts.pending == (2 if claimed else 1)
