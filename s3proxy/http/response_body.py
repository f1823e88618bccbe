"""The body of an upstream's response, read from the connection it comes on.

Its framing (RFC 9112, 6.3) says which class: MeasuredBody for Content-Length, ChunkedBody, and
UnframedBody to the end of the connection. The connection goes back to its pool at the body's last
byte, or is closed: when bytes follow that belong to nothing, and when the body was not read to its
end. Errors of a read: Disconnected, the upstream ended the body early; DeadlineExceeded;
ProtocolError, bad chunked framing; trio.ClosedResourceError. When a read is cancelled nothing was
lost, and a later one goes on.
"""

import trio

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import ChunkedDecoder
from s3proxy.http.body import send_by_buffer
from s3proxy.http.errors import Disconnected, ProtocolError
from s3proxy.http.pool import Pool
from s3proxy.http.relay import relay
from s3proxy.http.transport import Transport
from s3proxy.http.upstream import UpstreamConnection


class Lease:
    """A connection while a body comes on it, and the bytes read ahead.

    Args:
        pool: gets the connection back.
        connection: positioned after the response head; `ahead` is taken from it.
        reusable: whether another exchange may follow on it.
        timeout_s: bound on each wait for more.
    """

    __slots__ = ("_ahead", "_connection", "_pool", "_reusable", "timeout_s")

    def __init__(
        self, pool: Pool, connection: UpstreamConnection, *, reusable: bool, timeout_s: float
    ) -> None:
        self._pool = pool
        self._connection: UpstreamConnection | None = connection
        self._reusable = reusable
        self.timeout_s = timeout_s
        self._ahead = memoryview(connection.ahead)
        connection.ahead = b""

    @property
    def transport(self) -> Transport:
        """The connection's socket; trio.ClosedResourceError once it was given back."""
        if self._connection is None:
            raise trio.ClosedResourceError
        return self._connection.transport

    async def receive(self, buffer: memoryview) -> int:
        """Bytes of the connection, those read ahead first; 0 at its end."""
        if self._ahead:
            ahead = self.take_ahead(len(buffer))
            buffer[: len(ahead)] = ahead
            return len(ahead)
        return await self.transport.receive_into(buffer, timeout_s=self.timeout_s)

    async def receive_some(self, buffer: memoryview) -> int:
        """As `receive`, where the end comes too early."""
        count = await self.receive(buffer)
        if not count:
            self.discard()
            raise Disconnected("the upstream ended the response body early")
        return count

    def take_ahead(self, count_max: int) -> memoryview:
        """The first bytes read ahead."""
        taken, self._ahead = self._ahead[:count_max], self._ahead[count_max:]
        return taken

    def finish(self, *, clean: bool = True) -> None:
        """The last byte was read; `clean`: nothing was read beyond it."""
        if clean and self._reusable and not self._ahead:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._pool.release(connection)
        else:
            self.discard()

    def discard(self) -> None:
        """Close the connection, unless it was given back; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.discard(connection)


class MeasuredBody:
    """A body of declared length; relayed by splice from plain to plain."""

    __slots__ = ("_lease", "_remaining", "length")

    def __init__(self, lease: Lease, length: int) -> None:
        self._lease = lease
        self._remaining = length
        self.length = length

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`."""
        if not self._remaining:
            return 0
        count = await self._lease.receive_some(buffer[: self._remaining])
        self._remaining -= count
        if not self._remaining:
            self._lease.finish()
        return count

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`."""
        if not self._remaining:
            return
        lease = self._lease
        try:
            ahead = lease.take_ahead(self._remaining)
            self._remaining -= len(ahead)
            await sink.send_all(ahead, timeout_s=timeout_s, more=self._remaining > 0)
            if self._remaining:
                await relay(
                    lease.transport,
                    sink,
                    self._remaining,
                    timeout_s=timeout_s,
                    source_timeout_s=lease.timeout_s,
                )
        except BaseException:
            lease.discard()
            raise
        self._remaining = 0
        lease.finish()

    def cut(self) -> None:
        """Close the connection; who waits for more of the body gets trio.ClosedResourceError."""
        self._lease.discard()

    async def aclose(self) -> None:
        """Close the connection of a body that was not read to its end; idempotent."""
        self._lease.discard()


class ChunkedBody:
    """A body in the chunked transfer coding, decoded in the reader's buffer."""

    __slots__ = ("_decoder", "_lease")

    length = -1

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._decoder = ChunkedDecoder()

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`."""
        while not self._decoder.finished:
            count = await self._lease.receive_some(buffer)
            try:
                payload, taken = self._decoder.feed(buffer, count)
            except HeadError as error:
                self._lease.discard()
                raise ProtocolError(502, error.reason) from error
            if self._decoder.finished:
                self._lease.finish(clean=taken == count)
            if payload:
                return payload
        return 0

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """Send the decoded bytes; see `Body.send_to`."""
        await send_by_buffer(self, sink, timeout_s=timeout_s)

    def cut(self) -> None:
        """Close the connection; who waits for more of the body gets trio.ClosedResourceError."""
        self._lease.discard()

    async def aclose(self) -> None:
        """Close the connection of a body that was not read to its end; idempotent."""
        self._lease.discard()


class UnframedBody:
    """A body that ends where the connection does."""

    __slots__ = ("_ended", "_lease")

    length = -1

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._ended = False

    async def read_into(self, buffer: memoryview) -> int:
        """See `ByteSource.read_into`; over TLS an end without close_notify is Disconnected."""
        if self._ended:
            return 0
        count = await self._lease.receive(buffer)
        if not count:
            self._ended = True
            self._lease.discard()
        return count

    async def send_to(self, sink: Transport, *, timeout_s: float) -> None:
        """See `Body.send_to`."""
        await send_by_buffer(self, sink, timeout_s=timeout_s)

    def cut(self) -> None:
        """As of the others."""
        self._lease.discard()

    async def aclose(self) -> None:
        """Close the connection; idempotent."""
        self._lease.discard()


# Bodies that come on a connection, which can be closed while somebody waits for them.
UpstreamBody = MeasuredBody | ChunkedBody | UnframedBody
