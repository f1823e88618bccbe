"""Copies that are made while others are noted in the catalog, and never too many at once."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from s3proxy.catalog.debts import turn_at
from s3proxy.catalog.settling import Settlement
from s3proxy.ops.lanes import LaneLimits
from s3proxy.s3.placement import Rules
from tests.polling import until
from tests.workers.replicas import open_replicas


async def test_replicator_copies_the_next_while_one_is_being_noted(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        replicas.workers = 1
        for number in range(3):
            await replicas.put(f"k{number}", b"data", "a", ["b"])
        gate, noted = trio.Event(), replicas.catalog.settle_debt

        async def wait(settlement: Settlement) -> bool:
            await gate.wait()
            return await noted(settlement)

        replicas.catalog.settle_debt = wait  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(replicas.replicator().work)
            await until(lambda: replicas.memories["b"].count("put") == 2)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert replicas.memories["b"].count("put") == 2
            gate.set()
            await until(lambda: not replicas.catalog.list_debts())
            nursery.cancel_scope.cancel()
        assert [replicas.on(f"k{number}") for number in range(3)] == ["ab"] * 3


async def test_replicator_makes_no_more_copies_at_once_than_it_has_workers(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        replicas.workers = 2
        now = most = 0

        async def count(op: str, key: str) -> None:
            nonlocal now, most
            if op != "put":
                return
            now += 1
            most = max(most, now)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            now -= 1

        for name in "bc":
            replicas.memories[name].hook = count
        for number in range(10):
            await replicas.put(f"b{number}", b"data", "a", ["b"])
            await replicas.put(f"c{number}", b"data", "b", ["a"])
            await replicas.put(f"d{number}", b"data", "ab", ["c"])
        replicas.memories["a"].hook = count
        await replicas.settle()
        assert replicas.catalog.list_debts() == []
        assert most == 2


async def test_copy_waits_for_its_source_while_its_intent_is_written(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        open_intents: list[int] = []

        async def look(op: str, key: str) -> None:
            if op == "open":
                await until(lambda: bool(replicas.catalog.open_intents()))
                open_intents.append(len(replicas.catalog.open_intents()))

        replicas.memories["a"].hook = look
        await replicas.settle()
        assert open_intents == [1]
        assert replicas.on("k") == "ab"
        assert replicas.catalog.open_intents() == []


async def test_replicator_debts_that_turn_to_a_slow_stand_in_hold_up_no_others(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "abx") as replicas:
        replicas.workers = 2
        replicas.limits["b"] = LaneLimits(concurrency=1)
        await replicas.set_rules(Rules(regions=("x", "a", "b"), replicas=2))
        gate = trio.Event()

        async def wait(op: str, key: str) -> None:
            await trio.lowlevel.checkpoint()
            if op == "put":
                await gate.wait()

        def waits(key: str) -> str:
            debt = replicas.catalog.get_debt(replicas.blob(key).id)
            return "" if debt is None else debt.waits_for

        replicas.memories["b"].hook = wait
        keys = [f"k{number}" for number in range(8)]
        for key in keys:
            await replicas.put(key, b"data", "x", ["a"])
        replicas.go_down("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(replicas.replicator().work)
            await until(lambda: turn_at("b") in map(waits, keys))
            await replicas.put("other", b"data", "xb", ["x"])
            await until(lambda: waits("other") == "a")
            gate.set()
            await until(lambda: all(waits(key) == "a" for key in keys))
            nursery.cancel_scope.cancel()
        assert {replicas.on(key) for key in keys} == {"bx"}
