"""Readiness of sockets: one edge-triggered epoll set for a Trio run, and its deadlines.

Trio's own wait costs an epoll_ctl and a scheduler round each time. Here each socket is registered
once for its life; one task waits on the set and reschedules the tasks that parked.

Two rules make this correct:
 1. An operation is tried before its task parks, with no await between: an edge that comes after
    the failed try is always seen by the next poll, so no ready flags are kept.
 2. A wake-up is a hint: the woken task tries again, and parks again when it was early.
One try can be spared: a receive that gave less than it had room for has emptied the socket, and
`edge_pending` says whether an edge has come since that found no task parked.

Deadlines need no cancel scope: each endpoint has at most one entry in a wheel of one-second ticks.
An entry is only looked at when its tick comes, and then moved to the endpoint's real deadline, so
the cost of a wait is a comparison, and idle connections cost one look per time-out.

Where epoll is missing the same interface rests on Trio's waits.
"""

import math
import select
import types
from collections.abc import Callable, Generator
from typing import Any, Final, NoReturn

import trio
from outcome import Error, Outcome, Value
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from s3proxy.http.errors import DeadlineExceeded

EVENTS_PER_POLL_MAX: Final = 256
# Polls of the set after one wake-up, while they bring events: amortises Trio's own wait.
POLLS_PER_WAKE_MAX: Final = 16
# After so few another poll at once would find nothing: Trio's wait is the cheaper way to the next.
EVENTS_PER_POLL_FEW: Final = 4

HAS_EPOLL: Final = hasattr(select, "epoll")
if HAS_EPOLL:
    _EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
    _WAKES_READER: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    # No other edge follows these: they stay pending once the bytes before them are taken.
    _LAST_EDGES: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    _WAKES_WRITER: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class Readiness:
    """The set of sockets whose tasks wait here; `run` must be running for anything to wake.

    Args:
        edge_triggered: use epoll; False takes Trio's waits, as on platforms without epoll.
    """

    __slots__ = ("_endpoints", "_epoll", "_reaper_lot", "_wheel", "now")

    def __init__(self, *, edge_triggered: bool = HAS_EPOLL) -> None:
        # Trio's clock; `run` finds it without the two calls that look it up each time.
        self.now: Callable[[], float] = trio.current_time
        self._epoll = select.epoll() if edge_triggered else None
        self._endpoints: dict[int, Endpoint] = {}
        self._wheel: dict[int, set[Endpoint]] = {}
        self._reaper_lot = trio.lowlevel.ParkingLot()

    @property
    def edge_triggered(self) -> bool:
        """Whether this set is an epoll set."""
        return self._epoll is not None

    @property
    def endpoint_count(self) -> int:
        """Endpoints that are open."""
        return len(self._endpoints)

    @property
    def deadline_count(self) -> int:
        """Endpoints that have an entry in the wheel of deadlines."""
        return sum(map(len, self._wheel.values()))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wake parked tasks until cancelled. Endpoints stay registered; a later `run` goes on."""
        self.now = trio.lowlevel.current_clock().current_time
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reap)
            task_status.started()
            if self._epoll is not None:
                await self._wake_ready(self._epoll)
            else:
                await trio.sleep_forever()

    def close(self) -> None:
        """Give the epoll descriptor back; endpoints are closed by their owners, before or after."""
        if self._epoll is not None:
            self._epoll.close()

    async def _wake_ready(self, epoll: select.epoll) -> None:
        descriptor = epoll.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            for _ in range(POLLS_PER_WAKE_MAX):
                events = epoll.poll(0, EVENTS_PER_POLL_MAX)
                self._wake(events)
                if len(events) < EVENTS_PER_POLL_FEW:
                    break
                await trio.lowlevel.checkpoint()

    def _wake(self, events: list[tuple[int, int]]) -> None:
        endpoints = self._endpoints
        for descriptor, mask in events:
            endpoint = endpoints.get(descriptor)
            if endpoint is not None:
                endpoint._wake(mask)

    def _add(self, endpoint: "Endpoint") -> None:
        if self._epoll is not None:
            self._epoll.register(endpoint._descriptor, _EDGES)
        self._endpoints[endpoint._descriptor] = endpoint

    def _remove(self, endpoint: "Endpoint") -> None:
        del self._endpoints[endpoint._descriptor]
        if self._epoll is not None and not self._epoll.closed:
            self._epoll.unregister(endpoint._descriptor)
        self._forget_deadline(endpoint)

    def _set_tick(self, endpoint: "Endpoint", tick: int) -> None:
        """Put the endpoint's only entry at `tick`, from wherever it was."""
        self._forget_deadline(endpoint)
        endpoint._tick = tick
        entries = self._wheel.get(tick)
        if entries is not None:
            entries.add(endpoint)
            return
        if not self._wheel:
            self._reaper_lot.unpark()
        self._wheel[tick] = {endpoint}

    def _forget_deadline(self, endpoint: "Endpoint") -> None:
        entries = self._wheel.get(endpoint._tick)
        if entries is not None:
            entries.discard(endpoint)
            if not entries:
                del self._wheel[endpoint._tick]
        endpoint._tick = _NO_TICK

    async def _reap(self) -> None:
        while True:
            while not self._wheel:
                await self._reaper_lot.park()
            now = trio.current_time()
            for tick in [tick for tick in self._wheel if tick <= now]:
                for endpoint in self._wheel.pop(tick):
                    endpoint._tick = _NO_TICK
                    endpoint._expire(now)
            await trio.sleep_until(math.floor(now) + 1)


