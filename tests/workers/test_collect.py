"""The collector: deletes what is due, postpones what it cannot delete, forgets what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from s3proxy.backends.health import Health
from s3proxy.catalog.catalog import Catalog
from s3proxy.workers import collect
from s3proxy.workers.collect import BATCH, PARALLEL, POLL_S, POSTPONE_FEW_S, POSTPONE_S, Collector
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    open_catalog,
    upload_record,
)
from tests.workers.fakes import FakeBackend, as_backend, unavailable


def collector(catalog: Catalog, clock: Clock, **backends: FakeBackend) -> Collector:
    given = {name: as_backend(backend) for name, backend in backends.items()}
    return Collector(catalog, given, clock=lambda: clock.ns / 1e9)


def advance(clock: Clock, seconds: float) -> None:
    clock.ns += int(seconds * 1e9)


async def test_collector_due_garbage_is_deleted_and_forgotten(tmp_path: Path) -> None:
    clock, disk = Clock(), FakeBackend()
    async with open_catalog(tmp_path, clock=clock) as catalog:
        blobs = [blob() for _ in range(3)]
        await catalog.add_garbage(blobs)
        advance(clock, 1)
        worker = collector(catalog, clock, disk=disk)
        assert await worker.work() is False
        assert sorted(disk.asked) == sorted(f"delete {one.name}" for one in blobs)
        assert garbage_blobs(catalog) == set()
        assert worker.deleted == 3


async def test_collector_before_the_grace_has_passed_deletes_nothing(tmp_path: Path) -> None:
    clock, disk = Clock(), FakeBackend()
    async with open_catalog(tmp_path, clock=clock, garbage_delay_s=300) as catalog:
        await catalog.add_garbage([blob()])
        worker = collector(catalog, clock, disk=disk)
        advance(clock, 299)
        await worker.work()
        assert disk.asked == []
        advance(clock, 2)
        await worker.work()
        assert len(disk.asked) == 1


async def test_collector_backend_without_answer_is_asked_again_later(tmp_path: Path) -> None:
    clock, disk = Clock(), FakeBackend(unavailable())
    async with open_catalog(tmp_path, clock=clock) as catalog:
        stubborn = blob()
        await catalog.add_garbage([stubborn])
        advance(clock, 1)
        worker = collector(catalog, clock, disk=disk)
        await worker.work()
        assert garbage_blobs(catalog) == {stubborn.id}
        disk.fails = None
        advance(clock, POSTPONE_FEW_S - 1)
        await worker.work()
        assert disk.asked == []
        advance(clock, 2)
        await worker.work()
        assert disk.asked == [f"delete {stubborn.name}"]
        assert garbage_blobs(catalog) == set()


async def test_collector_long_queue_without_answer_is_asked_later_still(tmp_path: Path) -> None:
    clock, disk = Clock(), FakeBackend(unavailable())
    async with open_catalog(tmp_path, clock=clock) as catalog:
        await catalog.add_garbage([blob() for _ in range(BATCH)])
        advance(clock, 1)
        worker = collector(catalog, clock, disk=disk)
        await worker.work()
        assert catalog.due_garbage(clock.ns + int((POSTPONE_S - 1) * 1e9), BATCH) == []


async def test_collector_frozen_backend_is_left_when_it_counts_as_down(tmp_path: Path) -> None:
    clock, frozen, disk = Clock(), FrozenBackend(), FakeBackend()
    health = Health(["frozen", "disk"])
    given = {"frozen": as_backend(frozen), "disk": as_backend(disk)}
    async with open_catalog(tmp_path, clock=clock) as catalog:
        stuck = [blob("frozen") for _ in range(2 * PARALLEL)]
        await catalog.add_garbage([*stuck, blob()])
        advance(clock, 1)
        worker = Collector(catalog, given, health, clock=lambda: clock.ns / 1e9)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.work)
            await frozen.asked_often.wait()
            for _ in range(2):
                health.note_probe("frozen", trio.current_time(), unavailable())
        assert len(disk.asked) == 1
        assert garbage_blobs(catalog) == {one.id for one in stuck}


class FrozenBackend(FakeBackend):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_often = trio.Event()

    async def ask(self, what: str) -> None:
        self.asked.append(what)
        if len(self.asked) == PARALLEL:
            self.asked_often.set()
        await trio.sleep_forever()


async def test_collector_failing_backend_does_not_hold_up_the_others(tmp_path: Path) -> None:
    clock = Clock()
    disk, far = FakeBackend(), FakeBackend(OSError("gone"))
    async with open_catalog(tmp_path, clock=clock) as catalog:
        here, there, unconfigured = blob("disk"), blob("far"), blob("removed")
        await catalog.add_garbage([there, here, unconfigured])
        advance(clock, 1)
        await collector(catalog, clock, disk=disk, far=far).work()
        assert disk.asked == [f"delete {here.name}"]
        assert garbage_blobs(catalog) == {there.id, unconfigured.id}


async def test_collector_native_upload_is_aborted_also_after_a_postponement(
    tmp_path: Path,
) -> None:
    clock, disk = Clock(), FakeBackend(unavailable())
    async with open_catalog(tmp_path, clock=clock) as catalog:
        bucket = bucket_record()
        await catalog.create_bucket(bucket)
        made = catalog.get_bucket(bucket.name)
        assert made is not None
        target = blob()
        await catalog.create_upload(made, upload_record("key", "1", target))
        await catalog.abort_upload(made, "key", "1")
        advance(clock, 1)
        worker = collector(catalog, clock, disk=disk)
        await worker.work()
        disk.fails = None
        advance(clock, POSTPONE_FEW_S + 1)
        await worker.work()
        assert disk.asked == [f"abort {target.name} native", f"delete {target.name}"]
        assert garbage_blobs(catalog) == set()


async def test_collector_long_queue_goes_in_batches_few_at_a_time(tmp_path: Path) -> None:
    clock, disk = Clock(), FakeBackend()
    async with open_catalog(tmp_path, clock=clock) as catalog:
        await catalog.add_garbage([blob() for _ in range(BATCH + 1)])
        advance(clock, 1)
        worker = collector(catalog, clock, disk=disk)
        assert await worker.work() is True
        assert len(disk.asked) == BATCH
        assert await worker.work() is False
        assert len(disk.asked) == BATCH + 1
        assert disk.together_max == PARALLEL


async def test_collector_crash_before_forgetting_deletes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, disk = Clock(), FakeBackend()

    async def crash(ids: list[bytes]) -> None:
        raise RuntimeError("power cut")

    async with open_catalog(tmp_path, clock=clock) as catalog:
        one = blob()
        await catalog.add_garbage([one])
        advance(clock, 1)
        with monkeypatch.context() as patch:
            patch.setattr(catalog, "forget_garbage", crash)
            with pytest.raises(RuntimeError):
                await collector(catalog, clock, disk=disk).work()
        await collector(catalog, clock, disk=disk).work()
        assert disk.asked == [f"delete {one.name}"] * 2
        assert garbage_blobs(catalog) == set()


async def test_collector_sweeps_answers_of_completed_uploads_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    swept: list[int] = []

    async def sweep(before_ns: int) -> None:
        swept.append(clock.ns - before_ns)

    async with open_catalog(tmp_path, clock=clock) as catalog:
        monkeypatch.setattr(catalog, "sweep_completed", sweep)
        worker = collector(catalog, clock)
        await worker.work()
        await worker.work()
        assert len(swept) == 1
        advance(clock, collect.SWEEP_S + 1)
        await worker.work()
    assert swept == pytest.approx([collect.COMPLETED_KEPT_S * 1e9] * 2, abs=1e3)


async def test_collector_idle_waits_for_time_to_pass(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    started_s = trio.current_time()
    async with open_catalog(tmp_path) as catalog:
        await collector(catalog, Clock()).wait_for_work()
    assert trio.current_time() - started_s == pytest.approx(POLL_S)
