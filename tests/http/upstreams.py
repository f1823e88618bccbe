"""Scripted upstream servers on loopback."""

import ssl
from collections.abc import Awaitable, Callable

import trio

from s3proxy.http.origin import Origin
from s3proxy.http.pool import Pool

Script = Callable[["Peer"], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._ahead = b""

    async def read_head(self) -> bytes:
        """One request head; b"" at the end of the connection."""
        while b"\r\n\r\n" not in self._ahead:
            data = await self.stream.receive_some(65536)
            if not data:
                return b""
            self._ahead += data
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    async def read_body(self, length: int) -> bytes:
        """`length` bytes, or what comes before the end."""
        while len(self._ahead) < length:
            data = await self.stream.receive_some(65536)
            if not data:
                break
            self._ahead += data
        body, self._ahead = self._ahead[:length], self._ahead[length:]
        return body

    async def send(self, data: bytes) -> None:
        """Send `data`."""
        await self.stream.send_all(data)

    async def closed(self) -> None:
        """Wait until the client has closed."""
        try:
            while await self.stream.receive_some(65536):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


class Upstream:
    """A server that runs one script per connection, the last one for all further ones."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self._scripts = list(scripts)
        self.connections = 0
        self.origin = Origin("http", "127.0.0.1", 0)

    async def serve(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        scheme = "https" if ssl_context else "http"
        host = "localhost" if ssl_context else "127.0.0.1"
        self.origin = Origin(scheme, host, listeners[0].socket.getsockname()[1])

        async def handle(stream: trio.SocketStream) -> None:
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            self.connections += 1
            peer_stream: trio.abc.Stream = stream
            if ssl_context is not None:
                peer_stream = trio.SSLStream(stream, ssl_context, server_side=True)
            try:
                await script(Peer(peer_stream))
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                pass

        await trio.serve_listeners(handle, listeners, task_status=task_status)


async def start(
    nursery: trio.Nursery, *scripts: Script, ssl_context: ssl.SSLContext | None = None
) -> Upstream:
    """Start a server with `scripts`."""
    upstream = Upstream(scripts)
    await nursery.start(upstream.serve, ssl_context)
    return upstream


def answering(response: bytes) -> Script:
    """A script that gives every request the same answer."""

    async def script(peer: Peer) -> None:
        while await peer.read_head():
            await peer.send(response)

    return script


def answering_once(response: bytes) -> Script:
    """A script that answers one request and closes."""

    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(response)

    return script


def counts(pool: Pool) -> tuple[int, int, int]:
    """How many are idle, active and waiting."""
    return pool.idle, pool.active, pool.waiting
