"""A request body on its way to an upstream, with an eye on an answer that comes too early.

The head leaves together with the first bytes of the body. Between pieces, and while nothing moves,
the upstream is listened to: an answer ends the sending at once.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from s3proxy._fast.http1 import ResponseHead
from s3proxy.http.body import ByteSource
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.errors import (
    BodyCutShort,
    DeadlineExceeded,
    Disconnected,
    TransportError,
    UpstreamError,
)
from s3proxy.http.pipes import PIPES
from s3proxy.http.relay import take_pipe
from s3proxy.http.request_body import RequestBody
from s3proxy.http.splice import Splicer
from s3proxy.http.upstream import UpstreamConnection

# How long a sender that is blocked goes without listening.
LISTEN_S: Final = 1.0
# Up to here copying the first piece behind the head is cheaper than a second send.
JOINED_BYTES_MAX: Final = 64 * 1024
CHUNKED: Final = -1
# Room in the buffer before a piece for "<size in hex>\r\n", and after it for "\r\n".
_CHUNK_HEAD_BYTES: Final = 12
_CHUNK_END: Final = b"\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Upload:
    """One body for one exchange, copied through one pooled buffer; `close` it.

    Args:
        body: read exactly `length` bytes far.
        length: bytes, as Content-Length in the head says; -1: to the end, sent chunked.
        timeout_s: bound on each wait without progress.

    Attributes:
        can_replay: all that was read is still at hand, so that `send` may be called again.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunked",
        "_first",
        "_remaining",
        "_stalled_at_s",
        "_timeout_s",
        "can_replay",
    )

    def __init__(self, body: ByteSource, length: int, *, timeout_s: float) -> None:
        self._body = body
        self._chunked = length == CHUNKED
        self._remaining = length
        self._timeout_s = timeout_s
        self._stalled_at_s = 0.0
        self._buffer: memoryview | None = None
        self._first: memoryview | bytes | None = None
        self.can_replay = True

    async def prepare(self) -> None:
        """Read the first piece, unless that was done.

        Raises:
            TransportError: from the body; BodyCutShort.
        """
        if self._first is None:
            self._buffer = BUFFERS.take()
            self._first = await self._read_piece(self._buffer)

    async def send(
        self, connection: UpstreamConnection, head: bytes, method: str
    ) -> ResponseHead | None:
        """Send `head` and the body.

        Returns:
            None when all was sent; or the answer that came before: the connection is lost for
            further exchanges then, and the rest of the body was not read.
        Raises:
            UpstreamError: the connection broke.
            TransportError: from the body; BodyCutShort.
            DeadlineExceeded: either side stood still.
        """
        self._note_progress()
        first = self._first or b""
        if len(first) <= JOINED_BYTES_MAX:
            answer = await self._push(connection, method, b"".join((head, first)))
        else:
            answer = await self._push(connection, method, head, more=True)
            answer = answer or await self._push(connection, method, first)
        return answer or await self._send_rest(connection, method)

    def close(self) -> None:
        """Give the buffer back; idempotent."""
        buffer, self._buffer = self._buffer, None
        self._first = None
        if buffer is not None:
            BUFFERS.give(buffer)

    async def _send_rest(self, connection: UpstreamConnection, method: str) -> ResponseHead | None:
        if not self._remaining:
            return None
        self.can_replay = False
        buffer = self._buffer = self._buffer or BUFFERS.take()
        while self._remaining:
            piece = await self._read_piece(buffer)
            answer = self._listen(connection, method)
            answer = answer or await self._push(connection, method, piece)
            if answer is not None:
                return answer
            await connection.transport.count_operation()
        return None

    async def _read_piece(self, buffer: memoryview) -> memoryview | bytes:
        """The next piece as it goes on the wire; `_remaining` is 0 after the last one."""
        if self._chunked:
            return await self._read_chunk(buffer)
        if not self._remaining:
            return b""
        count = await self._body.read_into(buffer[: self._remaining])
        if not count:
            raise BodyCutShort(f"the body ended {self._remaining} bytes early")
        self._remaining -= count
        return buffer[:count]

    async def _read_chunk(self, buffer: memoryview) -> memoryview | bytes:
        start = _CHUNK_HEAD_BYTES
        count = await self._body.read_into(buffer[start : -len(_CHUNK_END)])
        if not count:
            self._remaining = 0
            return _LAST_CHUNK
        head = b"%x\r\n" % count
        stop = start + count + len(_CHUNK_END)
        buffer[start - len(head) : start] = head
        buffer[stop - len(_CHUNK_END) : stop] = _CHUNK_END
        return buffer[start - len(head) : stop]

    async def _push(
        self,
        connection: UpstreamConnection,
        method: str,
        data: bytes | memoryview,
        *,
        more: bool = False,
    ) -> ResponseHead | None:
        transport = connection.transport
        rest = memoryview(data)
        while rest:
            try:
                sent = transport.send_nowait(rest, more=more)
            except Disconnected as error:
                return self._last_words(connection, method, error)
            if sent > 0:
                rest = rest[sent:]
                self._note_progress()
            elif (
                answer := await self._pause(transport.wait_to_send, connection, method)
            ) is not None:
                return answer
        return None

    async def _pause(
        self,
        wait: Callable[[float], Awaitable[None]],
        connection: UpstreamConnection,
        method: str,
    ) -> ResponseHead | None:
        """Wait a while, then listen; the caller tries again whatever the outcome."""
        left_s = self._stalled_at_s - trio.current_time()
        try:
            await wait(min(left_s, LISTEN_S))
        except DeadlineExceeded:
            if left_s <= LISTEN_S:
                raise
        return self._listen(connection, method)

    def _note_progress(self) -> None:
        self._stalled_at_s = trio.current_time() + self._timeout_s

    def _listen(self, connection: UpstreamConnection, method: str) -> ResponseHead | None:
        try:
            return connection.poll_head(method)
        except Disconnected as error:
            raise UpstreamError(f"while the request was sent: {error}") from error

    def _last_words(
        self, connection: UpstreamConnection, method: str, error: Disconnected
    ) -> ResponseHead:
        """The answer that the upstream gave before it closed, which may still be there."""
        try:
            answer = connection.read_head_nowait(method)
        except TransportError:
            answer = None
        if answer is None:
            raise UpstreamError(f"while the request was sent: {error}") from error
        return answer


