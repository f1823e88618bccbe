"""Walks go on in small steps, whatever one object or bucket has: others wait for each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from s3proxy.catalog.records import BlobRef, ObjectRecord, Owed, PartSize
from s3proxy.catalog.settling import Owing, SettlingTable
from s3proxy.catalog.tables import OBJECTS
from s3proxy.kv.engine import Transaction
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.drain import left_on
from s3proxy.ops.owing import DEBTS_MAX, LOOKS_MAX
from s3proxy.workers.collect import Collector
from s3proxy.workers.owe import Ower
from tests.catalog.catalogs import bucket_record, part_record, upload_record
from tests.workers.replicas import Replicas, open_replicas

PARTS = 10 * LOOKS_MAX


def blobs(on: str) -> tuple[BlobRef, ...]:
    return tuple(BlobRef(new_id(), on, f"s3gw-{on}", f"k~{n}", 3) for n in range(PARTS))


async def put_object(replicas: Replicas, on: str) -> tuple[BlobRef, ...]:
    found = blobs(on)
    sizes = tuple(PartSize(n, 3) for n in range(1, PARTS + 1))
    record = ObjectRecord(
        size=3 * PARTS, etag=f"e-{PARTS}", modified_ns=1, blobs=found, parts=sizes
    )
    await replicas.catalog.put_object(replicas.bucket, "k", record)
    return found


async def put_parts(replicas: Replicas, on: str) -> None:
    await replicas.catalog.create_upload(replicas.bucket, upload_record("k", "u"))
    async with trio.open_nursery() as nursery:
        for number, blob in enumerate(blobs(on), 1):
            part = part_record(number, blob)
            nursery.start_soon(replicas.catalog.put_part, replicas.bucket, "k", "u", part)


async def rounds_of_others(work: Callable[[], Awaitable[object]]) -> int:
    """How often another task gets its turn meanwhile."""
    rounds = 0

    async def turn() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        await work()
        nursery.cancel_scope.cancel()
    return rounds


class Counting:
    """A transaction that counts how often records of objects are read."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn
        self.reads = 0

    def get(self, keyspace: str, key: bytes) -> bytes | None:
        self.reads += keyspace == OBJECTS
        return self._txn.get(keyspace, key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._txn, name)


@pytest.mark.parametrize("put", [put_object, put_parts])
async def test_walk_over_many_blobs_of_one_key_owes_in_transactions_of_bounded_size(
    tmp_path: Path, put: Callable[[Replicas, str], Awaitable[object]]
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await put(replicas, "c")
        add_debts, sizes = replicas.catalog.add_debts, []

        async def add(bucket: Any, owing: Any) -> int:
            sizes.append(len(owing))
            return await add_debts(bucket, owing)

        replicas.catalog.add_debts = add  # type: ignore[method-assign]
        assert await replicas.owe() == sum(sizes) == PARTS
        assert max(sizes) <= DEBTS_MAX


@pytest.mark.parametrize("put", [put_object, put_parts])
async def test_walk_over_many_blobs_lets_others_run(
    tmp_path: Path, put: Callable[[Replicas, str], Awaitable[object]]
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await put(replicas, "a")  # where they should be: no transaction gives others a turn
        assert await rounds_of_others(replicas.owe) >= PARTS // LOOKS_MAX // 2


async def test_left_on_lets_others_run(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await put_object(replicas, "a")
        rounds = await rounds_of_others(lambda: left_on(replicas.services, "a"))
        assert rounds >= PARTS // LOOKS_MAX // 2


async def test_add_debts_for_many_blobs_reads_their_record_once(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        found = await put_object(replicas, "c")
        engine, seen = replicas.catalog.engine, []

        class Engine:
            async def commit(self, change: Callable[[Any], object]) -> object:
                def counted(txn: Transaction) -> object:
                    seen.append(Counting(txn))
                    return change(seen[-1])

                return await engine.commit(counted)

        table = SettlingTable(Engine(), lambda: 1, lambda: 1)  # type: ignore[arg-type]
        owing = [Owing("k", Owed(blob, targets=("a",)), "null") for blob in found[:100]]
        assert await table.add_debts(replicas.bucket, owing) == 100
        (counting,) = seen
        assert 0 < counting.reads < 10


async def test_ower_lets_others_run_while_it_looks_at_many_buckets(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        async with trio.open_nursery() as nursery:
            for number in range(512):
                nursery.start_soon(replicas.catalog.create_bucket, bucket_record(f"b{number}"))
        ower = Ower(replicas.services)
        while await ower.work():
            pass
        assert await rounds_of_others(ower.work) >= 4


class Logger:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.told.append({"event": event, **fields})


async def test_collector_logs_a_line_for_a_backend_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await put_object(replicas, "a")
        replicas.go_down("a")
        await replicas.catalog.add_garbage(blobs("a")[:100])
        replicas.clock.ns += 3600 * 10**9
        health, backends = replicas.services.health, replicas.services.backends
        collector = Collector(
            replicas.catalog, backends, health, clock=lambda: replicas.clock.ns / 1e9
        )
        logger = Logger()
        monkeypatch.setattr("s3proxy.workers.collect.logger", logger)
        await collector.work()
        (told,) = logger.told
        assert (told["backend"], told["blobs"]) == ("a", 100)
