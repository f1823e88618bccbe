"""The pool: bounds, turns, reuse; and that no cancellation loses a slot."""

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from s3proxy.http.errors import PoolTimeout
from s3proxy.http.origin import ClientLimits, Origin
from s3proxy.http.pool import Pool
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import Transport
from s3proxy.http.upstream import UpstreamConnection
from tests.http.sockets import stream_pair
from tests.http.upstreams import counts

ORIGIN = Origin("http", "upstream.example", 80)


class Factory:
    """Makes connections and keeps their other ends."""

    def __init__(self, readiness: Readiness, limits: ClientLimits) -> None:
        self._readiness = readiness
        self._limits = limits
        self.peers: list[socket.socket] = []

    def connect(self) -> UpstreamConnection:
        ours, theirs = stream_pair()
        self.peers.append(theirs)
        return UpstreamConnection(Transport(self._readiness, ours), self._limits)

    def close(self) -> None:
        for peer in self.peers:
            peer.close()


@pytest.fixture
def limits() -> ClientLimits:
    return ClientLimits(connections_max=2, idle_max=2, pool_timeout_s=5, idle_timeout_s=60)


@pytest.fixture
def pool(limits: ClientLimits) -> Iterator[Pool]:
    pool = Pool(ORIGIN, limits)
    yield pool
    pool.close()


@pytest.fixture
def factory(epoll_readiness: Readiness, limits: ClientLimits) -> Iterator[Factory]:
    factory = Factory(epoll_readiness, limits)
    yield factory
    factory.close()


async def test_pool_takes_the_connection_used_last(pool: Pool, factory: Factory) -> None:
    first, second = factory.connect(), factory.connect()
    for _ in range(2):
        assert await pool.acquire() is None
    pool.release(first)
    pool.release(second)
    assert pool.take() is second
    assert pool.take() is first
    assert pool.take() is None
    assert counts(pool) == (0, 2, 0)
    pool.discard(first)
    pool.discard(second)


async def test_pool_full_hands_connections_and_slots_over_in_turn(
    pool: Pool, factory: Factory, nursery: trio.Nursery
) -> None:
    held = [factory.connect(), factory.connect()]
    assert pool.reserve() and pool.reserve() and not pool.reserve()
    got: dict[int, UpstreamConnection | None] = {}

    async def wait(number: int) -> None:
        got[number] = await pool.acquire()

    for number in range(3):
        nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
    assert counts(pool) == (0, 2, 3)
    pool.release(held[1])
    pool.discard(held[0])
    await trio.testing.wait_all_tasks_blocked()
    assert got == {0: held[1], 1: None}
    assert counts(pool) == (0, 2, 1)
    pool.free_slot()
    await trio.testing.wait_all_tasks_blocked()
    assert got == {0: held[1], 1: None, 2: None}
    pool.discard(held[1])
    pool.free_slot()
    assert counts(pool) == (0, 0, 0)


async def test_pool_newcomer_does_not_overtake_a_waiter(
    pool: Pool, factory: Factory, nursery: trio.Nursery
) -> None:
    connection = factory.connect()
    assert pool.reserve() and pool.reserve()
    got: list[UpstreamConnection | None] = []

    async def wait() -> None:
        got.append(await pool.acquire())

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    pool.release(connection)
    assert pool.take() is None and not pool.reserve()
    await trio.testing.wait_all_tasks_blocked()
    assert got == [connection]
    pool.discard(connection)


async def test_pool_waiter_handed_a_dead_connection_gets_its_slot(
    pool: Pool, factory: Factory, nursery: trio.Nursery
) -> None:
    connection = factory.connect()
    assert pool.reserve() and pool.reserve()
    got: list[UpstreamConnection | None] = []

    async def wait() -> None:
        got.append(await pool.acquire())

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    factory.peers[0].close()
    pool.release(connection)
    await trio.testing.wait_all_tasks_blocked()
    assert got == [None]
    assert connection.transport.closed
    assert counts(pool) == (0, 2, 0)


async def test_pool_that_stays_full_times_out(
    pool: Pool, autojump_clock: trio.testing.MockClock
) -> None:
    assert pool.reserve() and pool.reserve()
    began_s = trio.current_time()
    with pytest.raises(PoolTimeout, match="2 connections"):
        await pool.acquire()
    assert trio.current_time() - began_s == pytest.approx(5)
    assert (counts(pool), pool.stats.timeouts) == ((0, 2, 0), 1)


async def test_pool_cancelled_waiter_leaves_the_queue(pool: Pool) -> None:
    assert pool.reserve() and pool.reserve()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as waiting:
            waiting.start_soon(pool.acquire)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert counts(pool) == (0, 2, 0)


async def test_pool_waiter_cancelled_after_its_turn_came_keeps_the_slot(
    pool: Pool, nursery: trio.Nursery
) -> None:
    assert pool.reserve() and pool.reserve()
    scope = trio.CancelScope()
    outcomes: list[str] = []

    async def wait() -> None:
        with scope:
            await pool.acquire()
            outcomes.append("granted")

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    pool.free_slot()
    scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert outcomes == ["granted"]
    assert counts(pool) == (0, 2, 0)


async def test_pool_forgets_connections_too_old_or_too_many(
    epoll_readiness: Readiness, autojump_clock: trio.testing.MockClock
) -> None:
    limits = ClientLimits(connections_max=8, idle_max=2, idle_timeout_s=60)
    pool, factory = Pool(ORIGIN, limits), Factory(epoll_readiness, limits)
    connections = [factory.connect() for _ in range(3)]
    assert all(pool.reserve() for _ in connections)
    for connection in connections:
        pool.release(connection)
    assert [connection.transport.closed for connection in connections] == [True, False, False]
    await trio.sleep(59)
    pool.prune(trio.current_time())
    assert pool.idle == 2
    await trio.sleep(1)
    assert pool.take() is None
    assert counts(pool) == (0, 0, 0)
    factory.close()


async def test_pool_closed_refuses_waiters_and_closes_what_comes_back(
    pool: Pool, factory: Factory, nursery: trio.Nursery
) -> None:
    connection = factory.connect()
    assert pool.reserve() and pool.reserve()
    refused: list[bool] = []

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pool.acquire()
        refused.append(True)

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    pool.close()
    await trio.testing.wait_all_tasks_blocked()
    assert refused == [True]
    pool.release(connection)
    assert connection.transport.closed
    assert counts(pool) == (0, 1, 0)
