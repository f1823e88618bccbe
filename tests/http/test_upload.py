"""Exchanges with a request body: framing, early answers, broken ends, splicing."""

from collections.abc import AsyncIterator, Iterator

import pytest
import trio
import trio.testing

from s3proxy._fast.http1 import parse_request
from s3proxy.http.client import Client, ClientLimits, Exchange
from s3proxy.http.errors import BodyCutShort, DeadlineExceeded, Disconnected, UpstreamError
from s3proxy.http.origin import Origin
from s3proxy.http.pipes import PIPES
from s3proxy.http.readiness import Readiness
from s3proxy.http.request_body import RequestBody
from s3proxy.http.transport import Transport
from tests.http.sockets import tcp_pair
from tests.http.upstreams import OK, Peer, Script, answering, counts, start

BODY = bytes(range(256)) * 4096 * 3
EARLY = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nstop"


class Source:
    """A body that comes in pieces of its own."""

    def __init__(self, data: bytes, piece_bytes: int = 1 << 20, error: Exception | None = None):
        self.length = len(data)
        self.read_bytes = 0
        self._data = data
        self._piece_bytes = piece_bytes
        self._error = error

    async def read_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        piece = self._data[self.read_bytes :][: min(self._piece_bytes, len(buffer))]
        if not piece and self._error is not None:
            raise self._error
        buffer[: len(piece)] = piece
        self.read_bytes += len(piece)
        return len(piece)


class Endless:
    """A body that never ends."""

    length = None

    async def read_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        return len(buffer)


@pytest.fixture
async def client(readiness: Readiness) -> AsyncIterator[Client]:
    client = Client(readiness)
    yield client
    await client.aclose()


def head(length: int) -> bytes:
    framing = b"Transfer-Encoding: chunked" if length < 0 else b"Content-Length: %d" % length
    return b"PUT /key HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n"


async def put(
    client: Client,
    origin: Origin,
    body: Source | Endless | RequestBody | bytes,
    length: int,
    *,
    replayable: bool = False,
) -> Exchange:
    return await client.exchange(
        origin, "PUT", head(length), body, length=length, replayable=replayable, splice=True
    )


class Recorder:
    """Reads bodies of `length` bytes and answers."""

    def __init__(self, length: int) -> None:
        self.bodies: list[bytes] = []
        self._length = length

    async def __call__(self, peer: Peer) -> None:
        while await peer.read_head():
            self.bodies.append(await peer.read_body(self._length))
            await peer.send(OK)


@pytest.mark.parametrize("size", [0, 1, 65_537, len(BODY)])
@pytest.mark.parametrize("kind", ["bytes", "stream", "pieces"])
async def test_exchange_with_a_body_sends_it_whole(
    client: Client, nursery: trio.Nursery, size: int, kind: str
) -> None:
    recorder = Recorder(size)
    upstream = await start(nursery, recorder)
    data = BODY[:size]
    for _ in range(2):
        pieces = 100_001 if kind == "pieces" else 1 << 20
        body = data if kind == "bytes" else Source(data, pieces)
        exchange = await put(client, upstream.origin, body, size)
        assert await exchange.read_all(5) == b"hello"
    assert recorder.bodies == [data, data]
    assert upstream.connections == 1
    assert counts(client.pools[upstream.origin]) == (1, 0, 0)


@pytest.mark.parametrize("size", [0, 5, 300_000])
async def test_exchange_with_a_body_of_unknown_length_sends_chunks(
    client: Client, nursery: trio.Nursery, size: int
) -> None:
    received: list[bytes] = []

    async def script(peer: Peer) -> None:
        while await peer.read_head():
            body = b""
            while size_line := await read_line(peer):
                length = int(size_line, 16)
                body += await peer.read_body(length)
                assert await peer.read_body(2) == b"\r\n"
                if not length:
                    break
            received.append(body)
            await peer.send(OK)

    upstream = await start(nursery, script)
    for _ in range(2):
        exchange = await put(client, upstream.origin, Source(BODY[:size], 7001), -1)
        assert await exchange.read_all(5) == b"hello"
    assert received == [BODY[:size]] * 2
    assert upstream.connections == 1


async def read_line(peer: Peer) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        byte = await peer.read_body(1)
        if not byte:
            return b""
        line += byte
    return line[:-2]


