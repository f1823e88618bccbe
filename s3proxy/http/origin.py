"""Who is asked, and the bounds on asking."""

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """An upstream server.

    Attributes:
        scheme: "http" or "https".
        host: name or address, an IPv6 one without brackets; for TLS, the name that is verified.
        port: 1 to 65535.
        lane: requests of another lane have connections of their own, and do not wait for these.
    """

    scheme: str
    host: str
    port: int
    lane: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        lane = f" ({self.lane})" if self.lane else ""
        return f"{self.scheme}://{host}:{self.port}{lane}"


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the client, in bytes and seconds.

    Attributes:
        connections_max: to one origin at once; further exchanges wait their turn.
        idle_max: connections to one origin kept for reuse.
        pool_timeout_s: wait for a free connection.
        connect_timeout_s: names, connection and TLS handshake together.
        first_byte_timeout_s: from the end of the request to the end of the response head.
        progress_timeout_s: without any byte moving in a body, either way.
        idle_timeout_s: age at which an idle connection is no longer trusted; below what common
            servers keep (AWS 20 s, nginx 75 s), so that they seldom close first.
        head_bytes_max, headers_max: largest response head taken.
        interim_responses_max: 1xx responses taken before the final one.
    """

    connections_max: int = 256
    idle_max: int = 128
    pool_timeout_s: float = 10.0
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 60.0
    progress_timeout_s: float = 60.0
    idle_timeout_s: float = 15.0
    head_bytes_max: int = 65_536
    headers_max: int = 256
    interim_responses_max: int = 8
