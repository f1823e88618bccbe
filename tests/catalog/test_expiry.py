"""Expiry in the transaction: only of versions that are what was judged, and still ask for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.catalog.expiry import Candidate
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.s3.lifecycle import (
    Expiration,
    Filter,
    Lifecycle,
    NoncurrentExpiration,
    Rule,
    Verdict,
)
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
)

EXPIRE, REMOVE = Verdict("expire"), Verdict("remove")
AGED = Lifecycle((Rule("r", True, Filter(), Expiration(days=1)),))
LONE = Lifecycle((Rule("r", True, Filter(), Expiration(lone_markers=True)),))
OLD = Lifecycle((Rule("r", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1, 2)),))


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(tmp_path, clock=Clock()) as catalog:
        await catalog.create_bucket(bucket_record())
        yield catalog


def bucket_of(catalog: Catalog) -> BucketRecord:
    found = catalog.get_bucket("bucket")
    assert found is not None
    return found


async def enable(catalog: Catalog) -> None:
    await catalog.update_bucket(
        bucket_of(catalog), lambda old: msgspec.structs.replace(old, versioning="Enabled")
    )


async def put(catalog: Catalog, **fields: object) -> ObjectRecord:
    record = msgspec.structs.replace(object_record(blob()), **fields)
    return await catalog.put_object(bucket_of(catalog), "k", record)


async def expire(
    catalog: Catalog, lifecycle: Lifecycle, record: ObjectRecord, since_ns: int | None = None
) -> int:
    verdict = EXPIRE if since_ns is None and not record.delete_marker else REMOVE
    candidate = Candidate("k", record, since_ns, verdict)
    return await catalog.expire_versions(bucket_of(catalog), lifecycle, [candidate])


async def test_expire_takes_what_was_judged(catalog: Catalog) -> None:
    record = await put(catalog)
    assert await expire(catalog, AGED, record) == 1
    assert catalog.get_object(bucket_of(catalog), "k") is None
    assert garbage_blobs(catalog) == {record.blobs[0].id}
    assert await expire(catalog, AGED, record) == 0


async def test_expire_lets_be_what_was_replaced_or_tagged_meanwhile(catalog: Catalog) -> None:
    judged = await put(catalog)
    await put(catalog)
    assert await expire(catalog, AGED, judged) == 0
    judged = await put(catalog)
    await catalog.update_object(
        bucket_of(catalog), "k", lambda old: msgspec.structs.replace(old, tags={"keep": "yes"})
    )
    assert await expire(catalog, AGED, judged) == 0
    assert catalog.get_object(bucket_of(catalog), "k") is not None


async def test_expire_judges_again_by_the_clock(catalog: Catalog) -> None:
    young = await put(catalog, modified_ns=Clock().ns)
    assert await expire(catalog, AGED, young) == 0


async def test_expire_in_a_bucket_that_has_versions_by_now_makes_a_marker(
    catalog: Catalog,
) -> None:
    judged = await put(catalog)
    await enable(catalog)
    assert await expire(catalog, AGED, judged) == 1
    latest = catalog.get_latest(bucket_of(catalog), "k")
    assert latest is not None
    assert latest.delete_marker
    assert latest.modified_ns % 1_000_000 == 0
    assert garbage_blobs(catalog) == set()


async def test_expire_marker_that_hides_something_again_stays(catalog: Catalog) -> None:
    await enable(catalog)
    first = await put(catalog)
    marker = await catalog.delete_object(bucket_of(catalog), Deletion("k"))
    assert marker is not None
    assert await expire(catalog, LONE, marker) == 0
    bucket = bucket_of(catalog)
    await catalog.delete_object(bucket, Deletion("k", first.version_id))
    second = await put(catalog)
    assert await expire(catalog, LONE, marker) == 0  # it is not the current version
    await catalog.delete_object(bucket, Deletion("k", second.version_id))
    assert await expire(catalog, LONE, marker) == 1
    assert catalog.get_latest(bucket, "k") is None


async def test_expire_noncurrent_counts_the_newer_ones_that_are_there(catalog: Catalog) -> None:
    await enable(catalog)
    records = [await put(catalog) for _ in range(4)]
    oldest = records[0]
    bucket = bucket_of(catalog)
    await catalog.delete_object(bucket, Deletion("k", records[1].version_id))
    assert await expire(catalog, OLD, oldest, since_ns=1) == 0
    await put(catalog)
    assert await expire(catalog, OLD, oldest, since_ns=1) == 1
    assert await expire(catalog, OLD, oldest, since_ns=1) == 0
    assert len(catalog.list_versions(bucket).entries) == 3


async def test_expire_noncurrent_that_is_current_again_stays(catalog: Catalog) -> None:
    await enable(catalog)
    first, second = await put(catalog), await put(catalog)
    bucket = bucket_of(catalog)
    await catalog.delete_object(bucket, Deletion("k", second.version_id))
    always = Lifecycle((Rule("r", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1)),))
    assert await expire(catalog, always, first, since_ns=1) == 0
    marker = await catalog.delete_object(bucket, Deletion("k"))
    assert marker is not None
    assert await expire(catalog, always, first, since_ns=1) == 1


async def test_expire_bucket_that_is_gone(catalog: Catalog) -> None:
    bucket = bucket_of(catalog)
    await catalog.delete_bucket("bucket")
    with pytest.raises(NoSuchBucket):
        await catalog.expire_versions(bucket, AGED, [])
