"""Quotas of tenants and buckets: …/quota below either of them."""

from __future__ import annotations

from typing import Annotated

from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownTenant
from s3proxy.catalog.records import BucketRecord, TenantRecord
from s3proxy.control.api.dependencies import Using
from s3proxy.control.api.guard import ADMIN_ONLY
from s3proxy.control.api.placement import find_bucket
from s3proxy.s3.limits import Quota

Amount = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Allowed(Struct, frozen=True, forbid_unknown_fields=True):
    """A quota; what is null is not limited, but counted."""

    bytes: Amount | None = None
    objects: Amount | None = None


class Used(Struct, frozen=True):
    """What is held.

    Attributes:
        counting: the count goes on; there may be more.
    """

    bytes: int
    objects: int
    counting: bool


class Held(Struct, frozen=True):
    """What may be held, and what is; null where there is no quota, and where nothing is counted."""

    quota: Allowed | None
    usage: Used | None


@get("/quota")
async def show_tenant_quota(services: Using, tenant: FromPath[str]) -> Held:
    """Show what the tenant's buckets may hold together, and what they do."""
    return held_by_tenant(services.catalog, _tenant(services.catalog, tenant))


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
    return held_in_bucket(services.catalog, find_bucket(services, tenant, bucket))


@put("/buckets/{bucket:str}/quota")
async def set_bucket_quota(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], data: JSONBody[Allowed]
) -> Held:
    """Replace a bucket's quota; that of its tenant stays as it is."""
    record = find_bucket(services, tenant, bucket)
    changed = await services.catalog.set_bucket_quota(record, quota_from(data))
    return held_in_bucket(services.catalog, changed)


@delete("/buckets/{bucket:str}/quota")
async def clear_bucket_quota(services: Using, tenant: FromPath[str], bucket: FromPath[str]) -> None:
    """Take a bucket's quota away; that of its tenant stays."""
    await services.catalog.set_bucket_quota(find_bucket(services, tenant, bucket), None)


def quota_from(allowed: Allowed) -> Quota:
    """A quota as it is kept."""
    return Quota(allowed.bytes, allowed.objects)


def held_in_bucket(catalog: Catalog, record: BucketRecord) -> Held:
    """What a bucket may hold and does."""
    usage = catalog.get_usage(record)
    used = None
    if usage is not None:
        used = Used(usage.bytes, usage.objects, counting=usage.cursor is not None)
    return Held(_allowed(record.quota), used)


def held_by_tenant(catalog: Catalog, record: TenantRecord) -> Held:
    """What a tenant's buckets may hold and do; without a quota they are not all counted."""
    used = None
    if record.quota is not None:
        usage = catalog.get_tenant_usage(record.name)
        used = Used(usage.bytes, usage.objects, counting=catalog.is_counting(record.name))
    return Held(_allowed(record.quota), used)


def _allowed(quota: Quota | None) -> Allowed | None:
    return None if quota is None else Allowed(quota.bytes, quota.objects)


def _tenant(catalog: Catalog, name: str) -> TenantRecord:
    found = catalog.get_tenant(name)
    if found is None:
        raise UnknownTenant(f"there is no tenant {name}")
    return found


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(show_tenant_quota, set_tenant_quota, clear_tenant_quota),
        *(show_bucket_quota, set_bucket_quota, clear_bucket_quota),
    ]
    return Router("/tenants/{tenant:str}", route_handlers=handlers, tags=["quotas"])
