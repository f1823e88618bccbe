"""All of the API: every resource's router behind one guard, with one form of errors."""

from __future__ import annotations

from litestar import Router

from s3proxy.control.api import (
    backend_work,
    backends,
    backups,
    buckets,
    keys,
    placement,
    quotas,
    replication,
    tenants,
    tokens,
    users,
)
from s3proxy.control.api.dependencies import check_request, dependencies
from s3proxy.control.api.guard import guard_of
from s3proxy.ops.call import Services

BODY_BYTES_MAX = 1 << 20
ROUTERS = (
    tenants.router,
    users.router,
    tokens.router,
    keys.router,
    placement.router,
    buckets.router,
    quotas.router,
    replication.router,
    backups.router,
    backend_work.router,
    backends.router,
)


def api_router(services: Services) -> Router:
    """The routes below /api/v1."""
    return Router(
        "/api/v1",
        route_handlers=[router() for router in ROUTERS],
        guards=[guard_of(services.catalog)],
        dependencies=dependencies(services),
        before_request=check_request,
        request_max_body_size=BODY_BYTES_MAX,
        security=[{"token": []}],
    )
