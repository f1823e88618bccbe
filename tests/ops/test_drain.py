"""Draining backends in memory: no new data, what is there goes, then the bucket leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from s3proxy.catalog.blob_records import (
    Transfer,
)
from s3proxy.catalog.errors import IntentLost, UnknownBackend
from s3proxy.catalog.records import (
    BucketRecord,
)
from s3proxy.http.body import Body, BytesBody
from s3proxy.ops import drain
from s3proxy.ops.containers import containers_of
from s3proxy.ops.drain import cancel_drain, drain_bucket, left_on, start_drain
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.lanes import Lanes
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import ObjectWrite
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.ops.placing import decision_of, plan_of
from s3proxy.ops.settle_debt import Settling
from s3proxy.s3.placement import Rules
from s3proxy.workers.remove_containers import ContainerRemover
from tests.catalog.owing import give_up
from tests.ops.memory_backend import MemoryBackend
from tests.workers.replicas import Replicas, open_replicas

DATA = b"data that was planned to go there"


class SlowBody(BytesBody):
    """A body whose first byte comes once it may."""

    def __init__(self, data: bytes, come: trio.Event, go: trio.Event) -> None:
        super().__init__(data)
        self._come, self._go = come, go

    async def read_into(self, buffer: memoryview) -> int:
        self._come.set()
        await self._go.wait()
        return await super().read_into(buffer)


async def put(replicas: Replicas, body: Body, bucket: BucketRecord | None = None) -> None:
    """Put the object `k` as a client would."""
    namespace = ManagedNamespace(replicas.services, bucket or replicas.bucket)
    await namespace.put("k", ObjectPayload(body, len(DATA)), ObjectWrite(system={}, user={}))


async def drained(replicas: Replicas, name: str) -> None:
    """All that a gateway would do."""
    for _ in range(3):
        await drain_bucket(replicas.services, replicas.bucket, name)
        await replicas.settle()


async def test_drain_moves_what_is_there_and_the_bucket_leaves(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab")
        await replicas.put("other", b"more", "bc")
        await start_drain(replicas.services, "a")
        left = await left_on(replicas.services, "a")
        assert (left.blobs, left.bytes, left.buckets, left.done) == (1, 4, 1, False)
        await drained(replicas, "a")
        assert replicas.on("k") == "bc"
        assert (await left_on(replicas.services, "a")).moved
        assert "a" not in [backend for backend, _ in containers_of(replicas.bucket)]
        (leftover,) = replicas.catalog.leftover_containers()
        assert leftover.backend == "a"


async def test_drain_is_not_done_before_what_was_there_is_deleted(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        for number in range(3):
            await replicas.put(f"k{number}", b"data", "a")
        await start_drain(replicas.services, "a")
        await drained(replicas, "a")
        left = await left_on(replicas.services, "a")
        assert (left.garbage, left.containers, left.moved, left.done) == (3, 1, True, False)
        assert len(replicas.memories["a"].blobs_kept) == 3
        await replicas.collect()
        left = await left_on(replicas.services, "a")
        assert (left.garbage, left.containers, left.done) == (0, 1, False)
        assert not replicas.memories["a"].blobs_kept
        await ContainerRemover(replicas.services).work()
        assert (await left_on(replicas.services, "a")).done


async def test_drain_counts_all_pages_of_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "GARBAGE_ROWS", 2)
    async with open_replicas(tmp_path) as replicas:
        places = [replicas.place("k", b"data", name) for name in "aabaa"]
        await replicas.catalog.add_garbage(places)
        assert (await left_on(replicas.services, "a")).garbage == 4


async def test_drain_finds_a_home_while_the_first_other_backend_is_down(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.put("k", b"data", "a")
        await replicas.set_rules(None)
        await start_drain(replicas.services, "a")
        first, second = decision_of(replicas.services, replicas.bucket).writable
        replicas.go_down(first)
        await drained(replicas, "a")
        assert replicas.on("k") == second
        assert replicas.bucket.backend == second
        assert (await left_on(replicas.services, "a")).moved


async def test_drain_tries_the_next_where_a_home_is_not_made(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.set_rules(None)
        await start_drain(replicas.services, "a")
        first, second = decision_of(replicas.services, replicas.bucket).writable
        replicas.memories[first].down = True  # and nobody knows it yet
        await drained(replicas, "a")
        assert replicas.bucket.backend == second


async def test_drain_waits_while_no_other_backend_is_up(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, names="ab", copies=1) as replicas:
        await replicas.set_rules(None)
        await start_drain(replicas.services, "a")
        replicas.go_down("b")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")
        replicas.come_up("b")
        assert await drain_bucket(replicas.services, replicas.bucket, "a")


async def test_drain_without_rules_moves_to_another_backend(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(None)
        await replicas.put("k", b"data", "a")
        await start_drain(replicas.services, "a")
        plan = plan_of(replicas.services, replicas.bucket)
        assert plan is not None
        assert "a" not in plan.targets
        await drained(replicas, "a")
        assert replicas.on("k") in ("b", "c")
        assert replicas.bucket.backend != "a"
        assert plan_of(replicas.services, replicas.bucket) is None


async def test_drain_that_is_cancelled_lets_data_come_again(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await start_drain(replicas.services, "a")
        assert replicas.services.draining == {"a"}
        await cancel_drain(replicas.services, "a")
        assert replicas.services.draining == frozenset()
        assert await drain_bucket(replicas.services, replicas.bucket, "a")
        assert replicas.bucket.backend == "a"


async def test_drain_that_rules_do_not_allow_names_the_bucket(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, names="a") as replicas:
        await replicas.put("k", b"data", "a")
        await start_drain(replicas.services, "a")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")
        left = await left_on(replicas.services, "a")
        assert left.stuck == ["bucket"]
        assert replicas.on("k") == "a"


async def test_drain_that_leaves_too_few_copies_names_the_bucket_even_when_done(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, names="ab") as replicas:
        assert (await left_on(replicas.services, "b")).below == ["bucket"]  # as it would be
        await start_drain(replicas.services, "a")
        await drain_bucket(replicas.services, replicas.bucket, "a")
        left = await left_on(replicas.services, "a")
        assert (left.buckets, left.stuck, left.below) == (0, [], ["bucket"])


async def test_drain_of_the_second_of_three_backends_names_the_bucket(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await start_drain(replicas.services, "c")
        assert (await left_on(replicas.services, "c")).below == []
        await start_drain(replicas.services, "b")
        assert (await left_on(replicas.services, "b")).below == ["bucket"]


async def test_drain_of_no_backend_is_refused(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        with pytest.raises(UnknownBackend, match="there is no backend z"):
            await start_drain(replicas.services, "z")


@asynccontextmanager
async def held_back(memory: MemoryBackend, op: str) -> AsyncIterator[tuple[trio.Event, trio.Event]]:
    """Have an operation wait there: (it has come, it may go on)."""
    come, go = trio.Event(), trio.Event()

    async def wait(asked: str, key: str) -> None:
        await trio.lowlevel.checkpoint()
        if asked == op:
            come.set()
            await go.wait()

    before, memory.hook = memory.hook, wait
    try:
        yield come, go
    finally:
        memory.hook = before


async def test_drain_waits_for_a_write_under_way_and_moves_it(tmp_path: Path) -> None:
    async with (
        open_replicas(tmp_path, copies=1) as replicas,
        held_back(replicas.memories["a"], "put") as (come, go),
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, replicas, BytesBody(DATA))
            await come.wait()
            await start_drain(replicas.services, "a")
            await drained(replicas, "a")
            left = await left_on(replicas.services, "a")
            assert (left.blobs, left.writes, left.buckets, left.moved) == (0, 1, 1, False)
            go.set()
        await drained(replicas, "a")
        assert replicas.on("k") == "b"
        assert (await left_on(replicas.services, "a")).moved


async def test_drain_does_not_acknowledge_a_write_where_the_bucket_is_no_more(
    tmp_path: Path,
) -> None:
    """Its body comes slowly: it was planned before the drain, and is written after it."""
    async with open_replicas(tmp_path, copies=1) as replicas:
        come, go = trio.Event(), trio.Event()
        bucket, answers = replicas.bucket, []

        async def write() -> None:
            try:
                await put(replicas, SlowBody(DATA, come, go), bucket)
            except IntentLost as error:
                answers.append(as_s3_error(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await come.wait()
            await start_drain(replicas.services, "a")
            await drained(replicas, "a")
            assert (await left_on(replicas.services, "a")).moved
            go.set()
        assert [error and error.code for error in answers] == ["ServiceUnavailable"]
        assert replicas.catalog.get_object(replicas.bucket, "k") is None
        assert replicas.catalog.open_intents() == []
        await put(replicas, BytesBody(DATA))
        assert replicas.on("k") == "b"


async def test_drain_of_what_came_after_its_walk_ends(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("first", b"data", "ab")
        await start_drain(replicas.services, "a")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")
        await replicas.put("later", b"data", "ab")
        await replicas.put_part("part", b"data", "a")
        await drained(replicas, "a")
        assert (await left_on(replicas.services, "a")).moved
        assert replicas.on("later") == "bc"


async def test_drain_of_what_was_given_up_ends(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab")
        await start_drain(replicas.services, "a")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")
        (debt,) = replicas.catalog.list_debts()
        await give_up(replicas.catalog, debt)
        await drained(replicas, "a")
        assert (await left_on(replicas.services, "a")).moved
        assert replicas.on("k") == "bc"


async def test_drain_begins_anew_where_a_copy_comes_before_the_bucket_leaves(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "b", ["a"])
        (debt,) = replicas.catalog.list_debts()
        settling = Settling(replicas.services, Lanes(1, {}), debt)
        outcome = await settling.run()
        assert [copy.backend for copy in outcome.added] == ["a"]
        await start_drain(replicas.services, "a")
        assert not await drain_bucket(replicas.services, replicas.bucket, "a")  # it has an intent
        since_ns = replicas.catalog.draining_since("a")
        assert since_ns is not None
        await replicas.catalog.settle_debt(outcome.settled(debt, None))
        assert replicas.on("k") == "ab"
        # Who has counted before now finds nothing there.
        home = ("b", "s3gw-b")
        left = await replicas.catalog.leave_backend(replicas.bucket, "a", home, since_ns)
        assert left is None
        await drained(replicas, "a")
        assert replicas.on("k") == "bc"
        assert (await left_on(replicas.services, "a")).moved


async def test_drain_ends_a_copy_on_its_way_there_while_another_backend_is_down(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(Rules(regions=("b", "a", "c"), replicas=2))
        await replicas.put("k", b"data", "b", ["a"])
        blob, copy = replicas.blob("k"), replicas.place("k", b"", "a")
        assert await replicas.catalog.begin_transfer(blob, Transfer(copy, "native", 5))
        await replicas.catalog.keep_copied_part(blob, copy, 1, "etag")
        replicas.go_down("c")
        await start_drain(replicas.services, "a")
        await drained(replicas, "a")
        debt = replicas.catalog.get_debt(blob.id)
        assert debt is not None
        assert debt.waits_for == "c"
        assert replicas.catalog.get_copies(blob).transfers == ()
        assert replicas.catalog.copied_parts(copy) == {}
        (garbage,) = replicas.catalog.due_garbage(2**62, 100)
        assert (garbage.blob.id, garbage.backend_upload_id) == (copy.id, "native")
        assert (await left_on(replicas.services, "a")).moved


async def test_replicator_keeps_what_was_copied_to_a_backend_that_is_allowed(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        blob, copy = replicas.blob("k"), replicas.place("k", b"", "b")
        assert await replicas.catalog.begin_transfer(blob, Transfer(copy, "native", 5))
        for name in "bc":
            replicas.go_down(name)
        await replicas.settle()
        (transfer,) = replicas.catalog.get_copies(blob).transfers
        assert transfer.copy == copy


async def test_drain_ends_a_copy_on_its_way_there(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "bc", ["a"])
        blob = replicas.blob("k")
        copy = replicas.place("k", b"", "a")
        assert await replicas.catalog.begin_transfer(blob, Transfer(copy, "native", 5))
        (debt,) = replicas.catalog.list_debts()
        await give_up(replicas.catalog, debt)
        await start_drain(replicas.services, "a")
        assert (await left_on(replicas.services, "a")).blobs == 1
        await drained(replicas, "a")
        assert (await left_on(replicas.services, "a")).moved
        garbage = replicas.catalog.due_garbage(2**62, 100)
        assert (copy.id, "native") in [(one.blob.id, one.backend_upload_id) for one in garbage]
