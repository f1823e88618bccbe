"""An ordered map of bytes with serialisable transactions: what everything above rests on.

Keys are 1 to 511 bytes, values up to 2 GiB; both live in named keyspaces, each sorted by byte
order.

A *change* is a function of a Transaction. It runs in the engine's writer, apart from the event
loop, after all changes submitted before it. It may run more than once (a batch is retried after
the store has grown), so it may depend on nothing but its transaction and values fixed beforehand,
and may not touch state outside. When it raises, none of its own effects are kept and the exception
reaches whoever waits for it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Snapshot(Protocol):
    """One unchanging view of all keyspaces."""

    def get(self, keyspace: str, key: bytes, /) -> bytes | None:
        """Return the value under `key`, or None."""

    def scan(
        self, keyspace: str, start: bytes, stop: bytes | None = None, /
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start <= key < stop in byte order, lazily."""


class Transaction(Snapshot, Protocol):
    """A snapshot that also sees and makes its own writes."""

    def put(self, keyspace: str, key: bytes, value: bytes, /) -> None:
        """Store `value` under `key`, replacing what was there."""

    def delete(self, keyspace: str, key: bytes, /) -> bool:
        """Remove `key`; False when it was not there."""


class Commit(Protocol[T_co]):
    """A change that was queued."""

    async def wait(self) -> T_co:
        """Return what the change returned, once it is durable.

        Cancelled: the change happens all the same; only the answer is lost.

        Raises:
            KvError: it could not be stored; nothing of it was.
            Exception: what the change itself raised.
        """


class Engine(Protocol):
    """An ordered, transactional store with group commit."""

    def open_keyspaces(self, names: Iterable[str], /) -> None:
        """Make sure that the named keyspaces exist; for start-up, before `run`."""

    def read(self) -> AbstractContextManager[Snapshot]:
        """Open a snapshot: in the event loop's thread, short, never held across an await."""

    def get(self, keyspace: str, key: bytes, /) -> bytes | None:
        """Return the value under `key` as of now: `read` and `Snapshot.get` in one."""

    def on_change(self, forget: Callable[[], None], /, *keyspaces: str) -> None:
        """Have `forget` called, in the event loop, whenever what was read may have changed.

        With `keyspaces`, only when something in these may have; without, on every commit.

        That is before a commit of this process is answered, and within a fraction of a second of
        another process's.
        """

    def submit(self, change: Callable[[Transaction], T], /) -> Commit[T]:
        """Queue a change at once, in order of the calls.

        Raises:
            Closed: the engine is closed.
        """

    async def commit(self, change: Callable[[Transaction], T], /) -> T:
        """Queue a change and wait until it is durable; see `Commit.wait`."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit queued changes until cancelled; all that were queued by then are committed."""

    async def copy_to(self, target: int, /) -> None:
        """Write all keyspaces, as of one commit, into the open, empty file `target`; synced.

        Changes go on meanwhile. Cancelled or failed: the file holds rubbish.

        Raises:
            DiskFull, WriteFailed: there; the store is as it was.
            KvError: the store cannot be read.
        """

    def close(self) -> None:
        """Flush and close; reads and writes raise Closed afterwards. Idempotent."""
