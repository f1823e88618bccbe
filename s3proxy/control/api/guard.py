"""Who may use the API: whoever sends a token, for what its role allows.

A route below `/tenants/{tenant}` is open to that tenant's administrators, another to administrators
of everything alone; a handler's `opt` says where it is otherwise:

    ADMIN_ONLY     of a tenant, but not for its own administrators
    ANY_ROLE       of no tenant; the handler looks at the `Admin` itself
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, Final

import msgspec
import trio
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownTenant
from s3proxy.catalog.records import TokenRecord
from s3proxy.catalog.tokens import is_secret_of, split_token
from s3proxy.control.api.problems import ApiError

ADMIN_ONLY: Final = {"admin_only": True}
ANY_ROLE: Final = {"any_role": True}

# A hash takes 50 ms and 16 MiB: who holds a token pays for it once in this time,
REMEMBERED_S: Final = 600.0
REMEMBERED_MAX: Final = 1024
# and who holds a token's id alone may have so many made, and after that one in this time.
FAILURES_MAX: Final = 5
FAILURE_S: Final = 10.0

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


class Admin(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        tenant: the only one that they may administer; "" for all.
    """

    token_id: str
    tenant: str = ""

    def may_see(self, tenant: str) -> bool:
        """Whether the tenant is theirs to administer."""
        return self.tenant in ("", tenant)


class Verifier:
    """Tells whether a token is one, without a slow hash for every request.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock = clock
        self._hashing = trio.Lock()
        self._pepper = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[TokenRecord, float]] = {}
        self._failures: dict[str, tuple[float, float]] = {}

    async def verify(self, text: str) -> TokenRecord | None:
        """Return the record of a token; None: there is no such token.

        Raises:
            ApiError: TooManyRequests; too many wrong secrets came with its id.
        """
        digest = blake2b(text.encode(), key=self._pepper).digest()
        found = self._find(digest)
        if found is not None:
            return found
        parts = split_token(text)
        record = None if parts is None else self._catalog.get_token(parts[0])
        if parts is None or record is None:
            return None
        # One at a time: of many at once with a good token, the others find it known.
        async with self._hashing:
            found = self._find(digest)
            if found is not None:
                return found
            return await self._hash(record, parts[1], digest)

    def _find(self, digest: bytes) -> TokenRecord | None:
        record, until_s = self._known.get(digest, (None, 0.0))
        if record is None or until_s <= self._clock():
            return None
        return record if self._catalog.get_token(record.id) == record else None

    async def _hash(self, record: TokenRecord, secret: str, digest: bytes) -> TokenRecord | None:
        if digest not in self._known:  # one that was good may always be looked at again
            self._require_patience(record.id)
        if not await trio.to_thread.run_sync(is_secret_of, record, secret):
            self._note_failure(record.id)
            return None
        if self._catalog.get_token(record.id) != record:  # deleted meanwhile
            return None
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[digest] = record, self._clock() + REMEMBERED_S
        return record

    def _failed(self, identifier: str) -> float:
        """How many failures count by now."""
        count, since = self._failures.get(identifier, (0.0, 0.0))
        return max(0.0, count - (self._clock() - since) / FAILURE_S)

    def _require_patience(self, identifier: str) -> None:
        excess = self._failed(identifier) - (FAILURES_MAX - 1)
        if excess > 0:
            wait_s = str(int(excess * FAILURE_S) + 1)
            detail = "Too many wrong secrets came for this token."
            raise ApiError(429, "TooManyRequests", detail, {"Retry-After": wait_s})

    def _note_failure(self, identifier: str) -> None:
        failed = self._failed(identifier) + 1
        if len(self._failures) >= REMEMBERED_MAX:
            self._failures.clear()
        self._failures[identifier] = failed, self._clock()


def guard_of(catalog: Catalog) -> Guard:
    """The guard of all routes: lets a request pass to its handler, or refuses it."""

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        admin = admin_of(connection)
        tenant = connection.path_params.get("tenant")
        _check_role(admin, tenant, handler)
        if tenant is not None and not (admin.may_see(tenant) and catalog.get_tenant(tenant)):
            raise UnknownTenant(f"there is no tenant {tenant}")

    return guard


def _check_role(admin: Admin, tenant: str | None, handler: BaseRouteHandler) -> None:
    if not admin.tenant:
        return
    if handler.opt.get("admin_only") or (tenant is None and not handler.opt.get("any_role")):
        raise ApiError(403, "Forbidden", "This needs a token of the role admin.")


def admin_of(connection: Connection) -> Admin:
    """Who asks, as the door found out."""
    admin = connection.auth
    assert isinstance(admin, Admin)
    return admin


def asking(request: Request[Any, Any, Any]) -> Admin:
    """Who asks; a dependency of handlers."""
    return admin_of(request)
