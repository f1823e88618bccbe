"""Copies that are there stay until others are: whatever is down when a debt is settled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import trio

from s3proxy.backends.errors import NotFound, PermissionDenied
from s3proxy.catalog.objects import Deletion
from s3proxy.ops import replicate
from s3proxy.ops.blob_writer import DAMAGED
from s3proxy.ops.settle_debt import DIFFERENT, LOST
from s3proxy.s3.placement import Rules
from tests.workers.replicas import Replicas, open_replicas

LARGE = bytes(range(250)) * 8


async def _do_nothing(op: str, key: str) -> None:
    await trio.lowlevel.checkpoint()


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


async def test_replicator_blob_that_all_places_have_lost_is_given_up_and_others_are_not(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.put("k", b"data", "ac")
        await replicas.put_debt("k", [])
        for memory in replicas.memories.values():
            memory.blobs_kept.clear()
        await replicas.put("fine", b"others", "c", ["a"])
        replicas.tries_max = 2
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert debt.error == LOST
        assert replicas.backends_of(replicas.blob("k")) == "ac"
        assert replicas.on("fine") == "a"


async def test_replicator_place_that_is_not_found_while_the_only_other_is_down_stays(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        await replicas.put("k", b"data", "ac")
        await replicas.put_debt("k", [])
        replicas.go_down("c")

        async def lose(op: str, key: str) -> None:
            if op in ("head", "open"):
                raise NotFound(op, key, "", "a")

        replicas.memories["a"].hook = lose
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ac"
        (debt,) = replicas.catalog.list_debts()
        assert debt.waits_for == "c"
        replicas.memories["a"].hook = _do_nothing
        replicas.come_up("c")
        await replicas.settle_waiting("c")
        assert replicas.on("k") == "a"
        assert replicas.catalog.list_debts() == []


async def test_replicator_place_that_is_lost_stays_where_the_others_are_not_sound(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "abc", ["a"])
        for name in "ab":
            replicas.memories[name].blobs_kept.clear()
        replicas.rot("c", replicas.catalog.places_of(replicas.blob("k"))[2].name)
        replicas.tries_max = 2
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "abc"
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


def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "LARGE_BYTES", 1000)
    monkeypatch.setattr(replicate, "PART_BYTES_MIN", 300)


async def test_replicator_large_blob_that_rots_at_its_only_place_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    async with open_replicas(tmp_path, "ab") as replicas:
        replicas.tries_max = 1
        await replicas.put("k", LARGE, "a", ["b"])
        replicas.rot("a", replicas.blob("k").name)
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert DAMAGED in debt.error
        assert replicas.backends_of(replicas.blob("k")) == "a"
        assert replicas.catalog.get_copies(replicas.blob("k")).transfers == ()
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 0}


async def test_replicator_large_blob_that_rots_at_one_place_is_copied_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    async with open_replicas(tmp_path, copies=3) as replicas:
        await replicas.put("k", LARGE, "ab", ["c"])
        replicas.rot("a", replicas.blob("k").name)
        await replicas.settle()
        assert replicas.on("k") == "abc"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("complete", [False, True])
async def test_replicator_part_is_compared_with_its_own_etag(
    tmp_path: Path, complete: bool
) -> None:
    async with open_replicas(tmp_path, copies=3) as replicas:
        part = await replicas.put_part("k", b"part", "ab", ["c"])
        replicas.rot("a", part.name)
        if complete:
            await replicas.complete("k")
        await replicas.settle()
        places = replicas.catalog.places_of(part)
        assert {replicas.memories[one.backend].blobs_kept[one.name] for one in places} == {b"part"}
        assert replicas.backends_of(part) == "abc"


@pytest.mark.parametrize("size", [500, 2000])
async def test_replicator_blob_whose_md5_nobody_knows_is_compared_with_the_etag_of_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    in_small_parts(monkeypatch)
    async with open_replicas(tmp_path, copies=3) as replicas:
        data = LARGE[:size]
        replicas.memories["a"].told[b"r" + data[1:]] = hashlib.md5(data).hexdigest()
        await replicas.put("k", data, "ab", ["c"], etag="of the plain bytes")
        replicas.rot("a", replicas.blob("k").name)
        await replicas.settle()
        places = replicas.catalog.places_of(replicas.blob("k"))
        assert {replicas.memories[one.backend].blobs_kept[one.name] for one in places} == {data}
        assert replicas.backends_of(replicas.blob("k")) == "abc"


async def test_replicator_of_copies_that_differ_removes_none_where_nobody_knows_the_md5(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, copies=1) as replicas:
        replicas.tries_max = 2
        await replicas.put("k", b"data", "ab", etag="of the plain bytes")
        for place in replicas.catalog.places_of(replicas.blob("k")):
            rotten = b"rots" if place.backend == "a" else b"data"
            memory = replicas.memories[place.backend]
            memory.blobs_kept[place.name] = rotten
            memory.told[rotten] = hashlib.md5(rotten).hexdigest()
        await replicas.put_debt("k", [])
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ab"
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert debt.error == DIFFERENT


async def test_replicator_etag_of_a_place_that_is_no_md5_says_nothing(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        replicas.memories["a"].told[b"data"] = "opaque"
        await replicas.put("k", b"data", "a", ["b"], etag="of the plain bytes")
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ab"


async def doubted(replicas: Replicas, rotten: str) -> None:
    """Bytes that nobody without the key can tell, of whose copy at `a` a reader says it is wrong.

    Backends tell the ETags of what was stored.
    """
    told = hashlib.md5(LARGE).hexdigest()
    await replicas.put("k", LARGE, "ab", etag="of the plain bytes")
    for place in replicas.catalog.places_of(replicas.blob("k")):
        memory = replicas.memories[place.backend]
        memory.told[b"r" + LARGE[1:]] = told
        if place.backend in rotten:
            replicas.rot(place.backend, place.name)
    await replicas.put_debt("k", ["a"])


async def test_replicator_place_that_a_reader_doubts_is_replaced_by_a_copy_of_another(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await doubted(replicas, "a")
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ab"
        assert replicas.catalog.list_debts() == []
        await replicas.collect()
        for name in "ab":
            assert list(replicas.memories[name].blobs_kept.values()) == [LARGE]


async def test_replicator_place_that_a_reader_doubts_and_that_is_sound_stays(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await doubted(replicas, "")
        before = replicas.catalog.places_of(replicas.blob("k"))
        await replicas.settle()
        assert replicas.catalog.places_of(replicas.blob("k")) == before
        assert replicas.catalog.list_debts() == []


@pytest.mark.parametrize("copies", [1, 2])
async def test_replicator_place_that_a_reader_doubts_stays_where_the_other_is_wrong_too(
    tmp_path: Path, copies: int
) -> None:
    async with open_replicas(tmp_path, copies=copies) as replicas:
        await doubted(replicas, "ab")
        replicas.tries_max = 2
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ab"
        assert replicas.catalog.list_debts(dead=True) != []
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("other", [LARGE[:-1] + b"r", LARGE])
async def test_replicator_place_that_a_reader_doubts_stays_where_another_tells_of_other_bytes(
    tmp_path: Path, other: bytes
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await doubted(replicas, "a")
        memory = replicas.memories["b"]
        (name,) = memory.blobs_kept
        memory.blobs_kept[name] = other
        memory.told[other] = hashlib.md5(LARGE[:-1] + b"r").hexdigest()
        replicas.tries_max = 2
        await replicas.settle()
        assert replicas.backends_of(replicas.blob("k")) == "ab"
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert debt.error == DIFFERENT
        await replicas.collect()
        assert replicas.memories["b"].blobs_kept == {name: other}
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_bucket_deleted_while_a_copy_is_made_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])

        async def delete(op: str, key: str) -> None:
            if op == "create_container":
                await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))
                await replicas.catalog.delete_bucket("bucket")

        replicas.memories["b"].hook = delete
        await replicas.settle()
        assert replicas.catalog.get_bucket("bucket") is None
        assert replicas.catalog.list_debts() == []
        assert replicas.catalog.open_intents() == []
        await replicas.collect()
        assert replicas.held() == {"a": 0, "b": 0, "c": 0}
