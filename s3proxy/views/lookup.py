"""Tenants, users and buckets that somebody named, or one wording of that there are none."""

from __future__ import annotations

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import NoSuchBucket, UnknownTenant, UnknownUser
from s3proxy.catalog.records import BucketRecord, TenantRecord, UserRecord
from s3proxy.s3.tenants import MAIN


def found_tenant(catalog: Catalog, name: str) -> TenantRecord:
    """The tenant.

    Raises:
        UnknownTenant.
    """
    found = catalog.get_tenant(name)
    if found is None:
        raise UnknownTenant(f"there is no tenant {name}")
    return found


def found_user(catalog: Catalog, name: str, tenant: str) -> UserRecord:
    """The user.

    Raises:
        UnknownUser.
    """
    found = catalog.get_user(name, tenant)
    if found is None:
        raise UnknownUser(f"there is no user {name}{_where(tenant)}")
    return found


def found_bucket(catalog: Catalog, name: str, tenant: str) -> BucketRecord:
    """The bucket.

    Raises:
        NoSuchBucket.
    """
    found = catalog.get_bucket(name, tenant)
    if found is None:
        raise NoSuchBucket(name, f"there is no bucket {name}{_where(tenant)}")
    return found


def _where(tenant: str) -> str:
    return "" if tenant == MAIN else f" in the tenant {tenant}"
