"""The S3 front door: request head, authenticate, authorize, operation, response.

Everything an S3 client is told about a failure is decided here: S3Error is rendered as it is, errors of the layers below
are mapped by ops/errors.py, and anything else is a bug that is logged with its traceback and answered as InternalError.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from s3proxy._fast.errors import HeadError
from s3proxy.http.server import Request, Response
from s3proxy.log import AccessLine, AccessLog, get_logger
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Call, Services
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.table import OPERATIONS, authorize
from s3proxy.s3 import xml
from s3proxy.s3.auth import Authenticator
from s3proxy.s3.conditions import NotModified
from s3proxy.s3.errors import S3Error
from s3proxy.s3.routing import route
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._authenticate = authenticator.authenticate
        self._domain = domain
        self._metrics = metrics
        self._access_log = access_log
        self._clock = clock

    async def handle(self, request: Request) -> Response:
        """Answer one request; never raises but for cancellation."""
        call: Call | None = None
        try:
            routed = route(request.head, domain=self._domain)
            call = request.context = Call(request, routed, self._services)
            call.verified = self._authenticate(request.head)
            authorize(call)
            return await OPERATIONS[routed.operation].function(call)
        except NotModified as answer:
            return Response(304, answer.headers)
        except S3Error as error:
            return self._error(request, call, error)
        except trio.Cancelled:
            raise
        except Exception as error:
            mapped = as_s3_error(error)
            if mapped is None:
                logger.exception("unexpected error", request_id=request.id, operation=_name(call))
                mapped = S3Error("InternalError")
            elif mapped.status >= 500:
                logger.warning(str(error), request_id=request.id, code=mapped.code)
            return self._error(request, call, mapped)

    def refuse(self, request_id: str, error: HeadError) -> Response:
        """The answer to a head that could not be parsed; the connection closes after it."""
        refusal = S3Error(HEAD_CODES.get(error.status, "BadRequest"), error.reason)
        body = xml.error(refusal, resource="", request_id=request_id)
        headers = [("Content-Type", "application/xml")]
        self._metrics.observe("none", refusal.code, 0.0, 0, len(body))
        return Response(error.status, headers, body, close=True)

    def _error(self, request: Request, call: Call | None, error: S3Error) -> Response:
        """Render `error`; a HEAD answer carries only the status."""
        request.error_code = error.code
        resource = request.head.path.decode("latin-1")
        body = xml.error(error, resource=resource, request_id=request.id)
        headers = [("Content-Type", "application/xml"), *error.headers]
        if error.status == 416 and "ActualObjectSize" in error.fields:
            headers.append(("Content-Range", f"bytes */{error.fields['ActualObjectSize']}"))
        if call is not None and call.route.operation == "head_bucket" and error.status == 301:
            headers.append(("x-amz-bucket-region", self._services.settings.region))
        return Response(error.status, headers, body)

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        """Count and log one answer that has left, whole or not (`error` says why not)."""
        now_s = self._clock()
        call: Call | None = request.context
        operation = _name(call)
        duration_s = now_s - request.received_s
        received = max(request.head.content_length, 0)
        code = request.error_code or str(response.status)
        self._metrics.observe(operation, code, duration_s, received, sent_bytes)
        if self._access_log.enabled:
            self._access_log.add(
                _access_line(request, response.status, now_s, duration_s, sent_bytes, error)
            )


def _name(call: Call | None) -> str:
    return call.route.operation if call is not None else "none"


def _access_line(
    request: Request, status: int, now_s: float, duration_s: float, sent_bytes: int, error: str
) -> AccessLine:
    line = AccessLine(
        time=iso8601(int(now_s * 1e9)),
        request_id=request.id,
        remote=request.peer,
        method=request.head.method,
        target=request.head.path.decode("latin-1"),  # the query of a presigned URL is a secret
        operation=_name(request.context),
        status=status,
        duration_us=int(duration_s * 1e6),
        bytes_in=max(request.head.content_length, 0),
        bytes_out=sent_bytes,
        code=request.error_code,
        error=error,
    )
    call = request.context
    if call is not None:
        line.bucket, line.key = call.route.bucket, call.route.key
        if call.verified is not None:
            line.access_key = call.verified.identity.access_key
            line.user = call.verified.identity.user_name
    return line
