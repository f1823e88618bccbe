"""Bodies: what a request brings and what an answer carries.

A body is read by `read_into`, or moved whole by `send_to`, by the kernel where that can be.
Who gets a body closes it with `aclose`, also after reading it to its end.
"""

import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from s3proxy.http.buffers import BUFFERS
from s3proxy.http.bulk import send_in_bulk
from s3proxy.http.errors import BodyCutShort
from s3proxy.http.request_body import RequestBody as RequestBody
from s3proxy.http.transport import Transport

# More than a socket's send buffer takes at once, so one call fills it.
SENDFILE_BYTES_MAX: Final = 8 * 1024 * 1024


class ByteSource(Protocol):
    """Bytes that are read once, in order."""

    @property
    def length(self) -> int | None:
        """Bytes in all; None or -1: known only at the end."""

    async def read_into(self, buffer: memoryview) -> int:
        """Read at least one byte into `buffer`, which is not empty.

        Returns:
            The count; 0: complete.
        Raises:
            TransportError: the source ended early, or broke.
        """


class Body(ByteSource, Protocol):
    """A source that an answer can carry."""

    @property
    def length(self) -> int:
        """Bytes in all; -1: known only at the end."""

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """Send what is left of the body, exactly, to `sink`.

        Raises:
            TransportError: an unknown part was sent; the sink must be closed.
        When cancelled, the same holds.
        """

    async def aclose(self) -> None:
        """Give back what the body holds; idempotent."""


class BytesBody:
    """Bytes in memory."""

    __slots__ = ("_data", "_start", "length")

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._start = 0
        self.length = len(data)

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; no checkpoint."""
        count = min(len(buffer), self.length - self._start)
        buffer[:count] = self._data[self._start : self._start + count]
        self._start += count
        return count

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`."""
        await sink.send_all(self.take(), timeout_s=timeout_s)

    def take(self) -> memoryview:
        """What is left; it counts as read."""
        data, self._start = self._data[self._start :], self.length
        return data

    async def aclose(self) -> None:
        """Holds nothing."""


class FileBody:
    """A part of an open file: sendfile to a plain socket, else one pooled buffer.

    Args:
        fd: stays at its own position; every read gives its offset.
        offset: of the first byte.
        length: the file must have that many bytes from there.
        close: whether `aclose` closes `fd`; False where it is shared, and closed by its owner.
    """

    __slots__ = ("_close", "_fd", "_offset", "_remaining", "length")

    def __init__(self, fd: int, offset: int, length: int, close: bool = True) -> None:
        self._fd = fd
        self._offset = offset
        self._remaining = length
        self._close = close
        self.length = length

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; reads in this thread, no checkpoint."""
        if not self._remaining:
            return 0
        count = os.preadv(self._fd, [buffer[: self._remaining]], self._offset)
        self._advance(count)
        return count

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`."""
        if sink.plain:
            await self._sendfile(sink, timeout_s)
            return
        await send_by_buffer(self, sink, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """See `Body.aclose`."""
        if self._close:
            self._close = False
            os.close(self._fd)

    async def _sendfile(self, sink: Transport, timeout_s: float) -> None:
        send_in_bulk(sink, self._remaining)
        while self._remaining:
            wanted = min(self._remaining, SENDFILE_BYTES_MAX)
            try:
                sent = os.sendfile(sink.fileno(), self._fd, self._offset, wanted)
            except BlockingIOError:
                await sink.wait_to_send(timeout_s)
                continue
            except OSError as error:
                if error.errno == errno.EIO:
                    raise BodyCutShort(f"the file cannot be read: {error}") from error
                raise sink.broken(error) from error
            self._advance(sent)
            sink.bytes_sent += sent
            if sent < wanted:
                # The socket is full, and says when it is not: another try would only be told so.
                await sink.wait_to_send(timeout_s)
            else:
                await sink.count_operation()

    def _advance(self, count: int) -> None:
        if not count:
            raise BodyCutShort(f"file ended {self._remaining} bytes early")
        self._offset += count
        self._remaining -= count


class SegmentsBody:
    """Bodies one after the other, each opened when its turn comes.

    Args:
        first: what the others follow.
        openers: each gives the next body; BodyCutShort where it cannot. All are closed here.
        length: of all together.
    """

    __slots__ = ("_current", "_openers", "length")

    def __init__(
        self, first: Body, openers: Sequence[Callable[[], Awaitable[Body]]], length: int
    ) -> None:
        self._openers = iter(openers)
        self._current: Body | None = first
        self.length = length

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`."""
        while (segment := await self._segment()) is not None:
            count = await segment.read_into(buffer)
            if count:
                return count
            await self.aclose()
        return 0

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`."""
        while (segment := await self._segment()) is not None:
            await segment.send_to(sink, timeout_s=timeout_s)
            await self.aclose()

    async def aclose(self) -> None:
        """Close the segment that is open; see `Body.aclose`."""
        segment, self._current = self._current, None
        if segment is not None:
            await segment.aclose()

    async def _segment(self) -> Body | None:
        if self._current is None:
            opener = next(self._openers, None)
            if opener is not None:
                self._current = await opener()
        return self._current


class GeneratedBody:
    """A body that is written while it is sent, of unknown length.

    Args:
        write: is given a function that sends bytes (empty ones are skipped) and returns at the
            end of the body. It runs in the connection's task.
    """

    __slots__ = ("write",)

    length = -1

    def __init__(
        self, write: Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        self.write = write

    async def aclose(self) -> None:
        """Holds nothing."""


async def send_by_buffer(source: ByteSource, sink: Transport, *, timeout_s: float) -> None:
    """Send what is left of `source` through a pooled buffer; see `Body.send_to`."""
    buffer = BUFFERS.take()
    try:
        while count := await source.read_into(buffer):
            await sink.send_all(buffer[:count], timeout_s=timeout_s)
    finally:
        BUFFERS.give(buffer)
