"""One client's connection: heads in, answers out, one request at a time, in one task.

    idle ──first byte──▶ head ──complete──▶ handled ──answered──▶ idle
      │ time-out, drain    │ bad or slow: refused     │ not reusable
      ▼                    ▼                          ▼
    closed ◀──────────── lingering ◀──────────────────┘

An idle connection holds no buffer: heads are read into one scratch buffer that all connections
share, and are parsed before the next await.
"""

import math
from collections.abc import Callable
from typing import Final

import trio

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy.http.answer import Answer
from s3proxy.http.errors import DeadlineExceeded, Disconnected, TransportError
from s3proxy.http.handler import Handler, Request, Response
from s3proxy.http.limits import ServerLimits, ServerStats
from s3proxy.http.proxy_protocol import HEADER_BYTES_MAX, ProxyHeaderError, parse_proxy_header
from s3proxy.http.request_body import RequestBody
from s3proxy.http.request_ids import RequestIds
from s3proxy.http.transport import BURST_OPERATIONS_MAX, WOULD_BLOCK, TlsTransport, Transport
from s3proxy.s3.proxies import Networks, address_of

SCRATCH_BYTES: Final = 65_536
# How long a connection that never sent a byte may still do so once the server drains: its request
# may be on the way.
FRESH_WAIT_S: Final = 1.0


class Shared:
    """What the connections of one server have in common.

    Attributes:
        scratch: where heads are read; nobody may count on its bytes across an await.
        draining: no further request is waited for.
        connections: that are open.
        room: where an accept loop waits for one of them to close.
        proxies: whose connections begin with a header of the PROXY protocol; None: nobody's.
    """

    __slots__ = (
        "_tell_failed",
        "connections",
        "draining",
        "handler",
        "ids",
        "limits",
        "proxies",
        "room",
        "scratch",
        "stats",
    )

    def __init__(
        self, handler: Handler, limits: ServerLimits, proxies: Networks | None = None
    ) -> None:
        self.handler = handler
        self.proxies = proxies
        self.limits = limits
        self.stats = ServerStats()
        self.ids = RequestIds()
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self.draining = False
        self.connections: set[Connection] = set()
        self.room = trio.lowlevel.ParkingLot()
        self._tell_failed: Callable[[Exception], None] | None = getattr(handler, "failed", None)

    def failed(self, error: Exception) -> None:
        """Count a bug of the handler, and tell it."""
        self.stats.handler_failures += 1
        if self._tell_failed is not None:
            self._tell_failed(error)