class SplicedUpload(Upload):
    """A request body of known length that passes from socket to socket inside the kernel.

    Args:
        body: on a plain connection, its length that of the upload.
    """

    __slots__ = ("_request_body",)

    def __init__(self, body: RequestBody, *, timeout_s: float) -> None:
        super().__init__(body, body.remaining, timeout_s=timeout_s)
        self._request_body = body

    async def prepare(self) -> None:
        """Take what came with the request's head; no checkpoint."""
        if self._first is None:
            self._first = self._request_body.buffered()
            self._remaining = self._request_body.remaining

    async def _send_rest(self, connection: UpstreamConnection, method: str) -> ResponseHead | None:
        body, sink = self._request_body, connection.transport
        pipe = take_pipe(body.transport, sink, self._remaining)
        if pipe is None:
            return await super()._send_rest(connection, method)
        self.can_replay = False
        splicer = Splicer(body.transport, sink, self._remaining, pipe)
        try:
            await body.start()
            return await self._splice(splicer, connection, method)
        finally:
            splicer.close()
            PIPES.give(pipe)

    async def _splice(
        self, splicer: Splicer, connection: UpstreamConnection, method: str
    ) -> ResponseHead | None:
        while splicer.remaining:
            answer = await self._fill(splicer, connection, method)
            answer = answer or self._listen(connection, method)
            answer = answer or await self._drain(splicer, connection, method)
            if answer is not None:
                return answer
            await splicer.count_operation()
        self._remaining = 0
        return None

    async def _fill(
        self, splicer: Splicer, connection: UpstreamConnection, method: str
    ) -> ResponseHead | None:
        body = self._request_body
        self._stalled_at_s = trio.current_time() + body.timeout_s
        try:
            while not (count := splicer.fill_nowait()):
                answer = await self._pause(splicer.wait_to_fill, connection, method)
                if answer is not None:
                    return answer
        except (Disconnected, DeadlineExceeded):
            body.broken = True
            raise
        body.advance(count)
        self._note_progress()
        return None

    async def _drain(
        self, splicer: Splicer, connection: UpstreamConnection, method: str
    ) -> ResponseHead | None:
        while True:
            held = splicer.pipe.held
            try:
                if splicer.drain_nowait():
                    return None
            except Disconnected as error:
                return self._last_words(connection, method, error)
            if splicer.pipe.held < held:
                self._note_progress()
            answer = await self._pause(splicer.wait_to_drain, connection, method)
            if answer is not None:
                return answer
