"""A process that writes to an engine and says what was acknowledged; run with `python -m`.

    python -m tests.kv.writer_process DIRECTORY NAME CHANGES VALUE_BYTES

Sixteen tasks make CHANGES changes each. A change stores ROWS rows under `NAME/task/number/row`;
once it is durable, the line `task/number` goes to standard output in one write.
"""

import os
import sys
from pathlib import Path

import trio

from s3proxy.kv.engine import Transaction
from tests.kv.engines import running

TASKS = 16
ROWS = 4


def rows_of(name: str, change: str) -> list[tuple[str, bytes]]:
    """Return (keyspace, key) of the rows that one change stores."""
    return [("ab"[row % 2], f"{name}/{change}/{row}".encode()) for row in range(ROWS)]


async def _write(directory: Path, name: str, changes: int, value_bytes: int) -> None:
    async with running(directory, map_size_bytes=1 << 18, sync=True) as engine:

        async def work(task: int) -> None:
            for number in range(changes):
                change = f"{task}/{number}"

                def store(txn: Transaction, change: str = change) -> None:
                    for keyspace, key in rows_of(name, change):
                        txn.put(keyspace, key, bytes(value_bytes))

                await engine.commit(store)
                os.write(1, f"{change}\n".encode())

        async with trio.open_nursery() as nursery:
            for task in range(TASKS):
                nursery.start_soon(work, task)


if __name__ == "__main__":
    trio.run(_write, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
