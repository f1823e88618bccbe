"""The users of a tenant, and their policies: /api/v1/tenants/{tenant}/users."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from s3proxy.catalog.errors import UnknownUser
from s3proxy.catalog.records import UserRecord
from s3proxy.control.api.dependencies import After, Limit, Page, Using, page_of
from s3proxy.control.api.problems import ApiError
from s3proxy.ops.call import Services
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX, parse_policy
from s3proxy.views.identities import User, UserName, user_of


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """A user to be made."""

    name: UserName


@get("/")
async def list_users(
    services: Using, tenant: FromPath[str], after: After = "", limit: Limit = 100
) -> Page[User]:
    """List the tenant's users by name."""
    found = services.catalog.list_users(tenant, after, limit + 1)
    return page_of([user_of(record) for record in found], limit, lambda user: user.name)


@post("/")
async def create_user(services: Using, tenant: FromPath[str], data: JSONBody[NewUser]) -> User:
    """Make a user, who has no key yet."""
    return user_of(await services.catalog.create_user(data.name, tenant, new=True))


@get("/{user:str}")
async def show_user(services: Using, tenant: FromPath[str], user: FromPath[str]) -> User:
    """Show a user."""
    return user_of(found_user(services, tenant, user))


@post("/{user:str}/disable", status_code=200)
async def disable_user(services: Using, tenant: FromPath[str], user: FromPath[str]) -> User:
    """Refuse all keys of the user from now on."""
    return user_of(await services.catalog.set_user_enabled(user, False, tenant))


@post("/{user:str}/enable", status_code=200)
async def enable_user(services: Using, tenant: FromPath[str], user: FromPath[str]) -> User:
    """Accept the keys of a disabled user again."""
    return user_of(await services.catalog.set_user_enabled(user, True, tenant))


@delete("/{user:str}")
async def delete_user(services: Using, tenant: FromPath[str], user: FromPath[str]) -> None:
    """Delete a user who owns no bucket, with their keys."""
    await services.catalog.delete_user(user, tenant)


@get("/{user:str}/policy")
async def show_policy(services: Using, tenant: FromPath[str], user: FromPath[str]) -> Response[Any]:
    """Show the user's policy as it was set."""
    policy = found_user(services, tenant, user).policy
    if not policy:
        raise ApiError(404, "NoSuchPolicy", f"The user {user} has no policy.")
    return Response(policy, media_type="application/json")


@put("/{user:str}/policy")
async def set_policy(
    services: Using,
    request: Request[Any, Any, Any],
    tenant: FromPath[str],
    user: FromPath[str],
    data: JSONBody[Any],
) -> User:
    """Give the user a policy, the body, in place of the one before."""
    document = await request.body()
    if len(document) > POLICY_BODY_BYTES_MAX:
        raise ApiError(413, "PolicyTooLong", f"A policy has {POLICY_BODY_BYTES_MAX} bytes at most.")
    try:
        parse_policy(document)
    except S3Error as error:
        detail = error.fields.get("Detail")
        reason = f"{error.message}: {detail}" if detail else error.message
        raise ApiError(400, error.code, reason) from error
    return user_of(await services.catalog.set_user_policy(user, document, tenant))


@delete("/{user:str}/policy")
async def delete_policy(services: Using, tenant: FromPath[str], user: FromPath[str]) -> None:
    """Take the user's policy away; they may then do everything with what they own."""
    await services.catalog.set_user_policy(user, b"", tenant)


def found_user(services: Services, tenant: str, name: str) -> UserRecord:
    """The user.

    Raises:
        UnknownUser.
    """
    found = services.catalog.get_user(name, tenant)
    if found is None:
        raise UnknownUser(f"there is no user {name}")
    return found


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(list_users, create_user, show_user, disable_user, enable_user, delete_user),
        *(show_policy, set_policy, delete_policy),
    ]
    return Router("/tenants/{tenant:str}/users", route_handlers=handlers, tags=["users"])
