"""What buckets and tenants with quotas hold, against a slow count of all there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3proxy.catalog import counting
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnsupportedBucket
from s3proxy.catalog.expiry import Candidate, Moved
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.usage import version_item
from s3proxy.catalog.usage_records import UsageRecord
from s3proxy.s3.errors import S3Error
from s3proxy.s3.lifecycle import Expiration, Filter, Lifecycle, Rule, Verdict
from s3proxy.s3.limits import Quota
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    object_record,
    open_catalog,
    part_record,
    set_state,
    upload_record,
)

COUNT = Quota(objects=1 << 40)
KEYS = ("a", "a/b", "p" * 481, "p" * 1024)
BUCKETS = ("bucket", "other")
EXPIRING = Rule(id="r", enabled=True, filter=Filter(), expiration=Expiration(days=1))
DAY_NS = 86_400_000_000_000


def counted(usage: UsageRecord | None) -> tuple[int, int]:
    assert usage is not None
    return usage.bytes, usage.objects


async def count_all(catalog: Catalog) -> None:
    while await catalog.count_step():
        pass


def recount(catalog: Catalog, bucket: BucketRecord) -> tuple[int, int]:
    """Count what there is, by listings."""
    versions = catalog.list_versions(bucket, limit=10_000).entries
    size = sum(entry.record.size for entry in versions)
    objects = sum(not entry.record.delete_marker for entry in versions)
    for upload in catalog.list_uploads(bucket, limit=10_000).entries:
        size += sum(part.size for part in catalog.list_parts(bucket, upload.upload_id))
    return size, objects


class Model:
    """Does things to buckets; each action gets two numbers that say what exactly."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self.catalog = catalog
        self.clock = clock

    def bucket(self, number: int) -> BucketRecord:
        found = self.catalog.get_bucket(BUCKETS[number % len(BUCKETS)])
        assert found is not None
        return found

    async def put(self, bucket: BucketRecord, first: int, second: int) -> None:
        record = object_record(blob(), size=second)
        await self.catalog.put_object(bucket, KEYS[first % len(KEYS)], record)

    async def copy_onto_itself(self, bucket: BucketRecord, first: int, second: int) -> None:
        key = KEYS[first % len(KEYS)]
        old = self.catalog.get_object(bucket, key)
        if old is not None and not bucket.versioning:
            changed = msgspec.structs.replace(old, user={"n": str(second)})
            await self.catalog.put_object(bucket, key, changed, replaces=old)

    async def delete(self, bucket: BucketRecord, first: int, second: int) -> None:
        keys = {KEYS[first % len(KEYS)], KEYS[second % len(KEYS)]}
        await self.catalog.delete_objects(bucket, [Deletion(key) for key in keys])

    async def delete_version(self, bucket: BucketRecord, first: int, second: int) -> None:
        entries = self.catalog.list_versions(bucket, limit=1000).entries
        if entries:
            entry = entries[first % len(entries)]
            await self.catalog.delete_object(
                bucket, Deletion(entry.key, entry.record.named_version)
            )

    async def set_versioning(self, bucket: BucketRecord, first: int, second: int) -> None:
        await set_state(self.catalog, bucket, ("Enabled", "Suspended")[first % 2])

    async def create_upload(self, bucket: BucketRecord, first: int, second: int) -> None:
        upload_id = f"u{second}" * (1 + first % 3)  # some begin with others
        key = KEYS[first % len(KEYS)]
        if self.catalog.get_upload(bucket, key, upload_id) is None:
            taken = self.catalog.list_uploads(bucket, limit=1000).entries
            if all(upload.upload_id != upload_id for upload in taken):
                await self.catalog.create_upload(bucket, upload_record(key, upload_id))

    async def put_part(self, bucket: BucketRecord, first: int, second: int) -> None:
        uploads = self.catalog.list_uploads(bucket, limit=1000).entries
        if uploads:
            upload = uploads[first % len(uploads)]
            part = msgspec.structs.replace(part_record(1 + first % 3, blob()), size=second)
            await self.catalog.put_part(bucket, upload.key, upload.upload_id, part)

    async def complete(self, bucket: BucketRecord, first: int, second: int) -> None:
        uploads = self.catalog.list_uploads(bucket, limit=1000).entries
        if uploads:
            upload = uploads[first % len(uploads)]
            parts = self.catalog.list_parts(bucket, upload.upload_id)[: 1 + second % 3]
            await self.catalog.complete_upload(
                bucket,
                upload.key,
                upload.upload_id,
                object_record(size=sum(part.size for part in parts)),
                parts=[(part.number, part.etag) for part in parts],
            )

    async def abort(self, bucket: BucketRecord, first: int, second: int) -> None:
        uploads = self.catalog.list_uploads(bucket, limit=1000).entries
        if uploads:
            upload = uploads[first % len(uploads)]
            await self.catalog.abort_upload(bucket, upload.key, upload.upload_id)

    async def expire(self, bucket: BucketRecord, first: int, second: int) -> None:
        key = KEYS[first % len(KEYS)]
        record = self.catalog.get_object(bucket, key)
        if record is not None:
            self.clock.ns = max(self.clock.ns, record.modified_ns + 3 * DAY_NS)
            candidate = Candidate(key, record, None, Verdict("expire"))
            rules = Lifecycle(rules=(EXPIRING,))
            await self.catalog.expire_versions(bucket, rules, [candidate])

    async def move(self, bucket: BucketRecord, first: int, second: int) -> None:
        entries = self.catalog.list_versions(bucket, limit=1000).entries
        if entries:
            entry = entries[first % len(entries)]
            record = self.catalog.get_object(bucket, entry.key, entry.record.named_version)
            if record is not None and not record.delete_marker:
                candidate = Candidate(entry.key, record, None, Verdict("move", "COLD"))
                await self.catalog.move_version(bucket, candidate, Moved((blob("cold"),)))

    async def set_quota(self, bucket: BucketRecord, first: int, second: int) -> None:
        await self.catalog.set_bucket_quota(bucket, COUNT if first % 3 else None)

    async def set_tenant_quota(self, bucket: BucketRecord, first: int, second: int) -> None:
        await self.catalog.set_tenant_quota("main", COUNT if first % 3 else None)

    async def change_at_cursor(self, bucket: BucketRecord, first: int, second: int) -> None:
        """Remove the version that the count has passed last, or write its key."""
        usage = self.catalog.get_usage(bucket)
        key = usage.cursor[0].decode() if usage is not None and usage.cursor is not None else ""
        if not key:
            return
        entries = self.catalog.list_versions(bucket, limit=1000).entries
        for entry in entries if first % 3 else ():
            place = version_item(key.encode(), entry.record).position
            if entry.key == key and usage is not None and place == usage.cursor:
                name = entry.record.named_version
                await self.catalog.delete_object(bucket, Deletion(key, name))
                return
        await self.catalog.put_object(bucket, key, object_record(blob(), size=second))

    async def recount(self, bucket: BucketRecord, first: int, second: int) -> None:
        await self.catalog.recount(bucket)

    async def count(self, bucket: BucketRecord, first: int, second: int) -> None:
        await self.catalog.count_step()

    def check(self) -> None:
        sums = [0, 0]
        for number in range(len(BUCKETS)):
            bucket = self.bucket(number)
            usage = self.catalog.get_usage(bucket)
            assert (usage is not None) == bucket.counted
            if usage is None:
                continue
            real = recount(self.catalog, bucket)
            if usage.cursor is None:
                assert counted(usage) == real
            assert 0 <= usage.bytes <= real[0] and 0 <= usage.objects <= real[1]
            sums = [sums[0] + usage.bytes, sums[1] + usage.objects]
        assert list(counted(self.catalog.get_tenant_usage("main"))) == sums


