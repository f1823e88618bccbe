"""How an answer leaves: head and body framed for the method, status and client they answer."""

import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Final

from s3proxy._fast.http1 import build_response_head
from s3proxy.http.body import Body, BytesBody, GeneratedBody
from s3proxy.http.buffers import BUFFERS
from s3proxy.http.handler import Response
from s3proxy.http.transport import Transport

# Up to here copying the body behind the head is cheaper than gathering two buffers.
JOINED_BYTES_MAX: Final = 16 * 1024
# Lengths that `build_response_head` takes for other framings.
CHUNKED: Final = -1
UNFRAMED: Final = -2
_BODYLESS_STATUSES: Final = frozenset((204, 304))
_LAST_CHUNK: Final = b"0\r\n\r\n"


class DateHeader:
    """The value of Date, made once a second."""

    __slots__ = ("_second", "_value")

    def __init__(self) -> None:
        self._second = -1
        self._value = b""

    def now(self) -> bytes:
        """The current time as an IMF-fixdate (RFC 9110, 5.6.7)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._value = formatdate(second, usegmt=True).encode("ascii")
        return self._value


_DATE: Final = DateHeader()


class Answer:
    """One answer on its way.

    Attributes:
        keep_alive: whether the connection stays open: an answer without framing ends with it.
        head_bytes: bytes of the head.
    """

    __slots__ = (
        "_body",
        "_carries_body",
        "_framing",
        "_head",
        "_unsent",
        "head_bytes",
        "keep_alive",
    )

    def __init__(
        self, response: Response, method: str, http_minor: int, keep_alive: bool, request_id: str
    ) -> None:
        """Frame `response` for a request; its body is not closed here.

        Args:
            response: what the handler said.
            method: of the request; HEAD is answered without the body.
            http_minor: of the request.
            keep_alive: whether the connection could stay open after it.
            request_id: for the x-amz-request-id header.
        Raises:
            ValueError: a header that cannot be sent; nothing has left.
        """
        body: bytes | memoryview | Body | GeneratedBody = response.body
        if type(body) is BytesBody and body.length >= 0:
            # Such as a small object of an upstream: it leaves together with the head.
            body = body.take()
        framing = len(body) if isinstance(body, (bytes, memoryview)) else body.length
        self._carries_body = True
        if method == "HEAD" or response.status in _BODYLESS_STATUSES:
            self._carries_body = False
            framing = _declared_length(response, framing)
        elif framing < 0:
            framing = CHUNKED if http_minor else UNFRAMED
            keep_alive = keep_alive and framing == CHUNKED
        self._framing = framing
        self._body = body
        self._unsent: memoryview | None = None
        self.keep_alive = keep_alive
        self._head = build_response_head(
            response.status,
            response.headers,
            response.raw,
            length=framing,
            keep_alive=keep_alive,
            date=_DATE.now(),
            request_id=request_id,
            http_minor=http_minor,
        )
        self.head_bytes = len(self._head)

    def send_at_once(self, transport: Transport) -> bool:
        """Send it whole if it is small and there is room; False: `send` the rest.

        Raises:
            Disconnected: the client is gone.
        """
        data = self._head
        if self._carries_body:
            body = self._body
            if not isinstance(body, (bytes, memoryview)) or len(body) > JOINED_BYTES_MAX:
                return False
            data += body
        sent = transport.send_nowait(data)
        if sent == len(data):
            return True
        self._unsent = memoryview(data)[max(sent, 0) :]
        return False

    async def send(self, transport: Transport, timeout_s: float) -> None:
        """Send it whole, or what `send_at_once` left of it.

        Raises:
            TransportError: the client or the body's source failed; an unknown part was sent.
        When cancelled, an unknown part was sent.
        """
        head = self._head
        body = self._body
        if self._unsent is not None:
            await transport.send_all(self._unsent, timeout_s=timeout_s)
        elif isinstance(body, (bytes, memoryview)):
            await transport.send_parts((head, body), timeout_s=timeout_s)
        elif self._framing < 0 or isinstance(body, GeneratedBody):
            await self._send_unmeasured(body, transport, timeout_s)
        else:
            await transport.send_all(head, timeout_s=timeout_s, more=self._framing > 0)
            await body.send_to(transport, timeout_s=timeout_s)

    async def _send_unmeasured(
        self, body: Body | GeneratedBody, transport: Transport, timeout_s: float
    ) -> None:
        chunked = self._framing == CHUNKED

        async def send(data: bytes | memoryview) -> None:
            if data:
                parts = (b"%x\r\n" % len(data), data, b"\r\n") if chunked else (data,)
                await transport.send_parts(parts, timeout_s=timeout_s)

        await transport.send_all(self._head, timeout_s=timeout_s)
        if isinstance(body, GeneratedBody):
            await body.write(send)
        else:
            await _pump(body, send)
        if chunked:
            await transport.send_all(_LAST_CHUNK, timeout_s=timeout_s)


def _declared_length(response: Response, body_length: int) -> int:
    """Content-Length of an answer without a body: what GET would have brought, for HEAD only."""
    if response.status in _BODYLESS_STATUSES:
        return UNFRAMED
    if response.length is not None:
        body_length = response.length
    return body_length if body_length >= 0 else UNFRAMED


async def _pump(body: Body, send: Callable[[memoryview], Awaitable[None]]) -> None:
    buffer = BUFFERS.take()
    try:
        while count := await body.read_into(buffer):
            await send(buffer[:count])
    finally:
        BUFFERS.give(buffer)
