"""Serving a bucket as a website: what a browser is answered on the bucket's own host name.

Every object is read as an anonymous GetObject, so policies and ACLs decide what is public. The
answers are objects, redirects and HTML pages; nothing but GET and HEAD is taken.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from s3proxy.http.handler import Request, Response
from s3proxy.ops.addresses import Address, require_enabled
from s3proxy.ops.call import Call, Services
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.auth import BodyClaim, Verified
from s3proxy.s3.errors import S3Error, method_not_allowed
from s3proxy.s3.metadata import WEBSITE_REDIRECT
from s3proxy.s3.names import check_key
from s3proxy.s3.routing import Route
from s3proxy.s3.uri import percent_decode
from s3proxy.s3.website import Redirect, Website, error_page, read_website
from s3proxy.s3.xml_listings import url_encode

WEBSITE = "website"
_HTML = ("Content-Type", "text/html; charset=utf-8")
_NO_QUERY: dict[str, str] = {}
_ERROR_DOCUMENT_FAILED = "An Error Occurred While Attempting to Retrieve a Custom Error Document"
_METHODS = {"GET": "get_object", "HEAD": "head_object"}
# What may be an index document of a folder, or a rule's, instead of the error.
_MISSED = frozenset({403, 404})


class Visit:
    """One request to a website.

    Attributes:
        route: what was read last.
        code: of the error that was answered, "" for none.
    """

    def __init__(self, request: Request, address: Address, services: Services) -> None:
        self._request = request
        self._bucket = bucket = address.bucket
        self._nobody = address.nobody
        self._services = services
        self.code = ""
        self.route = Route(WEBSITE, bucket, "", _NO_QUERY, request.head)

    async def answer(self) -> Response:
        """What the browser gets; errors of S3 are pages, others raise."""
        try:
            return await self._answer()
        except S3Error as error:
            return self.page(error)

    async def _answer(self) -> Response:
        method = self._request.head.method
        if method not in _METHODS:
            raise method_not_allowed(method, "OBJECT", _METHODS)
        site = self._site()
        key = percent_decode(self._request.head.path[1:])
        if site.redirect_all is not None:
            return self._redirect(site.redirect_all, key, "")
        rule = site.find_rule(key)
        if rule is not None:
            return self._redirect(rule.redirect, key, rule.prefix or "")
        folder = not key or key.endswith("/")
        try:
            return await self._read(key + site.index if folder else key)
        except S3Error as error:
            if error.status in _MISSED and not folder and await self._has(f"{key}/{site.index}"):
                return self._moved(302, f"/{url_encode(key)}/")
            return await self._failed(site, key, error)

    def _site(self) -> Website:
        catalog = self._services.catalog
        require_enabled(self._services, self._nobody.tenant)
        bucket = catalog.get_bucket(self._bucket, self._nobody.tenant)
        if bucket is None:
            raise S3Error("NoSuchBucket", BucketName=self._bucket)
        document = catalog.get_bucket_config(bucket, "website")
        if document is None:
            raise S3Error("NoSuchWebsiteConfiguration", BucketName=self._bucket)
        return _understood(document)

    async def _read(self, key: str) -> Response:
        """An object, or where it says that it is."""
        response = await self._ask(_METHODS[self._request.head.method], key, plain=False)
        location = _redirect_of(response)
        if not location:
            return response
        if not isinstance(response.body, bytes):
            await response.body.aclose()
        return self._moved(301, location)

    async def _ask(self, operation: str, key: str, *, plain: bool) -> Response:
        """Perform a read for anybody; `plain`: without the conditions and ranges of the request."""
        check_key(key)
        self.route = Route(operation, self._bucket, key, _NO_QUERY, self._request.head, plain)
        sender = Verified(self._nobody, BodyClaim(), None)
        call = Call(self._request, self.route, self._services, sender)
        return await OPERATIONS[operation].function(call)

    async def _has(self, key: str) -> bool:
        try:
            await self._ask("head_object", key, plain=True)
        except S3Error:
            return False
        return True

    async def _failed(self, site: Website, key: str, error: S3Error) -> Response:
        """What stands for an object that cannot be read."""
        rule = site.find_rule(key, error.status)
        if rule is not None:
            return self._redirect(rule.redirect, key, rule.prefix or "")
        if not site.error_key or error.status >= 500:
            raise error
        try:
            method = self._request.head.method
            response = await self._ask(_METHODS[method], site.error_key, plain=True)
        except S3Error as second:
            return self.page(error, also=_ERROR_DOCUMENT_FAILED, lines=_lines(second))
        self.code = error.code
        response.status = error.status
        return response

    def _redirect(self, redirect: Redirect, key: str, prefix: str) -> Response:
        request = self._request
        scheme = "https" if request.secure else "http"
        location = redirect.location(key, prefix, scheme=scheme, host=request.head.host)
        return self._moved(redirect.status or 301, location)

    def _moved(self, status: int, location: str) -> Response:
        title = _title(status)
        page = error_page(title, [("Code", title[4:].replace(" ", "")), *self._ids()])
        return Response(status, [_HTML, ("Location", location)], page)

    def page(
        self, error: S3Error, also: str = "", lines: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """The HTML page of an error.

        Args:
            also: what else went wrong, and its `lines`.
        """
        self.code = error.code
        listed = [*_lines(error), *self._ids(), *lines]
        headers = [_HTML, ("x-amz-error-code", error.code), *error.headers]
        return Response(error.status, headers, error_page(_title(error.status), listed, also))

    def _ids(self) -> list[tuple[str, str]]:
        return [("RequestId", self._request.id), ("HostId", self._request.id)]


def _lines(error: S3Error) -> tuple[tuple[str, str], ...]:
    return (("Code", error.code), ("Message", error.message), *error.fields.items())


def _redirect_of(response: Response) -> str:
    """The redirect that an object is kept with; a provider's comes in the lines of its answer."""
    for name, value in response.headers:
        if name == WEBSITE_REDIRECT:
            return value
    for line in response.raw.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == WEBSITE_REDIRECT:
            return value.strip()
    return ""


def _title(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Redirect"


@lru_cache(maxsize=256)
def _understood(document: bytes) -> Website:
    return read_website(document)
