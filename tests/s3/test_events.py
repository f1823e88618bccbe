import json
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.events import LIFECYCLE, Cause, Event, message, probe_message

NOW_NS = 1_700_000_000_123_456_789
CAUSE = Cause("AWS:user-1", "192.0.2.7", "00AA")


def event(name: str = "ObjectCreated:Put", **fields: Any) -> Event:
    given: dict[str, Any] = {
        "sequence": 255,
        "time_ns": NOW_NS,
        "region": "eu-north-1",
        "bucket": "www",
        "owner": "user-1",
        "key": "a b/ü+1.txt",
        "cause": CAUSE,
        "configuration_id": "images",
        **fields,
    }
    return Event(name=name, **given)


def record_of(found: Event) -> Any:
    (record,) = json.loads(message(found))["Records"]
    return record


def test_message_of_a_new_object_has_every_element() -> None:
    assert record_of(event(size=3, etag="900150983cd24fb0", version_id="v1")) == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-north-1",
        "eventTime": "2023-11-14T22:13:20.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:user-1"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": "00AA", "x-amz-id-2": "00AA"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "images",
            "bucket": {
                "name": "www",
                "ownerIdentity": {"principalId": "user-1"},
                "arn": "arn:aws:s3:::www",
            },
            "object": {
                "key": "a+b/%C3%BC%2B1.txt",
                "size": 3,
                "eTag": "900150983cd24fb0",
                "versionId": "v1",
                "sequencer": "00000000000000FF",
            },
        },
    }


def test_message_of_a_removed_object_has_neither_size_nor_etag() -> None:
    record = record_of(event("ObjectRemoved:Delete"))
    assert set(record["s3"]["object"]) == {"key", "sequencer"}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("ObjectCreated:Copy", "2.1"),
        ("ObjectRemoved:DeleteMarkerCreated", "2.1"),
        ("ObjectTagging:Put", "2.3"),
        ("ObjectAcl:Put", "2.3"),
        ("LifecycleExpiration:Delete", "2.3"),
    ],
)
def test_message_has_the_version_of_its_type(name: str, version: str) -> None:
    assert record_of(event(name))["eventVersion"] == version


def test_message_of_what_lifecycle_did_names_s3() -> None:
    record = record_of(event("LifecycleExpiration:Delete", cause=LIFECYCLE))
    assert record["userIdentity"]["principalId"] == "s3.amazonaws.com"


def test_message_of_a_transition_names_the_storage_class() -> None:
    record = record_of(event("LifecycleTransition", storage_class="GLACIER_IR"))
    assert record["lifecycleEventData"] == {
        "transitionEventData": {"destinationStorageClass": "GLACIER_IR"}
    }


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_message_key_decodes_as_a_form_does(key: str) -> None:
    assert unquote_plus(record_of(event(key=key))["s3"]["object"]["key"]) == key


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_sequencer_as_text_orders_as_the_sequence(one: int, other: int) -> None:
    first, second = event(sequence=one).sequencer, event(sequence=other).sequencer
    assert (first < second) == (one < other)


def test_probe_message_is_a_test_event() -> None:
    assert json.loads(probe_message("www", "00AA", NOW_NS)) == {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2023-11-14T22:13:20.123Z",
        "Bucket": "www",
        "RequestId": "00AA",
        "HostId": "00AA",
    }
