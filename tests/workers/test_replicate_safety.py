"""Copies that are there stay until others are: whatever is down when a debt is settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3proxy.backends.errors import PermissionDenied
from s3proxy.s3.placement import Rules
from tests.workers.replicas import open_replicas


async def test_replicator_where_sources_are_down_removes_nothing_before_it_has_copied(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "bc")
        await replicas.set_rules(Rules(regions=("a", "b"), replicas=2))
        await replicas.put_debt("k", ["a"])
        for name in "bc":
            replicas.go_down(name)
        await replicas.settle()
        assert replicas.on("k") == "bc"


@pytest.mark.parametrize("back", ["b", "c"])
async def test_replicator_where_all_sources_are_down_waits_for_any_of_them(
    tmp_path: Path, back: str
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "bc", ["a"])
        for name in "bc":
            replicas.go_down(name)
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts()
        assert {debt.waits_for, *debt.or_for} == {"b", "c"}
        replicas.come_up(back)
        await replicas.settle_waiting(back)
        assert "a" in replicas.on("k")


@pytest.mark.parametrize("back", ["b", "c"])
async def test_replicator_where_no_target_is_up_waits_for_any_of_them(
    tmp_path: Path, back: str
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        for name in "bc":
            replicas.go_down(name)
        await replicas.settle()
        replicas.come_up(back)
        await replicas.settle_waiting(back)
        assert replicas.on("k") == "a" + back


@pytest.mark.parametrize("fault", ["missing", "shorter", "others"])
async def test_replicator_place_that_is_to_stay_is_asked_before_others_go(
    tmp_path: Path, fault: str
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "abc", ["a"])
        name = replicas.blob("k").name
        kept = replicas.memories["a"].blobs_kept
        if fault == "missing":
            del kept[name]
        else:
            kept[name] = b"dat" if fault == "shorter" else b"rots"
        await replicas.settle()
        assert replicas.on("k") == "ab"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_place_that_is_lost_at_all_that_stay_leaves_the_last_good_one(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "abc", ["a"])
        for name in "ab":
            replicas.memories[name].blobs_kept.clear()

        async def refuse(op: str, key: str) -> None:
            if op == "put":
                raise PermissionDenied(op, key, "full", "")

        for memory in replicas.memories.values():
            memory.hook = refuse
        replicas.tries_max = 2
        await replicas.settle()
        assert replicas.on("k") == "c"
        assert replicas.catalog.list_debts(dead=True) != []


async def test_replicator_where_a_place_that_is_to_stay_is_down_removes_nothing_yet(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "abc", ["a"])
        replicas.go_down("b")
        await replicas.settle()
        assert replicas.on("k") == "abc"
        replicas.come_up("b")
        await replicas.settle_waiting("b")
        assert replicas.on("k") == "ab"


async def test_replicator_place_that_cannot_be_asked_is_asked_again(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        refusals = ["no"] * 3

        async def refuse(op: str, key: str) -> None:
            if op == "head" and refusals:
                raise PermissionDenied(op, key, refusals.pop(), "a")

        replicas.memories["a"].hook = refuse
        await replicas.put("k", b"data", "abc", ["a"])
        await replicas.settle()
        assert replicas.on("k") == "ab"
        assert replicas.catalog.list_debts() == []