# Later than every real tick, so that "earlier than the entry" is one comparison.
_NO_TICK: Final = 1 << 62
# What tasks are rescheduled with; one for all, as nobody unwraps it.
_WOKEN: Final = Value(None)


def _trap(abort: Callable[[Callable[[], NoReturn]], Abort]) -> Any:
    """What `wait_task_rescheduled(abort)` yields to Trio; it can be yielded any number of times."""
    waiting = wait_task_rescheduled(abort)  # noqa: ASYNC105 - driven by hand
    trap = waiting.send(None)
    waiting.close()
    return trap


@types.coroutine
def _park(trap: Any) -> Generator[Any, Outcome[None], None]:
    """Wait as `wait_task_rescheduled` does, in one frame instead of three."""
    sent = yield trap
    if sent is not _WOKEN:
        try:
            sent.unwrap()
        finally:
            del sent  # it holds the exception, whose traceback holds this frame


class Endpoint:
    """One nonblocking socket in the set: at most one task waits in each direction.

    The caller keeps the descriptor open until `detach`.

    Attributes:
        closed: detached.
        edge_pending: since the last wait to read began, the set saw an edge of readability that
            woke nobody, or the end of the stream.
        now: Trio's clock.
        burst: operations in a row that did not park; for whoever keeps count.
    """

    __slots__ = (
        "_descriptor",
        "_read_deadline",
        "_read_trap",
        "_reader",
        "_readiness",
        "_tick",
        "_write_deadline",
        "_write_trap",
        "_writer",
        "burst",
        "closed",
        "edge_pending",
        "now",
    )

    def __init__(self, readiness: Readiness, descriptor: int) -> None:
        self._readiness = readiness
        self.now = readiness.now
        self.burst = 0
        self._descriptor = descriptor
        self._reader: Task | None = None
        self._writer: Task | None = None
        self._read_deadline = math.inf
        self._write_deadline = math.inf
        self._tick = _NO_TICK
        self._read_trap: Any = None
        self._write_trap: Any = None
        self.closed = False
        self.edge_pending = False
        readiness._add(self)

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._descriptor

    async def wait_readable(self, timeout_s: float) -> None:
        """Wait until reading may succeed; call only right after a read that would have blocked.

        Raises:
            DeadlineExceeded: after `timeout_s`, up to a second late.
            trio.ClosedResourceError: closed here, before or meanwhile.
            trio.BusyResourceError: another task waits to read.
        """
        if self.closed:
            raise trio.ClosedResourceError
        self.burst = 0
        if self._reader is not None:
            raise trio.BusyResourceError("another task waits to read from this socket")
        if self._readiness._epoll is None:
            await self._wait_plainly("receive", timeout_s)
            return
        self._reader = current_task()
        self.edge_pending = False
        self._read_deadline = deadline = self.now() + timeout_s
        if deadline < self._tick:
            self._set_deadline(deadline)
        if self._read_trap is None:
            self._read_trap = _trap(self._abort_read)
        await _park(self._read_trap)

    async def wait_writable(self, timeout_s: float) -> None:
        """Wait until writing may succeed; see `wait_readable`."""
        if self.closed:
            raise trio.ClosedResourceError
        self.burst = 0
        if self._writer is not None:
            raise trio.BusyResourceError("another task waits to write to this socket")
        if self._readiness._epoll is None:
            await self._wait_plainly("send", timeout_s)
            return
        self._writer = current_task()
        self._write_deadline = deadline = self.now() + timeout_s
        if deadline < self._tick:
            self._set_deadline(deadline)
        if self._write_trap is None:
            self._write_trap = _trap(self._abort_write)
        await _park(self._write_trap)

    def wake_reader(self) -> None:
        """Have the parked reader, if any, try again now."""
        if self._readiness._epoll is None:
            trio.lowlevel.notify_closing(self._descriptor)
        elif (task := self._reader) is not None:
            self._reader = None
            reschedule(task, _WOKEN)

    def detach(self) -> None:
        """Leave the set, before the descriptor is closed; parked tasks get ClosedResourceError."""
        if self.closed:
            return
        self.closed = True
        self._readiness._remove(self)
        descriptor, self._descriptor = self._descriptor, -1
        if self._readiness._epoll is None:
            trio.lowlevel.notify_closing(descriptor)
            return
        reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
        self._read_trap = self._write_trap = None  # they point back here
        for task in (reader, writer):
            if task is not None:
                reschedule(task, Error(trio.ClosedResourceError()))

    def _wake(self, mask: int) -> None:
        if mask & _WAKES_READER:
            task = self._reader
            if task is None or mask & _LAST_EDGES:
                self.edge_pending = True
            if task is not None:
                self._reader = None
                reschedule(task, _WOKEN)
        if mask & _WAKES_WRITER and (task := self._writer) is not None:
            self._writer = None
            reschedule(task, _WOKEN)

    def _set_deadline(self, deadline: float) -> None:
        if deadline != math.inf:
            tick = math.floor(deadline) + 1
            if tick < self._tick:
                self._readiness._set_tick(self, tick)

    def _expire(self, now: float) -> None:
        if (reader := self._reader) is not None:
            if self._read_deadline <= now:
                self._reader = None
                reschedule(reader, Error(DeadlineExceeded("receive")))
            else:
                self._set_deadline(self._read_deadline)
        if (writer := self._writer) is not None:
            if self._write_deadline <= now:
                self._writer = None
                reschedule(writer, Error(DeadlineExceeded("send")))
            else:
                self._set_deadline(self._write_deadline)

    def _abort_read(self, _raise_cancel: Callable[[], NoReturn]) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def _abort_write(self, _raise_cancel: Callable[[], NoReturn]) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED

    async def _wait_plainly(self, what: str, timeout_s: float) -> None:
        wait = trio.lowlevel.wait_readable if what == "receive" else trio.lowlevel.wait_writable
        with trio.move_on_after(timeout_s):
            try:
                await wait(self._descriptor)
            except trio.ClosedResourceError:
                # wake_reader goes the same way: only a closed endpoint ends the wait for good.
                if self.closed:
                    raise
            return
        raise DeadlineExceeded(what)
