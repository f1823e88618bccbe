"""Tenants: /api/v1/tenants."""

from __future__ import annotations

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from s3proxy.catalog.errors import UnknownTenant
from s3proxy.control.api.dependencies import After, Asking, Limit, Page, Using, page_of
from s3proxy.control.api.guard import ADMIN_ONLY, ANY_ROLE
from s3proxy.views.identities import Tenant, tenant_of


class NewTenant(Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant to be made."""

    name: str


@get("/", opt=ANY_ROLE)
async def list_tenants(
    services: Using, admin: Asking, after: After = "", limit: Limit = 100
) -> Page[Tenant]:
    """List tenants by name; a tenant's administrator sees their own."""
    catalog = services.catalog
    if admin.tenant:
        own = catalog.get_tenant(admin.tenant)
        return Page([] if own is None else [tenant_of(own)])
    found = [tenant_of(record) for record in catalog.list_tenants(after, limit + 1)]
    return page_of(found, limit, lambda tenant: tenant.name)


@post("/")
async def create_tenant(services: Using, data: JSONBody[NewTenant]) -> Tenant:
    """Make a tenant."""
    return tenant_of(await services.catalog.create_tenant(data.name))


@get("/{tenant:str}")
async def show_tenant(services: Using, tenant: FromPath[str]) -> Tenant:
    """Show a tenant."""
    record = services.catalog.get_tenant(tenant)
    if record is None:
        raise UnknownTenant(f"there is no tenant {tenant}")
    return tenant_of(record)


@post("/{tenant:str}/disable", opt=ADMIN_ONLY, status_code=200)
async def disable_tenant(services: Using, tenant: FromPath[str]) -> Tenant:
    """Refuse every request of the tenant's users, and of its administrators, from now on."""
    return tenant_of(await services.catalog.set_tenant_enabled(tenant, False))


@post("/{tenant:str}/enable", opt=ADMIN_ONLY, status_code=200)
async def enable_tenant(services: Using, tenant: FromPath[str]) -> Tenant:
    """Accept a disabled tenant again."""
    return tenant_of(await services.catalog.set_tenant_enabled(tenant, True))


@delete("/{tenant:str}", opt=ADMIN_ONLY)
async def delete_tenant(services: Using, tenant: FromPath[str]) -> None:
    """Delete a tenant that has no buckets, with its users, their keys and its tokens."""
    await services.catalog.delete_tenant(tenant)


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(list_tenants, create_tenant, show_tenant),
        *(disable_tenant, enable_tenant, delete_tenant),
    ]
    return Router("/tenants", route_handlers=handlers, tags=["tenants"])
