"""A process whose files may not grow any more: what a full disk looks like to the engine."""

import resource
import sys
from pathlib import Path

import trio

from s3proxy.kv.errors import KvError
from tests.kv.engines import running

VALUE_BYTES = 2 << 20


async def _fill(directory: Path) -> None:
    async with running(directory, map_size_bytes=1 << 24, sync=True) as engine:
        await engine.commit(lambda txn: txn.put("a", b"before", b"v"))
        limit = (directory / "catalog.mdb").stat().st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            await engine.commit(lambda txn: txn.put("a", b"large", bytes(VALUE_BYTES)))
        except KvError as error:
            print(type(error).__name__)
        if engine.get("a", b"before") == b"v" and engine.get("a", b"large") is None:
            print("readable")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await engine.commit(lambda txn: txn.put("a", b"large", bytes(VALUE_BYTES)))
        print("recovered")


if __name__ == "__main__":
    trio.run(_fill, Path(sys.argv[1]))
