from pathlib import Path

import pytest
import trio

from s3proxy.catalog import remembered
from s3proxy.catalog.remembered import Remembered
from s3proxy.kv import lmdb_engine
from s3proxy.kv.engine import Transaction
from tests.kv.engines import running


async def test_get_reads_again_after_each_commit_only(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        reads: list[bytes] = []

        def read(name: bytes) -> bytes | None:
            reads.append(name)
            return engine.get("a", name)

        kept = Remembered(engine, read)
        assert kept[b"k"] is None
        assert kept[b"k"] is None
        assert reads == [b"k", b"k"]  # what is not there is looked for each time
        for value in (b"1", b"2"):
            await engine.commit(lambda txn, value=value: txn.put("a", b"k", value))
            reads.clear()
            assert [kept[b"k"], kept[b"k"]] == [value, value]
            assert reads == [b"k"]


async def test_get_is_not_read_again_after_commits_to_other_keyspaces(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        engine.open_keyspaces(["a", "b"])
        reads: list[bytes] = []

        def read(name: bytes) -> bytes | None:
            reads.append(name)
            return engine.get("a", name)

        kept = Remembered(engine, read, "a")
        await engine.commit(lambda txn: txn.put("a", b"k", b"1"))
        assert kept[b"k"] == b"1"
        await engine.commit(lambda txn: txn.put("b", b"k", b"other"))
        await engine.commit(lambda txn: txn.delete("a", b"absent"))
        assert kept[b"k"] == b"1"
        assert reads == [b"k"]
        await engine.commit(lambda txn: txn.delete("a", b"k"))
        assert kept[b"k"] is None


async def test_get_sees_a_change_that_was_run_again_beside_one_that_failed(tmp_path: Path) -> None:
    """The second of two changes in one batch raises after it has written: both are run again."""
    async with running(tmp_path) as engine:
        engine.open_keyspaces(["a", "b"])
        kept = Remembered(engine, lambda name: engine.get("a", name), "a")
        await engine.commit(lambda txn: txn.put("a", b"k", b"old"))
        assert kept[b"k"] == b"old"

        def fail(txn: Transaction) -> None:
            txn.put("b", b"k", b"lost")
            raise LookupError

        good = engine.submit(lambda txn: txn.put("a", b"k", b"new"))
        bad = engine.submit(fail)
        await good.wait()
        with pytest.raises(LookupError):
            await bad.wait()
        assert kept[b"k"] == b"new"
        assert engine.get("b", b"k") is None


async def test_get_sees_the_commit_of_another_store_of_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_engine, "FOREIGN_CHECK_S", 0.001)
    async with running(tmp_path) as engine:
        kept = Remembered(engine, lambda name: engine.get("a", name))
        await engine.commit(lambda txn: txn.put("a", b"k", b"old"))
        assert kept[b"k"] == b"old"
        told: list[bool] = []
        engine.on_change(lambda: told.append(True))
        # As a process that has just opened the file would write it.
        with engine._env.begin(write=True) as txn:
            txn.put(b"k", b"new", db=engine._databases["a"])
        for _ in range(1000):
            await trio.sleep(0.005)
            if told:
                break
        assert kept[b"k"] == b"new"


async def test_get_before_the_store_runs_forgets_what_another_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_engine, "FOREIGN_CHECK_S", 0.001)
    engine = lmdb_engine.LmdbEngine(tmp_path / "catalog.mdb", sync=False)
    engine.open_keyspaces(["a"])
    kept = Remembered(engine, lambda name: engine.get("a", name))
    for value in (b"old", b"new"):
        with engine._env.begin(write=True) as txn:
            txn.put(b"k", value, db=engine._databases["a"])
        assert kept[b"k"] == b"old"
    async with trio.open_nursery() as nursery:
        told = trio.Event()
        engine.on_change(told.set)
        await nursery.start(engine.run)
        with trio.fail_after(60):
            await told.wait()
        assert kept[b"k"] == b"new"
        nursery.cancel_scope.cancel()
    engine.close()


async def test_get_of_many_names_keeps_a_bounded_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "REMEMBERED_MAX", 3)
    async with running(tmp_path) as engine:
        kept = Remembered(engine, lambda name: name)
        for number in range(10):
            assert kept[number] == number
            assert len(kept) <= 3
