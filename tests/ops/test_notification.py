"""Notifications: what configurations are taken, and which events each operation leads to."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest

from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord
from s3proxy.delivery.target import DeliveryError, Refused, Unavailable
from s3proxy.ops.notification import announcer_for
from s3proxy.s3.events import LIFECYCLE, Event
from tests.ops.lab import ALICE, Lab
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders"
TOPIC = "arn:aws:sns:us-east-1:123456789012:news"
ABSENT = "arn:aws:sqs:us-east-1:123456789012:absent"
BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
ALL = (
    *("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"),
    *("s3:ObjectAcl:Put", "s3:LifecycleExpiration:*"),
)


def md5_base64(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


class FakeTarget:
    """Keeps what it is sent, or fails."""

    def __init__(self, arn: str, kind: str) -> None:
        self.name = arn.rpartition(":")[2]
        self.arn = arn
        self.kind = kind
        self.error: DeliveryError | None = None
        self.messages: list[Any] = []

    async def send(self, message: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.messages.append(json.loads(message))


@pytest.fixture
def queue(lab: Lab) -> FakeTarget:
    """A configured queue, beside a topic."""
    queue = FakeTarget(QUEUE, "QueueConfiguration")
    lab.services.targets = {QUEUE: queue, TOPIC: FakeTarget(TOPIC, "TopicConfiguration")}
    return queue


def document(*events: str, arn: str = QUEUE, kind: str = "Queue", prefix: str = "") -> bytes:
    named = "".join(f"<Event>{event}</Event>" for event in events)
    rule = f"<FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule>"
    return (
        f"<NotificationConfiguration><{kind}Configuration><Id>all</Id><{kind}>{arn}</{kind}>{named}"
        f"<Filter><S3Key>{rule}</S3Key></Filter></{kind}Configuration></NotificationConfiguration>"
    ).encode()


async def configure(lab: Lab, bucket: str = "www", content: bytes = b"", **headers: str) -> int:
    answer = await lab.put(f"/{bucket}?notification", content or document(*ALL), **headers)
    return answer.status


def events(lab: Lab) -> list[Event]:
    return [queued.record.event for queued in lab.catalog.pending_events(QUEUE)]


def names(lab: Lab) -> list[str]:
    return [event.name for event in events(lab)]


@BUCKETS
async def test_put_configuration_is_told_and_tests_its_destination(
    lab: Lab, queue: FakeTarget, bucket: str
) -> None:
    assert await configure(lab, bucket) == 200
    (message,) = queue.messages
    assert (message["Event"], message["Bucket"]) == ("s3:TestEvent", bucket)
    found = await lab.get(f"/{bucket}?notification")
    assert found.text("Queue") == QUEUE
    assert found.texts("Event") == list(ALL)


async def test_put_configuration_again_tests_new_destinations_only(
    lab: Lab, queue: FakeTarget
) -> None:
    await configure(lab)
    await configure(lab, content=document("s3:ObjectCreated:Put"))
    assert len(queue.messages) == 1


async def test_put_configuration_without_validation_sends_nothing(
    lab: Lab, queue: FakeTarget
) -> None:
    queue.error = Unavailable("down")
    assert await configure(lab, x_amz_skip_destination_validation="true") == 200
    with raises_s3("InvalidArgument"):
        await configure(
            lab,
            content=document("s3:ObjectCreated:Put", arn=ABSENT),
            x_amz_skip_destination_validation="true",
        )


@pytest.mark.parametrize("error", [Refused("secret hint"), Unavailable("secret hint")])
async def test_put_configuration_that_its_destination_does_not_take_stores_nothing(
    lab: Lab, queue: FakeTarget, error: DeliveryError
) -> None:
    queue.error = error
    with raises_s3("InvalidArgument") as caught:
        await configure(lab)
    message = "Unable to validate the following destination configurations"
    assert caught.value.message == message
    assert caught.value.fields["ArgumentName1"] == QUEUE
    assert "secret" not in str(caught.value.fields)
    assert (await lab.get("/www?notification")).texts("Queue") == []


@pytest.mark.parametrize(
    ("arn", "kind"), [(ABSENT, "Queue"), (TOPIC, "Queue"), (QUEUE, "Topic"), (TOPIC + "2", "Topic")]
)
async def test_put_configuration_of_a_destination_that_is_not_there_is_refused(
    lab: Lab, queue: FakeTarget, arn: str, kind: str
) -> None:
    with raises_s3("InvalidArgument") as caught:
        await configure(lab, content=document("s3:ObjectCreated:*", arn=arn, kind=kind))
    assert caught.value.fields["ArgumentName1"] == arn


async def test_put_empty_configuration_ends_the_events(lab: Lab, queue: FakeTarget) -> None:
    await configure(lab)
    await configure(lab, content=b"<NotificationConfiguration/>")
    await lab.put("/www/k", b"1")
    assert events(lab) == []
    assert (await lab.get("/www?notification")).texts("Queue") == []


async def test_put_configuration_of_a_provider_bucket_is_refused(s3_lab: Lab) -> None:
    with raises_s3("NotImplemented") as caught:
        await configure(s3_lab, "near")
    assert "provider" in caught.value.message
    assert (await s3_lab.get("/near?notification")).texts("Queue") == []


@BUCKETS
async def test_each_operation_leads_to_its_event(lab: Lab, queue: FakeTarget, bucket: str) -> None:
    await configure(lab, bucket)
    await lab.put(f"/{bucket}/k", b"123")
    await lab.put(f"/{bucket}/copy", b"", x_amz_copy_source=f"/{bucket}/k")
    await lab.put(
        f"/{bucket}/copy",
        b"",
        x_amz_copy_source=f"/{bucket}/copy",
        x_amz_metadata_directive="REPLACE",
    )
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    await lab.put(f"/{bucket}/k?tagging", tags, content_md5=md5_base64(tags))
    await lab.ask("DELETE", f"/{bucket}/k?tagging")
    await lab.ask("DELETE", f"/{bucket}/k")
    await lab.ask("DELETE", f"/{bucket}/k")
    assert names(lab) == [
        *("ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:Copy"),
        *("ObjectTagging:Put", "ObjectTagging:Delete", "ObjectRemoved:Delete"),
    ]
    put, copied = events(lab)[:2]
    assert (put.key, put.size, put.etag) == ("k", 3, "202cb962ac59075b964b07152d234b70")
    assert (copied.key, copied.size) == ("copy", 3)
    assert put.bucket == bucket
    assert put.configuration_id == "all"
    assert (put.cause.principal, put.cause.source) == (f"AWS:{ALICE.user_id}", "192.0.2.1")
    assert put.cause.request_id == "0" * 16


@BUCKETS
async def test_uploads_lead_to_one_event_when_complete(
    lab: Lab, queue: FakeTarget, bucket: str
) -> None:
    await configure(lab, bucket)
    created = await lab.ask("POST", f"/{bucket}/big?uploads")
    upload_id = created.text("UploadId")
    part = await lab.put(f"/{bucket}/big?partNumber=1&uploadId={upload_id}", b"1" * 20)
    for _ in range(2):
        await lab.ask("POST", f"/{bucket}/big?uploadId={upload_id}", completion(part.etag))
    (event,) = events(lab)
    assert (event.name, event.size) == ("ObjectCreated:CompleteMultipartUpload", 20)
    assert event.etag.endswith("-1")


@BUCKETS
async def test_delete_objects_leads_to_an_event_for_each_that_was_there(
    lab: Lab, queue: FakeTarget, bucket: str
) -> None:
    for key in ("a", "b"):
        await lab.put(f"/{bucket}/{key}", b"1")
    await configure(lab, bucket)
    keys = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("a", "absent", "b"))
    body = f"<Delete>{keys}</Delete>".encode()
    await lab.ask("POST", f"/{bucket}?delete", body, content_md5=md5_base64(body))
    assert sorted((event.name, event.key) for event in events(lab)) == [
        ("ObjectRemoved:Delete", "a"),
        ("ObjectRemoved:Delete", "b"),
    ]


async def test_versions_are_named_in_their_events(lab: Lab, queue: FakeTarget) -> None:
    await configure(lab)
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    await lab.put("/www?versioning", body)
    version_id = (await lab.put("/www/k", b"1")).headers["x-amz-version-id"]
    await lab.ask("DELETE", "/www/k")
    await lab.ask("DELETE", f"/www/k?versionId={version_id}")
    put, marked, removed = events(lab)
    assert (put.version_id, removed.version_id) == (version_id, version_id)
    assert marked.name == "ObjectRemoved:DeleteMarkerCreated"
    assert marked.version_id not in ("", version_id)
    assert removed.name == "ObjectRemoved:Delete"


@BUCKETS
async def test_events_that_no_rule_wants_are_not_kept(
    lab: Lab, queue: FakeTarget, bucket: str
) -> None:
    await configure(lab, bucket, document("s3:ObjectRemoved:*", prefix="x/"))
    await lab.put(f"/{bucket}/x", b"1")
    await lab.ask("DELETE", f"/{bucket}/x")
    await lab.put(f"/{bucket}/x/y", b"1")
    await lab.ask("DELETE", f"/{bucket}/x/y")
    assert [(event.name, event.key) for event in events(lab)] == [("ObjectRemoved:Delete", "x/y")]


async def test_a_failed_write_leads_to_no_event(lab: Lab, queue: FakeTarget) -> None:
    await configure(lab)
    await lab.put("/www/k", b"1")
    with raises_s3("PreconditionFailed"):
        await lab.put("/www/k", b"2", if_none_match="*")
    assert len(events(lab)) == 1


async def test_what_the_gateway_does_by_itself_has_no_sender(lab: Lab, queue: FakeTarget) -> None:
    await configure(lab)
    await lab.put("/www/k", b"1")
    bucket = lab.catalog.get_bucket("www")
    assert isinstance(bucket, BucketRecord)
    announcer = announcer_for(lab.services, bucket, "LifecycleExpiration", LIFECYCLE)
    await lab.catalog.delete_object(bucket, Deletion("k"), announcer=announcer)
    event = events(lab)[-1]
    assert (event.name, event.cause) == ("LifecycleExpiration:Delete", LIFECYCLE)


async def test_bucket_that_tells_nobody_is_not_looked_up(lab: Lab, queue: FakeTarget) -> None:
    bucket = lab.catalog.get_bucket("www")
    assert isinstance(bucket, BucketRecord)
    assert announcer_for(lab.services, bucket, "ObjectCreated:Put", LIFECYCLE) is None
    await configure(lab)
    unnoted = msgspec.structs.replace(bucket, configs=None)
    assert announcer_for(lab.services, unnoted, "ObjectCreated:Put", LIFECYCLE) is not None


async def test_an_acl_and_a_retention_lead_to_events(lab: Lab, queue: FakeTarget) -> None:
    await lab.put("/vault", b"", x_amz_bucket_object_lock_enabled="true")
    await configure(lab, "vault", document("s3:ObjectAcl:Put", "s3:ObjectRetention:Put"))
    await lab.put("/vault/k", b"1", content_md5=md5_base64(b"1"))
    retention = (
        b"<Retention><Mode>GOVERNANCE</Mode>"
        b"<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>"
    )
    await lab.put("/vault/k?retention", retention)
    assert names(lab) == ["ObjectRetention:Put"]
    ownership = (
        b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
        b"</OwnershipControls>"
    )
    await lab.put("/vault?ownershipControls", ownership)
    await lab.put("/vault/k?acl", b"", x_amz_acl="private")
    assert names(lab) == ["ObjectRetention:Put", "ObjectAcl:Put"]
