"""What a request passes before its route is looked for.

Below /api/v1 it needs a token, whether or not there is such a route: strangers cannot tell. HEAD is
GET whose body is kept back, and OPTIONS names what is allowed.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import Headers
from litestar.types import HTTPScope, Message, Receive, Send
from litestar.utils import normalize_path

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.tokens import ADMIN
from s3proxy.control.api.guard import Admin, Verifier
from s3proxy.control.api.problems import ApiError, asgi_answer

API: Final = "/api/v1/"


class Door:
    """The application behind its door.

    Args:
        catalog: has the tokens; None: there is no API.

    Attributes:
        app: the application itself.
    """

    def __init__(self, app: Litestar, catalog: Catalog | None) -> None:
        self.app = app
        self._tokens = None if catalog is None else _Tokens(catalog)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _rephrased(scope, send)
        path = normalize_path(scope["path"])
        if self._tokens is not None and f"{path}/".startswith(API):
            try:
                scope["auth"] = await self._tokens.admin(Headers.from_scope(scope))
            except Exception as error:
                await asgi_answer(path, error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class _Tokens:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._verifier = Verifier(catalog)

    async def admin(self, headers: Headers) -> Admin:
        """Who asks.

        Raises:
            ApiError: Unauthorized; Forbidden; TooManyRequests.
        """
        text = _bearer(headers.get("authorization", ""))
        record = await self._verifier.verify(text) if text else None
        if record is None:
            detail = "Send a token: `Authorization: Bearer s3p_...`; see s3proxy token create."
            raise ApiError(401, "Unauthorized", detail, {"WWW-Authenticate": "Bearer"})
        if record.role == ADMIN:
            return Admin(record.id)
        tenant = self._catalog.get_tenant(record.tenant)
        if tenant is None or not tenant.enabled:
            raise ApiError(403, "Forbidden", "The tenant of this token is disabled.")
        return Admin(record.id, record.tenant)


def _bearer(authorization: str) -> str:
    """The token in a header, "" for none."""
    scheme, _, text = authorization.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _rephrased(scope: HTTPScope, send: Send) -> Send:
    """Ask for HEAD as GET and for OPTIONS as what nobody allows; returns what answers as it was.

    Litestar's own OPTIONS names the methods of a path's first handler alone; its refusal of a
    method names all.
    """
    method = scope["method"]
    if method == "HEAD":
        scope["method"] = "GET"
    elif method == "OPTIONS":
        scope["method"] = "TRACE"
    silent = method == "HEAD"

    async def sending(message: Message) -> None:
        nonlocal silent
        if message["type"] == "http.response.start":
            message["headers"] = list(map(_allowing, message["headers"]))
            if method == "OPTIONS" and message["status"] == 405:
                silent, message["status"] = True, 204
                message["headers"] = [pair for pair in message["headers"] if pair[0] == b"allow"]
        elif silent and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return sending


def _allowing(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    if name.lower() != b"allow":
        return header
    methods = set(value.replace(b" ", b"").split(b","))
    return name, b", ".join(sorted(methods | {b"HEAD"} if b"GET" in methods else methods))
