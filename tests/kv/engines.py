"""Engines for tests of what rests on them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from s3proxy.kv.lmdb_engine import LmdbEngine


@asynccontextmanager
async def running(
    directory: Path,
    *,
    keyspaces: Sequence[str] = ("a", "b"),
    map_size_bytes: int = 1 << 20,
    map_size_bytes_max: int = 1 << 32,
    sync: bool = False,
) -> AsyncIterator[LmdbEngine]:
    """Run an engine on `directory`/catalog.mdb; closed at the end."""
    engine = LmdbEngine(
        directory / "catalog.mdb",
        map_size_bytes=map_size_bytes,
        map_size_bytes_max=map_size_bytes_max,
        sync=sync,
    )
    try:
        engine.open_keyspaces(keyspaces)
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, engine)
            yield engine
            nursery.cancel_scope.cancel()
    finally:
        engine.close()


async def _run(engine: LmdbEngine, task_status: trio.TaskStatus[None]) -> None:
    await engine.run(task_status=task_status)
