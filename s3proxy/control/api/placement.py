"""Rules of placement of tenants and buckets, and why their objects are where they are."""

from __future__ import annotations

from typing import Annotated

from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter

from s3proxy.control.api.dependencies import Using
from s3proxy.control.api.guard import ADMIN_ONLY
from s3proxy.control.api.problems import ApiError
from s3proxy.control.api.refusals import refusals
from s3proxy.ops.explain import Explained, explain
from s3proxy.ops.placing import set_rules, set_tenant_rules
from s3proxy.s3.placement import Rules
from s3proxy.views.lookup import found_bucket, found_tenant
from s3proxy.views.placement import Placement, placement_of, rules_from

Key = Annotated[
    str | None, QueryParameter(description="an object's key", min_length=1, max_length=1024)
]


@get("/placement")
async def show_tenant_placement(services: Using, tenant: FromPath[str]) -> Placement:
    """Show the rules for the tenant's buckets."""
    return placement_of(found_tenant(services.catalog, tenant).placement)


@put("/placement", opt=ADMIN_ONLY)
async def set_tenant_placement(
    services: Using, tenant: FromPath[str], data: JSONBody[Placement]
) -> Placement:
    """Replace the rules for the tenant's buckets; existing objects move in the background."""
    rules = _said(data)
    await set_tenant_rules(services, tenant, rules)
    return placement_of(rules)


@delete("/placement", opt=ADMIN_ONLY)
async def clear_tenant_placement(services: Using, tenant: FromPath[str]) -> None:
    """Take the tenant's rules away."""
    await set_tenant_rules(services, tenant, None)


@get("/buckets/{bucket:str}/placement", responses=refusals(501))
async def explain_placement(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], key: Key = None
) -> Explained:
    """Show what rules are in force for a bucket, what they make of each backend, and an object."""
    return explain(services, found_bucket(services.catalog, bucket, tenant), key or "")


@put("/buckets/{bucket:str}/placement", opt=ADMIN_ONLY, responses=refusals(501))
async def set_placement(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], data: JSONBody[Placement]
) -> Explained:
    """Replace the rules of a bucket; existing objects move in the background."""
    record = found_bucket(services.catalog, bucket, tenant)
    return explain(services, await set_rules(services, record, _said(data)))


@delete("/buckets/{bucket:str}/placement", opt=ADMIN_ONLY, responses=refusals(501))
async def clear_placement(services: Using, tenant: FromPath[str], bucket: FromPath[str]) -> None:
    """Take the rules of a bucket away."""
    await set_rules(services, found_bucket(services.catalog, bucket, tenant), None)


def _said(placement: Placement) -> Rules:
    """The rules of a document.

    Raises:
        ApiError: BadRequest; it says none, and whoever sends it may not mean to take all away.
    """
    rules = rules_from(placement)
    if rules is None:
        raise ApiError(400, "BadRequest", "Say at least one rule; DELETE takes all away.")
    return rules


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(show_tenant_placement, set_tenant_placement, clear_tenant_placement),
        *(explain_placement, set_placement, clear_placement),
    ]
    return Router("/tenants/{tenant:str}", route_handlers=handlers, tags=["placement"])
