"""Tenants, and what goes with them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.errors import (
    DeleteConflict,
    InvalidName,
    TenantExists,
    UnknownTenant,
)
from tests.catalog.catalogs import bucket_record, open_catalog


async def test_main_is_there_without_being_made(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        main = catalog.get_tenant("main")
        assert main is not None
        assert main.enabled
        assert catalog.list_tenants() == [main]
        with pytest.raises(TenantExists):
            await catalog.create_tenant("main")
        with pytest.raises(DeleteConflict):
            await catalog.delete_tenant("main")


async def test_main_that_was_changed_is_listed_once(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        disabled = await catalog.set_tenant_enabled("main", False)
        assert catalog.list_tenants() == [disabled]
        assert catalog.get_tenant("main") == disabled


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "a.b", "a_b", "-a", "a-", "a b", "ä", "x" * 64, "xn--a", "a\0b", "a/b"),
        *("1", "123456789012", "0" * 16, "00000000000000ab", "a" * 32, "f" * 64),
    ],
)
async def test_name_of_no_tenant_is_refused(tmp_path: Path, name: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        with pytest.raises(InvalidName):
            await catalog.create_tenant(name)
        assert catalog.get_tenant(name) is None


@pytest.mark.parametrize("name", ["a", "acme", "a-1", "1-a", "x" * 63, "0a"])
async def test_tenant_made_is_found_until_it_is_deleted(tmp_path: Path, name: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        made = await catalog.create_tenant(name)
        assert catalog.get_tenant(name) == made
        with pytest.raises(TenantExists):
            await catalog.create_tenant(name)
        assert await catalog.delete_tenant(name) == made
        assert catalog.get_tenant(name) is None
        with pytest.raises(UnknownTenant):
            await catalog.delete_tenant(name)


async def test_list_tenants_in_parts_is_the_whole_list(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        for name in ("a", "b", "ma", "mb", "z"):
            await catalog.create_tenant(name)
        names = [tenant.name for tenant in catalog.list_tenants()]
        assert names == ["a", "b", "ma", "main", "mb", "z"]
        for limit in (1, 2, 3):
            seen: list[str] = []
            while part := catalog.list_tenants(seen[-1] if seen else "", limit):
                assert len(part) <= limit
                seen += [tenant.name for tenant in part]
            assert seen == names


async def test_update_tenant_changes_what_is_there(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_tenant("acme")
        changed = await catalog.update_tenant(
            "acme", lambda tenant: msgspec.structs.replace(tenant, enabled=False)
        )
        assert catalog.get_tenant("acme") == changed
        with pytest.raises(UnknownTenant):
            await catalog.update_tenant("nobody", lambda tenant: tenant)


async def test_delete_tenant_takes_users_keys_and_tokens_of_its_own_alone(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        for tenant in ("acme", "acme-2"):
            await catalog.create_tenant(tenant)
            await catalog.create_key("alice", tenant=tenant)
            await catalog.create_token("tenant-admin", tenant)
        (key,) = catalog.list_tenant_keys("acme")
        await catalog.delete_tenant("acme")
        assert catalog.get_key(key.access_key) is None
        assert catalog.get_user("alice", "acme") is None
        assert catalog.get_user_by_id(key.user_id) is None
        assert [token.tenant for token in catalog.list_tokens()] == ["acme-2"]
        assert [found.tenant for found in catalog.list_keys()] == ["acme-2"]
        # One of the same name is another one.
        await catalog.create_tenant("acme")
        assert catalog.list_users("acme") == []
        assert catalog.list_tenant_keys("acme") == []


async def test_delete_tenant_with_a_bucket_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_tenant("acme")
        await catalog.create_bucket(bucket_record("b", tenant="acme"))
        with pytest.raises(DeleteConflict, match="has buckets"):
            await catalog.delete_tenant("acme")
        await catalog.delete_bucket("b", "acme")
        await catalog.delete_tenant("acme")


async def test_nothing_is_made_in_a_tenant_that_is_not_there(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        with pytest.raises(UnknownTenant):
            await catalog.create_bucket(bucket_record("b", tenant="gone"))
        with pytest.raises(UnknownTenant):
            await catalog.create_user("alice", "gone")
        with pytest.raises(UnknownTenant):
            await catalog.create_key("alice", tenant="gone")
        with pytest.raises(UnknownTenant):
            await catalog.create_token("tenant-admin", "gone")
