"""Disk work off the event loop: threads, pooled buffers, and bodies that flow through them.

A body of at most INLINE_BYTES_MAX is written where it stands: a copy into the page cache costs less
than a thread hop. A longer one goes through two buffers: the loop fills one while a thread writes
the other.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from s3proxy.backends.errors import BodyRejected
from s3proxy.http.body import ByteSource

INLINE_BYTES_MAX = 64 << 10
BUFFER_BYTES = 1 << 20  # a hop costs about 60 µs, hashing 1 MiB about 3 ms
BUFFERS_MAX = 64  # lent at a time, over all writers
BUFFERS_IDLE_MAX = 8  # kept while nobody writes
SMALL_BUFFER_BYTES = 32 << 10  # when all are lent
FILL_SLACK_BYTES = 16 << 10  # less room than this left: the buffer counts as full
THREADS_MAX = 32  # fsyncs that wait together share one journal commit
COPY_STEP_BYTES = 64 << 20  # between two looks at cancellation

_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_CANNOT_CLONE = {
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EPERM,
}

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class BufferPool:
    """Large buffers, lent without waiting.

    A slow client may hold its buffer for as long as its deadline allows, so nobody queues for one:
    when all are lent, writers get on with a small buffer of their own.
    """

    def __init__(self, buffers_max: int = BUFFERS_MAX, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._buffers_max = buffers_max
        self._buffer_bytes = buffer_bytes
        self._idle: list[bytearray] = []
        self.lent = 0

    def take(self) -> bytearray:
        """A pooled buffer, or a small one when all are lent; give it back with `give`."""
        if self.lent >= self._buffers_max:
            return bytearray(SMALL_BUFFER_BYTES)
        self.lent += 1
        return self._idle.pop() if self._idle else bytearray(self._buffer_bytes)

    def give(self, buffer: bytearray) -> None:
        """Return what `take` gave; nothing may refer to it any more."""
        if len(buffer) != self._buffer_bytes:
            return
        self.lent -= 1
        if len(self._idle) < BUFFERS_IDLE_MAX:
            self._idle.append(buffer)


class _Write:
    """One buffer on its way to the file in a thread; owns the buffer until `wait` returns."""

    __slots__ = ("_done", "_error", "_limiter", "buffer")

    def __init__(self, buffer: bytearray, limiter: trio.CapacityLimiter) -> None:
        self.buffer = buffer
        self._limiter = limiter
        self._done = trio.Event()
        self._error: BaseException | None = None

    async def start(self, fd: int, count: int, offset: int) -> None:
        await self._limiter.acquire_on_behalf_of(self)
        token = trio.lowlevel.current_trio_token()
        view = memoryview(self.buffer)[:count]

        def work() -> None:
            pwrite_all(fd, view, offset)

        def deliver(result: object) -> None:
            token.run_sync_soon(self._finished, getattr(result, "error", None))

        trio.lowlevel.start_thread_soon(work, deliver)

    def _finished(self, error: BaseException | None) -> None:
        self._limiter.release_on_behalf_of(self)
        self._error = error
        self._done.set()

    async def wait(self) -> None:
        """Until the thread is done with file and buffer, whatever is cancelled; its OSError."""
        with trio.CancelScope(shield=True):
            await self._done.wait()
        if self._error is not None:
            raise self._error


class Disk:
    """Threads and buffers that the stores of one process share."""

    def __init__(self, pool: BufferPool | None = None, threads_max: int = THREADS_MAX) -> None:
        self.pool = pool or BufferPool()
        self._limiter = trio.CapacityLimiter(threads_max)

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call `function` in a worker thread; a cancelled caller still waits for its end."""
        return await trio.to_thread.run_sync(function, *args, limiter=self._limiter)

    async def write(self, fd: int, source: ByteSource, *, length: int, offset: int = 0) -> int:
        """Write the whole of `source` at `offset` of the file.

        Args:
            length: what the source has to give; -1 when it is not known.
        Returns:
            The bytes written.
        Raises:
            BodyRejected: the source gave more or fewer than `length`.
            OSError: of the write; also whatever the source raises.
        """
        if 0 <= length <= INLINE_BYTES_MAX:
            total = await _write_inline(fd, source, length, offset)
        else:
            total = await self._stream(fd, source, length, offset)
        if length not in (-1, total):
            raise BodyRejected("put", hint=f"the body has {total} of {length} bytes")
        return total

    async def _stream(self, fd: int, source: ByteSource, length: int, offset: int) -> int:
        total = 0
        ended = False
        pending: _Write | None = None
        filling: bytearray | None = None
        try:
            while not ended:
                filling = self.pool.take()
                count, ended = await _fill(filling, source)
                total += count
                if 0 <= length < total:
                    raise BodyRejected("put", hint=f"the body is longer than {length} bytes")
                previous, pending = pending, None
                await self._settle(previous)
                write = _Write(filling, self._limiter)
                await write.start(fd, count, offset + total - count)
                pending, filling = write, None
        finally:
            if filling is not None:
                self.pool.give(filling)
            await self._settle(pending)
        return total

    async def _settle(self, write: _Write | None) -> None:
        if write is not None:
            try:
                await write.wait()
            finally:
                self.pool.give(write.buffer)

    async def copy(self, source_fd: int, target_fd: int, span: tuple[int, int], at: int) -> None:
        """Copy bytes span[0]..span[1] (half-open) of one file to offset `at` of another.

        Shares the blocks where the file system can, else copies inside the kernel.
        """
        start, stop = span
        whole = start == 0 and at == 0 and os.fstat(source_fd).st_size == stop
        if whole and await self.run(_clone, source_fd, target_fd):
            return
        while start < stop:
            step = min(COPY_STEP_BYTES, stop - start)
            await self.run(_copy_range, source_fd, target_fd, (start, start + step), at)
            start += step
            at += step


