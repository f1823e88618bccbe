"""The connections to one origin.

    slot free ──reserve──▶ active ──release──▶ idle ──take──▶ active
                             └─────discard──▶ slot free

While someone waits there is neither a free slot nor an idle connection: what comes back goes to the
one who waited longest. State changes only in synchronous methods; connecting stands outside.
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio
from outcome import Error, Value
from trio.lowlevel import Abort, Task, current_task, reschedule

from s3proxy.http.errors import PoolTimeout
from s3proxy.http.origin import ClientLimits, Origin
from s3proxy.http.upstream import UpstreamConnection


class PoolStats(msgspec.Struct):
    """Counters since the start."""

    connects: int = 0
    connect_failures: int = 0
    reuses: int = 0
    retries: int = 0
    timeouts: int = 0


class Pool:
    """Idle and active connections of one origin, and the queue for them.

    A caller owns a *slot* from `take`, or `acquire`, until `release` or `discard`.
    """

    __slots__ = ("_idle", "_limits", "_waiters", "active", "closed", "origin", "stats")

    def __init__(self, origin: Origin, limits: ClientLimits) -> None:
        self.origin = origin
        self.active = 0
        self.closed = False
        self.stats = PoolStats()
        self._limits = limits
        # The one used last is at the end, and is used next: the others can grow old.
        self._idle: deque[UpstreamConnection] = deque()
        self._waiters: deque[Task] = deque()

    @property
    def idle(self) -> int:
        """Connections that wait for an exchange."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Exchanges that wait for a connection."""
        return len(self._waiters)

    def take(self) -> UpstreamConnection | None:
        """The freshest idle connection that is still good, with its slot; None without one."""
        idle, age_s_max = self._idle, self._limits.idle_timeout_s
        while idle:
            connection = idle.pop()
            age_s = connection.transport.now() - connection.idle_since_s
            if age_s < age_s_max and connection.is_quiet():
                self.active += 1
                self.stats.reuses += 1
                return connection
            connection.close()
        return None

    def reserve(self) -> bool:
        """Get a slot for a new connection, if one is free."""
        if self.active + len(self._idle) >= self._limits.connections_max:
            return False
        self.active += 1
        return True

    async def acquire(self) -> UpstreamConnection | None:
        """Get a slot, in turn: with a good connection, or None, and the caller connects.

        Raises:
            PoolTimeout: no turn within `pool_timeout_s`.
            trio.ClosedResourceError: the pool was closed.
        When cancelled no slot is held.
        """
        if self.closed:
            raise trio.ClosedResourceError
        connection = self.take()
        if connection is not None or self.reserve():
            return connection
        granted = False
        with trio.move_on_after(self._limits.pool_timeout_s):
            connection = await self._wait()
            granted = True
        if not granted:
            self.stats.timeouts += 1
            raise PoolTimeout(
                f"{self.origin}: all {self._limits.connections_max} connections stayed busy "
                f"for {self._limits.pool_timeout_s:g} s"
            )
        if connection is None:
            return None
        if not connection.is_quiet():
            connection.close()
            return None
        self.stats.reuses += 1
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """Give back a connection whose exchange was framed and consumed exactly."""
        if self.closed:
            self.discard(connection)
            return
        connection.reused = True
        if self._waiters:
            reschedule(self._waiters.popleft(), Value(connection))
            return
        self.active -= 1
        connection.idle_since_s = connection.transport.now()
        self._idle.append(connection)
        if len(self._idle) > self._limits.idle_max:
            self._idle.popleft().close()

    def discard(self, connection: UpstreamConnection) -> None:
        """Close a connection and give its slot back."""
        connection.close()
        self.free_slot()

    def free_slot(self) -> None:
        """Give back a slot without a connection."""
        if self._waiters:
            reschedule(self._waiters.popleft(), Value(None))
        else:
            self.active -= 1

    def prune(self, now_s: float) -> None:
        """Close what has been idle for too long. Cost: by what is closed."""
        while self._idle and self._is_old(self._idle[0], now_s):
            self._idle.popleft().close()

    def close(self) -> None:
        """Close what is idle now, and what is active as it comes back; waiters are refused."""
        self.closed = True
        while self._idle:
            self._idle.pop().close()
        while self._waiters:
            reschedule(self._waiters.popleft(), Error(trio.ClosedResourceError()))

    async def _wait(self) -> UpstreamConnection | None:
        # A task is cancelled out of the queue or given a slot, never both: no grant is lost.
        task = current_task()

        def abort(_raise_cancel: Callable[[], NoReturn]) -> Abort:
            self._waiters.remove(task)
            return Abort.SUCCEEDED

        self._waiters.append(task)
        granted: UpstreamConnection | None = await trio.lowlevel.wait_task_rescheduled(abort)
        return granted

    def _is_old(self, connection: UpstreamConnection, now_s: float) -> bool:
        return now_s - connection.idle_since_s >= self._limits.idle_timeout_s
