"""The outbox: events come and go with the change they tell of, each key's in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.event_records import EventCounts
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.outbox import Announcer, Queued
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from s3proxy.s3.events import Cause, Event
from s3proxy.s3.notification import Notification, Rule
from tests.catalog.catalogs import bucket_record, object_record, open_catalog, part_record
from tests.catalog.catalogs import upload_record as upload_of

QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders"
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"
NOW_NS = 1_700_000_000_000_000_000
CAUSE = Cause("AWS:user-1", "192.0.2.7", "00AA")
RULES = [
    Rule("QueueConfiguration", "all", QUEUE, ("s3:ObjectCreated:*", "s3:ObjectTagging:*")),
    Rule("TopicConfiguration", "gone", TOPIC, ("s3:ObjectRemoved:*",), prefix="k"),
]


def announcer(bucket: BucketRecord, name: str = "ObjectCreated:Put") -> Announcer:
    return Announcer(bucket, Notification(RULES), CAUSE, time_ns=NOW_NS, name=name)


def events(catalog: Catalog, destination: str = QUEUE) -> list[Event]:
    return [queued.record.event for queued in catalog.pending_events(destination)]


async def put(catalog: Catalog, bucket: BucketRecord, key: str) -> ObjectRecord:
    return await catalog.put_object(bucket, key, object_record(), announcer=announcer(bucket))


async def fill(catalog: Catalog, keys: Sequence[str]) -> list[Queued]:
    bucket = await catalog.create_bucket(bucket_record())
    for key in keys:
        await put(catalog, bucket, key)
    return catalog.pending_events(QUEUE)


async def test_put_with_an_announcer_leaves_its_event(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await put(catalog, bucket, "k")
        (event,) = events(catalog)
        assert (event.name, event.key, event.size, event.etag) == (
            *("ObjectCreated:Put", "k", 3, "etag"),
        )
        assert (event.time_ns, event.bucket, event.owner) == (1, "bucket", "main")
        assert (event.configuration_id, event.cause, event.version_id) == ("all", CAUSE, "")
        assert catalog.event_counts() == {QUEUE: EventCounts(pending=1)}


async def test_put_that_fails_leaves_no_event(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        with pytest.raises(S3Error, match="NoSuchKey"):
            await catalog.put_object(
                bucket,
                "k",
                object_record(),
                condition=WriteCondition(if_match="other"),
                announcer=announcer(bucket),
            )
        assert events(catalog) == []
        assert catalog.event_counts() == {}


async def test_delete_tells_once_for_what_was_there(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await put(catalog, bucket, "k")
        for _ in range(2):
            gone = announcer(bucket, "ObjectRemoved")
            await catalog.delete_object(bucket, Deletion("k"), announcer=gone)
        (event,) = events(catalog, TOPIC)
        assert (event.name, event.key, event.etag) == ("ObjectRemoved:Delete", "k", "")
        assert event.size is None


async def test_delete_in_a_bucket_with_versions_tells_of_the_marker(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        made = await catalog.create_bucket(bucket_record())
        bucket = await catalog.update_bucket(
            made, lambda record: msgspec.structs.replace(record, versioning="Enabled")
        )
        stored = await put(catalog, bucket, "k")
        gone = announcer(bucket, "ObjectRemoved")
        marker = await catalog.delete_object(bucket, Deletion("k"), announcer=gone)
        assert marker is not None
        versions = [stored.version_id, marker.version_id, "00" * 16]
        for version_id in versions:
            await catalog.delete_object(bucket, Deletion("k", version_id), announcer=gone)
        assert [event.version_id for event in events(catalog)] == [stored.version_id]
        assert [(event.name, event.version_id) for event in events(catalog, TOPIC)] == [
            ("ObjectRemoved:DeleteMarkerCreated", marker.version_id),
            ("ObjectRemoved:Delete", stored.version_id),
            ("ObjectRemoved:Delete", marker.version_id),
        ]


async def test_update_tells_of_the_version_changed(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_object(bucket, "k", object_record())
        tagging = announcer(bucket, "ObjectTagging:Put")

        def tagged(record: ObjectRecord) -> ObjectRecord:
            return msgspec.structs.replace(record, tags={"a": "b"})

        await catalog.update_object(bucket, "k", tagged, announcer=tagging)
        await catalog.update_object(bucket, "absent", tagged, announcer=tagging)
        (event,) = events(catalog)
        assert (event.name, event.key, event.etag) == ("ObjectTagging:Put", "k", "etag")
        assert (event.time_ns, event.size) == (NOW_NS, None)


async def test_complete_tells_once_however_often_it_is_asked(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_of("k", "u"))
        await catalog.put_part(bucket, "k", "u", part_record(1, None))
        name = "ObjectCreated:CompleteMultipartUpload"
        for _ in range(2):
            await catalog.complete_upload(
                bucket,
                "k",
                "u",
                object_record(),
                parts=[(1, "etag-1")],
                announcer=announcer(bucket, name),
            )
        assert [event.name for event in events(catalog)] == [name]


async def test_event_without_a_rule_is_not_kept(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.put_object(bucket, "other", object_record())
        await catalog.delete_object(
            bucket, Deletion("other"), announcer=announcer(bucket, "ObjectRemoved")
        )
        assert catalog.event_counts() == {}


async def test_pending_events_come_in_the_order_they_happened(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        queued = await fill(catalog, ["b", "a", "b"])
        assert [row.record.event.key for row in queued] == ["b", "a", "b"]
        sequencers = [row.record.event.sequencer for row in queued]
        assert sequencers == sorted(set(sequencers))
        assert [row.position for row in queued] == [row.record.event.sequence for row in queued]
        assert catalog.pending_events(QUEUE, queued[0].position, limit=1) == queued[1:2]
        assert catalog.pending_events(QUEUE[:-1]) == []


async def test_settle_drops_the_delivered_and_keeps_the_dead(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first, second, third = await fill(catalog, "abc")
        record = msgspec.structs.replace(second.record, tries=3, error="no", died_ns=9)
        dead = Queued(second.position, record)
        for _ in range(2):  # what is settled already counts no more
            await catalog.settle_events(QUEUE, [first.position], [dead])
        assert catalog.pending_events(QUEUE) == [third]
        assert catalog.dead_events(QUEUE) == [dead]
        assert catalog.event_counts() == {QUEUE: EventCounts(pending=1, dead=1)}


async def test_settle_keeps_the_newest_dead_letters_and_counts_the_lost(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        queued = await fill(catalog, "abcd")
        await catalog.settle_events(QUEUE, [], queued[:1], dead_max=2)
        await catalog.settle_events(QUEUE, [], queued[1:], dead_max=2)
        assert catalog.dead_events(QUEUE) == queued[2:]
        assert catalog.event_counts() == {QUEUE: EventCounts(dead=2, lost=2)}


async def test_retry_queues_dead_letters_anew_with_their_sequencers(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        first, second, third = await fill(catalog, "abc")
        await catalog.settle_events(QUEUE, [], [first, second])
        assert await catalog.retry_events(QUEUE, NOW_NS + 5) == 2
        assert await catalog.retry_events(QUEUE, NOW_NS + 5) == 0
        rows = catalog.pending_events(QUEUE)
        assert [row.record.event for row in rows] == [
            queued.record.event for queued in (third, first, second)
        ]
        assert [row.record.queued_ns for row in rows] == [NOW_NS, NOW_NS + 5, NOW_NS + 5]
        assert catalog.event_counts() == {QUEUE: EventCounts(pending=3)}


async def test_drop_forgets_dead_letters(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        queued = await fill(catalog, "ab")
        await catalog.settle_events(QUEUE, [], queued)
        assert await catalog.drop_dead_events(QUEUE) == 2
        assert catalog.dead_events(QUEUE) == []
        assert catalog.event_counts() == {QUEUE: EventCounts(lost=2)}


async def test_attributes_and_their_event_are_one_change(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record(kind="attached"))
        gone = announcer(bucket, "ObjectRemoved")
        await catalog.delete_attributes(
            bucket, "k", lambda txn: gone.removed(txn, "k", object_record())
        )
        assert [event.name for event in events(catalog, TOPIC)] == ["ObjectRemoved:Delete"]