async def _fill(buffer: bytearray, source: ByteSource) -> tuple[int, bool]:
    """Read until the buffer is about full; (bytes, whether the source ended)."""
    filled = 0
    with memoryview(buffer) as view:
        while len(view) - filled >= FILL_SLACK_BYTES:
            count = await source.read_into(view[filled:])
            if count == 0:
                return filled, True
            filled += count
    return filled, False


async def _write_inline(fd: int, source: ByteSource, length: int, offset: int) -> int:
    # Room to spare, because decoding sources work in place and need space for their framing.
    buffer = bytearray(length + FILL_SLACK_BYTES)
    total = 0
    with memoryview(buffer) as view:
        while count := await source.read_into(view[total:]):
            total += count
            if total > length:
                raise BodyRejected("put", hint=f"the body is longer than {length} bytes")
        pwrite_all(fd, view[:total], offset)
    return total


def pwrite_all(fd: int, view: memoryview, offset: int) -> None:
    """Write all of `view` at `offset`; OSError. Blocks."""
    while view:
        count = os.pwrite(fd, view, offset)
        view = view[count:]
        offset += count


def sync_directory(path: str, dir_fd: int | None = None) -> None:
    """Make the names in a directory durable. Blocks."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _clone(source_fd: int, target_fd: int) -> bool:
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError as error:
        if error.errno in _CANNOT_CLONE:
            return False
        raise
    return True


def _copy_range(source_fd: int, target_fd: int, span: tuple[int, int], at: int) -> None:
    start, stop = span
    while start < stop:
        try:
            count = os.copy_file_range(source_fd, target_fd, stop - start, start, at)
        except OSError as error:
            if error.errno not in _CANNOT_CLONE:
                raise
            block = os.pread(source_fd, min(BUFFER_BYTES, stop - start), start)
            pwrite_all(target_fd, memoryview(block), at)
            count = len(block)
        if count == 0:
            raise OSError(errno.EIO, "the source of a copy became shorter")
        start += count
        at += count
