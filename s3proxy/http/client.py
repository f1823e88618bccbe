"""The HTTP/1.1 client of the data path: pooled connections, one exchange at a time on each.

No task is spawned: the caller's own sends, listens and receives.
"""

import ssl
from collections.abc import Coroutine
from typing import Any

import trio

from s3proxy.http.body import BytesBody, ByteSource
from s3proxy.http.dial import dial
from s3proxy.http.errors import ConnectFailed, DeadlineExceeded, Disconnected, UpstreamError
from s3proxy.http.exchange import Exchange, open_exchange
from s3proxy.http.origin import ClientLimits, Origin
from s3proxy.http.pool import Pool, PoolStats
from s3proxy.http.readiness import Readiness
from s3proxy.http.request_body import RequestBody
from s3proxy.http.tls import client_context
from s3proxy.http.upload import JOINED_BYTES_MAX, SplicedUpload, Upload
from s3proxy.http.upstream import UpstreamConnection

__all__ = ["Client", "ClientLimits", "Exchange", "Origin", "Pool", "PoolStats"]


class Client:
    """Asks upstreams.

    Args:
        readiness: where the connections wait; its `run` must be running.
        limits: bounds.
        ssl_context: says who is trusted for https; default: the system's authorities.

    Attributes:
        pools: one per origin that was asked, until `prune` finds it unused.
    """

    def __init__(
        self,
        readiness: Readiness,
        limits: ClientLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._readiness = readiness
        self._limits = limits or ClientLimits()
        self._ssl_context = ssl_context
        self._closed = False
        self.pools: dict[Origin, Pool] = {}

    def exchange(
        self,
        origin: Origin,
        method: str,
        head: bytes,
        body: ByteSource | bytes | None = None,
        *,
        length: int = 0,
        replayable: bool,
        splice: bool = False,
    ) -> Coroutine[Any, Any, Exchange]:
        """Send one request and wait for the head of its final response.

        Args:
            head: the whole request head, framing headers included.
            body: read exactly `length` bytes far; stays the caller's to close.
            length: of a body that is not bytes; -1: to its end, sent chunked.
            replayable: the request may be sent again where a connection that had been idle broke
                before a byte of the answer, and the body is still at hand.
            splice: a RequestBody of that length may bypass Python.
        Returns:
            The exchange; close it. An answer that came before the body was sent ends the sending.
        Raises:
            UpstreamError: ConnectFailed, PoolTimeout, or the connection broke before the answer.
            DeadlineExceeded: connected, but nothing moved.
            ProtocolError: 502, the answer's framing cannot be trusted.
            TransportError: from the body; BodyCutShort.
        When cancelled the connection is closed.
        """
        pool = self.pools.get(origin) or self._open_pool(origin)
        # The coroutine itself, not a frame around it: a task that waits comes back through each.
        if body is None:
            return self._exchange(pool, method, head, None, replayable=replayable)
        if isinstance(body, bytes):
            if len(body) <= JOINED_BYTES_MAX:
                return self._exchange(pool, method, head + body, None, replayable=replayable)
            length, body = len(body), BytesBody(body)
        upload = self._plan(origin, body, length, splice)
        return self._exchange_upload(pool, method, head, upload, replayable=replayable)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Close connections that stayed idle, until cancelled; without it they wait for `take`."""
        task_status.started()
        while True:
            await trio.sleep(self._limits.idle_timeout_s / 2)
            self.prune()

    def prune(self) -> None:
        """Close connections that were idle for too long, and forget origins without any."""
        now_s = trio.current_time()
        for origin, pool in list(self.pools.items()):
            pool.prune(now_s)
            if not pool.idle and not pool.active and not pool.waiting:
                del self.pools[origin]

    async def aclose(self) -> None:
        """Close idle connections now, active ones as they come back; idempotent, no checkpoint."""
        self._closed = True
        for pool in self.pools.values():
            pool.close()

    async def _exchange_upload(
        self, pool: Pool, method: str, head: bytes, upload: Upload, *, replayable: bool
    ) -> Exchange:
        try:
            return await self._exchange(pool, method, head, upload, replayable=replayable)
        finally:
            upload.close()

    def _open_pool(self, origin: Origin) -> Pool:
        if self._closed:
            raise trio.ClosedResourceError
        pool = self.pools[origin] = Pool(origin, self._limits)
        return pool

    def _plan(self, origin: Origin, body: ByteSource, length: int, splice: bool) -> Upload:
        timeout_s = self._limits.progress_timeout_s
        if (
            splice
            and origin.scheme == "http"
            and isinstance(body, RequestBody)
            and body.transport.plain
            and body.length is not None
            and body.remaining == length
        ):
            return SplicedUpload(body, timeout_s=timeout_s)
        return Upload(body, length, timeout_s=timeout_s)

    async def _exchange(
        self, pool: Pool, method: str, head: bytes, upload: Upload | None, *, replayable: bool
    ) -> Exchange:
        connection = pool.take() or await self._obtain(pool)
        if upload is not None:
            connection = await self._prepare(pool, connection, upload)
        while True:
            connection.heard = False
            try:
                if upload is None:
                    return await self._ask(pool, connection, method, head)
                return await self._ask_with_body(pool, connection, method, head, upload)
            except UpstreamError:
                if not (replayable and _was_stale(connection, upload)):
                    pool.discard(connection)
                    raise
            except BaseException:
                pool.discard(connection)
                raise
            pool.stats.retries += 1
            connection.close()
            connection = await self._connect(pool)

    async def _prepare(
        self, pool: Pool, connection: UpstreamConnection, upload: Upload
    ) -> UpstreamConnection:
        """Have the body's first piece, and a connection that did not go bad meanwhile."""
        try:
            await upload.prepare()
        except BaseException:
            pool.discard(connection)
            raise
        if connection.reused and not connection.is_quiet():
            connection.close()
            return await self._connect(pool)
        return connection

    async def _ask(
        self, pool: Pool, connection: UpstreamConnection, method: str, head: bytes
    ) -> Exchange:
        limits = self._limits
        transport = connection.transport
        timeout_s = limits.first_byte_timeout_s
        answer = None
        try:
            sent = transport.send_nowait(head)
            if sent != len(head):
                rest = memoryview(head)[max(sent, 0) :]
                await transport.send_all(rest, timeout_s=limits.progress_timeout_s)
            elif connection.reused:
                # It was found quiet when it was taken, and nothing was awaited since: no need to
                # try before waiting.
                began_s = transport.now()
                await transport.wait_to_receive(timeout_s)
                answer = connection.read_head_nowait(method)
                if answer is None:
                    timeout_s += began_s - transport.now()
            if answer is None:
                answer = await connection.read_head(method, timeout_s)
        except Disconnected as error:
            raise UpstreamError(f"{pool.origin}: {error}") from error
        except DeadlineExceeded as error:
            if error.what != "receive":
                raise
            raise DeadlineExceeded("response head") from error
        return open_exchange(
            pool, connection, answer, cut_short=False, timeout_s=limits.progress_timeout_s
        )

    async def _ask_with_body(
        self,
        pool: Pool,
        connection: UpstreamConnection,
        method: str,
        head: bytes,
        upload: Upload,
    ) -> Exchange:
        limits = self._limits
        answer = await upload.send(connection, head, method)
        cut_short = answer is not None
        if answer is None:
            try:
                answer = await connection.read_head(method, limits.first_byte_timeout_s)
            except Disconnected as error:
                raise UpstreamError(f"{pool.origin}: {error}") from error
        return open_exchange(
            pool, connection, answer, cut_short=cut_short, timeout_s=limits.progress_timeout_s
        )

    async def _obtain(self, pool: Pool) -> UpstreamConnection:
        return await pool.acquire() or await self._connect(pool)

    async def _connect(self, pool: Pool) -> UpstreamConnection:
        """Connect for a slot that is held; it is given back where that fails."""
        if self._ssl_context is None and pool.origin.scheme != "http":
            self._ssl_context = client_context()
        try:
            transport = await dial(
                pool.origin,
                self._readiness,
                timeout_s=self._limits.connect_timeout_s,
                ssl_context=self._ssl_context,
            )
        except BaseException as error:
            pool.free_slot()
            pool.stats.connect_failures += isinstance(error, ConnectFailed)
            raise
        pool.stats.connects += 1
        return UpstreamConnection(transport, self._limits)


def _was_stale(connection: UpstreamConnection, upload: Upload | None) -> bool:
    """Whether a failed exchange says only that an idle connection had been closed."""
    at_hand = upload is None or upload.can_replay
    return connection.reused and not connection.heard and at_hand
