"""Copies of a database that others write to meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from s3proxy.kv.engine import Transaction
from s3proxy.kv.errors import DiskFull, InvalidStore, KvError
from s3proxy.kv.lmdb_engine import LmdbEngine
from s3proxy.kv.lmdb_open import open_snapshot
from tests.kv.engines import running


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def test_copy_to_while_others_write_is_of_one_commit(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                value = written.to_bytes(8, "big") * 200

                def change(txn: Transaction, value: bytes = value) -> None:
                    for row in range(20):
                        txn.put("ab"[row % 2], bytes((1 + row,)), value)

                await engine.commit(change)
                written += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            for number in range(3):
                before = written
                with new_file(tmp_path / f"copy{number}") as target:
                    await engine.copy_to(target)
                assert written > before
            nursery.cancel_scope.cancel()
    for number in range(3):
        with open_snapshot(str(tmp_path / f"copy{number}"), in_use=False) as (view, names):
            assert sorted(names) == ["a", "b"]
            rows = [*view.scan("a", b""), *view.scan("b", b"")]
            assert len(rows) == 20
            assert len({value for _, value in rows}) == 1


async def test_copy_to_goes_on_while_the_map_grows(tmp_path: Path) -> None:
    async with running(tmp_path, map_size_bytes=1 << 17) as engine:
        with new_file(tmp_path / "copy") as target:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.copy_to, target)
                for number in range(100):
                    row = b"%03d" % number
                    await engine.commit(lambda txn, row=row: txn.put("a", row, bytes(20_000)))
    with open_snapshot(str(tmp_path / "copy"), in_use=False) as (view, _):
        assert all(value == bytes(20_000) for _, value in view.scan("a", b""))


async def test_copy_to_leaves_out_what_is_free(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        await engine.commit(lambda txn: txn.put("a", b"large", bytes(1 << 20)))
        await engine.commit(lambda txn: txn.delete("a", b"large"))
        with new_file(tmp_path / "copy") as target:
            await engine.copy_to(target)
    assert (tmp_path / "copy").stat().st_size < 100_000 < (tmp_path / "catalog.mdb").stat().st_size


async def test_copy_to_full_disk_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        await engine.commit(lambda txn: txn.put("a", b"k", bytes(100_000)))
        target = os.open("/dev/full", os.O_RDWR)
        try:
            with pytest.raises(DiskFull, match="no room on the file system for the copy"):
                await engine.copy_to(target)
        finally:
            os.close(target)
        assert engine.get("a", b"k") == bytes(100_000)


async def test_copy_to_cancelled_ends_the_child(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        with new_file(tmp_path / "copy") as target, trio.CancelScope() as scope:
            scope.cancel()
            await engine.copy_to(target)
        await engine.commit(lambda txn: txn.put("a", b"k", b"v"))


async def test_copy_to_of_a_closed_store_says_so(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path / "catalog.mdb", sync=False)
    engine.close()
    (tmp_path / "catalog.mdb").unlink()
    with new_file(tmp_path / "copy") as target, pytest.raises(KvError, match="No such file"):
        await engine.copy_to(target)


def test_open_snapshot_of_another_file_is_an_invalid_store(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(os.urandom(20_000))
    with (
        pytest.raises(InvalidStore, match="not a usable database"),
        open_snapshot(str(path), in_use=False),
    ):
        pass
    assert [found.name for found in tmp_path.iterdir()] == ["other"]
