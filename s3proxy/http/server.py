"""The HTTP/1.1 server: accepts connections, bounds them, drains them.

Server.serve ── nursery ─┬─ one task per listener: accept
                         └─ one task per connection: `Connection.run`
"""

import errno
import heapq
import math
import select
import socket
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import trio

from s3proxy.http.connection import Connection, Shared
from s3proxy.http.handler import Handler, Request, Response
from s3proxy.http.limits import ServerLimits, ServerStats
from s3proxy.http.readiness import Endpoint, Readiness
from s3proxy.http.tls import TlsContext
from s3proxy.http.transport import TlsTransport, Transport
from s3proxy.s3.proxies import Networks

__all__ = ["Handler", "Request", "Response", "Server", "ServerLimits", "ServerStats"]

# Connections taken in one go before the other tasks get their turn.
ACCEPTS_PER_TURN_MAX: Final = 64
# After an accept that failed for want of descriptors or memory: until some are given back.
ACCEPT_PAUSE_S: Final = 0.1
# How long a connection stays idle at least before it yields to another: its next request may be on
# the way.
EVICTED_AFTER_S: Final = 1.0
# Part of the connections that yields at a time, as finding the idle ones takes a look at all.
EVICTED_PART: Final = 0.01
# What accept(2) passes on from a connection that is already dead; the next one may be well.
_DEAD_ON_ARRIVAL: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
        errno.ETIMEDOUT,
    }
)


class Server:
    """Serves a handler on listening sockets.

    Args:
        handler: answers the requests.
        readiness: where the connections wait; its `run` must be running.
        limits: bounds.
        tls: given, every connection speaks TLS.
        proxies: whose connections begin with a header of the PROXY protocol; None: nobody's.
    """

    def __init__(
        self,
        handler: Handler,
        readiness: Readiness,
        limits: ServerLimits | None = None,
        tls: TlsContext | None = None,
        proxies: Networks | None = None,
    ) -> None:
        self._readiness = readiness
        self._limits = limits or ServerLimits()
        self._tls = tls
        self._shared = Shared(handler, self._limits, proxies)
        self._listeners: list[Listener] = []
        self._nursery: trio.Nursery | None = None
        self._stopped = trio.Event()

    @property
    def open_connections(self) -> int:
        """Connections that are open now."""
        return len(self._shared.connections)

    @property
    def stats(self) -> ServerStats:
        """Counters since the start."""
        return self._shared.stats

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until drained; runs once per server.

        Owns `listeners` (listening stream sockets) and closes them. Cancelled, it cuts every
        connection at once.
        """
        self._listeners = [Listener(self._readiness, listener) for listener in listeners]
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for listener in self._listeners:
                    nursery.start_soon(self._accept_from, listener, nursery)
                task_status.started()
        finally:
            self._stop_listening()
            self._stopped.set()

    async def drain(self, grace_s: float) -> None:
        """Stop accepting, let what has begun finish within `grace_s`, then cut the rest.

        Idle connections are closed at once; answers tell their clients that the connection ends.
        Connections that the kernel has already queued are still taken. Returns once `serve` has
        ended; cancelled, the server goes on draining without a bound.
        """
        nursery = self._nursery
        if nursery is None:
            return
        self._shared.draining = True
        for listener in self._listeners:
            self._take_queued(listener, nursery)
        self._stop_listening()
        for connection in list(self._shared.connections):
            connection.retire()
        with trio.move_on_after(grace_s):
            await self._stopped.wait()
        nursery.cancel_scope.cancel()
        await self._stopped.wait()

    def _take_queued(self, listener: "Listener", nursery: trio.Nursery) -> None:
        try:
            while not self._full() and self._accept_one(listener, nursery):
                pass
        except OSError:
            self.stats.accept_errors += 1

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._shared.room.unpark_all()

    def _full(self) -> bool:
        return len(self._shared.connections) >= self._limits.connections_max

    async def _accept_from(self, listener: "Listener", nursery: trio.Nursery) -> None:
        turn = 0
        while not listener.closed:
            if self._full():
                await self._wait_for_room(listener)
                continue
            try:
                accepted = self._accept_one(listener, nursery)
            except OSError as error:
                await self._outlive(error)
                continue
            turn += 1
            if not accepted:
                turn = 0
                await listener.wait()
            elif turn >= ACCEPTS_PER_TURN_MAX:
                turn = 0
                await trio.lowlevel.checkpoint()

    async def _wait_for_room(self, listener: "Listener") -> None:
        """Return when a connection may be taken that waits for it: the longest idle ones yield."""
        if listener.is_quiet():
            await listener.wait()
        else:
            self._evict()
            with trio.move_on_after(EVICTED_AFTER_S):
                await self._shared.room.park()

    def _evict(self) -> None:
        connections = self._shared.connections
        count = max(1, int(len(connections) * EVICTED_PART))
        before_s = trio.current_time() - EVICTED_AFTER_S
        idle = [connection for connection in connections if connection.idle_since_s <= before_s]
        for connection in heapq.nsmallest(count, idle, key=attrgetter("idle_since_s")):
            connection.evict()

    def _accept_one(self, listener: "Listener", nursery: trio.Nursery) -> bool:
        """Start the task of a queued connection; False: none is queued. Raises OSError."""
        try:
            sock, address = listener.socket.accept()
        except BlockingIOError:
            return False
        self.stats.accepted += 1
        try:
            transport = self._transport(sock, _peer(address))
        except (OSError, ValueError):
            # The peer is gone already, or the kernel has no room for the registration.
            sock.close()
            self.stats.accept_errors += 1
            return True
        connection = Connection(transport, self._shared)
        self._shared.connections.add(connection)
        nursery.start_soon(connection.run)
        return True

    def _transport(self, sock: socket.socket, peer: str) -> Transport:
        sock.setblocking(False)
        if self._tls is None:
            return Transport(self._readiness, sock, peer)
        return TlsTransport(self._readiness, self._tls.wrap(sock), peer)

    async def _outlive(self, error: OSError) -> None:
        """Go on after a failed accept, at once or when what it lacked may be there again."""
        self.stats.accept_errors += 1
        if error.errno in _DEAD_ON_ARRIVAL:
            await trio.lowlevel.checkpoint()
        else:
            self._evict()
            with trio.move_on_after(ACCEPT_PAUSE_S):
                await self._shared.room.park()


class Listener(Endpoint):
    """A listening socket in the readiness set; owns it."""

    __slots__ = ("socket",)

    def __init__(self, readiness: Readiness, listener: socket.socket) -> None:
        listener.setblocking(False)
        self.socket = listener
        super().__init__(readiness, listener.fileno())

    def is_quiet(self) -> bool:
        """Whether no connection is queued."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    async def wait(self) -> None:
        """Park until a connection is queued, or the listener is closed."""
        try:
            await self.wait_readable(math.inf)
        except trio.ClosedResourceError:
            return

    def close(self) -> None:
        """Stop listening; idempotent."""
        if not self.closed:
            self.detach()
            self.socket.close()


def open_listener(host: str, port: int, *, backlog: int, reuse_port: bool = False) -> socket.socket:
    """A socket listening on a numeric address; port 0: any free one.

    Args:
        backlog: connections the kernel queues (it caps this at net.core.somaxconn).
        reuse_port: several processes share the port, the kernel spreads the connections.
    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _peer(address: object) -> str:
    """The text form of what accept gives: "ip:port", "[ip]:port", "" for Unix sockets."""
    if not isinstance(address, tuple):
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
