"""Rules of placement of tenants and buckets, and why their objects are where they are."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from s3proxy.catalog.errors import NoSuchBucket, UnknownTenant
from s3proxy.catalog.records import BucketRecord, TenantRecord
from s3proxy.control.api.dependencies import Using
from s3proxy.control.api.guard import ADMIN_ONLY
from s3proxy.ops.call import Services
from s3proxy.ops.explain import Explained, explain
from s3proxy.ops.placing import set_rules, set_tenant_rules
from s3proxy.s3.placement import REPLICAS_MAX, Rules

Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=63)]], Meta(max_length=64)]
Copies = Annotated[int, Meta(ge=0, le=REPLICAS_MAX)]
Key = Annotated[str, QueryParameter(description="an object's key", max_length=1024)]


class Placement(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of placement; what is not said comes from the tenant, then from the server."""

    regions: Names = []
    replicas: Copies = 0
    write_quorum: Copies = 0
    countries: Names = []
    countries_forbidden: Names = []
    jurisdictions: Names = []
    jurisdictions_forbidden: Names = []
    features: Names = []
    certifications: Names = []


def placement_of(rules: Rules | None) -> Placement:
    """Rules as they are told."""
    return msgspec.convert(msgspec.structs.asdict(rules or Rules()), Placement)


def rules_from(placement: Placement) -> Rules | None:
    """Rules as they are kept; None: nothing is said."""
    rules = msgspec.convert(msgspec.structs.astuple(placement), Rules)
    return rules or None


@get("/placement")
async def show_tenant_placement(services: Using, tenant: FromPath[str]) -> Placement:
    """Show the rules for the tenant's buckets."""
    return placement_of(_tenant(services, tenant).placement)


@put("/placement", opt=ADMIN_ONLY)
async def set_tenant_placement(
    services: Using, tenant: FromPath[str], data: JSONBody[Placement]
) -> Placement:
    """Replace the rules for the tenant's buckets; existing objects move in the background."""
    rules = rules_from(data)
    await set_tenant_rules(services, tenant, rules)
    return placement_of(rules)


@delete("/placement", opt=ADMIN_ONLY)
async def clear_tenant_placement(services: Using, tenant: FromPath[str]) -> None:
    """Take the tenant's rules away."""
    await set_tenant_rules(services, tenant, None)


@get("/buckets/{bucket:str}/placement")
async def explain_placement(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], key: Key = ""
) -> Explained:
    """Show what rules are in force for a bucket, what they make of each backend, and an object."""
    return explain(services, find_bucket(services, tenant, bucket), key)


@put("/buckets/{bucket:str}/placement", opt=ADMIN_ONLY)
async def set_placement(
    services: Using, tenant: FromPath[str], bucket: FromPath[str], data: JSONBody[Placement]
) -> Explained:
    """Replace the rules of a bucket; existing objects move in the background."""
    record = find_bucket(services, tenant, bucket)
    return explain(services, await set_rules(services, record, rules_from(data)))


@delete("/buckets/{bucket:str}/placement", opt=ADMIN_ONLY)
async def clear_placement(services: Using, tenant: FromPath[str], bucket: FromPath[str]) -> None:
    """Take the rules of a bucket away."""
    await set_rules(services, find_bucket(services, tenant, bucket), None)


def find_bucket(services: Services, tenant: str, name: str) -> BucketRecord:
    """The bucket of that name.

    Raises:
        NoSuchBucket.
    """
    found = services.catalog.get_bucket(name, tenant)
    if found is None:
        raise NoSuchBucket(name)
    return found


def _tenant(services: Services, name: str) -> TenantRecord:
    found = services.catalog.get_tenant(name)
    if found is None:
        raise UnknownTenant(f"there is no tenant {name}")
    return found


def router() -> Router:
    """The routes of this module."""
    handlers = [
        *(show_tenant_placement, set_tenant_placement, clear_tenant_placement),
        *(explain_placement, set_placement, clear_placement),
    ]
    return Router("/tenants/{tenant:str}", route_handlers=handlers, tags=["placement"])
