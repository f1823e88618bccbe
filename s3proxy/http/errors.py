"""Errors of the byte layer.

    TransportError
    ├── Disconnected          the peer went away, or ended a message early
    ├── DeadlineExceeded      no progress, or no head, within its time
    ├── BodyCutShort          the source of an outgoing body ended before its length
    ├── BodyTooLarge          a body that was to fit in memory does not
    ├── ProtocolError         the peer broke the framing of HTTP
    └── UpstreamError         an upstream could not be asked
        ├── ConnectFailed     no connection
        └── PoolTimeout       no free connection in time
    TlsConfigError            a certificate or key that cannot be served

A caller that waits on a transport that its own side closed gets `trio.ClosedResourceError`.
"""


class TransportError(Exception):
    """Base of everything that goes wrong between two sockets.

    Attributes:
        of_source: between two transports, it was the source that failed. The sink has got all that
            had been taken from it, and its `bytes_sent` says how much: the rest may come from
            elsewhere.
    """

    of_source = False


class Disconnected(TransportError):  # noqa: N818 - named for what happened
    """The peer closed or reset the connection before the message was complete."""


class DeadlineExceeded(TransportError):  # noqa: N818 - named for what happened
    """A wait lasted longer than its bound; `what` names it ("receive", "send", "head" ...)."""

    def __init__(self, what: str) -> None:
        super().__init__(f"deadline exceeded: {what}")
        self.what = what


class BodyCutShort(TransportError):  # noqa: N818 - named for what happened
    """The source of an outgoing body ended before the length it promised."""

    of_source = True


class BodyTooLarge(TransportError):  # noqa: N818 - named for what happened
    """A body is longer than the `limit_bytes` its reader has room for."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"body longer than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class ProtocolError(TransportError):
    """The peer broke the framing; `status` is the answer it deserves (502 for an upstream)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class UpstreamError(TransportError):
    """An upstream could not be asked, or its answer could not be read."""


class ConnectFailed(UpstreamError):  # noqa: N818 - named for what happened
    """No connection: refused, unreachable, unresolved, or its TLS is not trusted."""


class PoolTimeout(UpstreamError):  # noqa: N818 - named for what happened
    """Every connection to the origin stayed busy for longer than the bound."""


class TlsConfigError(Exception):
    """A certificate, key or trust file cannot be used; the message names the file."""
