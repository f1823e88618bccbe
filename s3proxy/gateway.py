"""The S3 front door: request head, authenticate, authorize, operation, response.

Everything an S3 client is told about a failure is decided here: S3Error is rendered as it is, errors of the layers below
are mapped by ops/errors.py, and anything else is a bug that is logged with its traceback and answered as InternalError.
"""

from __future__ import annotations

import time

from s3proxy._fast.errors import HeadError
from s3proxy.http.errors import TransportError
from s3proxy.http.handler import Request, Response
from s3proxy.log import AccessLine, AccessLog, get_logger
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Call, Services
from s3proxy.ops.perform import perform
from s3proxy.s3 import xml
from s3proxy.s3.auth import Authenticator, Identity
from s3proxy.s3.errors import S3Error
from s3proxy.s3.routing import Route, route
from s3proxy.s3.time import iso8601

logger = get_logger("gateway")

# S3 codes for heads that never became a request.
HEAD_CODES = {
    400: "BadRequest",
    414: "RequestURITooLong",
    431: "RequestHeaderSectionTooLarge",
    501: "NotImplemented",
    505: "HTTPVersionNotSupported",
}
XML_HEADERS = [("Content-Type", "application/xml")]


class Exchange:
    """What became known of a request on its way; read when the answer has left."""

    __slots__ = ("code", "identity", "route")

    def __init__(self) -> None:
        self.code = ""  # the S3 error code
        self.identity: Identity | None = None
        self.route: Route | None = None

    @property
    def operation(self) -> str:
        """The operation's name, "none" where the head named no operation."""
        return self.route.operation if self.route is not None else "none"


class Gateway:
    """The handler of the S3 port."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        *,
        domain: str,
        metrics: Metrics,
        access_log: AccessLog,
    ) -> None:
        self._services = services
        self._authenticate = authenticator.authenticate
        self._domain = domain
        self._metrics = metrics
        self._access_log = access_log

    async def handle(self, request: Request) -> Response:
        """Answer one request; never raises but for cancellation."""
        exchange = request.context = Exchange()
        try:
            exchange.route = route(request.head, domain=self._domain)
            verified = self._authenticate(request.head)
            exchange.identity = verified.identity
            return await perform(Call(request, exchange.route, verified, self._services))
        except S3Error as error:
            return self._error(request, error)
        except TransportError:
            raise  # the client is gone: there is nobody to answer
        except Exception:
            logger.exception("unexpected error", request_id=request.id, operation=exchange.operation)
            return self._error(request, S3Error("InternalError"))

    def refuse(self, reason: HeadError) -> Response:
        """The answer to a head that could not be parsed; the connection closes after it."""
        refusal = S3Error(HEAD_CODES.get(reason.status, "BadRequest"), reason.reason)
        self._metrics.observe("none", refusal.code, 0.0, 0, 0)
        return Response(reason.status, XML_HEADERS, xml.error(refusal, "", ""), close=True)

    def failed(self, error: Exception) -> None:
        """Told by the server of an exception that cost a connection."""
        logger.error("connection lost to a bug", error=repr(error))

    def _error(self, request: Request, error: S3Error) -> Response:
        request.context.code = error.code
        if error.status >= 500:
            logger.warning(
                error.message, request_id=request.id, code=error.code, cause=repr(error.__cause__)
            )
        body = xml.error(error, request.head.path.decode("latin-1"), request.id)
        return Response(error.status, [*XML_HEADERS, *_headers_of(error)], body)

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        """Count and log one answer that has left, whole or not (`error` says why not)."""
        exchange: Exchange = request.context
        duration_s = time.monotonic() - request.received_s
        received = max(request.head.content_length, 0)
        code = exchange.code or str(response.status)
        self._metrics.observe(exchange.operation, code, duration_s, received, sent_bytes)
        if self._access_log.enabled:
            line = _access_line(request, response.status, duration_s, sent_bytes, error)
            self._access_log.add(line)


def _headers_of(error: S3Error) -> list[tuple[str, str]]:
    size = error.fields.get("ActualObjectSize") if error.status == 416 else None
    return [] if size is None else [("Content-Range", f"bytes */{size}")]


def _access_line(
    request: Request, status: int, duration_s: float, sent_bytes: int, error: str
) -> AccessLine:
    exchange: Exchange = request.context
    line = AccessLine(
        time=iso8601(time.time_ns()),
        request_id=request.id,
        remote=request.peer,
        method=request.head.method,
        path=request.head.path.decode("latin-1"),  # not the query: a presigned one is a secret
        operation=exchange.operation,
        status=status,
        duration_us=int(duration_s * 1e6),
        bytes_in=max(request.head.content_length, 0),
        bytes_out=sent_bytes,
        code=exchange.code,
        error=error,
    )
    if exchange.route is not None:
        line.bucket, line.key = exchange.route.bucket, exchange.route.key
    if exchange.identity is not None:
        line.access_key = exchange.identity.access_key
        line.user = exchange.identity.user_name
    return line
