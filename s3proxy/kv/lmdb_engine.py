"""The engine in the box: LMDB with group commit (docs/formats/kv.md).

Reads happen in the event loop's thread. All writes go through one writer thread, which takes every
change that waits and commits them together with one fsync. The memory map is resized only in the
event loop, where no read is open across an await, and only while the writer is outside a
transaction (`_map_lock`).

Several processes may have the file open; LMDB's lock file beside it serialises their writers.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import trio

from s3proxy.kv import lmdb_batch, lmdb_copy
from s3proxy.kv.engine import Transaction
from s3proxy.kv.errors import Broken, Closed, KvError
from s3proxy.kv.lmdb_errors import translate
from s3proxy.kv.lmdb_open import open_environment, while_growing
from s3proxy.kv.lmdb_pending import Pending, fail_all, settle_all
from s3proxy.kv.lmdb_views import Databases, LmdbSnapshot

T = TypeVar("T")

MAP_SIZE_BYTES = 256 << 20
# Address space, not disk; x86-64 and arm64 have 128 TiB of it.
MAP_SIZE_BYTES_MAX = 4 << 40
# Bounds the dirty pages of one transaction and the time until its first waiter is answered.
BATCH_CHANGES_MAX = 1024
# From so many writers on, a commit waits for more of them first. A PUT of 1 KiB over 64 connections
# then takes a fifth less CPU: fewer pages, syncs and fights for the interpreter's lock a change.
GATHERED_CHANGES_MIN = 16
# Bounds what a busy event loop adds to a commit.
GATHERING_S_MAX = 0.002
# Readers of processes that were killed keep old pages alive until they are found.
READER_CHECK_S = 60.0
# How late a commit of another process is noticed at most by who remembers what was read.
FOREIGN_CHECK_S = 0.2


# The transaction of a read that is not entered yet.
_NOT_BEGUN: Any = None


class LmdbRead(LmdbSnapshot):
    """A snapshot and its context in one; a class, because a generator would double its cost."""

    _engine: "LmdbEngine"

    def __enter__(self) -> LmdbSnapshot:
        engine = self._engine
        try:
            self._txn = engine.begin()
        except lmdb.Error as error:
            self._txn = engine.begin_anew(error)
        engine.open_reads += 1
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        engine = self._engine
        engine.open_reads -= 1
        self._txn.abort()
        if error is not None and isinstance(error, lmdb.Error):
            raise translate(error, "read", engine.path) from error


class LmdbEngine:
    """An `Engine` (kv/engine.py) over one LMDB file.

    Args:
        path: the database file; its lock file lies beside it. The directory must exist.
        map_size_bytes: the size to start with; it doubles by itself up to `map_size_bytes_max`.
        sync: False gives up durability (a power loss can corrupt the file): for tests only.

    Raises:
        InvalidStore: the file is not a database, or damaged.
        KvError: it cannot be opened.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        map_size_bytes: int = MAP_SIZE_BYTES,
        map_size_bytes_max: int = MAP_SIZE_BYTES_MAX,
        sync: bool = True,
    ) -> None:
        self.path = str(path)
        self.batches = 0
        self.changes = 0
        self.commit_s = 0.0
        self._last_batch = 0
        self._round_over = threading.Event()
        # Who is told of changes: of all, and of those to a keyspace.
        self._forget_always: list[Callable[[], None]] = []
        self._forget: dict[str, list[Callable[[], None]]] = {}
        self._map_size_bytes_max = map_size_bytes_max
        self._env = open_environment(self.path, map_size_bytes=map_size_bytes, sync=sync)
        # Begins a read transaction; the map keeps its place while `open_reads` is not zero.
        self.begin = self._env.begin
        self.open_reads = 0
        self._databases: Databases = {}
        self._queue: queue.SimpleQueue[Pending[object] | None] = queue.SimpleQueue()
        self._map_lock = threading.Lock()
        self._accepting = True
        self._broken: KvError | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._checked_s = time.monotonic()

    def open_keyspaces(self, names: Iterable[str], /) -> None:
        """Create or open the named keyspaces; waits for other processes' writers."""
        try:
            for name in names:
                if name not in self._databases:
                    self._databases[name] = self._open_keyspace(name.encode())
        except lmdb.Error as error:
            raise translate(error, "open", self.path) from error

    def _open_keyspace(self, name: bytes) -> "lmdb._Database":
        return while_growing(self._env, lambda: self._env.open_db(name))

    @property
    def queued(self) -> int:
        """How many changes wait for the writer."""
        return self._queue.qsize()

    def get(self, keyspace: str, key: bytes, /) -> bytes | None:
        """Return the value under `key`; about 1 us."""
        # As `read` with one get, without its four calls.
        try:
            txn = self.begin()
        except lmdb.Error as error:
            txn = self.begin_anew(error)
        try:
            return txn.get(key, None, self._databases[keyspace])
        except lmdb.BadValsizeError:
            return None
        except lmdb.Error as error:
            raise translate(error, "read", self.path) from error
        finally:
            txn.abort()

    def read(self) -> "LmdbRead":
        """Open a snapshot; see `kv.engine.Engine.read`. About 1.5 us with two gets."""
        return LmdbRead(self._databases, _NOT_BEGUN, self)

    def on_change(self, forget: Callable[[], None], /, *keyspaces: str) -> None:
        """Have `forget` called on commits; see `kv.engine.Engine.on_change`."""
        if not keyspaces:
            self._forget_always.append(forget)
        for name in keyspaces:
            self._forget.setdefault(name, []).append(forget)

    def submit(self, change: Callable[[Transaction], T], /) -> Pending[T]:
        """Queue a change; see `kv.engine.Engine.submit`."""
        if not self._accepting:
            raise self._broken or Closed("commit", self.path, "the database is closed")
        pending = Pending(change)
        self._queue.put(pending)  # type: ignore[arg-type]  # Pending is covariant in its result
        return pending

    async def commit(self, change: Callable[[Transaction], T], /) -> T:
        """Queue a change and wait until it is durable."""
        return await self.submit(change).wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit queued changes until cancelled, then those still queued; afterwards Closed.

        Raises:
            Broken: the database died; every queued change has failed.
        """
        self._token = trio.lowlevel.current_trio_token()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_writer, nursery.cancel_scope)
                nursery.start_soon(self._notice_others)
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self._accepting = False
                    self._queue.put(None)
        finally:
            self._accepting = False
            self._fail_queued()
        if self._broken is not None:
            raise self._broken

    async def copy_to(self, target: int, /) -> None:
        """Write a consistent copy to an open file; see `kv.engine.Engine.copy_to`."""
        await lmdb_copy.copy(self.path, target)

    def close(self) -> None:
        """Flush and close; idempotent. After `run` has ended."""
        self._accepting = False
        try:
            self._env.sync(True)
        except lmdb.Error:
            # Already closed, or broken: every acknowledged commit was synced by itself.
            pass
        self._env.close()

    def begin_anew(self, error: lmdb.Error) -> "lmdb.Transaction[bytes]":
        """Begin a read transaction after `begin` failed with `error`, or say why not."""
        if isinstance(error, lmdb.MapResizedError):
            if not self._resize(0):
                raise KvError("read", self.path, "grown elsewhere while a read was open") from None
            return self.begin()
        if not self._accepting:
            raise Closed("read", self.path, "the database is closed") from error
        raise translate(error, "read", self.path) from error

    def _resize(self, size_bytes: int) -> bool:
        """Set the map's size (0: what other processes made it); False while a read is open.

        In the event loop's thread. Waits for a commit that is under way.
        """
        if self.open_reads:
            return False
        with self._map_lock:
            self._env.set_mapsize(size_bytes)
        return True

    async def _resize_when_unread(self, size_bytes: int) -> None:
        while not self._resize(size_bytes):
            await trio.lowlevel.checkpoint()

    async def _run_writer(self, scope: trio.CancelScope) -> None:
        # Not cancelled but told to end, by the None in its queue: what was queued is committed
        # first. A limiter of its own: the writer stays, and must not wait for other threads.
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._work, limiter=trio.CapacityLimiter(1))
        scope.cancel()

    def _work(self) -> None:
        """Commit batch after batch; the writer thread."""
        assert self._token is not None
        while batch := self._take():
            started_s = time.perf_counter()
            touched: set[str] = set()
            try:
                touched = self._store(batch)
            except BaseException as error:
                # A bug, or the end of the process: nobody is left waiting for the answer.
                fail_all(batch, error)
                raise
            finally:
                self._token.run_sync_soon(self._settle, batch, touched)
            self.commit_s += time.perf_counter() - started_s
            self.batches += 1
            self.changes += len(batch)
            self._last_batch = len(batch)
            if self._broken is not None:
                return

    def _settle(self, batch: list[Pending[object]], touched: set[str]) -> None:
        for forget in self._forget_always:
            forget()
        for name in self._forget.keys() & touched:
            for forget in self._forget[name]:
                forget()
        settle_all(batch)

    async def _notice_others(self) -> None:
        last = -1  # what was read before this began may have changed since
        while True:
            await trio.sleep(FOREIGN_CHECK_S)
            now = self._env.info()["last_txnid"]
            if now != last:
                last = now
                for forget in chain(self._forget_always, *self._forget.values()):
                    forget()

    def _take(self) -> list[Pending[object]]:
        """Wait for changes; return all that are queued, in order. Empty: the end.

        What the last batch held and what is queued by now tells how many write at the same time.
        """
        batch: list[Pending[object]] = []
        pending = self._first()
        if self._last_batch + self._queue.qsize() >= GATHERED_CHANGES_MIN:
            self._gather()
        while pending is not None:
            batch.append(pending)
            if len(batch) == BATCH_CHANGES_MAX or self._queue.empty():
                return batch
            pending = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _gather(self) -> None:
        """Let the event loop go round once: whoever had something to submit has then done so."""
        assert self._token is not None
        self._round_over.clear()
        self._token.run_sync_soon(self._round_over.set)
        self._round_over.wait(GATHERING_S_MAX)

    def _first(self) -> Pending[object] | None:
        while True:
            now_s = time.monotonic()
            if now_s - self._checked_s >= READER_CHECK_S:
                self._env.reader_check()
                self._checked_s = now_s
            try:
                return self._queue.get(timeout=READER_CHECK_S)
            except queue.Empty:
                continue

    def _store(self, batch: list[Pending[object]]) -> set[str]:
        """Commit a batch, growing the map as needed; returns the keyspaces that may have changed.

        A failure is left in every member.
        """
        while True:
            try:
                with self._map_lock:
                    return lmdb_batch.store(self._env, self._databases, batch)
            except lmdb.MapFullError as error:
                grown = self._grow()
                failure: KvError = translate(error, "grow", self.path)
            except lmdb.MapResizedError as error:
                grown = self._ask_resize(0)
                failure = translate(error, "commit", self.path)
            except lmdb.Error as error:
                grown = False
                failure = translate(error, "commit", self.path)
            if not grown:
                self._refuse(batch, failure)
                return set()

    def _refuse(self, batch: list[Pending[object]], failure: KvError) -> None:
        fail_all(batch, failure)
        if isinstance(failure, Broken):
            self._broken = failure
            self._accepting = False

    def _grow(self) -> bool:
        size_bytes = self._env.info()["map_size"]
        if size_bytes >= self._map_size_bytes_max:
            return False
        return self._ask_resize(min(size_bytes * 2, self._map_size_bytes_max))

    def _ask_resize(self, size_bytes: int) -> bool:
        try:
            trio.from_thread.run(self._resize_when_unread, size_bytes, trio_token=self._token)
        except (lmdb.Error, MemoryError):
            return False
        return True

    def _fail_queued(self) -> None:
        left = []
        while not self._queue.empty():
            pending = self._queue.get()
            if pending is not None:
                left.append(pending)
        fail_all(left, self._broken or Closed("commit", self.path, "the database is closed"))
        settle_all(left)
