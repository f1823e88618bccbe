"""The access keys of a tenant: /api/v1/tenants/{tenant}/keys."""

from __future__ import annotations

from typing import Annotated

from litestar import Router, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct
from msgspec.structs import astuple

from s3proxy.catalog.errors import UnknownKey
from s3proxy.control.api.dependencies import After, Limit, Page, Using, page_of
from s3proxy.control.api.guard import ADMIN_ONLY
from s3proxy.control.api.problems import ApiError
from s3proxy.control.api.users import found_user
from s3proxy.s3.limits import RateLimits
from s3proxy.views.identities import (
    Key,
    KeyWithSecret,
    Limits,
    UserName,
    key_of,
    key_with_secret,
)


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made, for a user who is there."""

    user: UserName


OfUser = Annotated[str | None, QueryParameter(description="of this user alone", min_length=1)]


@get("/")
async def list_keys(
    services: Using,
    tenant: FromPath[str],
    user: OfUser = None,
    after: After = "",
    limit: Limit = 100,
) -> Page[Key]:
    """List the tenant's access keys, user by user."""
    user_id = found_user(services, tenant, user).user_id if user is not None else ""
    last_user, _, last_key = after.partition(".")
    found = services.catalog.list_tenant_keys(tenant, user_id, (last_user, last_key), limit + 1)
    shown = [key_of(record) for record in found]
    return page_of(shown, limit, lambda key: f"{key.user_id}.{key.access_key}")


@post("/")
async def create_key(
    services: Using, tenant: FromPath[str], data: JSONBody[NewKey]
) -> KeyWithSecret:
    """Make an access key; its secret is shown now and never again."""
    found_user(services, tenant, data.user)
    made = await services.catalog.create_key(data.user, tenant=tenant)
    return key_with_secret(made.record, made.secret)


@get("/{access_key:str}")
async def show_key(services: Using, tenant: FromPath[str], access_key: FromPath[str]) -> Key:
    """Show an access key."""
    record = services.catalog.get_key(access_key)
    if record is None or record.tenant != tenant:
        raise UnknownKey(f"there is no access key {access_key}")
    return key_of(record)


@post("/{access_key:str}/disable", status_code=200)
async def disable_key(services: Using, tenant: FromPath[str], access_key: FromPath[str]) -> Key:
    """Refuse the key from now on."""
    return key_of(await services.catalog.set_key_enabled(access_key, False, tenant))


@post("/{access_key:str}/enable", status_code=200)
async def enable_key(services: Using, tenant: FromPath[str], access_key: FromPath[str]) -> Key:
    """Accept a disabled key again."""
    return key_of(await services.catalog.set_key_enabled(access_key, True, tenant))


@put("/{access_key:str}/limits", opt=ADMIN_ONLY)
async def set_key_limits(
    services: Using, tenant: FromPath[str], access_key: FromPath[str], data: JSONBody[Limits]
) -> Key:
    """Give the key limits of its own, in place of the server's."""
    limits = RateLimits(*astuple(data))
    if limits.idle_burst:
        raise ApiError(400, "BadRequest", f"{limits.idle_burst} needs its rate, which is 0.")
    return key_of(await services.catalog.set_key_limits(access_key, limits, tenant))


@delete("/{access_key:str}/limits", opt=ADMIN_ONLY, status_code=200)
async def clear_key_limits(
    services: Using, tenant: FromPath[str], access_key: FromPath[str]
) -> Key:
    """Leave the key to the limits of the server."""
    return key_of(await services.catalog.set_key_limits(access_key, None, tenant))


@delete("/{access_key:str}")
async def delete_key(services: Using, tenant: FromPath[str], access_key: FromPath[str]) -> None:
    """Delete a key; nothing brings its secret back."""
    await services.catalog.delete_key(access_key, tenant)


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(list_keys, create_key, show_key, disable_key, enable_key, delete_key),
        *(set_key_limits, clear_key_limits),
    ]
    return Router("/tenants/{tenant:str}/keys", route_handlers=handlers, tags=["keys"])
