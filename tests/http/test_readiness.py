"""The readiness set: wake-ups, cancellation, closing, deadlines."""

import gc
import math
import socket
import weakref
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.errors import DeadlineExceeded
from s3proxy.http.readiness import EVENTS_PER_POLL_MAX, Endpoint, Readiness
from tests.http.sockets import stream_pair


def fill(sock: socket.socket) -> int:
    """Send until it would block."""
    count = 0
    while True:
        try:
            count += sock.send(b"x" * 65536)
        except BlockingIOError:
            return count


def empty(sock: socket.socket) -> None:
    """Receive until it would block."""
    while True:
        try:
            sock.recv(1 << 20)
        except BlockingIOError:
            return


class Pair:
    """An endpoint in a set, and the plain socket at the other end."""

    def __init__(self, readiness: Readiness) -> None:
        self.sock, self.other = stream_pair()
        self.endpoint = Endpoint(readiness, self.sock.fileno())

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_: object) -> None:
        self.endpoint.detach()
        self.sock.close()
        self.other.close()


async def test_wait_readable_data_arrives_wakes(readiness: Readiness, nursery: trio.Nursery):
    with Pair(readiness) as pair:
        woken = trio.Event()

        async def wait() -> None:
            await pair.endpoint.wait_readable(60)
            woken.set()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not woken.is_set()
        pair.other.send(b"a")
        with trio.fail_after(60):
            await woken.wait()
        assert pair.sock.recv(10) == b"a"


async def test_wait_readable_end_of_stream_wakes(readiness: Readiness, nursery: trio.Nursery):
    with Pair(readiness) as pair:
        nursery.start_soon(pair.endpoint.wait_readable, 60)
        await wait_all_tasks_blocked()
        pair.other.shutdown(socket.SHUT_WR)
        with trio.fail_after(60):
            await wait_all_tasks_blocked()
        assert pair.sock.recv(10) == b""


async def test_wait_readable_thousand_times_never_misses_an_edge(readiness: Readiness):
    with Pair(readiness) as pair:

        async def echo() -> None:
            for _ in range(1000):
                while True:
                    try:
                        pair.sock.send(pair.sock.recv(1))
                        break
                    except BlockingIOError:
                        await pair.endpoint.wait_readable(60)

        other = trio.socket.fromfd(pair.other.fileno(), pair.other.family, pair.other.type)
        with trio.fail_after(60), other:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(echo)
                for _ in range(1000):
                    await other.send(b"a")
                    assert await other.recv(1) == b"a"


async def test_wait_writable_room_comes_back_wakes(readiness: Readiness, nursery: trio.Nursery):
    with Pair(readiness) as pair:
        fill(pair.sock)
        woken = trio.Event()

        async def wait() -> None:
            await pair.endpoint.wait_writable(60)
            woken.set()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not woken.is_set()
        empty(pair.other)
        with trio.fail_after(60):
            await woken.wait()


async def test_wait_both_directions_at_once_each_wakes(readiness: Readiness):
    with Pair(readiness) as pair:
        fill(pair.sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.endpoint.wait_readable, 60)
            nursery.start_soon(pair.endpoint.wait_writable, 60)
            await wait_all_tasks_blocked()
            empty(pair.other)
            pair.other.send(b"a")
            nursery.cancel_scope.deadline = trio.current_time() + 5
        assert not nursery.cancel_scope.cancelled_caught


@pytest.mark.parametrize("direction", ["wait_readable", "wait_writable"])
async def test_wait_second_task_same_direction_raises_busy(
    readiness: Readiness, nursery: trio.Nursery, direction: str
):
    with Pair(readiness) as pair:
        fill(pair.sock)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                inner.start_soon(getattr(pair.endpoint, direction), 60)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await getattr(pair.endpoint, direction)(60)
                scope.cancel()


@pytest.mark.parametrize("end", ["cancelled", "too late", "closed"])
async def test_wait_that_fails_leaves_no_garbage_behind(epoll_readiness: Readiness, end: str):
    class Local:
        """What a frame of the task holds: a traceback in a cycle would keep it."""

    held: list[weakref.ref[Local]] = []

    async def wait(endpoint: Endpoint) -> None:
        local = Local()
        held.append(weakref.ref(local))
        with suppress(DeadlineExceeded, trio.ClosedResourceError):
            await endpoint.wait_readable(0 if end == "too late" else 60)

    gc.disable()
    try:
        with Pair(epoll_readiness) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, pair.endpoint)
                await wait_all_tasks_blocked()
                if end == "cancelled":
                    nursery.cancel_scope.cancel()
                elif end == "closed":
                    pair.endpoint.detach()
        await wait_all_tasks_blocked()
        assert [reference() for reference in held] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("direction", ["wait_readable", "wait_writable"])
