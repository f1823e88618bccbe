"""Accepting, bounds, draining and cancelling of the server."""

import errno
import socket
from contextlib import ExitStack

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from s3proxy.http.server import Server, open_listener
from tests.http.serving import FakeHandler, Served, echo, serving

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Gate:
    """A handler that holds each request until it is opened."""

    def __init__(self) -> None:
        self.event = trio.Event()

    async def __call__(self, request: Request) -> Response:
        await self.event.wait()
        return await echo(request)


async def refused(served: Served) -> bool:
    try:
        async with served.client() as client:
            return await client.is_closed()
    except OSError:
        return True


async def test_connections_over_the_limit_wait_while_none_is_idle(readiness: Readiness):
    gate = Gate()
    async with (
        serving(readiness, gate, limits=ServerLimits(connections_max=2)) as served,
        served.client() as one,
        served.client() as two,
        served.client() as three,
    ):
        await one.send(GET)
        await two.send(GET)
        await three.send(GET)
        await wait_all_tasks_blocked()
        assert served.server.open_connections == 2
        assert served.server.stats.requests == 2
        assert served.server.stats.evicted == 0
        one.sock.close()
        gate.event.set()
        with trio.fail_after(60):
            assert (await three.receive()).startswith(b"HTTP/1.1 200")
        assert (await two.answer()).status == 200


async def test_connection_over_the_limit_takes_the_place_of_the_longest_idle(
    patient_clock: MockClock, readiness: Readiness
):
    async with (
        serving(readiness, limits=ServerLimits(connections_max=2)) as served,
        served.client() as one,
        served.client() as two,
        served.client() as three,
    ):
        await one.ask()
        await two.ask()
        patient_clock.jump(0.5)
        await one.ask()
        await three.send(GET)
        await wait_all_tasks_blocked()
        assert served.server.open_connections == 2
        assert served.server.stats.evicted == 0
        with trio.fail_after(10):
            assert (await three.answer()).status == 200
        assert served.server.stats.evicted == 1
        assert await two.is_closed()
        assert (await one.ask()).status == 200


async def test_evicted_connection_whose_request_is_there_already_stays_open(
    patient_clock: MockClock, readiness: Readiness
):
    """It was not idle any more: its answer's keep-alive holds, and another one yields."""
    async with (
        serving(readiness, limits=ServerLimits(connections_max=2)) as served,
        served.client() as one,
        served.client() as two,
        served.client() as three,
    ):
        await one.ask()
        patient_clock.jump(0.5)
        await two.ask()
        patient_clock.jump(2)
        with one.sock._sock.dup() as raw:
            # No task runs between these two: the request is in the kernel, the choice is made.
            raw.send(GET)
            served.server._evict()
        await one.receive()
        await three.send(GET)
        with trio.fail_after(10):
            assert (await three.answer()).status == 200
        assert await two.is_closed()
        assert (await one.ask()).status == 200
        assert served.server.stats.evicted == 1


