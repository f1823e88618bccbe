"""S3 providers in this process, each with a backend for it, which fail as they are told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio

from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.http.client import Client, ClientLimits
from s3proxy.http.readiness import Readiness

_REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found"}
_BUCKETS = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
PIECE_BYTES = 65536


@dataclass
class Provider:
    """One endpoint.

    Attributes:
        objects: what it holds, by path.
        asked: "GET /path" and so on, but for probes.
        cuts: of the answers to GETs to come: after how many bytes of the body the connection ends.
        end: how a cut one ends: "close", "reset" or "hang".
        frozen: nothing is answered, and nothing more is sent.
        status: answered to everything but probes, in place of doing it; 0: none.
        refuse_bodies: `status` is answered before a body was taken, which then ends the connection.
        delay_s: before a GET is answered.
        etag: what writes are answered with.
        chunked: bodies have no length.
        took: bytes of bodies that came.
        stuck: a request was reached that gets no answer, or no more of it.
    """

    name: str
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    end: str = "close"
    frozen: bool = False
    status: int = 0
    refuse_bodies: bool = False
    delay_s: float = 0.0
    etag: str = "1"
    chunked: bool = False
    took: int = 0
    port: int = 0
    connections: int = 0
    stuck: trio.Event = field(default_factory=trio.Event)
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def refuse(self) -> None:
        """Listen no more, and end the connections there are."""
        self._scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled, or `refuse`."""
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        with trio.CancelScope() as self._scope:
            await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            async with stream:
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.connections -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        data = b""
        while True:
            head = parse_request(data, len(data)) if data else None
            if head is None:
                more = await self._receive(stream)
                if not more:
                    return
                data += more
                continue
            if self.refuse_bodies and head.content_length > 0:
                await stream.send_all(_head(self.status, 0, "Connection: close\r\n"))
                return
            body = bytearray(data[head.head_bytes :])
            self.took += len(body)
            while len(body) < head.content_length:
                more = await self._receive(stream)
                if not more:
                    return
                body += more
                self.took += len(more)
            length = max(head.content_length, 0)
            data = bytes(body[length:])
            if not await self._answer(stream, head, bytes(body[:length])):
                return

    async def _stick(self) -> None:
        self.stuck.set()
        await trio.sleep_forever()

    async def _receive(self, stream: trio.SocketStream) -> bytes:
        if self.frozen:
            await self._stick()
        return bytes(await stream.receive_some(PIECE_BYTES))

    async def _answer(self, stream: trio.SocketStream, head: RequestHead, body: bytes) -> bool:
        if self.frozen:
            await self._stick()
        path = head.path.decode().partition("?")[0]
        if path == "/":
            await stream.send_all(_head(200, len(_BUCKETS)) + _BUCKETS)
            return True
        self.asked.append(f"{head.method} {path}")
        if self.status:
            await stream.send_all(_head(self.status, 0))
            return True
        if head.method == "GET":
            return await self._give(stream, head, path)
        if _source(head) and _source(head) not in self.objects:
            await stream.send_all(_head(404, 0))
            return True
        if head.method == "PUT" and path.count("/") > 1:
            self.objects[path] = self.objects[_source(head)] if _source(head) else body
        elif head.method == "DELETE":
            self.objects.pop(path, None)
        if head.method == "HEAD":
            found = self.objects.get(path)
            await stream.send_all(_head(404 if found is None else 200, len(found or b"")))
            return True
        copied = b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>" if _source(head) else b""
        status = 204 if head.method == "DELETE" else 200
        await stream.send_all(_head(status, len(copied), f'ETag: "{self.etag}"\r\n') + copied)
        return True

    async def _give(self, stream: trio.SocketStream, head: RequestHead, path: str) -> bool:
        await trio.sleep(self.delay_s)
        data = self.objects.get(path)
        if data is None:
            await stream.send_all(_head(404, 0))
            return True
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", head.get(b"range") or "bytes=0-")
        assert wanted is not None
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        part = data[first : last + 1]
        cut = self.cuts.pop(0) if self.cuts else len(part) + 1
        spans = f'Content-Range: bytes {first}-{last}/{len(data)}\r\nETag: "1"\r\n'
        await stream.send_all(_head(206, -1 if self.chunked else len(part), spans))
        for start in range(0, min(cut, len(part)), PIECE_BYTES):
            if self.frozen:
                await self._stick()
            piece = part[start : min(start + PIECE_BYTES, cut)]
            await stream.send_all(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)
        if cut >= len(part):
            await stream.send_all(b"0\r\n\r\n" if self.chunked else b"")
            return True
        if self.end == "hang":
            await self._stick()
        if self.end == "reset":
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
        return False


def _source(head: RequestHead) -> str:
    return head.get(b"x-amz-copy-source") or ""


def _head(status: int, length: int, more: str = "") -> bytes:
    framing = "Transfer-Encoding: chunked" if length < 0 else f"Content-Length: {length}"
    reason = _REASONS.get(status, "Failed")
    return f"HTTP/1.1 {status} {reason}\r\n{framing}\r\n{more}\r\n".encode()


@dataclass
class Region:
    """Providers and their backends, by name."""

    nursery: trio.Nursery
    readiness: Readiness
    client: Client
    providers: dict[str, Provider] = field(default_factory=dict)
    backends: dict[str, S3Backend] = field(default_factory=dict)

    async def restart(self, name: str) -> None:
        """Have a provider that refused listen again."""
        await self.nursery.start(self.providers[name].run)


@asynccontextmanager
async def region(names: Iterable[str], limits: ClientLimits | None = None) -> AsyncIterator[Region]:
    """Running providers."""
    readiness = Readiness()
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        client = Client(readiness, limits)
        stack.push_async_callback(client.aclose)
        found = Region(nursery, readiness, client)
        for name in names:
            provider = found.providers[name] = Provider(name)
            await nursery.start(provider.run)
            options = S3Options(
                name=name,
                endpoint=f"http://127.0.0.1:{provider.port}",
                region="us-east-1",
                access_key="AKIDEXAMPLE",
                secret_key="secret",
            )
            found.backends[name] = S3Backend(options, client)
        yield found
        nursery.cancel_scope.cancel()
