"""Cancelled at every step, an exchange leaves no connection, slot or pipe behind."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from s3proxy.http.client import Client, ClientLimits
from s3proxy.http.pipes import PIPES
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import Transport
from tests.http.sockets import tcp_pair
from tests.http.upstreams import GET, OK, Peer, Upstream, start

LARGE = b"x" * 300_000


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when the current task is about to take its n-th step."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._scope = scope
        self._task = trio.lowlevel.current_task()
        self._steps_left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._steps_left -= 1
            if not self._steps_left:
                self._scope.cancel()


async def slow(peer: Peer) -> None:
    """Answers in pieces, each some steps after the other."""
    while await peer.read_head():
        for piece in (OK[:10], OK[10:-3], OK[-3:]):
            await peer.send(piece)
            await trio.testing.wait_all_tasks_blocked()


async def slow_reader(peer: Peer) -> None:
    while await peer.read_head():
        for _ in range(3):
            await trio.testing.wait_all_tasks_blocked()
            await peer.read_body(100_000)
        await peer.send(OK)


async def large(peer: Peer) -> None:
    while await peer.read_head():
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        for start_at in range(0, len(LARGE), 100_000):
            await trio.testing.wait_all_tasks_blocked()
            await peer.send(LARGE[start_at : start_at + 100_000])


class Lines:
    """A body of three pieces."""

    length = len(LARGE)

    async def read_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        buffer[:100_000] = LARGE[:100_000]
        return 100_000


async def get(client: Client, upstream: Upstream, _sink: Transport | None = None) -> None:
    exchange = await client.exchange(upstream.origin, "GET", GET, replayable=True)
    assert await exchange.read_all(5) == b"hello"


async def put(client: Client, upstream: Upstream, _sink: Transport) -> None:
    exchange = await client.exchange(
        upstream.origin, "PUT", GET, Lines(), length=len(LARGE), replayable=False
    )
    assert await exchange.read_all(5) == b"hello"


async def send_on(client: Client, upstream: Upstream, sink: Transport) -> None:
    exchange = await client.exchange(upstream.origin, "GET", GET, replayable=True)
    try:
        await exchange.body.send_to(sink, timeout_s=10)
    finally:
        await exchange.aclose()


@pytest.mark.parametrize(
    ("script", "scenario"),
    [(slow, get), (slow_reader, put), (large, send_on)],
    ids=["get", "put", "relay"],
)
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "reused"])
async def test_exchange_cancelled_at_any_step_leaves_nothing(
    readiness: Readiness,
    nursery: trio.Nursery,
    script: Callable[[Peer], Awaitable[None]],
    scenario: Callable[[Client, Upstream, Transport], Awaitable[None]],
    warm: bool,
) -> None:
    upstream = await start(nursery, script)
    step = 0
    cancelled = True
    while cancelled:
        step += 1
        client = Client(readiness, ClientLimits(connections_max=1))
        sink_socket, reader = tcp_pair()
        sink = Transport(readiness, sink_socket)
        if warm:
            await scenario(client, upstream, sink)
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(scope, step)
            trio.lowlevel.add_instrument(instrument)
            try:
                await scenario(client, upstream, sink)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        cancelled = scope.cancelled_caught
        pool = client.pools[upstream.origin]
        assert (pool.active, pool.waiting, PIPES.busy) == (0, 0, 0)
        assert readiness.endpoint_count == 1 + pool.idle
        await client.aclose()
        sink.close()
        reader.close()
        assert readiness.endpoint_count == 0
    assert step > 2


async def test_exchange_cancelled_while_waiting_for_a_turn_leaves_the_queue(
    readiness: Readiness, nursery: trio.Nursery
) -> None:
    upstream = await start(nursery, slow)
    client = Client(readiness, ClientLimits(connections_max=1))
    await get(client, upstream)
    pool = client.pools[upstream.origin]
    held = pool.take()
    assert held is not None
    async with trio.open_nursery() as waiting:
        for _ in range(3):
            waiting.start_soon(get, client, upstream)
        await trio.testing.wait_all_tasks_blocked()
        assert pool.waiting == 3
        waiting.cancel_scope.cancel()
    assert (pool.active, pool.waiting) == (1, 0)
    pool.discard(held)
