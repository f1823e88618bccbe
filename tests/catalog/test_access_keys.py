"""Access keys by their users: how many, whose, and gone with whom."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.errors import (
    DeleteConflict,
    InvalidName,
    LimitExceeded,
    UnknownKey,
    UserExists,
)
from s3proxy.catalog.records import KeyRecord
from s3proxy.catalog.tables import META, USER_KEYS
from s3proxy.kv.engine import Transaction
from tests.catalog.catalogs import bucket_record, open_catalog


async def test_third_active_key_is_refused_until_one_goes(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first, second = [(await catalog.create_key("alice")).record for _ in range(2)]
        with pytest.raises(LimitExceeded):
            await catalog.create_key("alice")
        await catalog.create_key("bob")
        await catalog.set_key_enabled(first.access_key, False)
        third = (await catalog.create_key("alice")).record
        with pytest.raises(LimitExceeded):
            await catalog.set_key_enabled(first.access_key, True)
        await catalog.delete_key(second.access_key)
        await catalog.set_key_enabled(first.access_key, True)
        await catalog.set_key_enabled(first.access_key, True)
        found = {key.access_key for key in catalog.list_tenant_keys("main", first.user_id)}
        assert found == {first.access_key, third.access_key}


async def test_preset_key_is_made_beside_two_others(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        for _ in range(2):
            await catalog.create_key("root")
        await catalog.create_key("root", "PRESET", "secret", replace=True)
        assert len(catalog.list_keys()) == 3


async def test_key_given_to_another_user_leaves_the_first(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first = (await catalog.create_key("alice", "KEY", "secret")).record
        second = (await catalog.create_key("bob", "KEY", "secret", replace=True)).record
        assert catalog.list_tenant_keys("main", first.user_id) == []
        assert catalog.list_tenant_keys("main", second.user_id) == [second]


async def test_delete_key_of_another_tenant_is_unknown(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_tenant("acme")
        key = (await catalog.create_key("alice", tenant="acme")).record
        for tenant in ("main", "ac"):
            with pytest.raises(UnknownKey):
                await catalog.delete_key(key.access_key, tenant)
            with pytest.raises(UnknownKey):
                await catalog.set_key_enabled(key.access_key, False, tenant)
        assert await catalog.delete_key(key.access_key, "acme") == key
        assert catalog.get_key(key.access_key) is None
        with pytest.raises(UnknownKey):
            await catalog.delete_key(key.access_key)


async def test_list_tenant_keys_in_parts_is_the_whole_list(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_tenant("acme")
        for user in ("alice", "bob", "carol"):
            for tenant in ("acme", "main"):
                for _ in range(2):
                    await catalog.create_key(user, tenant=tenant)
        whole = catalog.list_tenant_keys("acme")
        assert [key.user_name for key in whole] == [
            *("alice", "alice", "bob", "bob", "carol", "carol")
        ]
        for limit in (1, 2, 4):
            seen: list[KeyRecord] = []
            last = ("", "")
            while part := catalog.list_tenant_keys("acme", "", last, limit):
                seen += part
                last = part[-1].user_id, part[-1].access_key
                if len(seen) == limit:  # what goes meanwhile changes nothing for the others
                    await catalog.delete_key(part[-1].access_key)
            assert seen == whole
            whole = catalog.list_tenant_keys("acme")


@pytest.mark.parametrize("after", [("x" * 1000, ""), ("", "x" * 1000), ("\udcff", "\udcff")])
async def test_list_after_what_is_hostile_is_a_list(tmp_path: Path, after: tuple[str, str]) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_key("alice")
        assert len(catalog.list_tenant_keys("main", "", after)) <= 1
        assert catalog.list_users("main", "x" * 1000) == []
        assert catalog.list_tenants("x" * 1000) == []


async def test_index_keys_finds_the_keys_of_an_older_catalog(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        key = (await catalog.create_key("alice")).record

        def as_before(txn: Transaction) -> None:
            for row, _ in list(txn.scan(USER_KEYS, b"")):
                txn.delete(USER_KEYS, row)
            txn.delete(META, b"user_keys")

        await catalog.engine.commit(as_before)
        assert catalog.list_tenant_keys("main") == []
        await catalog.index_keys()
        assert catalog.list_tenant_keys("main") == [key]
        await catalog.index_keys()


async def test_create_user_new_is_refused_where_there_is_one(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_user("alice", new=True)
        with pytest.raises(UserExists):
            await catalog.create_user("alice", new=True)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 65])
async def test_create_user_of_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        with pytest.raises(InvalidName):
            await catalog.create_user(name)
        assert catalog.get_user(name) is None


async def test_list_users_in_parts_is_the_whole_list(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        for name in ("a", "a b", "aa", "b"):
            await catalog.create_user(name)
        assert [user.name for user in catalog.list_users(limit=2)] == ["a", "a b"]
        assert [user.name for user in catalog.list_users(after="a b")] == ["aa", "b"]


async def test_delete_user_takes_their_keys(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        alices = (await catalog.create_key("alice")).record
        bobs = (await catalog.create_key("bob")).record
        await catalog.delete_user("alice")
        assert catalog.get_user_by_id(alices.user_id) is None
        assert catalog.list_keys() == [bobs]
        assert catalog.list_tenant_keys("main") == [bobs]
        again = await catalog.create_user("alice")
        assert again.user_id != alices.user_id


async def test_delete_user_who_owns_a_bucket_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        alice = await catalog.create_user("alice")
        bucket = msgspec.structs.replace(bucket_record("hers"), owner=alice.user_id)
        await catalog.create_bucket(bucket)
        with pytest.raises(DeleteConflict, match="owns the bucket hers"):
            await catalog.delete_user("alice")
        assert catalog.get_user("alice") == alice


async def test_set_user_enabled_is_found_by_id_too(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        alice = await catalog.create_user("alice")
        disabled = await catalog.set_user_enabled("alice", False)
        assert not disabled.enabled
        assert catalog.get_user_by_id(alice.user_id) == disabled
        assert await catalog.set_user_enabled("alice", True) == alice
