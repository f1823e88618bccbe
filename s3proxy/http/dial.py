"""A connection to an origin: names, addresses, TLS, within one bound."""

import os
import socket
import ssl

import trio

from s3proxy.http.errors import ConnectFailed, TransportError
from s3proxy.http.origin import Origin
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import TlsTransport, Transport


async def dial(
    origin: Origin, readiness: Readiness, *, timeout_s: float, ssl_context: ssl.SSLContext | None
) -> Transport:
    """Connect to `origin`, trying its addresses in the order of RFC 8305 (Happy Eyeballs).

    Args:
        readiness: where the transport waits from then on.
        timeout_s: for everything together.
        ssl_context: says who is trusted; needed for https.
    Raises:
        ConnectFailed: the message names the origin and the cause.
    When cancelled nothing stays open.
    """
    deadline = trio.current_time() + timeout_s
    sock = await _connect(origin, timeout_s)
    if origin.scheme == "http":
        return Transport(readiness, sock, _peer(sock))
    if ssl_context is None:
        sock.close()
        raise ConnectFailed(f"{origin}: nobody is trusted")
    try:
        peer = _peer(sock)
        wrapped = ssl_context.wrap_socket(
            sock,
            server_hostname=origin.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectFailed(f"{origin}: {error}") from error
    transport = TlsTransport(readiness, wrapped, peer)
    try:
        await transport.handshake(timeout_s=deadline - trio.current_time())
    except TransportError as error:
        transport.close()
        raise ConnectFailed(f"{origin}: TLS handshake: {error}") from error
    except BaseException:
        transport.close()
        raise
    return transport


async def _connect(origin: Origin, timeout_s: float) -> socket.socket:
    try:
        with trio.fail_after(timeout_s):
            stream = await trio.open_tcp_stream(origin.host, origin.port)
    except trio.TooSlowError as error:
        raise ConnectFailed(f"{origin}: no connection within {timeout_s:g} s") from error
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(f"{origin}: {_reasons(error)}") from error
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    # Trio's streams keep little unsent, for prompt answers; bodies want the buffer full.
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 0)
    return sock


def _reasons(error: Exception) -> str:
    """What was wrong with the addresses: Trio's own message says only that all of them failed."""
    tried = error.__cause__.exceptions if isinstance(error.__cause__, ExceptionGroup) else ()
    numbers = dict.fromkeys(e.errno for e in tried if isinstance(e, OSError) and e.errno)
    return ", ".join(map(os.strerror, numbers)) or str(error)


def _peer(sock: socket.socket) -> str:
    try:
        address = sock.getpeername()
    except OSError:
        return ""
    return f"{address[0]}:{address[1]}"
