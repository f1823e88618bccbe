"""Tenants, users, access keys and tokens as they are told; never secrets."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from s3proxy.catalog.records import KeyRecord, TenantRecord, TokenRecord, UserRecord
from s3proxy.views.times import told_time

# A path of the API names a user in one segment.
UserName = Annotated[str, Meta(pattern="^[^/]*$", description="without a slash")]
Rate = Annotated[float, Meta(ge=0, le=1e15)]


class Tenant(Struct, frozen=True):
    """A tenant; `main` was never made."""

    name: str
    enabled: bool
    created: str | None


class User(Struct, frozen=True):
    """A user; `policy` says whether there is one."""

    name: str
    user_id: str
    tenant: str
    enabled: bool
    policy: bool
    created: str | None


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """How fast an access key may be used; 0: at any rate, and of a burst, that of a second."""

    requests_per_s: Rate = 0.0
    requests_burst: Rate = 0.0
    bytes_per_s: Rate = 0.0
    bytes_burst: Rate = 0.0


class Key(Struct, frozen=True):
    """An access key; `limits` are its own, null for those of the server."""

    access_key: str
    user: str
    user_id: str
    tenant: str
    enabled: bool
    created: str | None
    limits: Limits | None


class KeyWithSecret(Key, frozen=True):
    """An access key as its making answers it: the secret is not shown again."""

    secret_key: str


class Token(Struct, frozen=True):
    """A token of this API."""

    id: str
    role: str
    tenant: str
    created: str | None


class TokenWithSecret(Token, frozen=True):
    """A token as its making answers it: it is not shown again."""

    token: str


def tenant_of(record: TenantRecord) -> Tenant:
    """A tenant as it is told."""
    created = told_time(record.created_ns)
    return Tenant(name=record.name, enabled=record.enabled, created=created)


def user_of(record: UserRecord) -> User:
    """A user as it is told."""
    return User(
        name=record.name,
        user_id=record.user_id,
        tenant=record.tenant,
        enabled=record.enabled,
        policy=bool(record.policy),
        created=told_time(record.created_ns),
    )


def key_of(record: KeyRecord) -> Key:
    """An access key as it is told."""
    limits = record.limits
    return Key(
        access_key=record.access_key,
        user=record.user_name,
        user_id=record.user_id,
        tenant=record.tenant,
        enabled=record.enabled,
        created=told_time(record.created_ns),
        limits=None if limits is None else Limits(*msgspec.structs.astuple(limits)),
    )


def key_with_secret(record: KeyRecord, secret: str) -> KeyWithSecret:
    """A key as its making tells it."""
    shown = key_of(record)
    return KeyWithSecret(**msgspec.structs.asdict(shown), secret_key=secret)


def token_of(record: TokenRecord) -> Token:
    """A token as it is told."""
    created = told_time(record.created_ns)
    return Token(id=record.id, role=record.role, tenant=record.tenant, created=created)


def token_with_secret(record: TokenRecord, text: str) -> TokenWithSecret:
    """A token as its making tells it."""
    return TokenWithSecret(**msgspec.structs.asdict(token_of(record)), token=text)
