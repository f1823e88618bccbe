from pathlib import Path

import pytest
import trio

from s3proxy.catalog.errors import BucketExists, BucketNotEmpty, NoSuchBucket
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import AttributesRecord
from tests.catalog.catalogs import bucket_record, object_record, open_catalog, upload_record


async def test_create_bucket_gives_ids_that_differ(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first = await catalog.create_bucket(bucket_record("one"))
        second = await catalog.create_bucket(bucket_record("two"))
        assert len(first.id) == len(second.id) == 8
        assert first.id != second.id
        assert catalog.get_bucket("one") == first
        assert catalog.get_bucket("three") is None
        assert [bucket.name for bucket in catalog.list_buckets()] == ["one", "two"]


async def test_create_bucket_same_name_other_tenant_is_another(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        mine = await catalog.create_bucket(bucket_record("backups"))
        await catalog.create_tenant("other")
        theirs = await catalog.create_bucket(bucket_record("backups", tenant="other"))
        assert catalog.get_bucket("backups") == mine
        assert catalog.get_bucket("backups", "other") == theirs
        assert catalog.list_buckets("other") == [theirs]


async def test_create_bucket_raced_has_one_winner(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        outcomes = []

        async def create() -> None:
            try:
                outcomes.append((await catalog.create_bucket(bucket_record())).id)
            except BucketExists as error:
                assert error.code == "BucketAlreadyOwnedByYou"

        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(create)
        assert len(outcomes) == 1


async def test_delete_bucket_with_object_or_upload_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_object(bucket, "k" * 1000, object_record())
        with pytest.raises(BucketNotEmpty):
            await catalog.delete_bucket("bucket")
        await catalog.delete_object(bucket, Deletion("k" * 1000))
        await catalog.create_upload(bucket, upload_record("k", "u"))
        with pytest.raises(BucketNotEmpty):
            await catalog.delete_bucket("bucket")
        await catalog.abort_upload(bucket, "k", "u")
        assert await catalog.delete_bucket("bucket") == bucket
        assert catalog.get_bucket("bucket") is None
        with pytest.raises(NoSuchBucket):
            await catalog.delete_bucket("bucket")


async def test_writes_to_deleted_and_remade_bucket_are_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        old = await catalog.create_bucket(bucket_record())
        await catalog.delete_bucket("bucket")
        await catalog.create_bucket(bucket_record())
        with pytest.raises(NoSuchBucket):
            await catalog.put_object(old, "k", object_record())
        with pytest.raises(NoSuchBucket):
            await catalog.create_upload(old, upload_record("k", "u"))
        with pytest.raises(NoSuchBucket):
            await catalog.delete_objects(old, [Deletion("k")])


async def test_delete_bucket_attached_clears_its_side_table(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record(kind="attached"))
        row = AttributesRecord(size=1, mtime_ns=2, etag="e")
        for key in ("a", "b" * 1024):
            await catalog.put_attributes(bucket, key, row)
        await catalog.delete_bucket("bucket")
        assert catalog.get_attributes(bucket, "a") is None
        with catalog.engine.read() as view:
            assert list(view.scan("attributes", b"")) == []


async def test_attributes_kept_until_deleted(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record(kind="attached"))
        row = AttributesRecord(size=1, mtime_ns=2, etag="e", user={"a": "b"})
        await catalog.put_attributes(bucket, "key", row)
        assert catalog.get_attributes(bucket, "key") == row
        assert await catalog.delete_attributes(bucket, "key")
        assert not await catalog.delete_attributes(bucket, "key")
        assert catalog.get_attributes(bucket, "key") is None
