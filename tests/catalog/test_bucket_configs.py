"""Configurations of buckets, and what a bucket's record notes of them."""

from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.tables import BUCKETS, encode
from tests.catalog.catalogs import bucket_record, open_catalog


def now(catalog: Catalog) -> BucketRecord:
    found = catalog.get_bucket("bucket")
    assert found is not None
    return found


async def test_record_of_a_bucket_notes_the_kinds_it_has(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        assert bucket.configs == ()
        for name in ("cors", "inventory\0one", "inventory\0two", "a"):
            await catalog.put_bucket_config(bucket, name, name.encode())
        assert now(catalog).configs == ("a", "cors", "inventory")
        assert catalog.get_bucket_config(now(catalog), "cors") == b"cors"
        assert catalog.get_bucket_config(now(catalog), "inventory\0two") == b"inventory\0two"
        assert catalog.get_bucket_config(now(catalog), "inventory") is None

        assert await catalog.delete_bucket_config(bucket, "inventory\0one")
        assert now(catalog).configs == ("a", "cors", "inventory")
        assert await catalog.delete_bucket_config(bucket, "inventory\0two")
        assert not await catalog.delete_bucket_config(bucket, "inventory\0two")
        assert now(catalog).configs == ("a", "cors")
        assert catalog.get_bucket_config(now(catalog), "inventory\0two") is None


async def test_configuration_of_a_bucket_that_notes_none_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())

        def refuse(*_: object) -> None:
            raise AssertionError("read")

        monkeypatch.setattr(catalog.engine, "get", refuse)
        assert catalog.get_bucket_config(bucket, "lifecycle") is None


async def test_configurations_of_a_kind_are_listed_in_order(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        for name in ("metrics\0b", "metrics\0a", "metrics\0c", "metricsz"):
            await catalog.put_bucket_config(bucket, name, name[-1].encode())
        assert catalog.list_bucket_configs(bucket, "metrics") == [
            ("a", b"a"),
            ("b", b"b"),
            ("c", b"c"),
        ]
        assert catalog.list_bucket_configs(bucket, "metrics", "b") == [("c", b"c")]
        assert catalog.list_bucket_configs(bucket, "analytics") == []


async def test_configurations_of_a_record_of_before_are_found_and_then_noted(
    tmp_path: Path,
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_bucket_config(bucket, "cors", b"1")
        before = msgspec.structs.replace(bucket, configs=None)
        await catalog.engine.commit(lambda txn: txn.put(BUCKETS, b"main\0bucket", encode(before)))
        assert now(catalog).configs is None
        assert catalog.get_bucket_config(now(catalog), "cors") == b"1"
        assert catalog.get_bucket_config(now(catalog), "tagging") is None
        await catalog.put_bucket_config(bucket, "tagging", b"2")
        assert now(catalog).configs == ("cors", "tagging")


async def test_configuration_of_a_bucket_made_anew_is_not_put(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        old = await catalog.create_bucket(bucket_record())
        await catalog.delete_bucket("bucket")
        await catalog.create_bucket(bucket_record())
        with pytest.raises(NoSuchBucket):
            await catalog.put_bucket_config(old, "cors", b"1")
        with pytest.raises(NoSuchBucket):
            await catalog.delete_bucket_config(old, "cors")
        assert now(catalog).configs == ()


async def test_bucket_has_the_configurations_it_was_created_with(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_bucket(bucket_record(), {"cors": b"1", "acl": b"2"})
        assert now(catalog).configs == ("acl", "cors")
        assert catalog.get_bucket_config(now(catalog), "acl") == b"2"


async def test_revision_of_a_bucket_changes_with_every_change_of_a_configuration(
    tmp_path: Path,
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        revisions = [now(catalog).revision]
        for document in (b"1", b"2"):
            await catalog.put_bucket_config(bucket, "cors", document)
            revisions.append(now(catalog).revision)
        await catalog.delete_bucket_config(bucket, "cors")
        revisions.append(now(catalog).revision)
        assert len(set(revisions)) == 4
