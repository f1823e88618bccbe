"""Requests to an S3 endpoint: addressed, signed, sent, retried.

Everything is sent to the endpoint's own address; with virtual addressing the bucket is in the Host
header alone, which endpoints that support it accept on every address, so that one pool serves all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import TypeVar
from urllib.parse import urlsplit

import trio
from msgspec import Struct

from s3proxy._fast.http1 import build_request_head
from s3proxy._fast.sigv4 import SigningKey, SigningKeys, sign, uri_encode
from s3proxy.backends.errors import BackendError
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3_errors import (
    ERROR_BYTES_MAX,
    TRANSPORT_ERRORS,
    from_answer,
    from_transport,
    may_pass,
)
from s3proxy.backends.s3_source import WatchedSource
from s3proxy.http.body import ByteSource
from s3proxy.http.client import Client, Exchange
from s3proxy.http.origin import Origin
from s3proxy.http.request_body import RequestBody

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = sha256(b"").hexdigest()
RETRIES_MAX = 2
RETRY_WITHIN_S = 5.0
BACKOFF_S = 0.1  # doubled with each retry, times a random factor of 0.5 to 1.5
# In the Via of what one gateway relays to another (RFC 9110, 7.6.3).
VIA = "s3proxy"
_PORTS = {"http": 80, "https": 443}
_DAY_S = 86_400
_PLACES_MAX = 1024
_SIGNING_KEYS = 8  # one for each day; a clock step back must not derive anew for each request

T = TypeVar("T")
Headers = Sequence[tuple[str, str]]
Query = Sequence[tuple[str, str]]


class Ask(Struct, frozen=True, kw_only=True):
    """One request, before it is addressed and signed.

    Attributes:
        op: the operation, for errors.
        container, key: "" where the request has none.
        query: decoded names and values.
        headers: signed; Host and those of the signature are added.
        raw: ready header lines, sent as they are.
        payload_hash: hex digest of the body, or UNSIGNED_PAYLOAD.
    """

    op: str
    method: str
    container: str = ""
    key: str = ""
    query: Query = ()
    headers: Headers = ()
    raw: bytes = b""
    payload_hash: str = EMPTY_SHA256

    @property
    def path(self) -> str:
        """Container and key, for error messages."""
        return f"{self.container}/{self.key}" if self.key else self.container


class Answer(Struct):
    """A finished exchange: the head, and the body in memory."""

    exchange: Exchange
    body: bytes


class S3Requests:
    """Signs and sends requests to one endpoint.

    Raises:
        ValueError: the endpoint is no http(s) URL of a host.
    """

    def __init__(
        self,
        options: S3Options,
        client: Client,
        *,
        clock: Callable[[], float] = time.time,
        lane: str = "",
    ) -> None:
        parts = urlsplit(options.endpoint)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"endpoint {options.endpoint!r}: want http://host[:port] or https://")
        self.backend = options.name
        self._options = options
        self._also: Headers = [("Via", f"1.1 {VIA}")] if options.relaying else ()
        self._client = client
        self._clock = clock
        self._keys = SigningKeys(_SIGNING_KEYS)
        self._day = -1  # of `_key`, counted from the epoch
        self._key: SigningKey | None = None
        port = parts.port or _PORTS[parts.scheme]
        self.origin = Origin(parts.scheme, parts.hostname, port, lane)
        self.realm = options.endpoint, options.access_key
        self._places: dict[str, tuple[str, bytes]] = {}
        default = parts.port in (None, _PORTS[parts.scheme])
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._host = host if default else f"{host}:{parts.port}"

    def address(self, container: str, key: str) -> tuple[str, bytes]:
        """Host header and encoded path of an object, a bucket ("" key) or the endpoint."""
        place = self._places.get(container)
        if place is None:
            place = self._place(container)
        host, bucket = place
        if key or not bucket:
            return host, bucket + b"/" + uri_encode(key.encode(), keep_slash=True)
        return host, bucket

    def _place(self, container: str) -> tuple[str, bytes]:
        """Host header and the part of the path before the key, of a container."""
        if not container:
            return self._host, b""
        if self._options.addressing == "virtual":
            place = f"{container}.{self._host}", b""
        else:
            place = self._host, b"/" + uri_encode(container.encode(), keep_slash=False)
        if len(self._places) >= _PLACES_MAX:
            self._places.clear()
        self._places[container] = place
        return place

    def build(self, ask: Ask) -> bytes:
        """The signed request head."""
        host, path = self.address(ask.container, ask.key)
        query = encode_query(ask.query) if ask.query else b""
        headers = [("Host", host), *self._also, *ask.headers]
        options = self._options
        now_s = int(self._clock())
        key = self._key
        if key is None or now_s // _DAY_S != self._day:
            key = self._signing_key(now_s)
        signature = sign(
            ask.method,
            path,
            query,
            headers,
            ask.payload_hash,
            key=key,
            access_key=options.access_key,
            region=options.region,
            timestamp_s=now_s,
            raw=ask.raw,
        )
        target = path + b"?" + query if query else path
        return build_request_head(ask.method, target, headers, ask.raw + signature)

    def copy_source(self, container: str, key: str) -> str:
        """Value of x-amz-copy-source."""
        path = uri_encode(container.encode(), keep_slash=False)
        return (b"/" + path + b"/" + uri_encode(key.encode(), keep_slash=True)).decode()

    async def send(
        self,
        ask: Ask,
        body: ByteSource | bytes = b"",
        *,
        length: int = 0,
        replayable: bool = False,
        splice: bool = False,
    ) -> Exchange:
        """Send once; whatever the status. The caller closes the exchange.

        Args:
            body: read once; what it raises passes by, and the connection is closed.
            splice: a RequestBody may bypass Python.
            replayable: the request may be repeated on a connection that turned out stale.
        Raises:
            Unavailable: no usable answer.
        """
        head = self.build(ask)
        try:
            return await self._client.exchange(
                self.origin,
                ask.method,
                head,
                body if length else None,
                length=length,
                replayable=replayable,
                splice=splice,
            )
        except TRANSPORT_ERRORS as error:
            if _is_from_source(error, body):
                raise
            raise self.transport_error(ask, error) from error

    async def call(
        self, ask: Ask, body: bytes = b"", *, bytes_max: int = ERROR_BYTES_MAX
    ) -> Answer:
        """Send an idempotent request with a small body and read the whole answer.

        Raises:
            BackendError: the endpoint's error, after RETRIES_MAX retries where it may pass.
        """

        async def once() -> Answer:
            exchange = await self.send(ask, body, length=len(body), replayable=True)
            return await self.finish(ask, exchange, bytes_max)

        return await self.retrying(once)

    async def open(self, ask: Ask) -> Exchange:
        """Send an idempotent request without a body and leave the answer's body to be read."""

        async def once() -> Exchange:
            exchange = await self.send(ask, replayable=True)
            if exchange.head.status >= 300:
                await self.finish(ask, exchange, ERROR_BYTES_MAX)
            return exchange

        return await self.retrying(once)

    async def finish(self, ask: Ask, exchange: Exchange, bytes_max: int) -> Answer:
        """Read an answer to its end; raise the error it stands for, also inside a 200."""
        try:
            limit = bytes_max if exchange.head.status < 300 else ERROR_BYTES_MAX
            body = await exchange.read_all(limit)
        except TRANSPORT_ERRORS as error:
            raise self.transport_error(ask, error) from error
        finally:
            await exchange.aclose()
        if exchange.head.status >= 300 or (ask.method != "GET" and _is_error(body)):
            raise from_answer(ask.op, ask.path, self.backend, exchange.head, body)
        return Answer(exchange, body)

    async def retrying(self, once: Callable[[], Awaitable[T]]) -> T:
        """Call `once`, again after a pause where the failure may pass.

        A failure that took long is not repeated: the client's own deadline is near by then.
        """
        pause_s = BACKOFF_S
        for _ in range(RETRIES_MAX):
            started_s = trio.current_time()
            try:
                return await once()
            except BackendError as error:
                if not may_pass(error) or trio.current_time() - started_s > RETRY_WITHIN_S:
                    raise
            # Spread, so that clients turned away together do not come back together.
            await trio.sleep(pause_s * (0.5 + random.random()))
            pause_s *= 2
        return await once()

    def transport_error(self, ask: Ask, error: Exception) -> BackendError:
        """The error for a request that got no usable answer."""
        return from_transport(ask.op, ask.path, self.backend, error)

    def _signing_key(self, now_s: int) -> SigningKey:
        self._day = now_s // _DAY_S
        date = time.strftime("%Y%m%d", time.gmtime(now_s))
        options = self._options
        scope = (options.access_key, 0, date, options.region)
        self._key = self._keys.get(*scope) or self._keys.derive(*scope, options.secret_key)
        return self._key


def encode_query(query: Query) -> bytes:
    """A query string, encoded exactly as it is signed."""
    if not query:
        return b""
    return b"&".join(
        uri_encode(name.encode(), keep_slash=False)
        + b"="
        + uri_encode(value.encode(), keep_slash=False)
        for name, value in query
    )


def _is_from_source(error: Exception, body: ByteSource | bytes) -> bool:
    """Whether it was the body's source that failed, not the upstream."""
    if isinstance(body, RequestBody):
        return body.broken
    return isinstance(body, WatchedSource) and body.error is error


def _is_error(body: bytes) -> bool:
    return b"<Error" in body[:512]