class Connection:
    """The task of one accepted connection.

    Attributes:
        idle_since_s: while it is parked between requests, Trio's clock when it was accepted, or
            parked after an answer; else inf.
    """

    __slots__ = (
        "_accepted_s",
        "_ahead",
        "_drained",
        "_evicted",
        "_fresh",
        "_shared",
        "_transport",
        "idle_since_s",
    )

    def __init__(self, transport: Transport, shared: Shared) -> None:
        self._transport = transport
        self._shared = shared
        self._ahead = b""
        # Not when its task first parks: tasks of connections that came together start in any order.
        self._accepted_s = transport.now()
        self._fresh = True
        # The last receive took all there was: until the next edge another one would only say so.
        self._drained = False
        self._evicted = False
        self.idle_since_s = math.inf

    async def run(self) -> None:
        """Serve requests until the connection ends; raises nothing but Cancelled."""
        try:
            await self._serve()
        except (TransportError, trio.ClosedResourceError):
            pass
        except (ProxyHeaderError, trio.TooSlowError):
            self._shared.stats.proxy_headers_refused += 1
        except Exception as error:
            self._shared.failed(error)
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if failures is not None:
                self._shared.failed(failures)
            if rest is not None:
                raise rest from None
        finally:
            self._transport.close()
            self._shared.connections.discard(self)
            self._shared.room.unpark()

    def retire(self) -> None:
        """Close the connection if it is idle; what has begun is finished."""
        if self.idle_since_s != math.inf:
            self._transport.wake_reader()

    def evict(self) -> None:
        """Close the connection, which is idle, to make room for another.

        If its next request turns out to be there already, it stays, and another has to yield.
        """
        self._evicted = True
        self.retire()

    async def _serve(self) -> None:
        proxies = self._shared.proxies
        if proxies is not None and proxies.has(address_of(self._transport.peer)):
            await self._take_proxy_header()
        if isinstance(self._transport, TlsTransport):
            await self._shake_hands(self._transport)
        try:
            while (head := await self._next_head()) is not None:
                if not await self._exchange(head):
                    return
        except HeadError as error:
            await self._refuse(error)

    async def _take_proxy_header(self) -> None:
        """Take the client's address from the header of a load balancer, or end the connection."""
        transport = self._transport
        data = b""
        header = None
        with trio.fail_after(self._shared.limits.head_timeout_s):
            while header is None:
                while (more := transport.receive_below_nowait(HEADER_BYTES_MAX, peek=True)) is None:
                    await self._wait_idle(transport)
                if not more:
                    raise Disconnected("the proxy ended the connection")
                header = parse_proxy_header(data + more)
                # What follows the header is not this layer's, and stays where it is.
                ours = len(more) if header is None else header.length - len(data)
                transport.receive_below_nowait(ours)
                data += more
        transport.peer = header.peer or transport.peer

    async def _wait_idle(self, transport: Transport) -> None:
        """Wait for a proxy's first bytes; an idle connection may be closed at any time."""
        if self._evicted or self._shared.draining:
            self._shared.stats.evicted += self._evicted
            raise Disconnected("closed to make room, or at the end of the service")
        self.idle_since_s = self._accepted_s
        await transport.wait_readable(math.inf)
        self.idle_since_s = math.inf

    async def _shake_hands(self, transport: TlsTransport) -> None:
        try:
            await transport.handshake(timeout_s=self._shared.limits.head_timeout_s)
        except TransportError:
            self._shared.stats.tls_handshake_failures += 1
            raise

    async def _next_head(self) -> RequestHead | None:
        """The next request's head; None: there is none, and nothing to say."""
        if self._ahead:
            return await self._pipelined_head()
        shared, transport = self._shared, self._transport
        scratch = shared.scratch
        if self._drained and not transport.edge_pending and not shared.draining:
            count = WOULD_BLOCK
        else:
            transport.burst += 1
            if transport.burst >= BURST_OPERATIONS_MAX:
                await transport.take_turn()
            count = transport.receive_nowait(scratch)
        while count < 0:
            if self._evicted or (shared.draining and not self._fresh):
                shared.stats.evicted += self._evicted
                return None
            self.idle_since_s = self._accepted_s if self._fresh else transport.now()
            await transport.wait_to_receive(self._patience_s())
            self.idle_since_s = math.inf
            count = transport.receive_nowait(scratch)
        if not count:
            return None
        if self._evicted:
            self._evicted = False
            shared.room.unpark()
        self._fresh = False
        self._drained = count < SCRATCH_BYTES and transport.plain
        limits = shared.limits
        head = parse_request(
            scratch, count, head_bytes_max=limits.head_bytes_max, headers_max=limits.headers_max
        )
        if head is None:
            return await self._rest_of_head(bytearray(scratch[:count]))
        if head.head_bytes != count:
            self._ahead = bytes(scratch[head.head_bytes : count])
        return head

    def _patience_s(self) -> float:
        """How long the next request's first byte may take to come."""
        if not self._shared.draining:
            return self._shared.limits.idle_timeout_s
        self._fresh = False
        return FRESH_WAIT_S

    async def _pipelined_head(self) -> RequestHead | None:
        limits = self._shared.limits
        data, self._ahead = self._ahead, b""
        await self._transport.count_operation()
        head = parse_request(
            data, len(data), head_bytes_max=limits.head_bytes_max, headers_max=limits.headers_max
        )
        if head is None:
            return await self._rest_of_head(bytearray(data))
        self._ahead = data[head.head_bytes :]
        return head

    async def _rest_of_head(self, partial: bytearray) -> RequestHead | None:
        """Receive until the head is complete, within one deadline for all of it."""
        shared = self._shared
        limits = shared.limits
        deadline = trio.current_time() + limits.head_timeout_s
        head = None
        while head is None:
            try:
                timeout_s = deadline - trio.current_time()
                count = await self._transport.receive_into(shared.scratch, timeout_s=timeout_s)
            except DeadlineExceeded as error:
                shared.stats.deadlines_exceeded += 1
                raise HeadError(408, "the request head took too long") from error
            if not count:
                return None
            scanned = len(partial)
            partial += shared.scratch[:count]
            head = parse_request(
                partial,
                len(partial),
                head_bytes_max=limits.head_bytes_max,
                headers_max=limits.headers_max,
                scanned=scanned,
            )
        self._ahead = bytes(partial[head.head_bytes :])
        self._drained = False
        return head

    async def _exchange(self, head: RequestHead) -> bool:
        """Have one request handled and answered; whether the connection can carry another."""
        shared, transport = self._shared, self._transport
        ahead, self._ahead = self._ahead, b""
        bodyless = head.bodyless
        if bodyless:
            body = RequestBody(transport, shared.limits.progress_timeout_s)
        else:
            body = RequestBody.of(head, transport, ahead, shared.limits.progress_timeout_s)
            # Reads of a body take what they want, and may leave the next request in the kernel.
            self._drained = self._drained and body.consumed
        peer, secure = transport.peer, not transport.plain
        request = Request(head, body, shared.ids.next(), peer, secure, transport.tls_version)
        shared.stats.requests += 1
        try:
            response = await shared.handler.handle(request)
            if not bodyless and body.awaits_continue and response.status < 300:
                # A success without it, as for an empty body, misleads botocore: it then takes the
                # status of this answer for the next one's on the connection.
                await body.start()
        except Exception as error:
            self._note_unanswered(request, error)
            transport.abort()
            return False
        if (keep_alive := await self._answer(request, response)) is None:
            transport.abort()
            return False
        if keep_alive and bodyless:
            self._ahead = ahead
            return True
        if keep_alive and (body.consumed or await body.discard(shared.limits.drain_bytes_max)):
            self._ahead = body.take_ahead()
            return True
        if head.keep_alive or not body.consumed:
            await self._linger()
        return False

    def _note_unanswered(self, request: Request, error: Exception) -> None:
        # A client that went away while its body was read is no bug.
        if not (request.body.broken and isinstance(error, TransportError)):
            self._shared.failed(error)
        self._shared.handler.sent(request, Response(500, close=True), 0, repr(error))

    async def _answer(self, request: Request, response: Response) -> bool | None:
        """Send the answer; whether the connection stays open, None: the answer was cut."""
        transport, shared = self._transport, self._shared
        head = request.head
        before = transport.bytes_sent
        error_text = "cancelled"
        head_bytes = 0
        try:
            answer = Answer(
                response,
                head.method,
                head.http_minor,
                head.keep_alive
                and not response.close
                and not shared.draining
                and (head.bodyless or self._reusable(request.body)),
                request.id,
            )
            head_bytes = answer.head_bytes
            if not answer.send_at_once(transport):
                await answer.send(transport, shared.limits.progress_timeout_s)
            error_text = ""
            return answer.keep_alive
        except Exception as error:
            error_text = repr(error)
            self._note_cut(error)
            return None
        finally:
            try:
                if not isinstance(response.body, bytes):
                    await response.body.aclose()
            finally:
                sent_bytes = max(transport.bytes_sent - before - head_bytes, 0)
                shared.handler.sent(request, response, sent_bytes, error_text)

    def _note_cut(self, error: Exception) -> None:
        if isinstance(error, DeadlineExceeded):
            self._shared.stats.deadlines_exceeded += 1
        elif not isinstance(error, (TransportError, OSError, trio.ClosedResourceError)):
            self._shared.failed(error)

    def _reusable(self, body: RequestBody) -> bool:
        """Whether the connection can go on once what is left of the body has been read away."""
        if body.awaits_continue:
            return False
        return body.consumed or not (
            body.broken or body.remaining > self._shared.limits.drain_bytes_max
        )

    async def _refuse(self, reason: HeadError) -> None:
        """Answer what is no proper request, and let the client see it."""
        shared = self._shared
        shared.stats.refused += 1
        request_id = shared.ids.next()
        refusal = shared.handler.refuse(reason, request_id, self._transport.peer)
        answer = Answer(refusal, "", 1, False, request_id)
        if not answer.send_at_once(self._transport):
            await answer.send(self._transport, shared.limits.linger_timeout_s)
        await self._linger()

    async def _linger(self) -> None:
        """Read away, within bounds, what a client sends that was told the end.

        Closing with bytes unread makes the kernel reset the connection, and the reset overtakes the
        answer.
        """
        limits, transport = self._shared.limits, self._transport
        transport.shutdown_write()
        deadline = trio.current_time() + limits.linger_timeout_s
        left = limits.linger_bytes_max
        while left > 0:
            timeout_s = deadline - trio.current_time()
            count = await transport.receive_into(self._shared.scratch, timeout_s=timeout_s)
            if not count:
                return
            left -= count
