"""Quotas of tenants and buckets: …/quota below either of them."""

from __future__ import annotations

from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody

from s3proxy.control.api.dependencies import Using
from s3proxy.control.api.guard import ADMIN_ONLY
from s3proxy.views.lookup import found_bucket, found_tenant
from s3proxy.views.quotas import Allowed, Held, held_by_tenant, held_in_bucket, quota_from


@get("/quota")
async def show_tenant_quota(services: Using, tenant: FromPath[str]) -> Held:
    """Show what the tenant's buckets may hold together, and what they do."""
    return held_by_tenant(services.catalog, found_tenant(services.catalog, tenant))


@put("/quota", opt=ADMIN_ONLY)
async def set_tenant_quota(services: Using, tenant: FromPath[str], data: JSONBody[Allowed]) -> Held:
    """Replace the tenant's quota; what its buckets hold is counted in the background."""
    record = await services.catalog.set_tenant_quota(tenant, quota_from(data))
    return held_by_tenant(services.catalog, record)


@delete("/quota", opt=ADMIN_ONLY)
async def clear_tenant_quota(services: Using, tenant: FromPath[str]) -> None:
    """Take the tenant's quota away."""
    await services.catalog.set_tenant_quota(tenant, None)


@get("/buckets/{bucket:str}/quota")
async def show_bucket_quota(services: Using, tenant: FromPath[str], bucket: FromPath[str]) -> Held:
    """Show what a bucket may hold, and what it does."""
    return held_in_bucket(services.catalog, found_bucket(services.catalog, bucket, tenant))


@put("/buckets/{bucket:str}/quota")
async def set_bucket_quota(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], data: JSONBody[Allowed]
) -> Held:
    """Replace a bucket's quota; that of its tenant stays as it is."""
    record = found_bucket(services.catalog, bucket, tenant)
    changed = await services.catalog.set_bucket_quota(record, quota_from(data))
    return held_in_bucket(services.catalog, changed)


@delete("/buckets/{bucket:str}/quota")
async def clear_bucket_quota(services: Using, tenant: FromPath[str], bucket: FromPath[str]) -> None:
    """Take a bucket's quota away; that of its tenant stays."""
    await services.catalog.set_bucket_quota(found_bucket(services.catalog, bucket, tenant), None)


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(show_tenant_quota, set_tenant_quota, clear_tenant_quota),
        *(show_bucket_quota, set_bucket_quota, clear_bucket_quota),
    ]
    return Router("/tenants/{tenant:str}", route_handlers=handlers, tags=["quotas"])
