"""One connected, nonblocking stream socket, plain or TLS.

Every operation is tried at once and parks in the readiness set only when it would block, so an
operation that succeeds at once is no checkpoint; after `BURST_OPERATIONS_MAX` of those in a row the
next one yields first. The yield comes before the operation, never after: bytes received into a
shared buffer are the caller's until its own next await.
"""

import array
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import trio

from s3proxy.http.errors import DeadlineExceeded, Disconnected
from s3proxy.http.readiness import Endpoint, Readiness

# With 64 KiB buffers, some 3 ms of copying before the other connections get their turn.
BURST_OPERATIONS_MAX: Final = 32
# The kernel takes at most IOV_MAX buffers in one sendmsg.
PARTS_PER_SEND_MAX: Final = 1024

WOULD_BLOCK: Final = -1
_MORE: Final = getattr(socket, "MSG_MORE", 0)
# Where the kernel writes a queue's length; read before anything else runs.
_QUEUED: Final = array.array("i", [0])
# struct linger: on, for 0 seconds.
_RESET: Final = struct.pack("ii", 1, 0)

_LOOPBACK: Final = ("127.", "[::1]")


class Transport(Endpoint):
    """A connected socket; owns it from now on.

    Args:
        readiness: the set it waits in, running.
        sock: nonblocking, connected (or connecting).
        peer: "ip:port" for logs.
    """

    __slots__ = ("_socket", "bytes_sent", "peer")

    # Whether the kernel may move the bytes itself (sendfile, splice).
    plain: bool = True
    # Of TLS, such as "1.3", known after the handshake.
    tls_version: str = ""

    def __init__(self, readiness: Readiness, sock: socket.socket, peer: str = "") -> None:
        self._socket = sock
        # What has left through this transport; whoever splices into it adds its own count.
        self.bytes_sent = 0
        self.peer = peer
        super().__init__(readiness, sock.fileno())
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if peer.startswith(_LOOPBACK):
                _stop_pacing(sock)

    def receive_nowait(self, buffer: bytearray | memoryview) -> int:
        """Receive what is there: the count, 0 at the end of the stream, or WOULD_BLOCK.

        Raises:
            Disconnected: the connection broke.
        """
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            return WOULD_BLOCK
        except OSError as error:
            raise self.broken(error) from error

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        """Send what fits: the count (`data` is not empty), or WOULD_BLOCK; see `receive_nowait`."""
        try:
            sent = self._socket.send(data, _MORE if more else 0)
        except BlockingIOError:
            return WOULD_BLOCK
        except OSError as error:
            raise self.broken(error) from error
        self.bytes_sent += sent
        return sent

    def send_parts_nowait(self, parts: Sequence[bytes | memoryview]) -> int:
        """Send what fits of `parts` in one call; see `send_nowait`."""
        try:
            sent = self._socket.sendmsg(parts[:PARTS_PER_SEND_MAX])
        except BlockingIOError:
            return WOULD_BLOCK
        except OSError as error:
            raise self.broken(error) from error
        self.bytes_sent += sent
        return sent

    async def receive_into(self, buffer: bytearray | memoryview, *, timeout_s: float) -> int:
        """Receive at least one byte into `buffer`, which is not empty.

        Returns:
            The count; 0 at the end of the stream.
        Raises:
            Disconnected: the connection broke.
            DeadlineExceeded: nothing came for `timeout_s`.
        When cancelled nothing was received.
        """
        if self.burst >= BURST_OPERATIONS_MAX:
            await self.take_turn()
        self.burst += 1
        while (count := self.receive_nowait(buffer)) < 0:
            await self.wait_to_receive(timeout_s)
        return count

    async def send_all(
        self, data: bytes | bytearray | memoryview, *, timeout_s: float, more: bool = False
    ) -> None:
        """Send `data` whole.

        Args:
            timeout_s: bound on each wait for room, not on the whole.
            more: other bytes follow at once; the kernel may hold these back to fill a packet.
        Raises:
            Disconnected, DeadlineExceeded: an unknown part was sent.
        When cancelled, an unknown part was sent: close the transport.
        """
        if self.burst >= BURST_OPERATIONS_MAX:
            await self.take_turn()
        self.burst += 1
        if not data:
            return
        sent = self.send_nowait(data, more=more)
        if sent != len(data):
            await self._send_rest(memoryview(data), max(sent, 0), timeout_s, more)

    async def send_parts(self, parts: Sequence[bytes | memoryview], *, timeout_s: float) -> None:
        """Send `parts` one after the other, in as few calls as fit; see `send_all`."""
        if self.burst >= BURST_OPERATIONS_MAX:
            await self.take_turn()
        self.burst += 1
        parts = [part for part in parts if part]
        while parts:
            sent = self.send_parts_nowait(parts)
            if sent < 0:
                await self.wait_to_send(timeout_s)
            else:
                parts = _after(parts, sent)

    # Parks until a receive that would have blocked may be tried again.
    wait_to_receive = Endpoint.wait_readable

    async def wait_to_send(self, timeout_s: float) -> None:
        """Park until a send that would have blocked may be tried again.

        The kernel calls a socket writable only once a good part of its send buffer is free, which
        a slow peer may take minutes to reach: as long as the queue shrinks from look to look, a
        timeout apart, it is not cut. A peer that stopped is cut after one timeout, or two.
        """
        queued = self._queued_bytes()
        try:
            await self.wait_until_sendable(timeout_s)
        except DeadlineExceeded:
            # Never parks again here: the socket may have become writable at this very moment, and
            # that edge is gone. The caller tries, which tells.
            if self._queued_bytes() >= queued:
                raise

    async def wait_until_sendable(self, timeout_s: float) -> None:
        """Park in the direction that sending needs, for `timeout_s` at most."""
        await self.wait_writable(timeout_s)

    async def take_turn(self) -> None:
        """Let the other tasks run; called after a burst of operations that did not park."""
        self.burst = 0
        await trio.lowlevel.checkpoint()

    async def count_operation(self) -> None:
        """Count an operation done on the descriptor itself (sendfile, splice) into the burst."""
        self.burst += 1
        if self.burst >= BURST_OPERATIONS_MAX:
            await self.take_turn()

    def broken(self, error: OSError) -> Exception:
        """What an operation that failed with `error` raises: closed here, or by the peer."""
        if self.closed:
            return trio.ClosedResourceError()
        return Disconnected(str(error))

    def set_receive_low_water(self, count: int) -> None:
        """Wake readers only once `count` bytes are there, or the end; 1 by default.

        Does nothing once closed.
        """
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def set_unsent_low_water(self, count: int) -> None:
        """Wake writers only once fewer than `count` bytes wait to be sent; twice as many may wait.

        For TCP on Linux. Does nothing once closed.
        """
        if self.closed or self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * count)
        except OSError:
            return  # a kernel without it: it only saves wake-ups

    def receive_below_nowait(self, count: int, *, peek: bool = False) -> bytes | None:
        """Up to `count` bytes below TLS, which `peek` leaves there; None: nothing has come."""
        try:
            # Not the method of an SSLSocket, which reads through TLS.
            return socket.socket.recv(self._socket, count, socket.MSG_PEEK if peek else 0)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self.broken(error) from error

    def shutdown_write(self) -> None:
        """Tell the peer that nothing more comes; reading goes on. Never raises for a dead peer."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def release(self) -> socket.socket:
        """Leave the readiness set and hand the open socket over, e.g. to wrap it in TLS."""
        self.detach()
        return self._socket

    def close(self) -> None:
        """Close the socket and wake who waits on it; idempotent."""
        if not self.closed:
            self.detach()
            self._socket.close()

    def abort(self) -> None:
        """Close with a reset: the peer must not take what it got for whole; idempotent."""
        if not self.closed:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass
            Transport.close(self)

    def _queued_bytes(self) -> int:
        """Bytes sent that the peer's kernel has not taken yet."""
        try:
            fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, _QUEUED)
        except OSError:
            return 0
        return _QUEUED[0]

    async def _send_rest(self, data: memoryview, start: int, timeout_s: float, more: bool) -> None:
        stop = len(data)
        while start < stop:
            sent = self.send_nowait(data[start:], more=more)
            if sent < 0:
                await self.wait_to_send(timeout_s)
            else:
                start += sent


