"""The engine under kill -9, beside other processes, and on a full disk."""

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import lmdb
import pytest
import trio

from s3proxy.kv import lmdb_batch
from s3proxy.kv.errors import Broken, Closed, WriteFailed
from s3proxy.kv.lmdb_engine import LmdbEngine
from tests.kv.engines import running
from tests.kv.writer_process import ROWS, TASKS, rows_of

ROOT = Path(__file__).parents[2]
FULL_DISK = Path(__file__).with_name("full_disk.py")


def writer(directory: Path, name: str, changes: int, value_bytes: int) -> subprocess.Popen[str]:
    arguments = [str(directory), name, str(changes), str(value_bytes)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kv.writer_process", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_after(directory: Path, name: str, acknowledgements: int) -> list[str]:
    """Kill a writer once it acknowledged so many; return all that it had by then."""
    with writer(directory, name, 100_000, 2000) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(acknowledgements)]
        process.kill()
        # The last line may be cut short only if it was never written whole: each is one write.
        return acknowledged + process.stdout.read().split()


async def stored_changes(directory: Path, name: str) -> dict[str, int]:
    """Return how many rows of each change are stored."""
    counts: dict[str, int] = {}
    async with running(directory, sync=True) as engine:
        with engine.read() as view:
            for keyspace in ("a", "b"):
                for key, value in view.scan(keyspace, f"{name}/".encode(), f"{name}0".encode()):
                    assert value == bytes(len(value))
                    change = key.decode().split("/", 1)[1].rsplit("/", 1)[0]
                    counts[change] = counts.get(change, 0) + 1
    return counts


async def kill_rounds(directory: Path, rounds: int) -> None:
    rng = random.Random(rounds)
    acknowledged: dict[str, Sequence[str]] = {}
    for number in range(rounds):
        name = f"round{number}"
        acknowledged[name] = killed_after(directory, name, rng.randrange(1, 400))
        counts = await stored_changes(directory, name)
        assert set(counts.values()) == {ROWS}
        assert set(acknowledged[name]) <= set(counts)
        # What is stored and not acknowledged was in flight: one change for each task at most.
        assert len(counts) - len(acknowledged[name]) <= TASKS
    for name, changes in acknowledged.items():
        assert set(changes) <= set(await stored_changes(directory, name))


@pytest.mark.slow
async def test_killed_writer_leaves_whole_and_all_acknowledged_changes(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 20)


@pytest.mark.soak
async def test_killed_writer_over_and_over(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 200)


@pytest.mark.slow
async def test_two_processes_growing_the_map_lose_nothing(tmp_path: Path) -> None:
    changes = 100
    async with running(tmp_path, map_size_bytes=1 << 18, sync=True) as engine:
        before = engine._env.info()["map_size"]
        with writer(tmp_path, "other", changes, 1000) as process:
            mine = 0
            while process.poll() is None:
                key = b"mine/%06d" % mine
                await engine.commit(lambda txn, key=key: txn.put("a", key, bytes(500)))
                assert engine.get("a", key) == bytes(500)
                mine += 1
            assert process.stdout is not None
            acknowledged = process.stdout.read().split()
        assert process.returncode == 0
        assert len(acknowledged) == TASKS * changes
        with engine.read() as view:
            for change in acknowledged:
                for keyspace, key in rows_of("other", change):
                    assert view.get(keyspace, key) == bytes(1000)
            assert sum(1 for _ in view.scan("a", b"mine/", b"mine0")) == mine
        assert engine._env.info()["map_size"] > 8 * before


async def test_read_after_growth_elsewhere_adopts_the_new_size(tmp_path: Path) -> None:
    async with running(tmp_path, map_size_bytes=1 << 18, sync=True) as engine:
        await engine.commit(lambda txn: txn.put("a", b"k", b"v"))
        with writer(tmp_path, "other", 40, 3000) as process:
            output, _ = await trio.to_thread.run_sync(process.communicate)
        assert len(output.split()) == 40 * TASKS
        assert engine.get("a", b"other/0/0/0") == bytes(3000)
        await engine.commit(lambda txn: txn.put("a", b"k", b"w"))
        assert engine.get("a", b"k") == b"w"


def test_full_disk_fails_the_commit_and_recovers_with_room(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "tests.kv.full_disk", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert outcome.stdout.split() == ["DiskFull", "readable", "recovered"]


async def test_commit_refused_by_the_system_fails_that_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(lmdb_batch, "store", _failing(lmdb.Error("mdb_txn_commit", 5)))
            with pytest.raises(WriteFailed, match=r"catalog\.mdb"):
                await engine.commit(lambda txn: txn.put("a", b"k", b"v"))
        await engine.commit(lambda txn: txn.put("a", b"k", b"w"))
        assert engine.get("a", b"k") == b"w"


async def test_broken_environment_ends_run_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LmdbEngine(tmp_path / "catalog.mdb")
    engine.open_keyspaces(["a"])
    monkeypatch.setattr(lmdb_batch, "store", _failing(lmdb.PanicError("mdb_txn_begin")))
    commit = engine.submit(lambda txn: txn.put("a", b"k", b"v"))
    with pytest.raises(Broken):
        await engine.run()
    with pytest.raises(Broken):
        await commit.wait()
    with pytest.raises(Broken):
        await engine.commit(lambda txn: None)
    engine.close()


async def test_bug_in_the_writer_ends_run_and_answers_waiters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LmdbEngine(tmp_path / "catalog.mdb")
    engine.open_keyspaces(["a"])
    monkeypatch.setattr(lmdb_batch, "store", _failing(ZeroDivisionError("bug")))
    commit = engine.submit(lambda txn: None)
    with pytest.raises(ExceptionGroup) as caught:
        await engine.run()
    assert caught.group_contains(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        await commit.wait()
    with pytest.raises(Closed):
        engine.submit(lambda txn: None)
    engine.close()


def _failing(error: Exception) -> Callable[..., None]:
    def store(*_: object) -> None:
        raise error

    return store