class Ticking(trio.abc.Clock):
    """A clock that moves on by a microsecond with each look at it, and else by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0 if deadline <= self.now_s else 1e-3


def test_connections_accepted_together_yield_in_the_order_of_their_coming():
    """Their tasks start in any order, and one that is answered at once may park first of all."""
    clock = Ticking()

    async def main() -> None:
        readiness = Readiness()
        server = Server(FakeHandler(), readiness, ServerLimits(connections_max=10))
        listener = open_listener("127.0.0.1", 0, backlog=20)
        async with trio.open_nursery() as nursery:
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(socket.create_connection(listener.getsockname()))
                    for _ in range(10)
                ]
                clients[-1].send(GET)
                await nursery.start(readiness.run)
                await nursery.start(server.serve, [listener])
                await wait_all_tasks_blocked()
                clock.now_s += 10
                for client in clients:
                    server._evict()
                    await wait_all_tasks_blocked()
                    client.settimeout(1)
                    while client.recv(1000):
                        pass
            nursery.cancel_scope.cancel()
        readiness.close()
        assert server.stats.evicted == 10

    trio.run(main, clock=clock)


class FlakyListener(socket.socket):
    """Fails its first accepts with the given errors."""

    errors: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            raise OSError(self.errors.pop(0), "flaky")
        return super().accept()


async def test_accept_errors_are_counted_and_outlived(
    patient_clock: MockClock, readiness: Readiness, nursery: trio.Nursery
):
    listener = FlakyListener()
    listener.errors = [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOMEM, errno.EBADFD]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    handler = FakeHandler()
    server = Server(handler, readiness)
    address = listener.getsockname()
    await nursery.start(server.serve, [listener])
    async with Served(server, handler, address).client() as client:
        assert (await client.ask()).status == 200
    assert server.stats.accept_errors == 5
    await server.drain(1)


async def test_several_listeners_are_served(readiness: Readiness, nursery: trio.Nursery):
    listeners = [open_listener("127.0.0.1", 0, backlog=5), open_listener("::1", 0, backlog=5)]
    handler = FakeHandler()
    server = Server(handler, readiness)
    addresses = [listener.getsockname() for listener in listeners]
    await nursery.start(server.serve, listeners)
    for family, address in zip((socket.AF_INET, socket.AF_INET6), addresses, strict=True):
        with trio.socket.socket(family) as sock:
            await sock.connect(address)
            await sock.send(GET)
            assert (await sock.recv(1000)).startswith(b"HTTP/1.1 200")
    assert handler.requests[0].peer.startswith("127.0.0.1:")
    assert handler.requests[1].peer.startswith("[::1]:")
    await server.drain(1)


def test_open_listener_port_taken_raises_and_with_reuse_port_shares():
    with open_listener("127.0.0.1", 0, backlog=5) as taken, pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", taken.getsockname()[1], backlog=5)
    with open_listener("127.0.0.1", 0, backlog=5, reuse_port=True) as one:
        open_listener("127.0.0.1", one.getsockname()[1], backlog=5, reuse_port=True).close()


async def test_drain_without_connections_ends_serve_at_once(readiness: Readiness):
    async with serving(readiness) as served:
        with trio.fail_after(60):
            await served.server.drain(60)
        assert await refused(served)


async def test_drain_before_serve_does_nothing(readiness: Readiness):
    await Server(FakeHandler(), readiness).drain(1)


async def test_drain_closes_idle_connections_and_answers_those_in_flight(readiness: Readiness):
    gate = Gate()
    gate.event.set()
    async with (
        serving(readiness, gate) as served,
        trio.open_nursery() as nursery,
        served.client() as idle,
        served.client() as busy,
    ):
        await idle.ask()
        await busy.ask()
        gate.event = trio.Event()
        await busy.send(GET)
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 60)
        assert await idle.is_closed()
        assert await refused(served)
        await wait_all_tasks_blocked()
        assert served.server.open_connections == 1
        gate.event.set()
        data = await busy.rest()
        assert data.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in data


async def test_drain_head_half_sent_counts_as_in_flight(readiness: Readiness):
    async with (
        serving(readiness) as served,
        trio.open_nursery() as nursery,
        served.client() as client,
    ):
        await client.send(GET[:10])
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 60)
        await wait_all_tasks_blocked()
        await client.send(GET[10:])
        assert (await client.rest()).startswith(b"HTTP/1.1 200")


async def test_drain_request_not_read_yet_is_answered(readiness: Readiness):
    """The bytes lie in the kernel when the drain starts, on old connections and queued ones."""
    async with (
        serving(readiness) as served,
        trio.open_nursery() as nursery,
        served.client() as old,
    ):
        await old.ask()
        with socket.create_connection(served.address) as queued, old.sock._sock.dup() as raw:
            raw.send(GET)
            queued.send(GET)
            nursery.start_soon(served.server.drain, 60)
            assert (await old.rest()).startswith(b"HTTP/1.1 200")
            answer = await trio.to_thread.run_sync(queued.recv, 1000)
            assert answer.startswith(b"HTTP/1.1 200")


async def test_drain_fresh_connection_may_still_send_its_first_request(
    patient_clock: MockClock, readiness: Readiness
):
    async with (
        serving(readiness) as served,
        trio.open_nursery() as nursery,
        served.client() as fresh,
        served.client() as silent,
    ):
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 60)
        await trio.sleep(0.5)
        await fresh.send(GET)
        assert (await fresh.rest()).startswith(b"HTTP/1.1 200")
        start = trio.current_time()
        assert await silent.is_closed()
        assert trio.current_time() - start <= 2


async def test_drain_pipelined_requests_all_in_are_answered_up_to_the_close(readiness: Readiness):
    gate = Gate()
    async with (
        serving(readiness, gate) as served,
        trio.open_nursery() as nursery,
        served.client() as client,
    ):
        await client.send(GET + GET)
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 60)
        await wait_all_tasks_blocked()
        gate.event.set()
        data = await client.rest()
        # The close in the first answer tells the client to send the second one again.
        assert data.count(b"HTTP/1.1 200") == 1
        assert b"Connection: close" in data


async def test_drain_grace_over_cuts_what_is_left(patient_clock: MockClock, readiness: Readiness):
    async with serving(readiness, Gate()) as served, served.client() as client:
        await client.send(GET)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        await served.server.drain(30)
        assert 30 <= trio.current_time() - start <= 31
        assert served.server.open_connections == 0
        assert await client.rest() == b""


async def test_drain_within_grace_long_answer_is_sent_whole(readiness: Readiness):
    data = bytes(1 << 25)

    async def answer(request: Request) -> Response:
        return Response(200, (), data)

    async with (
        serving(readiness, answer) as served,
        trio.open_nursery() as nursery,
        served.client() as client,
    ):
        await client.send(GET)
        await wait_all_tasks_blocked()
        nursery.start_soon(served.server.drain, 60)
        await wait_all_tasks_blocked()
        received = await client.rest()
        assert len(received.partition(b"\r\n\r\n")[2]) == len(data)


async def test_serve_cancelled_closes_everything(readiness: Readiness):
    async with (
        serving(readiness, Gate()) as served,
        served.client() as busy,
        served.client() as idle,
    ):
        await busy.send(GET)
        await wait_all_tasks_blocked()
        assert served.server.open_connections == 2
        served.server._nursery.cancel_scope.cancel()  # type: ignore[union-attr]
        assert await busy.is_closed()
        assert await idle.is_closed()
    assert served.server.open_connections == 0
    assert readiness.endpoint_count == 0


class CancelAt(trio.abc.Instrument):
    """Cancels the scope at the n-th step of the tasks whose name contains a text."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self.left = step
        self.scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if "Connection.run" in task.name:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


REQUESTS = (
    b"PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    b"body",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0",
    b"\r\n\r\nGET /c HTTP/1.1\r\nHo",
    b"st: h\r\n\r\n",
    b"nonsense\r\n\r\n",
)


@pytest.mark.parametrize("step", range(1, 16))
async def test_cancelled_at_every_step_leaves_nothing_behind(readiness: Readiness, step: int):
    with trio.CancelScope() as scope:
        async with serving(readiness) as served, served.client() as client:
            instrument = CancelAt(step, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                for piece in REQUESTS:
                    await client.send(piece)
                    await wait_all_tasks_blocked()
            finally:
                trio.lowlevel.remove_instrument(instrument)
    await trio.lowlevel.checkpoint()
    assert served.server.open_connections == 0
    assert readiness.endpoint_count == 0
    assert served.handler.failures == []
