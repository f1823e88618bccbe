"""Tokens of this API: /api/v1/tokens."""

from __future__ import annotations

from typing import Literal

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from s3proxy.catalog.tokens import ADMIN
from s3proxy.control.api.dependencies import After, Limit, Page, Using, page_of
from s3proxy.control.api.problems import ApiError
from s3proxy.control.api.refusals import refusals
from s3proxy.views.identities import Token, TokenWithSecret, token_of, token_with_secret


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A token to be made: of the role admin, or tenant-admin of a tenant."""

    role: Literal["admin", "tenant-admin"]
    tenant: str = ""


@get("/")
async def list_tokens(services: Using, after: After = "", limit: Limit = 100) -> Page[Token]:
    """List tokens by id."""
    found = [token_of(record) for record in services.catalog.list_tokens(after, limit + 1)]
    return page_of(found, limit, lambda token: token.id)


@post("/", responses=refusals(404))
async def create_token(services: Using, data: JSONBody[NewToken]) -> TokenWithSecret:
    """Make a token; it is shown now and never again."""
    if bool(data.tenant) is (data.role == ADMIN):
        detail = "The role tenant-admin goes with a tenant, and admin with none."
        raise ApiError(400, "BadRequest", detail)
    made = await services.catalog.create_token(data.role, data.tenant)
    return token_with_secret(made.record, made.text)


@delete("/{token_id:str}")
async def delete_token(services: Using, token_id: FromPath[str]) -> None:
    """Refuse a token from now on."""
    await services.catalog.delete_token(token_id)


def router() -> Router:
    """The routes of this module."""
    return Router(
        "/tokens", route_handlers=[list_tokens, create_token, delete_token], tags=["tokens"]
    )
