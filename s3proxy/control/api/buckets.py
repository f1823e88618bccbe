"""The buckets of a tenant: /api/v1/tenants/{tenant}/buckets."""

from __future__ import annotations

from litestar import Router, get
from litestar.params import FromPath

from s3proxy.control.api.dependencies import After, Limit, Page, Using, page_of
from s3proxy.views.buckets import Bucket, BucketDetails, bucket_of, details_of
from s3proxy.views.lookup import found_bucket


@get("/")
async def list_buckets(
    services: Using, tenant: FromPath[str], after: After = "", limit: Limit = 100
) -> Page[Bucket]:
    """List the tenant's buckets by name."""
    catalog = services.catalog
    found = catalog.list_buckets(tenant, after, limit + 1)
    return page_of([bucket_of(catalog, one) for one in found], limit, lambda one: one.name)


@get("/{bucket:str}")
async def show_bucket(
    services: Using, tenant: FromPath[str], bucket: FromPath[str]
) -> BucketDetails:
    """Show a bucket: where it is, how it is configured, what it holds and may hold."""
    return details_of(services.catalog, found_bucket(services.catalog, bucket, tenant))


def router() -> Router:
    """The routes of this module."""
    handlers = [list_buckets, show_bucket]
    return Router("/tenants/{tenant:str}/buckets", route_handlers=handlers, tags=["buckets"])
