"""A server on loopback, a handler made of functions, and clients that speak through h11."""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h11
import trio

from s3proxy._fast.errors import HeadError
from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from s3proxy.http.server import Server, open_listener
from s3proxy.http.tls import TlsContext
from s3proxy.s3.proxies import Networks

Answerer = Callable[[Request], Awaitable[Response]]


async def echo(request: Request) -> Response:
    """Answers with what it was asked and sent."""
    body = await request.body.read_all(1 << 26)
    return Response(200, [("x-target", request.head.target.decode())], body)


class FakeHandler:
    """Answers by a function, and remembers what the server told it."""

    def __init__(self, answer: Answerer = echo) -> None:
        self.answer = answer
        self.sent_log: list[tuple[int, int, str]] = []
        self.requests: list[Request] = []
        self.failures: list[Exception] = []
        self.refusals: list[HeadError] = []

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        return await self.answer(request)

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        self.sent_log.append((response.status, sent_bytes, error))

    def refuse(self, reason: HeadError, request_id: str, peer: str) -> Response:
        assert request_id
        assert peer
        self.refusals.append(reason)
        return Response(reason.status, (), reason.reason.encode())

    def failed(self, error: Exception) -> None:
        self.failures.append(error)


class Answered:
    """What h11 made of an answer."""

    def __init__(self, response: h11.Response, body: bytes) -> None:
        self.status = response.status_code
        self.headers = {name.decode(): value.decode() for name, value in response.headers}
        self.body = body


class Client:
    """One connection to a server, plain or TLS."""

    def __init__(self, stream: trio.abc.Stream, sock: trio.socket.SocketType) -> None:
        self.stream = stream
        self.sock = sock
        self.protocol = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        await self.stream.send_all(data)

    async def receive(self) -> bytes:
        """Whatever comes next; b"" at the end."""
        return bytes(await self.stream.receive_some(1 << 16))

    async def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        data = bytearray()
        while piece := await self.receive():
            data += piece
        return bytes(data)

    async def ask(
        self,
        method: str = "GET",
        target: str = "/",
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> Answered:
        """Send a request and take its whole answer, as h11 reads it."""
        if self.protocol.our_state is h11.DONE:
            self.protocol.start_next_cycle()
        fields = [("Host", "test"), *(headers or [])]
        if body:
            fields.append(("Content-Length", str(len(body))))
        head = self.protocol.send(h11.Request(method=method, target=target, headers=fields))
        data = self.protocol.send(h11.Data(data=body)) if body else b""
        self.protocol.send(h11.EndOfMessage())
        await self.send((head or b"") + (data or b""))
        return await self.answer()

    async def answer(self) -> Answered:
        """The next answer, as h11 reads it."""
        response: h11.Response | None = None
        data = bytearray()
        while True:
            event = self.protocol.next_event()
            if event is h11.NEED_DATA:
                self.protocol.receive_data(await self.receive())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                data += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert response is not None
                return Answered(response, bytes(data))

    async def is_closed(self) -> bool:
        """Whether the server ended the connection with nothing more to say."""
        with trio.fail_after(60):
            return await self.receive() == b""


class Served:
    """A running server."""

    def __init__(self, server: Server, handler: FakeHandler, address: tuple[str, int]) -> None:
        self.server = server
        self.handler = handler
        self.address = address

    @asynccontextmanager
    async def client(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
        """A new connection."""
        with trio.socket.socket() as sock:
            await sock.connect(self.address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream: trio.abc.Stream = trio.SocketStream(sock)
            if context is not None:
                stream = trio.SSLStream(stream, context, server_hostname="localhost")
            yield Client(stream, sock)


@asynccontextmanager
async def serving(
    readiness: Readiness,
    handler: FakeHandler | Answerer = echo,
    *,
    limits: ServerLimits | None = None,
    tls: TlsContext | None = None,
    proxies: Networks | None = None,
) -> AsyncIterator[Served]:
    """A server on a free port of loopback; cut off at the end."""
    if not isinstance(handler, FakeHandler):
        handler = FakeHandler(handler)
    listener = open_listener("127.0.0.1", 0, backlog=1024)
    address = listener.getsockname()
    server = Server(handler, readiness, limits or ServerLimits(), tls, proxies)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        yield Served(server, handler, address)
        nursery.cancel_scope.cancel()
