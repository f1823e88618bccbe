"""Exchanges without a request body: framing, reuse, errors, deadlines."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio

from s3proxy.http.client import Client, ClientLimits, Exchange
from s3proxy.http.errors import (
    BodyTooLarge,
    ConnectFailed,
    DeadlineExceeded,
    Disconnected,
    ProtocolError,
    UpstreamError,
)
from s3proxy.http.origin import Origin
from s3proxy.http.readiness import Readiness
from tests.http.upstreams import GET, OK, Peer, Script, answering, answering_once, counts, start


@pytest.fixture
async def client(readiness: Readiness) -> AsyncIterator[Client]:
    client = Client(readiness)
    yield client
    await client.aclose()


async def ask(client: Client, origin: Origin, method: str = "GET") -> Exchange:
    return await client.exchange(origin, method, GET, replayable=True)


async def ask_all(client: Client, origin: Origin) -> bytes:
    exchange = await ask(client, origin)
    return await exchange.read_all(1 << 20)


async def test_exchange_twice_reuses_the_connection(client: Client, nursery: trio.Nursery) -> None:
    upstream = await start(nursery, answering(OK))
    for _ in range(2):
        exchange = await ask(client, upstream.origin)
        assert exchange.head.status == 200
        assert await exchange.read_all(5) == b"hello"
    pool = client.pools[upstream.origin]
    assert (pool.stats.connects, pool.stats.reuses, counts(pool)) == (1, 1, (1, 0, 0))


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (OK, b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n",
            b"hello",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
            b"hello",
        ),
    ],
    ids=["empty", "204", "304", "measured", "chunked", "interim"],
)
@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
async def test_exchange_in_pieces_gives_the_body_and_keeps_the_connection(
    client: Client, nursery: trio.Nursery, response: bytes, body: bytes, piece_bytes: int
) -> None:
    async def script(peer: Peer) -> None:
        while await peer.read_head():
            for start_at in range(0, len(response), piece_bytes):
                await peer.send(response[start_at : start_at + piece_bytes])
                for _ in range(3):
                    await trio.lowlevel.checkpoint()

    upstream = await start(nursery, script)
    for _ in range(2):
        assert await ask_all(client, upstream.origin) == body
    assert upstream.connections == 1
    assert counts(client.pools[upstream.origin]) == (1, 0, 0)


async def test_exchange_head_ignores_the_declared_length(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
    exchange = await ask(client, upstream.origin, "HEAD")
    assert (exchange.head.content_length, exchange.body.length) == (9, 0)
    assert counts(client.pools[upstream.origin]) == (1, 0, 0)


async def test_exchange_unframed_reads_to_the_end_and_closes(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering_once(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    exchange = await ask(client, upstream.origin)
    assert exchange.body.length == -1
    assert await exchange.read_all(5) == b"hello"
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


@pytest.mark.parametrize(
    "response",
    [
        OK + b"!",
        OK + OK,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1",
    ],
    ids=["surplus", "second-response", "close", "http10", "chunked-surplus"],
)
async def test_exchange_not_cleanly_ended_is_not_followed_by_another(
    client: Client, nursery: trio.Nursery, response: bytes
) -> None:
    upstream = await start(nursery, answering(response))
    for _ in range(2):
        assert await ask_all(client, upstream.origin) == b"hello"
    assert upstream.connections == 2
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_on_a_connection_that_spoke_while_idle_takes_a_fresh_one(
    client: Client, nursery: trio.Nursery
) -> None:
    spoken = trio.Event()
    proceed = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(OK)
        await proceed.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        spoken.set()
        await peer.closed()

    upstream = await start(nursery, script, answering(OK))
    assert await ask_all(client, upstream.origin) == b"hello"
    proceed.set()
    await spoken.wait()
    assert await ask_all(client, upstream.origin) == b"hello"
    assert upstream.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + OK,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["garbage", "two-lengths", "length-and-chunked", "negative", "101", "interims", "long"],
)
async def test_exchange_with_a_head_not_to_be_trusted_fails_with_502(
    client: Client, nursery: trio.Nursery, response: bytes
) -> None:
    upstream = await start(nursery, answering(response))
    with pytest.raises(ProtocolError) as caught:
        await ask(client, upstream.origin)
    assert caught.value.status == 502
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_with_bad_chunks_fails_with_502(
    client: Client, nursery: trio.Nursery
) -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    upstream = await start(nursery, answering(response))
    exchange = await ask(client, upstream.origin)
    with pytest.raises(ProtocolError) as caught:
        await exchange.read_all(100)
    assert caught.value.status == 502
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_exchange_cut_before_the_head_ends_fails(
    client: Client, nursery: trio.Nursery, sent: bytes
) -> None:
    upstream = await start(nursery, answering_once(sent))
    with pytest.raises(UpstreamError):
        await ask(client, upstream.origin)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["measured", "chunked"],
)
async def test_exchange_cut_in_the_body_is_told(
    client: Client, nursery: trio.Nursery, sent: bytes
) -> None:
    upstream = await start(nursery, answering_once(sent))
    exchange = await ask(client, upstream.origin)
    with pytest.raises(Disconnected):
        await exchange.read_all(100)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_on_a_connection_closed_while_idle_takes_a_fresh_one(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering_once(OK))
    assert await ask_all(client, upstream.origin) == b"hello"
    await trio.testing.wait_all_tasks_blocked()
    exchange = await client.exchange(upstream.origin, "GET", GET, replayable=False)
    assert await exchange.read_all(5) == b"hello"
    assert client.pools[upstream.origin].stats.retries == 0


def closing_on_the_second_request() -> tuple[Script, Script]:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(OK)
        await peer.read_head()

    return (script, answering(OK))


async def test_exchange_on_a_stale_connection_is_retried_once_where_replayable(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, *closing_on_the_second_request())
    assert await ask_all(client, upstream.origin) == b"hello"
    assert await ask_all(client, upstream.origin) == b"hello"
    assert client.pools[upstream.origin].stats.retries == 1
    assert upstream.connections == 2


async def test_exchange_on_a_stale_connection_fails_where_not_replayable(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, *closing_on_the_second_request())
    assert await ask_all(client, upstream.origin) == b"hello"
    with pytest.raises(UpstreamError):
        await client.exchange(upstream.origin, "POST", GET, replayable=False)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_cut_on_a_fresh_connection_is_not_retried(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering_once(b""))
    with pytest.raises(UpstreamError):
        await ask(client, upstream.origin)
    assert upstream.connections == 1


async def test_exchange_body_larger_than_the_limit_is_refused(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering(OK))
    exchange = await ask(client, upstream.origin)
    with pytest.raises(BodyTooLarge):
        await exchange.read_all(4)


async def test_exchange_closed_before_its_body_closes_the_connection(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"))
    exchange = await ask(client, upstream.origin)
    assert counts(client.pools[upstream.origin]) == (0, 1, 0)
    await exchange.aclose()
    await exchange.aclose()
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    with pytest.raises(trio.ClosedResourceError):
        await exchange.read_all(9)


async def test_exchange_refused_by_the_host_fails_to_connect(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
    with pytest.raises(ConnectFailed, match="Connection refused"):
        await ask(client, origin)
    pool = client.pools[origin]
    assert (pool.stats.connect_failures, counts(pool)) == (1, (0, 0, 0))


class NoNames(trio.abc.HostnameResolver):
    """A resolver that knows nobody."""

    async def getaddrinfo(self, *_arguments: object) -> list[object]:  # type: ignore[override]
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async def getnameinfo(self, *_arguments: object) -> tuple[str, str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")


async def test_exchange_with_a_name_that_does_not_exist_fails_to_connect(client: Client) -> None:
    trio.socket.set_custom_hostname_resolver(NoNames())
    with pytest.raises(ConnectFailed, match="unknown"):
        await ask(client, Origin("http", "nowhere.example", 80))


async def test_exchange_with_a_host_that_does_not_answer_fails_to_connect(
    readiness: Readiness, autojump_clock: trio.testing.MockClock
) -> None:
    class Silence(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_arguments: object) -> list[object]:  # type: ignore[override]
            await trio.sleep_forever()
            raise AssertionError

        async def getnameinfo(self, *_arguments: object) -> tuple[str, str]:
            raise AssertionError

    trio.socket.set_custom_hostname_resolver(Silence())
    client = Client(readiness, ClientLimits(connect_timeout_s=7))
    origin = Origin("http", "nowhere.example", 80)
    began_s = trio.current_time()
    with pytest.raises(ConnectFailed, match="within 7 s"):
        await ask(client, origin)
    assert trio.current_time() - began_s == pytest.approx(7)
    assert counts(client.pools[origin]) == (0, 0, 0)


async def silent(peer: Peer) -> None:
    await peer.closed()


async def test_exchange_without_an_answer_exceeds_the_deadline(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    client = Client(readiness, ClientLimits(first_byte_timeout_s=30))
    upstream = await start(nursery, silent)
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded, match="response head"):
        await ask(client, upstream.origin)
    assert 30 <= trio.current_time() - began_s <= 32
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_with_a_dripping_head_exceeds_the_deadline(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def drip(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await trio.sleep(5)
            await peer.send(b"y")

    client = Client(readiness, ClientLimits(first_byte_timeout_s=30))
    upstream = await start(nursery, drip)
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await ask(client, upstream.origin)
    assert 30 <= trio.current_time() - began_s <= 32


async def test_exchange_with_a_late_and_dripping_head_has_one_deadline_for_all_of_it(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def drip(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(OK)
        await peer.read_head()
        await trio.sleep(25)
        await peer.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await trio.sleep(5)
            await peer.send(b"y")

    client = Client(readiness, ClientLimits(first_byte_timeout_s=30))
    upstream = await start(nursery, drip)
    assert await ask_all(client, upstream.origin) == b"hello"
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded, match="response head"):
        await ask(client, upstream.origin)
    assert client.pools[upstream.origin].stats.reuses == 1
    assert 30 <= trio.current_time() - began_s <= 32


async def test_exchange_with_a_request_that_is_not_taken_says_so(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def deaf(_: Peer) -> None:
        await trio.sleep(3600)

    client = Client(readiness, ClientLimits(progress_timeout_s=30))
    upstream = await start(nursery, deaf)
    with pytest.raises(DeadlineExceeded, match="send"):
        await client.exchange(upstream.origin, "GET", bytes(64 << 20), replayable=True)


async def test_exchange_with_a_body_that_stops_exceeds_the_deadline(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel")
        await peer.closed()

    client = Client(readiness, ClientLimits(progress_timeout_s=30))
    upstream = await start(nursery, script)
    exchange = await ask(client, upstream.origin)
    with pytest.raises(DeadlineExceeded):
        await exchange.read_all(100)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_client_prunes_old_connections_and_unused_origins(
    readiness: Readiness, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    client = Client(readiness, ClientLimits(idle_timeout_s=10))
    await nursery.start(client.run)
    upstream = await start(nursery, answering(OK))
    assert await ask_all(client, upstream.origin) == b"hello"
    assert counts(client.pools[upstream.origin]) == (1, 0, 0)
    await trio.sleep(30)
    assert client.pools == {}


async def test_client_closed_refuses_and_closes_what_comes_back(
    client: Client, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"))
    exchange = await ask(client, upstream.origin)
    await client.aclose()
    await exchange.aclose()
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
    with pytest.raises(trio.ClosedResourceError):
        await ask(client, upstream.origin)
    with pytest.raises(trio.ClosedResourceError):
        await ask(client, Origin("http", "127.0.0.1", 1))
