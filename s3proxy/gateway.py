"""The S3 front door: request head, authenticate, authorize, operation, response.

Everything an S3 client is told about a failure is decided here: an S3Error is rendered as it is,
errors of the layers below are mapped by ops/errors.py, and anything else is a bug, logged with its
traceback and answered as InternalError.
"""

from __future__ import annotations

import time

import msgspec

from s3proxy._fast.errors import HeadError
from s3proxy._fast.http1 import RequestHead
from s3proxy.catalog.records import BucketRecord
from s3proxy.http.handler import Request, Response
from s3proxy.kv.errors import KvError
from s3proxy.log import AccessLine, AccessLog, get_logger
from s3proxy.metrics import Metrics
from s3proxy.ops.addresses import Addresses, require_enabled
from s3proxy.ops.bucket_configs import cors_rules
from s3proxy.ops.bucket_logging import NAME as LOGGING
from s3proxy.ops.call import Call, Services
from s3proxy.ops.errors import as_s3_error
from s3proxy.ops.post_object import read_form
from s3proxy.ops.rate_limits import Meter, RateLimiter
from s3proxy.ops.request_logs import Answered, RequestLogs
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.ops.table import OPERATIONS
from s3proxy.ops.website import WEBSITE, Visit
from s3proxy.s3 import cors, xml
from s3proxy.s3.auth import Authenticator, Identity, Verified
from s3proxy.s3.errors import STATUSES, S3Error
from s3proxy.s3.hosts import Hosts
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.proxies import Networks, address_of, read_forwarded
from s3proxy.s3.routing import PREFLIGHT, Route, route
from s3proxy.s3.subresources import POST_OBJECT
from s3proxy.s3.tenants import MAIN
from s3proxy.s3.time import iso8601

logger = get_logger("gateway")

# S3 codes for heads that never became a request.
HEAD_CODES = {
    400: "BadRequest",
    408: "RequestTimeout",
    414: "RequestURITooLong",
    431: "RequestHeaderSectionTooLarge",
    501: "NotImplemented",
    505: "HTTPVersionNotSupported",
}


class Exchange(msgspec.Struct, eq=False):
    """What became known of a request on its way; read when the answer has left.

    Attributes:
        call: None where nobody was authenticated.
        operation: its name; "none" where the head names no operation.
        route: None there, too.
        sender: None where nobody was authenticated.
        nobody: whom it is from without a signature, as the host says; None: it says nothing.
        code: of the S3 error that was answered, "" for none.
        meter: of what is moved, where the key has limits.
    """

    call: Call | None = None
    operation: str = "none"
    route: Route | None = None
    sender: Verified | None = None
    nobody: Identity | None = None
    code: str = ""
    meter: Meter | None = None


