"""Tokens of the control API: who holds one may administer all, or one tenant.

A token is `s3p_ID_SECRET`. The id finds the row; of the secret there is only a salted scrypt hash,
so that whoever reads the catalog cannot administer the gateway.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

import trio

from s3proxy.catalog import tables, tenants
from s3proxy.catalog.errors import InvalidName, UnknownToken
from s3proxy.catalog.records import TokenRecord
from s3proxy.catalog.tables import TOKENS, encode
from s3proxy.kv.engine import Engine, Transaction

ADMIN: Final = "admin"
TENANT_ADMIN: Final = "tenant-admin"
ROLES: Final = (ADMIN, TENANT_ADMIN)

_PREFIX: Final = "s3p"
_ID_BYTES: Final = 10
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
# 16 MiB and some 50 ms a hash.
_COST: Final = (1 << 14, 8, 1)
_MEMORY_BYTES_MAX: Final = 64 << 20
_TOKEN_CHARACTERS_MAX: Final = 128


class NewToken(NamedTuple):
    """A token's record and its text, the one time it is shown."""

    record: TokenRecord
    text: str


class TokenTable:
    """Tokens by id."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._now_ns = now_ns

    async def create_token(self, role: str, tenant: str = "") -> NewToken:
        """Make a token.

        Args:
            role: ADMIN, or TENANT_ADMIN of `tenant`.

        Raises:
            InvalidName: no such role, or one without its tenant; UnknownTenant.
        """
        if role not in ROLES or bool(tenant) is (role == ADMIN):
            raise InvalidName("want the role admin, or tenant-admin with a tenant")
        identifier = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().lower()
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        salt = secrets.token_bytes(_SALT_BYTES)
        record = TokenRecord(
            id=identifier,
            role=role,
            tenant=tenant,
            salt=salt,
            hash=await trio.to_thread.run_sync(_hash, secret, salt, _COST),
            cost=_COST,
            created_ns=self._now_ns(),
        )

        def change(txn: Transaction) -> None:
            if tenant:
                tenants.require(txn, tenant)
            txn.put(TOKENS, identifier.encode(), encode(record))

        await self._engine.commit(change)
        return NewToken(record, f"{_PREFIX}_{identifier}_{secret}")

    def get_token(self, identifier: str) -> TokenRecord | None:
        """Return the token of that id, or None."""
        encoded = identifier.encode(errors="replace")
        if not 0 < len(encoded) <= _TOKEN_CHARACTERS_MAX:
            return None
        value = self._engine.get(TOKENS, encoded)
        return None if value is None else tables.tokens.decode(value)

    def list_tokens(self, after: str = "", limit: int | None = None) -> list[TokenRecord]:
        """Return tokens by id.

        Args:
            after: only ids behind this one.
            limit: at most so many; None: all.
        """
        start = after.encode(errors="replace")[:_TOKEN_CHARACTERS_MAX]
        with self._engine.read() as view:
            rows = view.scan(TOKENS, start + b"\x00" if start else b"")
            return [tables.tokens.decode(value) for _, value in islice(rows, limit)]

    async def delete_token(self, identifier: str) -> None:
        """Refuse the token from now on.

        Raises:
            UnknownToken.
        """

        encoded = identifier.encode(errors="replace")

        def change(txn: Transaction) -> None:
            fits = 0 < len(encoded) <= _TOKEN_CHARACTERS_MAX
            if not (fits and txn.delete(TOKENS, encoded)):
                raise UnknownToken(f"there is no token {identifier}")

        await self._engine.commit(change)


def split_token(text: str) -> tuple[str, str] | None:
    """The id and the secret of a token; None: it is none."""
    parts = text.split("_", 2)
    if len(text) > _TOKEN_CHARACTERS_MAX or len(parts) != 3 or parts[0] != _PREFIX:
        return None
    return parts[1], parts[2]


def is_secret_of(record: TokenRecord, secret: str) -> bool:
    """Whether the secret is the token's: slow by intent, and in constant time."""
    return hmac.compare_digest(_hash(secret, record.salt, record.cost), record.hash)


def _hash(secret: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(
        secret.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES_MAX, dklen=32
    )