async def test_exchange_with_a_body_that_ends_early_is_cut(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, Recorder(100))
    with pytest.raises(BodyCutShort):
        await put(client, upstream.origin, Source(b"x" * 99), 100)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_with_a_body_that_fails_passes_its_error_on(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, Recorder(len(BODY)))
    body = Source(BODY[:300_000], error=Disconnected("client gone"))
    with pytest.raises(Disconnected, match="client gone"):
        await put(client, upstream.origin, body, len(BODY))
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


def refusing(*, reads: bool) -> Script:
    """Answers at the head's end, and reads on, or never again."""

    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(EARLY)
        if reads:
            await peer.closed()
        else:
            await trio.sleep_forever()

    return script


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("length", [1 << 40, -1])
async def test_exchange_answered_early_stops_sending(
    client: Client, nursery: trio.Nursery, reads: bool, length: int
) -> None:
    upstream = await start(nursery, refusing(reads=reads))
    exchange = await put(client, upstream.origin, Endless(), length)
    assert exchange.head.status == 403
    assert await exchange.read_all(4) == b"stop"
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    nursery.cancel_scope.cancel()


async def test_exchange_answered_early_and_reset_still_gives_the_answer(
    client: Client, nursery: trio.Nursery
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(EARLY)

    upstream = await start(nursery, script)
    exchange = await put(client, upstream.origin, Endless(), 1 << 40)
    assert exchange.head.status == 403
    await exchange.aclose()


async def test_exchange_with_an_interim_answer_goes_on_sending(
    client: Client, nursery: trio.Nursery
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.read_body(len(BODY)) == BODY
        await peer.send(OK)

    upstream = await start(nursery, script)
    exchange = await put(client, upstream.origin, Source(BODY), len(BODY))
    assert await exchange.read_all(5) == b"hello"


async def test_exchange_whose_upstream_breaks_while_sending_fails(
    client: Client, nursery: trio.Nursery
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_body(300_000)

    upstream = await start(nursery, script)
    with pytest.raises(UpstreamError):
        await put(client, upstream.origin, Endless(), 1 << 40)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_whose_upstream_stops_reading_exceeds_the_deadline(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def script(peer: Peer) -> None:
        await trio.sleep_forever()

    client = Client(readiness, ClientLimits(progress_timeout_s=30))
    upstream = await start(nursery, script)
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await put(client, upstream.origin, Endless(), 1 << 40)
    # The kernel may make a little more room while the clock is ahead of it.
    assert trio.current_time() - began_s >= 30
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    nursery.cancel_scope.cancel()


def stale_then(recorder: Recorder) -> tuple[Script, Recorder]:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(OK)
        await peer.read_head()

    return script, recorder


async def warm(client: Client, origin: Origin) -> None:
    exchange = await client.exchange(
        origin, "GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", replayable=True
    )
    assert await exchange.read_all(5) == b"hello"


@pytest.mark.parametrize("kind", ["bytes", "stream"])
async def test_exchange_on_a_stale_connection_sends_a_small_body_again(
    client: Client, nursery: trio.Nursery, kind: str
) -> None:
    recorder = Recorder(1000)
    upstream = await start(nursery, *stale_then(recorder))
    await warm(client, upstream.origin)
    body = BODY[:1000] if kind == "bytes" else Source(BODY[:1000])
    exchange = await put(client, upstream.origin, body, 1000, replayable=True)
    assert await exchange.read_all(5) == b"hello"
    assert recorder.bodies == [BODY[:1000]]
    assert client.pools[upstream.origin].stats.retries == 1


async def test_exchange_on_a_stale_connection_does_not_send_a_consumed_body_again(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, *stale_then(Recorder(len(BODY))))
    await warm(client, upstream.origin)
    with pytest.raises(UpstreamError):
        await put(client, upstream.origin, Source(BODY, 10_000), len(BODY), replayable=True)
    assert upstream.connections == 1


class Request:
    """A request whose body comes on a connection of its own."""

    def __init__(self, readiness: Readiness, length: int, ahead: bytes, *, expect: bool = False):
        ours, theirs = tcp_pair()
        self.peer = trio.socket.from_stdlib_socket(ours)
        self.transport = Transport(readiness, theirs)
        lines = head(length)
        if expect:
            lines = lines[:-2] + b"Expect: 100-continue\r\n\r\n"
        request_head = parse_request(lines, len(lines))
        assert request_head is not None
        self.body = RequestBody.of(request_head, self.transport, ahead, 30)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await self.peer.send(view) :]

    def close(self) -> None:
        self.peer.close()
        self.transport.close()


@pytest.fixture
def no_pipe_left() -> Iterator[None]:
    yield
    assert PIPES.busy == 0


@pytest.mark.usefixtures("no_pipe_left")
@pytest.mark.parametrize("size", [0, 10, 65_536, len(BODY)])
@pytest.mark.parametrize("ahead_bytes", [0, 7, 70_000])
async def test_exchange_with_a_spliced_body_sends_it_whole(
    client: Client, readiness: Readiness, nursery: trio.Nursery, size: int, ahead_bytes: int
) -> None:
    recorder = Recorder(size)
    upstream = await start(nursery, recorder)
    request = Request(readiness, size, BODY[:size][:ahead_bytes])
    nursery.start_soon(request.write, BODY[:size][ahead_bytes:] + b"next")
    exchange = await put(client, upstream.origin, request.body, size)
    assert await exchange.read_all(5) == b"hello"
    assert recorder.bodies == [BODY[:size]]
    assert request.body.consumed and not request.body.broken
    after = bytearray(4)
    assert await request.transport.receive_into(after, timeout_s=10) == 4
    assert after == b"next"
    request.close()


@pytest.mark.usefixtures("no_pipe_left")
async def test_exchange_with_a_spliced_body_tells_a_waiting_client_to_continue(
    client: Client, readiness: Readiness, nursery: trio.Nursery
) -> None:
    recorder = Recorder(len(BODY))
    upstream = await start(nursery, recorder)
    request = Request(readiness, len(BODY), b"", expect=True)

    async def write_when_told() -> None:
        assert await request.peer.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await request.write(BODY)

    nursery.start_soon(write_when_told)
    exchange = await put(client, upstream.origin, request.body, len(BODY))
    assert await exchange.read_all(5) == b"hello"
    assert recorder.bodies == [BODY]
    request.close()


@pytest.mark.usefixtures("no_pipe_left")
@pytest.mark.parametrize("reads", [True, False])
async def test_exchange_with_a_spliced_body_answered_early_stops_sending(
    client: Client, readiness: Readiness, nursery: trio.Nursery, reads: bool
) -> None:
    upstream = await start(nursery, refusing(reads=reads))
    request = Request(readiness, 1 << 40, b"")

    async def write_forever() -> None:
        while True:
            await request.write(BODY)

    async with trio.open_nursery() as writing:
        writing.start_soon(write_forever)
        exchange = await put(client, upstream.origin, request.body, 1 << 40)
        writing.cancel_scope.cancel()
    assert exchange.head.status == 403
    assert await exchange.read_all(4) == b"stop"
    assert not request.body.broken
    request.close()
    nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("no_pipe_left")
async def test_exchange_with_a_spliced_body_whose_client_waits_hears_an_early_answer(
    client: Client,
    readiness: Readiness,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    upstream = await start(nursery, refusing(reads=True))
    request = Request(readiness, 1 << 40, b"")
    began_s = trio.current_time()
    exchange = await put(client, upstream.origin, request.body, 1 << 40)
    assert exchange.head.status == 403
    assert trio.current_time() - began_s <= 3
    await exchange.aclose()
    request.close()


@pytest.mark.usefixtures("no_pipe_left")
async def test_exchange_with_a_spliced_body_cut_by_the_client_is_told(
    client: Client, readiness: Readiness, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, Recorder(len(BODY)))
    request = Request(readiness, len(BODY), b"")
    await request.write(BODY[:100_000])
    request.peer.shutdown(trio.socket.SHUT_WR)
    with pytest.raises(Disconnected):
        await put(client, upstream.origin, request.body, len(BODY))
    assert request.body.broken
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    request.close()


@pytest.mark.usefixtures("no_pipe_left")
async def test_exchange_with_a_spliced_body_to_an_upstream_that_breaks_fails(
    client: Client, readiness: Readiness, nursery: trio.Nursery
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_body(300_000)

    upstream = await start(nursery, script, answering(OK))
    request = Request(readiness, len(BODY), b"")
    nursery.start_soon(request.write, BODY)
    with pytest.raises(UpstreamError):
        await put(client, upstream.origin, request.body, len(BODY))
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    nursery.cancel_scope.cancel()
    request.close()