class TlsTransport(Transport):
    """A TLS socket, wrapped with `do_handshake_on_connect=False, suppress_ragged_eofs=False`."""

    __slots__ = ("_receive_needs_write", "_send_needs_read", "tls_version")

    plain = False

    _socket: ssl.SSLSocket

    def __init__(self, readiness: Readiness, sock: ssl.SSLSocket, peer: str = "") -> None:
        super().__init__(readiness, sock, peer)
        self._receive_needs_write = False
        self._send_needs_read = False
        self.tls_version = ""

    async def handshake(self, *, timeout_s: float) -> None:
        """Do the handshake within `timeout_s` in all.

        Raises:
            Disconnected: the peer went away or failed the handshake (also: is not trusted).
            DeadlineExceeded: it took too long.
        """
        deadline = trio.current_time() + timeout_s
        while True:
            try:
                self._socket.do_handshake()
            except ssl.SSLWantReadError:
                await self.wait_readable(deadline - trio.current_time())
            except ssl.SSLWantWriteError:
                await self.wait_writable(deadline - trio.current_time())
            except (OSError, ValueError) as error:
                raise self.broken_tls(error) from error
            else:
                self.tls_version = (self._socket.version() or "").removeprefix("TLSv")
                return

    def receive_nowait(self, buffer: bytearray | memoryview) -> int:
        """See `Transport.receive_nowait`; an end without close_notify is Disconnected."""
        self._receive_needs_write = False
        try:
            return self._socket.recv_into(buffer)
        except ssl.SSLWantReadError:
            return WOULD_BLOCK
        except ssl.SSLWantWriteError:
            self._receive_needs_write = True
            return WOULD_BLOCK
        except (OSError, ValueError) as error:
            raise self.broken_tls(error) from error

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        """See `Transport.send_nowait`; `more` means nothing here."""
        self._send_needs_read = False
        try:
            sent = self._socket.send(data)
        except ssl.SSLWantWriteError:
            return WOULD_BLOCK
        except ssl.SSLWantReadError:
            self._send_needs_read = True
            return WOULD_BLOCK
        except (OSError, ValueError) as error:
            raise self.broken_tls(error) from error
        self.bytes_sent += sent
        return sent

    def send_parts_nowait(self, parts: Sequence[bytes | memoryview]) -> int:
        """TLS has no gathering write: the parts are joined."""
        return self.send_nowait(b"".join(parts))

    def wait_to_receive(self, timeout_s: float) -> Coroutine[Any, Any, None]:
        """Park in the direction that TLS asked for."""
        # The other task is parked there already: what it sends moves this side on, too.
        if self._receive_needs_write and self._writer is None:
            return self.wait_writable(timeout_s)
        return self.wait_readable(timeout_s)

    async def wait_until_sendable(self, timeout_s: float) -> None:
        """Park in the direction that TLS asked for."""
        if self._send_needs_read and self._reader is None:
            await self.wait_readable(timeout_s)
        else:
            await self.wait_writable(timeout_s)

    def broken_tls(self, error: OSError | ValueError) -> Exception:
        """As `broken`; ValueError is what an SSLSocket raises once its descriptor is gone."""
        if self.closed:
            return trio.ClosedResourceError()
        return Disconnected(str(error))

    def shutdown_write(self) -> None:
        """Send close_notify as far as it fits, then end the write side."""
        self._say_goodbye()
        super().shutdown_write()

    def close(self) -> None:
        """As `Transport.close`, after close_notify, so that the peer knows the end for whole."""
        if not self.closed:
            self._say_goodbye()
            super().close()

    def _say_goodbye(self) -> None:
        try:
            self._socket.unwrap()
        except (OSError, ValueError):
            return


def _stop_pacing(sock: socket.socket) -> None:
    """Take the congestion control that paces nothing, for a peer on this machine.

    Where the system's is BBR, its timers cost a third of the CPU of a large transfer over loopback,
    where there is no path to find out about. Reno is in every kernel and open to every process.
    """
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    except (OSError, AttributeError):
        return  # not Linux


def _after(parts: Sequence[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    """What is left of `parts` after their first `sent` bytes."""
    for index, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[index + 1 :]]
        sent -= len(part)
    return []
