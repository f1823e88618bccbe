from pathlib import Path

import pytest

from s3proxy.catalog.errors import KeyExists, UnknownKey, UnknownUser
from tests.catalog.catalogs import open_catalog


async def test_create_key_random_is_found_and_opens(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        record, secret = await catalog.create_key("alice")
        assert len(record.access_key) == 20
        assert len(secret) == 40
        assert secret.encode() not in record.sealed_secret
        found = catalog.get_key(record.access_key)
        assert found == record
        assert catalog.unseal(record) == secret
        user = catalog.get_user("alice")
        assert user is not None
        assert user.user_id == record.user_id
        assert catalog.list_users() == [user]
        assert await catalog.create_user("alice") == user


async def test_create_key_taken_is_refused_unless_replaced(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first, _ = await catalog.create_key("root", "ROOTKEY", "secret-one")
        with pytest.raises(KeyExists):
            await catalog.create_key("root", "ROOTKEY", "secret-two")
        same, _ = await catalog.create_key("root", "ROOTKEY", "secret-one", replace=True)
        assert same == first
        other, _ = await catalog.create_key("root", "ROOTKEY", "secret-two", replace=True)
        assert other.generation > first.generation
        assert catalog.unseal(other) == "secret-two"


async def test_set_key_enabled_changes_what_get_key_says(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        record, _ = await catalog.create_key("alice")
        disabled = await catalog.set_key_enabled(record.access_key, False)
        assert not disabled.enabled
        assert catalog.get_key(record.access_key) == disabled
        assert disabled.generation > record.generation
        assert catalog.list_keys() == [disabled]
        with pytest.raises(UnknownKey):
            await catalog.set_key_enabled("absent", True)


@pytest.mark.parametrize("access_key", ["", "x" * 1000, "\udc80", "absent"])
async def test_get_key_hostile_name_is_none(tmp_path: Path, access_key: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        assert catalog.get_key(access_key) is None


async def test_get_user_by_id_finds_users_of_every_tenant(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        alice = await catalog.create_user("alice")
        await catalog.create_tenant("other")
        key, _ = await catalog.create_key("bob", tenant="other")
        assert catalog.get_user_by_id(alice.user_id) == alice
        assert catalog.get_user_by_id(key.user_id) == catalog.get_user("bob", "other")
        for unknown in ("", "nobody", "ä" * 300, "\udcff"):
            assert catalog.get_user_by_id(unknown) is None


async def test_set_user_policy_is_found_by_id_and_taken_away(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        alice = await catalog.create_user("alice")
        assert catalog.get_user_policy(alice.user_id) == b""
        changed = await catalog.set_user_policy("alice", b"{}")
        assert catalog.get_user("alice") == changed
        assert catalog.get_user_policy(alice.user_id) == b"{}"
        await catalog.create_key("alice")
        assert catalog.get_user_policy(alice.user_id) == b"{}"
        assert await catalog.set_user_policy("alice", b"") == alice
        assert catalog.get_user_policy(alice.user_id) == b""
        assert catalog.get_user_policy("nobody") == b""


async def test_set_user_policy_user_of_another_tenant_is_unknown(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_user("alice")
        with pytest.raises(UnknownUser):
            await catalog.set_user_policy("alice", b"{}", "other")
