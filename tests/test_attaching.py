"""Attached buckets of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3proxy.attaching import attach_buckets, check_targets
from s3proxy.backends.disk import Disk
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.bootstrap import StartError
from s3proxy.catalog.records import BucketRecord
from s3proxy.config import BucketConfig, Config
from tests.catalog.catalogs import bucket_record, open_catalog, upload_record

WWW = Config(bucket=(BucketConfig(name="www", backend="disk"),))


async def test_attach_buckets_unchanged_keeps_the_uploads(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await attach_buckets(catalog, WWW)
        bucket = catalog.get_bucket("www")
        assert bucket is not None
        await catalog.create_upload(bucket, upload_record("key", "1"))
        await attach_buckets(catalog, WWW)
        assert catalog.get_bucket("www") == bucket
        assert len(catalog.list_uploads(bucket).entries) == 1


async def test_attach_buckets_detached_with_open_uploads_forgets_them(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await attach_buckets(catalog, WWW)
        bucket = catalog.get_bucket("www")
        assert bucket is not None
        for number in range(3):
            await catalog.create_upload(bucket, upload_record("key", str(number)))
        await attach_buckets(catalog, Config())
        assert catalog.get_bucket("www") is None
        assert catalog.list_uploads(bucket).entries == []


async def test_attach_buckets_other_target_starts_afresh(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        await attach_buckets(catalog, WWW)
        before = catalog.get_bucket("www")
        assert before is not None
        await catalog.create_upload(before, upload_record("key", "1"))
        moved = Config(bucket=(BucketConfig(name="www", backend="disk", target="other"),))
        await attach_buckets(catalog, moved)
        after = catalog.get_bucket("www")
        assert after is not None
        assert (after.container, after.id == before.id) == ("other", False)
        assert catalog.list_uploads(after).entries == []


async def test_attach_buckets_leaves_those_of_users(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        made = await catalog.create_bucket(
            BucketRecord(
                name="www",
                kind="attached",
                backend="far",
                container="www",
                region="us-east-1",
                created_ns=1,
                owner="user-1",
            )
        )
        await attach_buckets(catalog, Config())
        assert catalog.get_bucket("www") == made
        with pytest.raises(StartError, match="a user made"):
            await attach_buckets(catalog, WWW)


@pytest.mark.parametrize("target", ["..", "tmp", "a/../../b", "ab"])
def test_check_targets_impossible_one_names_bucket_and_target(tmp_path: Path, target: str) -> None:
    disk = LocalBackend(LocalOptions(name="disk", root=str(tmp_path)), Disk())
    bucket = BucketConfig(name="www", backend="disk", target=target)
    with pytest.raises(StartError, match=f"www.*target '{target}': "):
        check_targets([bucket], {"disk": disk})


def test_check_targets_one_that_is_not_there_yet_may_come(tmp_path: Path) -> None:
    disk = LocalBackend(LocalOptions(name="disk", root=str(tmp_path)), Disk())
    check_targets([BucketConfig(name="www", backend="disk")], {"disk": disk})


async def test_attach_buckets_name_of_a_managed_bucket_is_refused(tmp_path: Path) -> None:
    config = Config(bucket=(BucketConfig(name="bucket", backend="disk"),))
    async with open_catalog(tmp_path) as catalog:
        await catalog.create_bucket(bucket_record("bucket"))
        with pytest.raises(StartError, match="a bucket that a user made has that name"):
            await attach_buckets(catalog, config)
