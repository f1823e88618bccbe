"""An S3 endpoint that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from s3proxy._fast.http1 import RequestHead, parse_request

CLOSE = b""  # a script entry: close without an answer
HANG = b"hang"  # a script entry: never answer


def answer(status: str, body: str | bytes = b"", *, headers: Sequence[str] = ()) -> bytes:
    """A response with Content-Length."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


def error(status: str, code: str, message: str = "said the endpoint") -> bytes:
    """An S3 error document."""
    body = (
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R1</RequestId></Error>"
    )
    return answer(status, body, headers=["x-amz-request-id: R1"])


@dataclass
class Endpoint:
    """Answers the script's entries in turn, the last one for ever.

    Attributes:
        early: answer after the head, without reading the body.
        bodies: as far as they came.
    """

    script: list[bytes]
    url: str = ""
    early: bool = False
    heads: list[RequestHead] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            data = b""
            while True:
                head = parse_request(data, len(data)) if data else None
                if head is None:
                    more = await stream.receive_some()
                    if not more:
                        return
                    data += more
                    continue
                data = await self._answer(stream, head, data[head.head_bytes :])

    async def _answer(self, stream: trio.SocketStream, head: RequestHead, data: bytes) -> bytes:
        number = len(self.heads)
        self.heads.append(head)
        self.bodies.append(data)
        while not self.early and len(data) < head.content_length:
            more = await stream.receive_some()
            if not more:
                return b""
            data += more
            self.bodies[number] = data
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if said == HANG:
            await trio.sleep_forever()
        await stream.send_all(said)
        if said == CLOSE:
            await stream.aclose()
            await trio.sleep_forever()
        if self.early:
            await trio.sleep_forever()
        return data[max(head.content_length, 0) :]


@asynccontextmanager
async def endpoint(*script: bytes, early: bool = False) -> AsyncIterator[Endpoint]:
    """A listening Endpoint."""
    found = Endpoint(list(script), early=early)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await found.serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        found.url = f"http://127.0.0.1:{port}"
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield found
        nursery.cancel_scope.cancel()
