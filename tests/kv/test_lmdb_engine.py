import os
from pathlib import Path

import pytest
import trio

from s3proxy.kv import lmdb_engine
from s3proxy.kv.engine import Transaction
from s3proxy.kv.errors import BadKey, Closed, InvalidStore, KvError, MapFull
from s3proxy.kv.lmdb_engine import BATCH_CHANGES_MAX, GATHERED_CHANGES_MIN, LmdbEngine
from tests.kv.engines import running


async def test_commit_returns_result_and_is_readable(tmp_path: Path) -> None:
    async with running(tmp_path, sync=True) as engine:

        def change(txn: Transaction) -> str:
            txn.put("a", b"k", b"v")
            assert txn.get("a", b"k") == b"v"
            return "done"

        assert await engine.commit(change) == "done"
        assert engine.get("a", b"k") == b"v"
        assert engine.get("b", b"k") is None


async def test_open_keyspaces_reopened_store_keeps_values(tmp_path: Path) -> None:
    async with running(tmp_path, sync=True) as engine:
        await engine.commit(lambda txn: txn.put("a", b"k", b"v"))
    async with running(tmp_path) as engine:
        assert engine.get("a", b"k") == b"v"


async def test_scan_bounds_start_inclusive_stop_exclusive(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:

        def change(txn: Transaction) -> None:
            for letter in b"abcd":
                txn.put("a", bytes((letter,)), b"x")
            assert [key for key, _ in txn.scan("a", b"b", b"d")] == [b"b", b"c"]

        await engine.commit(change)
        with engine.read() as view:
            assert [key for key, _ in view.scan("a", b"b", b"d")] == [b"b", b"c"]
            assert [key for key, _ in view.scan("a", b"")] == [b"a", b"b", b"c", b"d"]
            assert [key for key, _ in view.scan("a", b"cc")] == [b"d"]
            assert list(view.scan("a", b"e")) == []
            assert list(view.scan("b", b"")) == []


async def test_delete_absent_key_returns_false(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        await engine.commit(lambda txn: txn.put("a", b"k", b"v"))
        assert await engine.commit(lambda txn: txn.delete("a", b"k")) is True
        assert await engine.commit(lambda txn: txn.delete("a", b"k")) is False


async def test_get_key_out_of_bounds_is_not_there(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        assert engine.get("a", b"x" * 600) is None
        assert engine.get("a", b"") is None
        with engine.read() as view:
            assert view.get("a", b"x" * 600) is None


async def test_put_key_too_long_fails_that_change_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        bad = engine.submit(lambda txn: txn.put("a", b"x" * 600, b"v"))
        good = engine.submit(lambda txn: txn.put("a", b"good", b"v"))
        with pytest.raises(BadKey):
            await bad.wait()
        await good.wait()
        assert engine.get("a", b"good") == b"v"


async def test_submit_changes_run_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:

        def append(txn: Transaction, letter: bytes) -> bytes:
            value = (txn.get("a", b"k") or b"") + letter
            txn.put("a", b"k", value)
            return value

        commits = [engine.submit(lambda txn, x=x: append(txn, x)) for x in (b"1", b"2", b"3")]
        assert [await commit.wait() for commit in commits] == [b"1", b"12", b"123"]
        assert await commits[0].wait() == b"1"


async def test_commit_raising_before_writes_reaches_its_waiter_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:

        def refuse(txn: Transaction) -> None:
            raise LookupError("no")

        commits = [
            engine.submit(lambda txn: txn.put("a", b"1", b"v")),
            engine.submit(refuse),
            engine.submit(lambda txn: txn.put("a", b"2", b"v")),
        ]
        with pytest.raises(LookupError, match="no"):
            await commits[1].wait()
        await commits[2].wait()
        assert engine.get("a", b"1") == engine.get("a", b"2") == b"v"


async def test_commit_raising_after_writes_loses_only_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:

        def half(txn: Transaction) -> None:
            txn.put("a", b"1", b"overwritten")
            txn.delete("a", b"0")
            raise LookupError("half")

        await engine.commit(lambda txn: txn.put("a", b"0", b"v"))
        commits = [
            engine.submit(lambda txn: txn.put("a", b"1", b"v")),
            engine.submit(half),
            engine.submit(lambda txn: txn.get("a", b"1")),
        ]
        with pytest.raises(LookupError, match="half"):
            await commits[1].wait()
        assert await commits[2].wait() == b"v"
        assert engine.get("a", b"0") == engine.get("a", b"1") == b"v"


async def test_submit_many_share_commits(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        count = BATCH_CHANGES_MAX + 100
        commits = [
            engine.submit(lambda txn, i=i: txn.put("a", b"%d" % i, b"v")) for i in range(count)
        ]
        for commit in commits:
            await commit.wait()
        assert engine.changes == count
        assert engine.batches <= 10


async def test_submit_after_a_large_batch_waits_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_engine, "GATHERING_S_MAX", 60)
    engine = LmdbEngine(tmp_path / "catalog.mdb", sync=False)
    engine.open_keyspaces(["a"])
    for _ in range(GATHERED_CHANGES_MIN):
        engine.submit(lambda txn: txn.put("a", b"k", b"v"))
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        while engine.changes < GATHERED_CHANGES_MIN:
            await trio.lowlevel.checkpoint()
        # The loop does not go round between these.
        for commit in [engine.submit(lambda txn: txn.put("a", b"k", b"w")) for _ in range(50)]:
            await commit.wait()
        nursery.cancel_scope.cancel()
    engine.close()
    assert (engine.changes, engine.batches) == (GATHERED_CHANGES_MIN + 50, 2)


async def test_submit_few_writers_are_not_kept_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_engine.LmdbEngine, "_gather", None)
    async with running(tmp_path) as engine:
        async with trio.open_nursery() as nursery:
            for _ in range(GATHERED_CHANGES_MIN // 2 - 1):
                nursery.start_soon(engine.commit, lambda txn: txn.put("a", b"k", b"v"))
        assert engine.get("a", b"k") == b"v"


async def test_wait_cancelled_change_still_happens(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        with trio.CancelScope() as scope:
            scope.cancel()
            await engine.commit(lambda txn: txn.put("a", b"k", b"v"))
        assert scope.cancelled_caught
        await engine.commit(lambda txn: None)
        assert engine.get("a", b"k") == b"v"


async def test_run_cancelled_commits_what_was_queued(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        for i in range(3000):
            engine.submit(lambda txn, i=i: txn.put("a", b"%d" % i, b"v"))
    async with running(tmp_path) as engine:
        assert engine.get("a", b"0") == engine.get("a", b"2999") == b"v"


async def test_submit_before_run_is_committed_once_it_runs(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "catalog.mdb")
    engine.open_keyspaces(["a"])
    commit = engine.submit(lambda txn: txn.put("a", b"k", b"v"))
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: engine.run(task_status=task_status))
        await commit.wait()
        nursery.cancel_scope.cancel()
    engine.close()


async def test_closed_engine_refuses(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        pass
    with pytest.raises(Closed):
        await engine.commit(lambda txn: None)
    with pytest.raises(Closed):
        engine.get("a", b"k")
    with pytest.raises(Closed), engine.read():
        pass
    engine.close()


async def test_map_growth_under_load_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, map_size_bytes=1 << 18) as engine:
        before = engine._env.info()["map_size"]

        async def write(worker: int) -> None:
            for i in range(40):
                key = b"%d-%d" % (worker, i)
                await engine.commit(lambda txn, key=key: txn.put("a", key, os.urandom(3000)))
                with engine.read() as view:
                    assert view.get("a", key) is not None

        async with trio.open_nursery() as nursery:
            for worker in range(32):
                nursery.start_soon(write, worker)
        assert engine._env.info()["map_size"] > 4 * before
        with engine.read() as view:
            assert sum(1 for _ in view.scan("a", b"")) == 32 * 40


async def test_map_full_at_the_limit_fails_and_recovers(tmp_path: Path) -> None:
    limit = 1 << 20
    async with running(tmp_path, map_size_bytes=limit, map_size_bytes_max=limit) as engine:
        await engine.commit(lambda txn: txn.put("a", b"small", b"v"))
        with pytest.raises(MapFull):
            await engine.commit(lambda txn: txn.put("a", b"large", bytes(2 << 20)))
        assert engine.get("a", b"large") is None
        await engine.commit(lambda txn: txn.put("a", b"small", b"w"))
        assert engine.get("a", b"small") == b"w"


@pytest.mark.parametrize("content", [b"not a database", os.urandom(100_000), b"\0" * 8192])
def test_open_foreign_file_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.mdb"
    path.write_bytes(content)
    with pytest.raises(InvalidStore, match=r"catalog\.mdb"):
        LmdbEngine(path)
    assert path.read_bytes() == content


def test_open_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KvError, match="No such file"):
        LmdbEngine(tmp_path / "absent" / "catalog.mdb")


async def test_open_truncated_file_raises_instead_of_dying(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        for i in range(50):
            await engine.commit(lambda txn, i=i: txn.put("a", b"%d" % i, bytes(5000)))
    path = tmp_path / "catalog.mdb"
    os.truncate(path, 8192)
    with pytest.raises(KvError):
        engine = LmdbEngine(path)
        engine.open_keyspaces(["a"])
        with engine.read() as view:
            for _ in view.scan("a", b""):
                pass
