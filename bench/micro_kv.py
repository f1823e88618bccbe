"""Group commit and reads of the key-value engine; `python -m bench.micro_kv [DIRECTORY]`.

DIRECTORY has to be on the disk in question. Each figure stands beside its alternative, measured in
the same run.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import trio

from s3proxy.kv.engine import Transaction
from s3proxy.kv.lmdb_engine import LmdbEngine

TASKS = 64
WRITES = 400
SINGLES = 400
READS = 100_000
VALUE = bytes(200)


def main() -> None:
    """Measure and print."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        alone = _fsync_each(Path(directory))
        grouped, singly, reads = trio.run(_engine, Path(directory))
        print(f"fsync each, one writer       {alone:10,.0f} writes/s")
        print(f"engine, one task waiting     {singly:10,.0f} writes/s   x{singly / alone:.2f}")
        print(
            f"engine, {TASKS} tasks waiting     {grouped:10,.0f} writes/s   x{grouped / alone:.2f}"
        )
        for name, microseconds in reads:
            print(f"{name:28} {microseconds:10.2f} us")
        for name, microseconds in _alternatives(Path(directory)):
            print(f"{name:28} {microseconds:10.2f} us")


def _fsync_each(directory: Path) -> float:
    """Return writes/s of the simplest durable thing: append to a file, fdatasync."""
    with (directory / "plain").open("ab", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(SINGLES):
            file.write(VALUE)
            os.fdatasync(file.fileno())
        return SINGLES / (time.perf_counter() - started)


async def _engine(directory: Path) -> tuple[float, float, list[tuple[str, float]]]:
    engine = LmdbEngine(directory / "engine.mdb")
    engine.open_keyspaces(["a", "b"])
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        grouped = await _rate(engine, TASKS, WRITES)
        singly = await _rate(engine, 1, SINGLES)
        reads = [
            ("get", _each(lambda: engine.get("a", b"0/0"))),
            ("read, get in two keyspaces", _each(lambda: _read_two(engine))),
        ]
        nursery.cancel_scope.cancel()
    engine.close()
    return grouped, singly, reads


async def _rate(engine: LmdbEngine, tasks: int, writes: int) -> float:
    async def work(task: int) -> None:
        for number in range(writes):
            key = b"%d/%d" % (task, number)

            def change(txn: Transaction, key: bytes = key) -> None:
                txn.put("a", key, VALUE)
                txn.put("b", key, b"")

            await engine.commit(change)

    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for task in range(tasks):
            nursery.start_soon(work, task)
    return tasks * writes / (time.perf_counter() - started)


def _read_two(engine: LmdbEngine) -> None:
    with engine.read() as view:
        view.get("a", b"0/0")
        view.get("b", b"0/0")


def _each(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(READS):
        action()
    return (time.perf_counter() - started) / READS * 1e6


def _alternatives(directory: Path) -> Iterator[tuple[str, float]]:
    """Yield what was not chosen: keyspaces as prefixes, a child transaction for each change."""
    with _environment(directory / "alternatives.mdb") as env:
        first, second = env.open_db(b"first"), env.open_db(b"second")
        with env.begin(write=True) as txn:
            for number in range(50_000):
                for key, database in ((b"a%08d", first), (b"b%08d", first), (b"b%08d", second)):
                    txn.put(key % number, VALUE, db=database)

        def two_databases() -> None:
            txn = env.begin()
            txn.get(b"a00000007", db=first)
            txn.get(b"b00000007", db=second)
            txn.abort()

        def two_prefixes() -> None:
            txn = env.begin()
            txn.get(b"a00000007", db=first)
            txn.get(b"b00000007", db=first)
            txn.abort()

        yield "LMDB: two databases", _each(two_databases)
        yield "LMDB: one, two prefixes", _each(two_prefixes)
        yield "LMDB: put", _puts(env, first, nested=False)
        yield "LMDB: put, child transaction", _puts(env, first, nested=True)


def _puts(env: lmdb.Environment, database: "lmdb._Database", *, nested: bool) -> float:
    count = 5000
    with env.begin(write=True) as txn:
        started = time.perf_counter()
        for number in range(count):
            if nested:
                with env.begin(parent=txn, write=True) as child:
                    child.put(b"n%08d" % number, VALUE, db=database)
            else:
                txn.put(b"f%08d" % number, VALUE, db=database)
        return (time.perf_counter() - started) / count * 1e6


@contextmanager
def _environment(path: Path) -> Iterator[lmdb.Environment]:
    env = lmdb.open(str(path), subdir=False, map_size=1 << 28, max_dbs=4)
    try:
        yield env
    finally:
        env.close()


if __name__ == "__main__":
    main()
