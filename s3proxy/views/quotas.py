"""Quotas of tenants and buckets as they are told, and what is held."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BucketRecord, TenantRecord
from s3proxy.s3.limits import Quota

Amount = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Allowed(Struct, frozen=True, forbid_unknown_fields=True):
    """A quota; what is null is not limited, but counted. One of the two is to be a number."""

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
