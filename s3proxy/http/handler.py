"""What the server hands up and what it gets back."""

from collections.abc import Sequence
from time import monotonic
from typing import Any, Protocol

import msgspec

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import RequestHead
from s3proxy.http.body import Body, GeneratedBody
from s3proxy.http.request_body import RequestBody


class Request(msgspec.Struct, eq=False):
    """One request, its head complete.

    Attributes:
        head: the parsed head.
        body: what follows it; empty for most methods. Left unread, the server disposes of it.
        peer: "ip:port" of the client.
        secure: it came over TLS.
        tls_version: of that, such as "1.3"; "" without.
        id: the x-amz-request-id of the answer: 16 hexadecimal digits, unique.
        received_s: `time.monotonic()` when the head was complete.
        context: the handler's own, from `handle` to `sent`.
    """

    head: RequestHead
    body: RequestBody
    id: str
    peer: str = ""
    secure: bool = False
    tls_version: str = ""
    received_s: float = msgspec.field(default_factory=monotonic)
    context: Any = None


class Response(msgspec.Struct, eq=False):
    """An answer; the server closes its body.

    Attributes:
        status: 200 to 599.
        headers: without those of framing, connection, Server, Date and x-amz-request-id.
        body: bytes leave together with the head. A body of length -1 goes out chunked, or to
            HTTP/1.0 clients up to the end of the connection.
        raw: header lines as `ResponseHead.select` gives them.
        close: end the connection after this answer.
        length: the Content-Length of an answer to HEAD, which has no body.
    """

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Body | GeneratedBody = b""
    raw: bytes = b""
    close: bool = False
    length: int | None = None


class Handler(Protocol):
    """The application behind a server.

    It may also have `failed(error: Exception) -> None`, which is told of exceptions that left its
    other methods: bugs, each of which cost one connection.
    """

    async def handle(self, request: Request) -> Response:
        """Answer one request; runs in the connection's task, one at a time per connection."""

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        """Called once per request that was handled, after its answer has left or failed to.

        Args:
            response: status 500 where `handle` raised.
            sent_bytes: of the body.
            error: "" when the answer went out whole.
        """

    def refuse(self, reason: HeadError, request_id: str, peer: str) -> Response:
        """The answer to what is no proper request; the connection ends with it."""
