"""Events of objects, and the messages that tell of them.

Source: AWS, "Event message structure" (versions 2.1 and 2.3).
"""

from typing import Final
from urllib.parse import quote_plus

import msgspec

from s3proxy.s3.time import iso8601

_VERSIONS: Final = {"ObjectCreated": "2.1", "ObjectRemoved": "2.1"}
_VERSION: Final = "2.3"
# What S3 gives as the ETag of a delete marker: the MD5 of nothing.
EMPTY_ETAG: Final = "d41d8cd98f00b204e9800998ecf8427e"
_encode: Final = msgspec.json.Encoder().encode


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """Who made something happen.

    Attributes:
        principal: as `userIdentity` names one.
        source: the address the request came from, without the port.
        request_id: of the request; empty for what the gateway does by itself.
    """

    principal: str
    source: str
    request_id: str = ""


# What a bucket's lifecycle does has no sender.
LIFECYCLE: Final = Cause("s3.amazonaws.com", "s3.amazonaws.com")


class Event(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Something that happened to an object.

    Attributes:
        name: its type, such as `ObjectCreated:Put`.
        sequence: greater than that of every earlier event.
        size: None where the event has none.
        version_id: empty in a bucket that never had versions.
        storage_class: the one that a LifecycleTransition led to.
    """

    name: str
    sequence: int
    time_ns: int
    region: str
    bucket: str
    owner: str
    key: str
    cause: Cause
    configuration_id: str
    size: int | None = None
    etag: str = ""
    version_id: str = ""
    storage_class: str = ""

    @property
    def sequencer(self) -> str:
        """The place of the event among those of its key; compared as text."""
        return f"{self.sequence:016X}"


def message(event: Event) -> bytes:
    """The JSON document that tells of an event."""
    family = event.name.partition(":")[0]
    about: dict[str, object] = {"key": quote_plus(event.key, safe="/")}
    if event.size is not None:
        about["size"] = event.size
    if event.etag:
        about["eTag"] = event.etag
    if event.version_id:
        about["versionId"] = event.version_id
    about["sequencer"] = event.sequencer
    record: dict[str, object] = {
        "eventVersion": _VERSIONS.get(family, _VERSION),
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": iso8601(event.time_ns),
        "eventName": event.name,
        "userIdentity": {"principalId": event.cause.principal},
        "requestParameters": {"sourceIPAddress": event.cause.source},
        "responseElements": {
            "x-amz-request-id": event.cause.request_id,
            "x-amz-id-2": event.cause.request_id,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.configuration_id,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": event.owner},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": about,
        },
    }
    if event.storage_class:
        data = {"destinationStorageClass": event.storage_class}
        record["lifecycleEventData"] = {"transitionEventData": data}
    return _encode({"Records": [record]})


def probe_message(bucket: str, request_id: str, time_ns: int) -> bytes:
    """What a destination gets when it is configured, to show that it can be reached."""
    return _encode(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": iso8601(time_ns),
            "Bucket": bucket,
            "RequestId": request_id,
            "HostId": request_id,
        }
    )