async def test_wait_cancelled_clears_the_slot_and_waits_again(readiness: Readiness, direction: str):
    with Pair(readiness) as pair:
        fill(pair.sock)
        wait = getattr(pair.endpoint, direction)
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, 60)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, 60)
            await wait_all_tasks_blocked()
            empty(pair.other)
            pair.other.send(b"a")
            nursery.cancel_scope.deadline = trio.current_time() + 5
        assert not nursery.cancel_scope.cancelled_caught


async def test_wait_cancelled_with_the_event_pending_leaves_others_alone(readiness: Readiness):
    """Data and cancellation in the same scheduler round: one of them wins, nothing crashes."""
    with Pair(readiness) as pair:
        for _ in range(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pair.endpoint.wait_readable, 60)
                await wait_all_tasks_blocked()
                pair.other.send(b"a")
                nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            empty(pair.sock)


@pytest.mark.parametrize("direction", ["wait_readable", "wait_writable"])
async def test_detach_wakes_the_waiting_task_with_closed_resource_error(
    readiness: Readiness, nursery: trio.Nursery, direction: str
):
    with Pair(readiness) as pair:
        fill(pair.sock)
        caught = trio.Event()

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await getattr(pair.endpoint, direction)(60)
            caught.set()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        pair.endpoint.detach()
        with trio.fail_after(60):
            await caught.wait()


async def test_wait_after_detach_raises_closed_resource_error(readiness: Readiness):
    with Pair(readiness) as pair:
        pair.endpoint.detach()
        pair.endpoint.detach()
        assert pair.endpoint.fileno() == -1
        assert readiness.endpoint_count == 0
        with pytest.raises(trio.ClosedResourceError):
            await pair.endpoint.wait_readable(60)
        with pytest.raises(trio.ClosedResourceError):
            await pair.endpoint.wait_writable(60)


async def test_wake_reader_without_data_returns_from_the_wait(
    readiness: Readiness, nursery: trio.Nursery
):
    with Pair(readiness) as pair:
        nursery.start_soon(pair.endpoint.wait_readable, 60)
        await wait_all_tasks_blocked()
        pair.endpoint.wake_reader()
        with trio.fail_after(60):
            await wait_all_tasks_blocked()
        # The slot is free again: nobody is parked, and a new wait is not refused as busy.
        pair.endpoint.wake_reader()
        async with trio.open_nursery() as inner:
            inner.start_soon(pair.endpoint.wait_readable, 60)
            await wait_all_tasks_blocked()
            inner.cancel_scope.cancel()


@pytest.mark.parametrize(("direction", "what"), [("readable", "receive"), ("writable", "send")])
async def test_wait_nothing_happens_raises_deadline_exceeded_in_time(
    autojump_clock: MockClock, readiness: Readiness, direction: str, what: str
):
    with Pair(readiness) as pair:
        fill(pair.sock)
        start = trio.current_time()
        with pytest.raises(DeadlineExceeded, match=what) as caught:
            await getattr(pair.endpoint, f"wait_{direction}")(7.5)
        assert caught.value.what == what
        assert 7.5 <= trio.current_time() - start <= 8.6


async def test_wait_shorter_deadline_after_a_longer_one_comes_first(
    autojump_clock: MockClock, readiness: Readiness
):
    with Pair(readiness) as pair:
        with trio.move_on_after(1):
            await pair.endpoint.wait_readable(60)
        start = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await pair.endpoint.wait_readable(5)
        assert 5 <= trio.current_time() - start <= 6.1


async def test_wait_longer_deadline_after_a_shorter_one_is_kept(
    autojump_clock: MockClock, readiness: Readiness
):
    with Pair(readiness) as pair:
        with trio.move_on_after(1):
            await pair.endpoint.wait_readable(5)
        start = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await pair.endpoint.wait_readable(60)
        assert 60 <= trio.current_time() - start <= 61.1


