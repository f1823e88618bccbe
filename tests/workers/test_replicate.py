"""The replicator over backends in memory: what is owed is copied, and no more than that."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.backends.errors import PermissionDenied
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import Owed
from s3proxy.catalog.settling import Owing
from s3proxy.ops import replicate
from s3proxy.ops.lanes import LaneLimits
from s3proxy.ops.owing import owe_bucket
from s3proxy.s3.placement import Rules
from s3proxy.workers import replicate as worker_module
from s3proxy.workers.owe import Ower
from tests.catalog.catalogs import garbage_blobs
from tests.polling import cut_off, until
from tests.workers.replicas import open_replicas


async def test_replicator_copies_what_is_owed(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        replicator = await replicas.settle()
        assert replicas.on("k") == "ab"
        (name,) = replicas.memories["b"].blobs_kept
        assert replicas.beside("b", name) == ({"color": "red"}, replicas.blob("k").id)
        assert replicas.catalog.list_debts() == []
        assert replicas.catalog.open_intents() == []
        assert replicator.counts["settled"] == 1
        assert [op for op, _ in replicas.memories["b"].asked] == ["create_container", "put"]


async def test_replicator_of_many_debts_settles_all(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        for number in range(50):
            await replicas.put(f"k{number}", b"%d" % number, "a", ["b"])
        await replicas.settle()
        assert {replicas.on(f"k{number}") for number in range(50)} == {"ab"}
        assert replicas.catalog.debt_counts()["b"].objects == 0


async def test_replicator_empty_blob_is_copied(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"", "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ab"


async def test_replicator_where_the_ideal_one_is_down_uses_the_next_and_mends_it_later(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        replicas.go_down("b")
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ac"
        (debt,) = replicas.catalog.list_debts()
        assert (debt.waits_for, debt.tries) == ("b", 0)
        replicas.come_up("b")
        await replicas.settle_waiting("b")
        assert replicas.on("k") == "ab"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_where_all_others_are_down_waits_and_burns_no_tries(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        for name in "bc":
            replicas.go_down(name)
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts()
        assert (debt.waits_for, debt.tries, replicas.on("k")) == ("b", 0, "a")


async def test_replicator_where_the_source_is_down_waits_for_it(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"])
        replicas.go_down("a")
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts()
        assert (debt.waits_for, debt.tries) == ("a", 0)
        replicas.come_up("a")
        await replicas.settle_waiting("a")
        assert replicas.on("k") == "ab"


async def test_replicator_moves_what_rules_forbid_only_when_enough_copies_exist(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "c", [])
        await replicas.set_rules(Rules(regions=("a", "b"), replicas=2))
        replicas.go_down("b")
        await replicas.owe()
        await replicas.settle()
        assert replicas.on("k") == "ac"
        replicas.come_up("b")
        await replicas.settle_waiting("b")
        assert replicas.on("k") == "ab"
        await replicas.collect()
        assert replicas.held()["c"] == 0


async def test_replicator_removes_copies_that_are_one_too_many(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "abc", [])
        await replicas.owe()
        await replicas.settle()
        assert replicas.on("k") == "ab"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_takes_a_drained_backend_for_none(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab", [])
        await replicas.services.catalog.set_draining("a", 1)
        await replicas.owe()
        await replicas.settle()
        assert replicas.on("k") == "bc"
        await replicas.collect()
        await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))
        await replicas.collect()
        assert replicas.held() == {"a": 0, "b": 0, "c": 0}


async def test_replicator_of_object_with_a_tag_makes_as_many_copies(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "a", ["b"], tags={"replica-count": "3"})
        await replicas.settle()
        assert replicas.on("k") == "abc"


async def test_replicator_of_bucket_without_rules_keeps_its_own_backend(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab", ["c"])
        await replicas.set_rules(None)
        await replicas.settle()
        assert replicas.on("k") == "a"


async def test_replicator_moves_bytes_out_of_the_catalog(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put_inline("k", b"small")
        await replicas.owe()
        await replicas.settle()
        assert replicas.on("k") == "ab"
        await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))
        await replicas.collect()
        assert replicas.held() == {"a": 0, "b": 0, "c": 0}


async def test_replicator_refused_copy_is_tried_again_then_dead_and_may_be_revived(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "ab") as replicas:
        replicas.tries_max = 3

        async def refuse(op: str, key: str) -> None:
            if op == "put":
                raise PermissionDenied(op, key, "no", "b")

        replicas.memories["b"].hook = refuse
        await replicas.put("k", b"data", "a", ["b"])
        replicator = await replicas.settle()
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert (debt.tries, debt.targets) == (3, ("b",))
        assert debt.error.startswith("b: PermissionDenied")
        assert replicator.counts["dead"] == 1
        assert replicas.memories["b"].count("put") == 3
        assert len(garbage_blobs(replicas.catalog)) == 3
        del replicas.memories["b"].hook
        replicas.memories["b"].hook = trio_checkpoint
        assert await replicas.catalog.retry_debts() == 1
        await replicas.settle()
        assert replicas.on("k") == "ab"


async def trio_checkpoint(op: str, key: str) -> None:
    await trio.lowlevel.checkpoint()


async def test_replicator_damaged_place_is_passed_over_and_removed(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        record = await replicas.put("k", b"data", "ab", [])
        kept = replicas.memories["a"].blobs_kept
        kept[record.blobs[0].name] = b"dada"
        await replicas.put_debt("k", ["c"])
        replicas.services.facts = {
            name: msgspec.structs.replace(facts, read_only=name == "c")
            for name, facts in replicas.services.facts.items()
        }
        await replicas.set_rules(Rules(regions=("c", "b", "a"), replicas=2))
        replicas.services.facts = {
            name: msgspec.structs.replace(facts, read_only=False)
            for name, facts in replicas.services.facts.items()
        }
        await replicas.settle()
        assert replicas.on("k") == "bc"


async def test_replicator_copy_that_arrives_changed_is_no_copy(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, "ab") as replicas:
        replicas.tries_max = 1
        replicas.memories["b"].flip = True
        await replicas.put("k", b"data", "a", ["b"], parts=(), tags={})
        record = replicas.catalog.get_object(replicas.bucket, "k")
        assert record is not None
        # Nobody knows the MD5 beforehand: what was sent and what the backend says are compared.
        other = msgspec.structs.replace(record, etag="x-1")
        await replicas.catalog.put_object(replicas.bucket, "k", other, replaces=record)
        await replicas.settle()
        (debt,) = replicas.catalog.list_debts(dead=True)
        assert "not what was sent" in debt.error
        assert replicas.catalog.places_of(record.blobs[0]) == record.blobs


async def test_replicator_object_deleted_while_it_is_copied_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:

        async def delete(op: str, key: str) -> None:
            await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))

        replicas.memories["b"].written = delete
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        await replicas.collect()
        assert replicas.held() == {"a": 0, "b": 0, "c": 0}
        assert replicas.catalog.open_intents() == []


async def test_replicator_object_replaced_while_it_is_copied_leaves_the_new_one(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        again = ["once"]

        async def replace(op: str, key: str) -> None:
            if again:
                again.pop()
                await replicas.put("k", b"newer", "a", ["b"])

        replicas.memories["b"].written = replace
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        await replicas.collect()
        assert replicas.on("k") == "ab"
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_rules_changed_while_it_copies_are_obeyed_in_the_end(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:

        async def change(op: str, key: str) -> None:
            await replicas.set_rules(Rules(regions=("c", "a"), replicas=2))
            await replicas.owe()

        replicas.memories["b"].written = change
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        await replicas.collect()
        assert replicas.on("k") == "ac"
        assert replicas.held() == {"a": 1, "b": 0, "c": 1}


async def test_replicator_debt_renewed_while_it_is_settled_is_settled_again_not_at_once(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        at_once, most = 0, 0

        async def renew(op: str, key: str) -> None:
            nonlocal at_once, most
            if op != "put":
                return
            at_once += 1
            most = max(most, at_once)
            await replicas.put_debt("k", ["b"])
            await trio.sleep(0.05)
            at_once -= 1

        replicas.memories["b"].hook = renew
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        assert most == 1
        await replicas.collect()
        assert replicas.on("k") == "ab"
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_lane_bounds_copies_to_a_backend_and_not_those_to_others(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "abc", copies=2) as replicas:
        replicas.limits["b"] = LaneLimits(concurrency=1)
        gate, at_once = trio.Event(), []

        async def wait(op: str, key: str) -> None:
            if op == "put":
                at_once.append(key)
                await gate.wait()

        replicas.memories["b"].hook = wait
        for number in range(20):
            await replicas.put(f"b{number}", b"data", "a", ["b"])
        await replicas.put("c", b"data", "b", ["a"])
        replicator = replicas.replicator()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(replicator.work)
            await until(lambda: replicas.on("c") == "ab" and bool(at_once))
            assert len(at_once) == 1
            assert replicator.busy <= 4 * 1 + 2
            gate.set()
            await until(lambda: not replicas.catalog.list_debts())
            nursery.cancel_scope.cancel()


async def test_replicator_is_woken_by_a_new_debt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_S", 1e6)
    async with open_replicas(tmp_path) as replicas:
        replicator = replicas.replicator()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(replicator.work)
            await trio.sleep(0.05)
            await replicas.put("k", b"data", "a", ["b"])
            await until(lambda: replicas.on("k") == "ab")
            nursery.cancel_scope.cancel()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "LARGE_BYTES", 1000)
    monkeypatch.setattr(replicate, "PART_BYTES_MIN", 300)


@pytest.mark.usefixtures("small_parts")
async def test_replicator_large_blob_goes_in_parts(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", bytes(range(250)) * 8, "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ab"
        assert replicas.memories["b"].count("put_part") == 7
        assert replicas.memories["b"].uploads == {}
        (name,) = replicas.memories["b"].blobs_kept
        assert replicas.beside("b", name) == ({"color": "red"}, replicas.blob("k").id)


@pytest.mark.usefixtures("small_parts")
async def test_replicator_large_blob_cut_off_goes_on_with_the_parts_there(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, "ab") as replicas:
        memory = replicas.memories["b"]

        async def fail_late(op: str, key: str) -> None:
            if op == "put_part" and memory.count("put_part") > 4:
                raise PermissionDenied(op, key, "not now", "b")

        memory.hook = fail_late
        replicas.tries_max = 1
        record = await replicas.put("k", bytes(range(250)) * 8, "a", ["b"])
        await replicas.settle()
        (transfer,) = replicas.catalog.get_copies(record.blobs[0]).transfers
        assert len(replicas.catalog.copied_parts(transfer.copy)) == 4
        memory.hook = trio_checkpoint
        memory.asked.clear()
        await replicas.catalog.retry_debts()
        await replicas.settle()
        assert memory.count("put_part") == 3
        assert memory.count("create_upload") == 0
        assert replicas.on("k") == "ab"
        assert replicas.catalog.copied_parts(transfer.copy) == {}


@pytest.mark.usefixtures("small_parts")
async def test_replicator_large_blob_whose_upload_is_gone_begins_anew(tmp_path: Path) -> None:
    async with open_replicas(tmp_path, "ab") as replicas:
        memory = replicas.memories["b"]

        async def lose(op: str, key: str) -> None:
            if op == "put_part" and memory.count("put_part") == 3:
                memory.uploads.clear()

        memory.hook = lose
        await replicas.put("k", bytes(range(250)) * 8, "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ab"
        assert memory.count("create_upload") == 2


@pytest.mark.usefixtures("small_parts")
async def test_replicator_large_blob_deleted_amid_its_parts_leaves_no_upload(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path, "ab") as replicas:
        memory = replicas.memories["b"]

        async def delete(op: str, key: str) -> None:
            if memory.count("put_part") == 3:
                await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))

        memory.written = delete
        await replicas.put("k", bytes(range(250)) * 8, "a", ["b"])
        await replicas.settle()
        await replicas.collect()
        assert (memory.uploads, memory.blobs_kept) == ({}, {})


async def test_replicator_restarted_amid_copies_settles_all(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        for number in range(10):
            await replicas.put(f"k{number}", b"data", "a", ["b"])
        for _ in range(3):
            replicator = replicas.replicator()
            with trio.move_on_after(0.02):
                await replicator.work()
        replicas.clock.ns += 10**12  # leases of this run of the gateway end by time
        await replicas.settle()
        assert {replicas.on(f"k{number}") for number in range(10)} == {"ab"}
        await replicas.collect()
        assert replicas.held()["b"] == 10


async def test_replicator_debt_for_what_is_all_right_copies_nothing(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab", ["b"])
        replicator = await replicas.settle()
        assert (replicator.counts["settled"], replicator.counts["copied"]) == (1, 0)


async def test_add_debts_of_a_version_is_settled_with_its_own_metadata(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.catalog.update_bucket(
            replicas.bucket, lambda bucket: msgspec.structs.replace(bucket, versioning="Enabled")
        )
        old = await replicas.put("k", b"old", "a", [], user={"color": "blue"})
        await replicas.put("k", b"new", "ab", [])
        owing = Owing("k", Owed(old.blobs[0], targets=("b",)), old.named_version)
        await replicas.catalog.add_debts(replicas.bucket, [owing])
        await replicas.settle()
        (copy,) = (p for p in replicas.catalog.places_of(old.blobs[0]) if p.backend == "b")
        assert replicas.beside("b", copy.name) == ({"color": "blue"}, old.blobs[0].id)


async def test_replicator_obeys_a_tag_that_was_set_later(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab", [])
        await replicas.tag("k", {"replica-count": "3"})
        await replicas.settle()
        assert replicas.on("k") == "abc"
        await replicas.tag("k", {})
        await replicas.settle()
        assert replicas.on("k") == "ab"


async def test_replicator_leaves_bytes_in_the_catalog_where_no_rules_are(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.set_rules(None)
        await replicas.put_inline("k", b"small")
        await replicas.tag("k", {"replica-count": "2"})
        await replicas.tag("k", {})
        await replicas.settle()
        assert replicas.blob("k").backend == ""
        assert await replicas.owe() == 0


async def test_ower_walks_a_bucket_once_for_each_change_of_rules(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        for number in range(600):
            await replicas.put(f"k{number:03d}", b"", "ab", [])
        ower = Ower(replicas.services, objects_per_s=10**6)
        assert await ower.work()
        assert not await ower.work()
        await replicas.set_rules(Rules(regions=("c", "b"), replicas=2))
        assert await ower.work()
        assert replicas.catalog.debt_counts()["c"].objects == 600
        assert not await ower.work()


async def test_ower_walks_when_a_backend_is_said_to_be_elsewhere(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        await replicas.put("k", b"data", "ab", [])
        ower = Ower(replicas.services)
        await ower.work()
        facts = replicas.services.facts
        moved = msgspec.structs.replace(facts["b"], read_only=True)
        replicas.services.facts = {**facts, "b": moved}
        assert await ower.work()
        assert replicas.catalog.list_debts() == []


async def test_owe_bucket_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        for number in range(700):
            await replicas.put(f"k{number:03d}", b"", "a", [])

        async def owe() -> None:
            await owe_bucket(replicas.services, replicas.bucket, "drain", objects_per_s=500)

        await cut_off(owe, lambda: "b" in replicas.catalog.debt_counts())
        owed = replicas.catalog.debt_counts()["b"].objects
        assert 0 < owed < 700
        await owe_bucket(replicas.services, replicas.bucket, "drain", objects_per_s=10**6)
        assert replicas.catalog.debt_counts()["b"].objects == 700


async def test_owe_bucket_with_parts_of_uploads_owes_for_them(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:
        part = await replicas.put_part("up", b"part", "a")
        assert await replicas.owe() == 1
        await replicas.settle()
        places = replicas.catalog.places_of(part)
        assert [place.backend for place in places] == ["a", "b"]


async def test_replicator_moving_bytes_out_of_the_catalog_twice_keeps_every_copy(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        again = ["once"]

        async def renew(op: str, key: str) -> None:
            if again:
                again.pop()
                await replicas.put_debt("k", ["b"])

        replicas.memories["a"].written = renew
        await replicas.put_inline("k", b"small")
        await replicas.owe()
        await replicas.settle()
        assert replicas.on("k") == "ab"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 1, "c": 0}


async def test_replicator_object_in_the_catalog_deleted_while_it_is_moved_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:
        again = ["once"]

        async def renew_and_delete(op: str, key: str) -> None:
            if again:
                again.pop()
                await replicas.put_debt("k", ["b"])
                await replicas.catalog.delete_object(replicas.bucket, Deletion("k"))

        replicas.memories["a"].written = renew_and_delete
        await replicas.put_inline("k", b"small")
        await replicas.owe()
        await replicas.settle()
        await replicas.collect()
        assert replicas.held() == {"a": 0, "b": 0, "c": 0}
        assert replicas.catalog.list_debts() == []


async def test_replicator_rules_that_forbid_the_target_while_it_copies_win_at_once(
    tmp_path: Path,
) -> None:
    async with open_replicas(tmp_path) as replicas:

        async def forbid(op: str, key: str) -> None:
            await replicas.set_rules(Rules(regions=("a", "c"), replicas=2))

        replicas.memories["b"].written = forbid
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ac"
        await replicas.collect()
        assert replicas.held() == {"a": 1, "b": 0, "c": 1}


async def test_replicator_backend_drained_while_it_copies_is_left_again(tmp_path: Path) -> None:
    async with open_replicas(tmp_path) as replicas:

        async def drain(op: str, key: str) -> None:
            await replicas.catalog.set_draining("b", 1)

        replicas.memories["b"].written = drain
        await replicas.put("k", b"data", "a", ["b"])
        await replicas.settle()
        assert replicas.on("k") == "ac"
