"""Bounds of the server, and what it counts."""

import msgspec


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds, in bytes and seconds; deadlines are kept to a second.

    Attributes:
        connections_max: open at once; a further one takes the place of the longest idle one, and
            waits in the kernel's backlog while none is idle.
        backlog: of each listening socket.
        head_timeout_s: from a head's first byte to its last, and for a TLS handshake.
        idle_timeout_s: from one answer to the next request's first byte.
        progress_timeout_s: without any byte moving in a body or an answer.
        head_bytes_max, headers_max: largest head taken.
        drain_bytes_max: of a request body that nobody read, read away to keep the connection.
        linger_bytes_max, linger_timeout_s: read from a client that still sends after its last
            answer, so that it sees the answer and not a reset.
    """

    connections_max: int = 10_000
    backlog: int = 4096
    head_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    progress_timeout_s: float = 60.0
    head_bytes_max: int = 65_536
    headers_max: int = 128
    drain_bytes_max: int = 256 * 1024
    linger_bytes_max: int = 4 * 1024 * 1024
    linger_timeout_s: float = 5.0


class ServerStats(msgspec.Struct):
    """Counters since the start."""

    accepted: int = 0
    accept_errors: int = 0
    evicted: int = 0
    requests: int = 0
    refused: int = 0
    deadlines_exceeded: int = 0
    handler_failures: int = 0
    tls_handshake_failures: int = 0
    proxy_headers_refused: int = 0