ACTIONS: list[Callable[[Model, BucketRecord, int, int], Awaitable[None]]] = [
    Model.put,
    Model.put,
    Model.put,
    Model.copy_onto_itself,
    Model.delete,
    Model.delete_version,
    Model.set_versioning,
    Model.create_upload,
    Model.put_part,
    Model.put_part,
    Model.complete,
    Model.abort,
    Model.expire,
    Model.move,
    Model.set_quota,
    Model.set_tenant_quota,
    Model.change_at_cursor,
    Model.recount,
    Model.count,
    Model.count,
    Model.count,
]
ACTION = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 11), st.integers(0, 30))


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "STEP_ITEMS", 2)
    monkeypatch.setattr(counting, "STEP_BUCKETS", 1)


@pytest.mark.usefixtures("short_steps")
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=st.lists(ACTION, min_size=8, max_size=60), steps=st.lists(ACTION, max_size=50))
def test_usage_whatever_is_done_is_what_is_there(
    before: list[tuple[Callable[..., Awaitable[None]], int, int]],
    steps: list[tuple[Callable[..., Awaitable[None]], int, int]],
) -> None:
    async def run(directory: str) -> None:
        clock = Clock()
        async with open_catalog(Path(directory), clock=clock) as catalog:
            model = Model(catalog, clock)
            for name in BUCKETS:
                await catalog.create_bucket(bucket_record(name))
            for action, first, second in before:
                await action(model, model.bucket(first // 9), first, second)
            await catalog.set_bucket_quota(model.bucket(0), COUNT)
            for action, first, second in steps:
                await action(model, model.bucket(first // 9), first, second)
                model.check()
            await count_all(catalog)
            model.check()
            for number in range(len(BUCKETS)):
                usage = catalog.get_usage(model.bucket(number))
                assert usage is None or usage.cursor is None

    with TemporaryDirectory() as directory:
        trio.run(run, directory)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(tmp_path) as opened:
        yield opened


async def put(catalog: Catalog, bucket: BucketRecord, key: str, size: int) -> None:
    await catalog.put_object(bucket, key, object_record(blob(), size=size))


async def test_usage_racing_writers_never_exceed_a_quota(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await catalog.set_bucket_quota(bucket, Quota(bytes=100, objects=7))
    refused: list[str] = []

    async def write(number: int) -> None:
        try:
            await put(catalog, bucket, f"key-{number}", 13)
        except S3Error as error:
            refused.append(error.code)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, number)
    await count_all(catalog)
    assert counted(catalog.get_usage(bucket)) == recount(catalog, bucket) == (91, 7)
    assert refused == ["QuotaExceeded"] * 13


async def test_usage_of_a_tenant_over_all_its_buckets_is_limited(catalog: Catalog) -> None:
    first = await catalog.create_bucket(bucket_record("first"))
    await put(catalog, first, "key", 60)
    await catalog.set_tenant_quota("main", Quota(bytes=100))
    await count_all(catalog)
    second = await catalog.create_bucket(bucket_record("second"))
    assert second.counted
    await put(catalog, second, "key", 40)
    with pytest.raises(S3Error) as caught:
        await put(catalog, second, "more", 1)
    assert (caught.value.code, caught.value.fields["Limit"]) == ("QuotaExceeded", "tenant-bytes")
    assert counted(catalog.get_tenant_usage("main")) == (100, 2)
    await catalog.delete_object(first, Deletion("key"))
    await put(catalog, second, "more", 60)


async def test_usage_over_a_quota_set_later_shrinks_but_does_not_grow(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    await put(catalog, bucket, "key", 60)
    await put(catalog, bucket, "other", 60)
    await catalog.set_bucket_quota(bucket, Quota(bytes=100, objects=1))
    await count_all(catalog)
    with pytest.raises(S3Error, match="bytes"):
        await put(catalog, bucket, "key", 61)
    await put(catalog, bucket, "key", 59)
    with pytest.raises(S3Error, match="objects"):
        await put(catalog, bucket, "new", 0)
    await catalog.delete_objects(bucket, [Deletion("key"), Deletion("other")])
    assert counted(catalog.get_usage(bucket)) == (0, 0)


async def test_usage_of_a_versioned_bucket_deletes_are_never_refused(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await set_state(catalog, bucket, "Enabled")
    bucket = await catalog.set_bucket_quota(bucket, Quota(bytes=3, objects=1))
    await count_all(catalog)
    await put(catalog, bucket, "key", 3)
    with pytest.raises(S3Error, match="quota"):
        await put(catalog, bucket, "key", 0)
    await catalog.delete_object(bucket, Deletion("key"))
    await catalog.delete_object(bucket, Deletion("nothing"))
    assert counted(catalog.get_usage(bucket)) == recount(catalog, bucket) == (3, 1)


async def test_usage_parts_count_and_complete_changes_no_bytes(catalog: Catalog) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await catalog.set_bucket_quota(bucket, Quota(bytes=6))
    await count_all(catalog)
    await catalog.create_upload(bucket, upload_record("key", "upload"))
    parts = [part_record(1, blob()), part_record(2, blob())]
    for part in parts:
        await catalog.put_part(bucket, "key", "upload", part)
    with pytest.raises(S3Error, match="bytes"):
        await catalog.put_part(bucket, "key", "upload", part_record(3, blob()))
    with pytest.raises(S3Error, match="bytes"):
        catalog.require_part_room(bucket, "upload", 3, 1)
    catalog.require_part_room(bucket, "upload", 2, 3)
    await catalog.put_part(bucket, "key", "upload", part_record(2, blob()))  # sent again
    named = [(part.number, part.etag) for part in parts]
    record = object_record(size=6)
    await catalog.complete_upload(bucket, "key", "upload", record, parts=named)
    assert counted(catalog.get_usage(bucket)) == recount(catalog, bucket) == (6, 1)


@pytest.mark.parametrize("state", ["", "Enabled", "Suspended"])
async def test_usage_room_asked_for_before_is_what_the_write_gets(
    catalog: Catalog, state: str
) -> None:
    bucket = await catalog.create_bucket(bucket_record())
    if state:
        bucket = await set_state(catalog, bucket, state)
    bucket = await catalog.set_bucket_quota(bucket, Quota(bytes=10, objects=1))
    await count_all(catalog)
    await put(catalog, bucket, "key", 8)
    for key, size in (("key", 10), ("key", 11), ("other", 1), ("key", 2)):
        outcomes = []
        for ask in (True, False):
            try:
                if ask:
                    catalog.require_room(bucket, key, size)
                else:
                    await put(catalog, bucket, key, size)
                outcomes.append("")
            except S3Error as error:
                outcomes.append(error.code)
        assert outcomes[0] == outcomes[1]


async def test_usage_of_buckets_that_go_goes_with_them(catalog: Catalog) -> None:
    await catalog.create_tenant("acme")
    await catalog.set_tenant_quota("acme", Quota(objects=5))
    await count_all(catalog)
    bucket = await catalog.create_bucket(bucket_record(tenant="acme"))
    await put(catalog, bucket, "key", 3)
    assert len(catalog.list_usage(10)) == 2
    await catalog.delete_object(bucket, Deletion("key"))
    await catalog.delete_bucket("bucket", "acme")
    await catalog.set_tenant_quota("acme", Quota(objects=6))
    await catalog.delete_tenant("acme")
    assert not await catalog.count_step()
    assert catalog.list_usage(10) == []


async def test_usage_of_an_attached_bucket_is_not_counted(catalog: Catalog) -> None:
    attached = await catalog.create_bucket(bucket_record(kind="attached"))
    with pytest.raises(UnsupportedBucket, match="attached"):
        await catalog.set_bucket_quota(attached, Quota(bytes=1))
    await catalog.set_tenant_quota("main", Quota(bytes=1))
    assert catalog.is_counting("main")
    await count_all(catalog)
    assert not catalog.is_counting("main")
    assert catalog.get_usage(attached) is None


async def test_usage_of_many_versions_of_one_key_is_counted_in_short_steps(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STEP_ITEMS", 5)
    bucket = await catalog.create_bucket(bucket_record())
    bucket = await set_state(catalog, bucket, "Enabled")
    for _ in range(23):
        await put(catalog, bucket, "key", 2)
    await catalog.set_bucket_quota(bucket, COUNT)
    counts = []
    while await catalog.count_step():
        counts.append(counted(catalog.get_usage(bucket))[1])
        await put(catalog, bucket, "key", 2)  # before the cursor: noted by the write
    assert counts == [10, 16, 22]
    assert counted(catalog.get_usage(bucket)) == recount(catalog, bucket) == (52, 26)