async def test_wait_two_directions_each_keeps_its_own_deadline(
    autojump_clock: MockClock, readiness: Readiness
):
    with Pair(readiness) as pair:
        fill(pair.sock)
        ends: dict[str, float] = {}

        async def wait(direction: str, timeout_s: float) -> None:
            with pytest.raises(DeadlineExceeded):
                await getattr(pair.endpoint, direction)(timeout_s)
            ends[direction] = trio.current_time()

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "wait_writable", 20)
            nursery.start_soon(wait, "wait_readable", 10)
        assert 10 <= ends["wait_readable"] - start <= 11.1
        assert 20 <= ends["wait_writable"] - start <= 21.1


async def test_wait_progress_before_each_deadline_never_expires(
    autojump_clock: MockClock, readiness: Readiness
):
    with Pair(readiness) as pair:
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                for _ in range(20):
                    await trio.sleep(4)
                    pair.other.send(b"a")

            nursery.start_soon(trickle)
            for _ in range(20):
                await pair.endpoint.wait_readable(5)
                empty(pair.sock)
        assert trio.current_time() >= 80


async def test_wait_without_a_bound_leaves_no_deadline(
    autojump_clock: MockClock, epoll_readiness: Readiness
):
    with Pair(epoll_readiness) as pair:
        with trio.move_on_after(100_000):
            await pair.endpoint.wait_readable(math.inf)
        assert epoll_readiness.deadline_count == 0


async def test_deadlines_many_waits_keep_one_entry_per_endpoint(epoll_readiness: Readiness):
    with Pair(epoll_readiness) as one, Pair(epoll_readiness) as two:
        for timeout_s in (60, 30, 45, 5, 90, 4):
            for pair in (one, two):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pair.endpoint.wait_readable, timeout_s)
                    await wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
        assert epoll_readiness.deadline_count == 2
        one.endpoint.detach()
        assert epoll_readiness.deadline_count == 1
    assert epoll_readiness.deadline_count == 0


async def test_deadlines_many_idle_endpoints_are_looked_at_once_per_timeout(
    autojump_clock: MockClock, epoll_readiness: Readiness
):
    looks = 0

    class Counted(Endpoint):
        def _expire(self, now: float) -> None:
            nonlocal looks
            looks += 1
            super()._expire(now)

    pairs = [stream_pair() for _ in range(100)]
    endpoints = [Counted(epoll_readiness, one.fileno()) for one, _ in pairs]
    async with trio.open_nursery() as nursery:
        for endpoint in endpoints:
            nursery.start_soon(endpoint.wait_readable, 600)
        await trio.sleep(590)
        assert looks == 0
        nursery.cancel_scope.cancel()
    for endpoint, pair in zip(endpoints, pairs, strict=True):
        endpoint.detach()
        for sock in pair:
            sock.close()


async def test_run_more_ready_sockets_than_one_poll_takes_wakes_them_all(
    epoll_readiness: Readiness,
):
    pairs = [Pair(epoll_readiness) for _ in range(EVENTS_PER_POLL_MAX + 44)]
    async with trio.open_nursery() as nursery:
        for pair in pairs:
            nursery.start_soon(pair.endpoint.wait_readable, 60)
        await wait_all_tasks_blocked()
        for pair in pairs:
            pair.other.send(b"a")
        nursery.cancel_scope.deadline = trio.current_time() + 10
    assert not nursery.cancel_scope.cancelled_caught
    for pair in pairs:
        pair.__exit__()


async def test_run_cancelled_and_run_again_goes_on(nursery: trio.Nursery):
    readiness = Readiness()
    with Pair(readiness) as pair:
        async with trio.open_nursery() as inner:
            await inner.start(readiness.run)
            inner.cancel_scope.cancel()
        nursery.start_soon(pair.endpoint.wait_readable, 60)
        await wait_all_tasks_blocked()
        pair.other.send(b"a")
        await nursery.start(readiness.run)
        with trio.fail_after(60):
            await wait_all_tasks_blocked()
        pair.endpoint.wake_reader()
        assert pair.sock.recv(10) == b"a"
    readiness.close()


async def test_close_before_the_endpoints_lets_them_detach():
    readiness = Readiness()
    pair = Pair(readiness)
    readiness.close()
    with pair:
        pass
    assert readiness.endpoint_count == 0


def test_edge_triggered_is_what_was_asked_for():
    for edge_triggered in (False, True):
        readiness = Readiness(edge_triggered=edge_triggered)
        assert readiness.edge_triggered is edge_triggered
        readiness.close()
