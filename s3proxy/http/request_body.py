"""The body of a request, read from the connection it came on."""

import msgspec

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import ChunkedDecoder, RequestHead
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.errors import BodyTooLarge, Disconnected, ProtocolError, TransportError
from s3proxy.http.transport import Transport

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody(msgspec.Struct, eq=False):
    """Bytes the client sends after its head; transfer coding removed.

    The first read answers `Expect: 100-continue`, so whoever refuses a request before reading keeps
    the client from sending. To splice, send `buffered()` on, call `start()`, move up to `remaining`
    bytes from `transport`, and tell `advance()`. What is not made `of` a head is empty.

    Attributes:
        transport: where the bytes come from.
        timeout_s: bound on each wait for more.
        length: bytes in all; None: chunked.
        remaining: bytes not read yet; where chunked, those read, as a negative number.
        broken: a read failed; the connection cannot carry another request.
    """

    transport: Transport
    timeout_s: float
    length: int | None = 0
    remaining: int = 0
    broken: bool = False
    _ahead: bytes = b""
    _continue_due: bool = False
    _decoder: ChunkedDecoder | None = None

    @classmethod
    def of(
        cls, head: RequestHead, transport: Transport, ahead: bytes, timeout_s: float
    ) -> "RequestBody":
        """The body that a head announces; `ahead` came with the head."""
        due = head.expect_continue and not ahead
        if head.chunked:
            return cls(transport, timeout_s, None, 0, False, ahead, due, ChunkedDecoder())
        length = max(head.content_length, 0)
        return cls(transport, timeout_s, length, length, False, ahead, due)

    @property
    def consumed(self) -> bool:
        """Whether the body was read to its end."""
        decoder = self._decoder
        return not self.remaining if decoder is None else decoder.finished

    @property
    def received(self) -> int:
        """How many bytes were read."""
        return (self.length or 0) - self.remaining

    @property
    def awaits_continue(self) -> bool:
        """Whether the client asked for 100 Continue and did not get it."""
        return self._continue_due

    async def read_into(self, buffer: memoryview) -> int:
        """Read at least one byte into `buffer`, which is not empty.

        Returns:
            The count; 0: complete.
        Raises:
            Disconnected: the client ended the body early.
            DeadlineExceeded: no byte came in time.
            ProtocolError: bad chunked framing.
        When cancelled nothing was lost; a later read goes on.
        """
        if self._decoder is not None:
            return await self._read_chunked(self._decoder, buffer)
        if not self.remaining:
            return 0
        count = await self._receive(buffer[: self.remaining])
        self.remaining -= count
        return count

    async def read_all(self, limit_bytes: int) -> bytes:
        """Read what is left of the body into memory.

        Raises:
            BodyTooLarge: it is longer than `limit_bytes`; with a declared length nothing was read.
            TransportError: as `read_into`.
        """
        if self.remaining > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        data = bytearray()
        buffer = BUFFERS.take()
        try:
            while count := await self.read_into(buffer):
                if len(data) + count > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                data += buffer[:count]
        finally:
            BUFFERS.give(buffer)
        return bytes(data)

    def buffered(self) -> bytes:
        """Take the bytes of a body of known length that came with its head; they count as read."""
        data, self._ahead = self._ahead[: self.remaining], self._ahead[self.remaining :]
        self.remaining -= len(data)
        return data

    def advance(self, count: int) -> None:
        """Note that `count` bytes of the body were moved from `transport` by someone else."""
        self.remaining -= count

    async def start(self) -> None:
        """Send 100 Continue where the client waits for it; called before the first wait."""
        if self._continue_due:
            await self.transport.send_all(CONTINUE, timeout_s=self.timeout_s)
            self._continue_due = False  # only now: cut off before, the next reader has to send it

    async def discard(self, limit_bytes: int) -> bool:
        """Read the rest away, up to about `limit_bytes`; whether that reached its end."""
        buffer = BUFFERS.take()
        try:
            while limit_bytes >= 0 and (count := await self.read_into(buffer)):
                limit_bytes -= count
        finally:
            BUFFERS.give(buffer)
        return self.consumed

    def take_ahead(self) -> bytes:
        """Take the bytes that came after the end of the body: the next request's."""
        ahead, self._ahead = self._ahead, b""
        return ahead

    async def _read_chunked(self, decoder: ChunkedDecoder, buffer: memoryview) -> int:
        while not decoder.finished:
            count = await self._receive(buffer)
            try:
                payload, taken = decoder.feed(buffer, count)
            except HeadError as error:
                self.broken = True
                raise ProtocolError(error.status, error.reason) from error
            if taken < count:
                self._ahead = bytes(buffer[taken:count]) + self._ahead
            if payload:
                self.remaining -= payload
                return payload
        return 0

    async def _receive(self, buffer: memoryview) -> int:
        ahead = self._ahead
        if ahead:
            count = min(len(buffer), len(ahead))
            buffer[:count] = ahead[:count]
            self._ahead = ahead[count:]
            return count
        try:
            if self._continue_due:
                await self.start()
            count = await self.transport.receive_into(buffer, timeout_s=self.timeout_s)
        except TransportError:
            self.broken = True
            raise
        if not count:
            self.broken = True
            raise Disconnected("the client ended the request body early")
        return count