class Gateway:
    """The handler of the S3 port."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        *,
        hosts: Hosts,
        default_tenant: str = MAIN,
        metrics: Metrics,
        access_log: AccessLog,
        request_logs: RequestLogs,
        limiter: RateLimiter,
        proxies: Networks | None = None,
    ) -> None:
        self._services = services
        self._authenticate = authenticator.authenticate
        self._authenticate_form = authenticator.authenticate_form
        self._hosts = hosts
        self._addresses = Addresses(
            services.catalog, hosts, authenticator.tenant_of, default_tenant
        )
        self._virtual, self._websites = hosts.virtual, hosts.websites
        self._nobody = self._addresses.nobody
        self._proxies = proxies
        self._metrics = metrics
        self._access_log = access_log
        self._request_logs = request_logs
        self._limiter = limiter

    async def handle(self, request: Request) -> Response:
        """Answer one request; never raises but for cancellation."""
        exchange = request.context = Exchange()
        try:
            signed = request.head
            if self._proxies is not None:
                signed = _as_sent(request, self._proxies)
            if self._websites and (name := self._hosts.website(request.head.host)):
                return await self._visit(request, name, exchange)
            bucket, nobody = "", self._nobody
            if self._virtual and (address := self._addresses.find(request.head)):
                bucket, nobody = address.bucket, address.nobody
                exchange.nobody = nobody
            exchange.route = found = route(request.head, bucket)
            exchange.operation = operation = found.operation
            if operation == PREFLIGHT:
                return self._preflight(request, found)
            if operation == POST_OBJECT:
                call = await self._open_form(request, found, nobody)
            else:
                exchange.sender = sender = self._authenticate(signed, nobody)
                if sender.identity.anonymous:
                    require_enabled(self._services, nobody.tenant)
                call = Call(request, found, self._services, sender)
            exchange.call = call
            if call.sender.identity.limits is None:
                response = await OPERATIONS[operation].function(call)
            else:
                response = await self._limited(call, call.sender.identity.limits, exchange)
        except S3Error as error:
            response = self._error(request, error)
        except Exception as error:
            response = self._error(request, self._mapped(request, error))
        if exchange.route is not None and not exchange.route.plain:
            self._share(request, exchange.route, response)
        return response

    async def _limited(self, call: Call, limits: RateLimits, exchange: Exchange) -> Response:
        """Perform a call of a key that has limits.

        Raises:
            S3Error: SlowDown; what the operation raises.
        """
        identity, length = call.sender.identity, call.request.head.content_length
        exchange.meter = meter = self._limiter.admit(identity.access_key, limits)
        meter.pay(max(length, 0))
        response = await OPERATIONS[call.route.operation].function(call)
        body = response.body
        meter.pay(max(len(body) if isinstance(body, bytes) else body.length or 0, 0))
        return response

    async def _visit(self, request: Request, named: str, exchange: Exchange) -> Response:
        """The answer of a bucket's website."""
        address = self._addresses.find_website(named)
        exchange.nobody = address.nobody
        visit = Visit(request, address, self._services)
        exchange.operation = WEBSITE
        try:
            response = await visit.answer()
        except Exception as error:
            response = visit.page(self._mapped(request, error))
        exchange.route, exchange.code = visit.route, visit.code
        self._share(request, visit.route, response)
        return response

    async def _open_form(self, request: Request, found: Route, nobody: Identity) -> Call:
        """Read the form that a browser sends up to its file: who signed it, what it asks for."""
        exchange: Exchange = request.context
        form = await read_form(request, found.bucket)
        exchange.sender = sender = self._authenticate_form(form, nobody)
        self._addresses.require_same(request.head, sender.identity)
        if sender.identity.anonymous:
            require_enabled(self._services, nobody.tenant)
        form.check()
        exchange.route = Route(POST_OBJECT, found.bucket, form.key, found.query, form)
        return Call(request, exchange.route, self._services, sender)

    def _preflight(self, request: Request, found: Route) -> Response:
        """The answer to what a browser asks before a request from another origin."""
        head = found.headers
        headers = cors.preflight(
            self._cors_rules(request, found),
            head.get(b"origin"),
            head.get(b"access-control-request-method"),
            head.get(b"access-control-request-headers") or "",
        )
        return Response(200, headers)

    def _share(self, request: Request, found: Route, response: Response) -> None:
        """Let a browser give the answer to a page of another origin, where the bucket says so.

        An error too, and that of a bad signature: the page has to see why.
        """
        origin = request.head.get(b"origin")
        if origin is None or found.operation == PREFLIGHT:
            return
        rules = self._cors_rules(request, found) or ()
        # Some pages' libraries name the method they would have asked a preflight for.
        asked = request.head.get(b"access-control-request-method")
        rule = cors.find_rule(rules, origin, asked or request.head.method)
        if rule is not None:
            response.headers = [*response.headers, *rule.answer(origin, "")]

    def _cors_rules(self, request: Request, found: Route) -> tuple[cors.CorsRule, ...] | None:
        """The rules of the bucket; None: it has none, or is not there."""
        catalog = self._services.catalog
        try:
            bucket = catalog.get_bucket(found.bucket, self._tenant_of(request))
            return None if bucket is None else cors_rules(self._services, bucket)
        except KvError as error:
            logger.warning("no cors rules to be had", bucket=found.bucket, cause=str(error))
            return None

    def _tenant_of(self, request: Request) -> str:
        """The tenant that a request addresses, whether its sender became known or not."""
        exchange: Exchange = request.context
        if exchange.sender is not None:
            return exchange.sender.identity.tenant
        return self._addresses.tenant(request.head, exchange.nobody)

    def _mapped(self, request: Request, error: Exception) -> S3Error:
        """The S3 error for what a lower layer raised; what is not known there is a bug."""
        mapped = as_s3_error(error)
        if mapped is not None:
            if mapped.status >= 500:
                logger.warning("request failed", request_id=request.id, cause=str(error))
            return mapped
        operation = request.context.operation
        logger.exception("unexpected error", request_id=request.id, operation=operation)
        return S3Error("InternalError")

    def refuse(self, reason: HeadError, request_id: str, peer: str) -> Response:
        """The answer to a head that could not be parsed; the connection closes after it."""
        refusal = S3Error(HEAD_CODES.get(reason.status, "BadRequest"), reason.reason)
        self._metrics.observe("none", refusal.code, 0.0, 0, 0)
        logger.debug("head refused", request_id=request_id, remote=peer, reason=reason.reason)
        # As for a body that does not come: S3 has no 408.
        status = refusal.status if reason.status == 408 else reason.status
        return Response(status, XML_HEADERS, xml.error(refusal, "", request_id), close=True)

    def failed(self, error: Exception) -> None:
        """Told by the server of an exception that cost a connection."""
        logger.error("connection lost to a bug", error=repr(error))

    def _error(self, request: Request, error: S3Error) -> Response:
        request.context.code = error.code
        self._metrics.count_refusal(error.fields.get("Limit", ""))
        body = xml.error(error, request.head.path.decode("latin-1"), request.id)
        return Response(error.status, [*XML_HEADERS, *_headers_of(error)], body)

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        """Count and log one answer that has left, whole or not (`error` says why not)."""
        exchange: Exchange = request.context
        duration_s = time.monotonic() - request.received_s
        received = request.head.content_length
        if received < 0:
            received = 0
        code: str | int = exchange.code
        if code not in STATUSES:  # a provider may answer any; a label takes only known ones
            code = response.status
        self._metrics.observe(exchange.operation, code, duration_s, received, sent_bytes)
        if self._access_log.enabled:
            line = _access_line(request, response.status, duration_s, sent_bytes, error)
            self._access_log.add(line)
        call = exchange.call
        if call is None or call.configured:
            self._log(request, response, sent_bytes, duration_s)
        if exchange.meter is not None:
            exchange.meter.settle(request.body.received + sent_bytes)
        # The call knows the request: kept, the two would wait together for the collector.
        exchange.call = None

    def _log(
        self, request: Request, response: Response, sent_bytes: int, duration_s: float
    ) -> None:
        """Tell an answer in the log of its bucket, where that has one."""
        exchange: Exchange = request.context
        bucket = self._find_bucket(request)
        if exchange.route is None or bucket is None or LOGGING not in (bucket.configs or ()):
            return
        answered = Answered(
            request=request,
            response=response,
            route=exchange.route,
            operation=exchange.operation,
            sender=exchange.sender,
            code=exchange.code,
            sent_bytes=sent_bytes,
            duration_s=duration_s,
        )
        for record in answered.records(bucket, exchange.call.batch if exchange.call else ()):
            self._request_logs.add(bucket, record)

    def _find_bucket(self, request: Request) -> BucketRecord | None:
        """The bucket of a request.

        Of one that was refused at the door, too, of a preflight and of a visit to a website.
        """
        exchange: Exchange = request.context
        call, found = exchange.call, exchange.route
        if call is not None and call.on_bucket:
            return call.bucket
        if found is None or not found.bucket:
            return None
        try:
            return self._services.catalog.get_bucket(found.bucket, self._tenant_of(request))
        except KvError:
            return None


def _as_sent(request: Request, proxies: Networks) -> RequestHead:
    """Make the request what it was before a trusted proxy; the head that its client signed."""
    if not proxies.has(address_of(request.peer)):
        return request.head
    forwarded = read_forwarded(request.head, proxies)
    request.peer = forwarded.peer or request.peer
    if forwarded.proto:
        request.secure = forwarded.proto == "https"
    request.head = forwarded.restored(request.head)
    return forwarded.signed(request.head)


def _headers_of(error: S3Error) -> list[tuple[str, str]]:
    size = error.fields.get("ActualObjectSize") if error.status == 416 else None
    return [*error.headers, *([] if size is None else [("Content-Range", f"bytes */{size}")])]


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
    if exchange.sender is not None:
        line.access_key = exchange.sender.identity.access_key
        line.user = exchange.sender.identity.user_name
        line.tenant = exchange.sender.identity.tenant
    return line
