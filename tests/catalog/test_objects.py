from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import IntentLost, ObjectChanged
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
)

ABSENT = WriteCondition(if_none_match_any=True)


@pytest.mark.parametrize("key", ["k", "k" * 480, "k" * 481, "é" * 512])
async def test_put_object_replaces_the_old_one_and_queues_its_blobs(
    tmp_path: Path, key: str
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        first, second = object_record(blob(), blob()), object_record(blob())
        assert await catalog.put_object(bucket, key, first) == first
        assert catalog.get_object(bucket, key) == first
        assert await catalog.put_object(bucket, key, second) == second
        assert catalog.get_object(bucket, key) == second
        assert garbage_blobs(catalog) == {ref.id for ref in first.blobs}
        assert await catalog.delete_object(bucket, Deletion(key)) == second
        assert await catalog.delete_object(bucket, Deletion(key)) is None
        assert catalog.get_object(bucket, key) is None
        assert garbage_blobs(catalog) == {ref.id for ref in first.blobs + second.blobs}


async def test_put_object_settles_intents_in_the_same_transaction(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        target = blob()
        commit = catalog.intend(target, bucket, "k")
        await commit.wait()
        (intent,) = catalog.open_intents()
        assert (intent.blob, intent.key, intent.gateway) == (target, "k", "here")
        assert intent.bucket_id == bucket.id
        await catalog.put_object(bucket, "k", object_record(target), intents=[target.id])
        assert catalog.open_intents() == []


async def test_put_object_refused_leaves_its_intent_open(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_object(bucket, "k", object_record())
        target = blob()
        catalog.intend(target, bucket, "k")
        with pytest.raises(S3Error, match="PreconditionFailed"):
            await catalog.put_object(
                bucket, "k", object_record(target), condition=ABSENT, intents=[target.id]
            )
        assert [intent.blob for intent in catalog.open_intents()] == [target]
        assert await catalog.drop_intent(target.id, target)
        assert not await catalog.drop_intent(target.id, target)
        assert garbage_blobs(catalog) == {target.id}


async def test_put_object_intent_settled_elsewhere_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        target = blob()
        catalog.intend(target, bucket, "k")
        await catalog.drop_intent(target.id, target)
        with pytest.raises(IntentLost):
            await catalog.put_object(bucket, "k", object_record(target), intents=[target.id])
        assert catalog.get_object(bucket, "k") is None


async def test_inline_data_lives_and_dies_with_its_record(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        first, second = object_record(blob("")), object_record(blob(""))
        await catalog.put_object(bucket, "k", first, inline=b"one")
        assert catalog.get_object_with_inline(bucket, "k") == (first, b"one")
        await catalog.put_object(bucket, "k", second, inline=b"two")
        assert catalog.get_object_with_inline(bucket, "k") == (second, b"two")
        assert catalog.get_inline(first.blobs[0].id) is None
        assert catalog.get_inline(second.blobs[0].id) == b"two"
        await catalog.delete_objects(bucket, [Deletion("k"), Deletion("absent")])
        assert catalog.get_inline(second.blobs[0].id) is None
        assert catalog.get_object_with_inline(bucket, "k") == (None, None)
        assert garbage_blobs(catalog) == set()


async def test_get_object_with_inline_backend_blob_has_no_data(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        record = object_record(blob())
        await catalog.put_object(bucket, "k", record)
        assert catalog.get_object_with_inline(bucket, "k") == (record, None)


async def test_put_object_replacing_itself_keeps_its_blobs(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        target = blob()
        first, second = object_record(target), object_record(target, etag="other")
        await catalog.put_object(bucket, "k", first)
        await catalog.put_object(bucket, "k", second, replaces=first)
        assert garbage_blobs(catalog) == set()
        with pytest.raises(ObjectChanged):
            await catalog.put_object(bucket, "k", first, replaces=first)


async def test_delete_object_condition_decides(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_object(bucket, "k", object_record(etag="one"))
        with pytest.raises(S3Error, match="PreconditionFailed"):
            await catalog.delete_object(
                bucket, Deletion("k", condition=WriteCondition(if_match="two"))
            )
        await catalog.delete_object(bucket, Deletion("k", condition=WriteCondition(if_match="one")))
        assert catalog.get_object(bucket, "k") is None


async def _race(
    catalog: Catalog, bucket: BucketRecord, condition: Callable[[], WriteCondition]
) -> None:
    winners = []

    async def contend(number: int) -> None:
        target = blob()
        catalog.intend(target, bucket, "k")
        try:
            await catalog.put_object(
                bucket,
                "k",
                object_record(target, etag=f"etag-{number}"),
                condition=condition(),
                intents=[target.id],
            )
        except S3Error as error:
            assert error.code == "PreconditionFailed"
            await catalog.drop_intent(target.id, target)
        else:
            winners.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(64):
            nursery.start_soon(contend, number)
    (winner,) = winners
    found = catalog.get_object(bucket, "k")
    assert found is not None
    assert found.etag == f"etag-{winner}"
    assert found.blobs[0].id not in garbage_blobs(catalog)


async def test_put_object_if_none_match_raced_has_one_winner(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        for _ in range(5):
            await _race(catalog, bucket, lambda: ABSENT)
            await catalog.delete_object(bucket, Deletion("k"))
        assert catalog.open_intents() == []
        assert len(garbage_blobs(catalog)) == 5 * 64


async def test_put_object_if_match_raced_has_one_winner(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        for _ in range(5):
            await catalog.put_object(bucket, "k", object_record(etag="start"))
            await _race(catalog, bucket, lambda: WriteCondition(if_match="start"))


async def test_scan_objects_over_many_batches_sees_all_in_order(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        names = sorted(f"{i % 7}/{i:05d}" for i in range(600))
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(catalog.put_object, bucket, name, object_record())
        assert [key for key, _ in catalog.scan_objects(bucket)] == names
        some = [key for key, _ in catalog.scan_objects(bucket, prefix="3/", after="3/00100")]
        assert some == [name for name in names if name.startswith("3/") and name > "3/00100"]


async def test_list_page_delimiter_pages_through_everything(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        names = ["a", "a/", "a/b", "a/c", "b", "d/x", "d/y/z", "é/x", "z" * 1000, "z" * 1001]
        for name in names:
            await catalog.put_object(bucket, name, object_record(size=len(name)))
        objects: list[str] = []
        prefixes: list[str] = []
        after, pages = "", 0
        while True:
            page = catalog.list_page(bucket, delimiter="/", after=after, limit=2)
            objects += [listed.key for listed in page.objects]
            prefixes += page.common_prefixes
            pages += 1
            if not page.truncated:
                break
            after = page.next_after
        assert objects == ["a", "b", "z" * 1000, "z" * 1001]
        assert prefixes == ["a/", "d/", "é/"]
        assert pages == 4


async def test_list_page_limits_and_truncation(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        for name in "abc":
            await catalog.put_object(bucket, name, object_record())
        exact = catalog.list_page(bucket, limit=3)
        assert (len(exact.objects), exact.truncated, exact.next_after) == (3, False, "")
        short = catalog.list_page(bucket, limit=2)
        assert (len(short.objects), short.truncated, short.next_after) == (2, True, "b")
        none = catalog.list_page(bucket, limit=0)
        assert (none.objects, none.truncated) == ([], False)
        assert catalog.list_page(bucket, after="c").objects == []


async def test_garbage_falls_due_and_is_postponed(tmp_path: Path) -> None:
    clock = Clock()
    async with open_catalog(tmp_path, clock=clock, garbage_delay_s=10) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        target = blob()
        await catalog.put_object(bucket, "k", object_record(target))
        await catalog.delete_object(bucket, Deletion("k"))
        due_ns = clock.ns + 10 * 10**9
        assert catalog.due_garbage(due_ns - 1, 10) == []
        (record,) = catalog.due_garbage(due_ns, 10)
        assert record.blob == target
        await catalog.postpone_garbage([record], due_ns + 5)
        assert catalog.due_garbage(due_ns, 10) == []
        (later,) = catalog.due_garbage(due_ns + 5, 10)
        await catalog.forget_garbage([later.id, b"unknown"])
        await catalog.postpone_garbage([later], due_ns)
        assert catalog.due_garbage(2**62, 10) == []
        await catalog.add_garbage([target])
        assert garbage_blobs(catalog) == {target.id}
