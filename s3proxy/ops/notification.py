"""Bucket notifications: put and get the configuration, and who announces what a request does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import trio

from s3proxy.backends.s3_store import S3Store
from s3proxy.catalog.outbox import Announcer
from s3proxy.delivery.target import DeliveryError
from s3proxy.http.handler import Response
from s3proxy.ops.payload_source import read_document
from s3proxy.s3.errors import S3Error
from s3proxy.s3.events import Cause, probe_message
from s3proxy.s3.notification import (
    NOTIFICATION_BYTES_MAX,
    Notification,
    Rule,
    notification,
    read_notification,
)

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.delivery.target import Target
    from s3proxy.ops.call import Call, Services

NAME = "notification"
_XML_HEADERS = [("Content-Type", "application/xml")]
# The name of the events that an operation leads to; of one that removes objects its first part.
_EVENTS = {
    "complete_multipart_upload": "ObjectCreated:CompleteMultipartUpload",
    "copy_object": "ObjectCreated:Copy",
    "delete_object": "ObjectRemoved",
    "delete_object_tagging": "ObjectTagging:Delete",
    "delete_objects": "ObjectRemoved",
    "post_object": "ObjectCreated:Post",
    "put_object": "ObjectCreated:Put",
    "put_object_acl": "ObjectAcl:Put",
    "put_object_retention": "ObjectRetention:Put",
    "put_object_tagging": "ObjectTagging:Put",
}
_UNREACHED = "The destination could not be reached, or did not take the test message"


async def put_bucket_notification_configuration(call: Call) -> Response:
    """PutBucketNotificationConfiguration; an empty one removes what was there.

    Raises:
        S3Error: what is wrong with the rules; InvalidArgument for destinations that nobody
            configured or that do not take a test message; NotImplemented for a bucket at a
            provider.
    """
    _require_own_events(call)
    rules = read_notification(await read_document(call, NOTIFICATION_BYTES_MAX))
    kept = call.services.catalog.get_bucket_config(call.bucket, NAME)
    known = frozenset(rule.arn for rule in _understood(kept).rules) if kept else frozenset[str]()
    targets = _targets_of(rules, call.services.targets)
    if (call.route.headers.get(b"x-amz-skip-destination-validation") or "").lower() != "true":
        await _probe(call, [target for arn, target in targets.items() if arn not in known])
    if rules:
        document = notification(rules)
        await call.services.catalog.put_bucket_config(call.bucket, NAME, document)
    elif kept is not None:
        await call.services.catalog.delete_bucket_config(call.bucket, NAME)
    return Response(200)


async def get_bucket_notification_configuration(call: Call) -> Response:
    """GetBucketNotificationConfiguration; empty for a bucket that tells nobody."""
    document = call.services.catalog.get_bucket_config(call.bucket, NAME)
    return Response(200, _XML_HEADERS, notification([]) if document is None else document)


def announcer_of(call: Call) -> Announcer | None:
    """Who writes the events of a request; None: its bucket has no use for them."""
    name = _EVENTS.get(call.route.operation) if call.configured else None
    if name is None or call.services.catalog.get_bucket_config(call.bucket, NAME) is None:
        return None
    identity = call.sender.identity
    source = call.request.peer.rpartition(":")[0].strip("[]")
    principal = f"AWS:{identity.user_id}" if identity.access_key else "Anonymous"
    cause = Cause(principal, source, call.request.id)
    return announcer_for(call.services, call.bucket, name, cause)


def announcer_for(
    services: Services, bucket: BucketRecord, name: str, cause: Cause
) -> Announcer | None:
    """Who writes events of that name (see `Announcer`); None: the bucket has no use for them."""
    document = services.catalog.get_bucket_config(bucket, NAME)
    if document is None:
        return None
    rules = _understood(document)
    return Announcer(bucket, rules, cause, time_ns=services.now_ns(), name=name)


@lru_cache(maxsize=256)
def _understood(document: bytes) -> Notification:
    return Notification(read_notification(document))


def _require_own_events(call: Call) -> None:
    bucket = call.bucket
    if bucket.kind == "managed":
        return
    if isinstance(call.services.backend(bucket.backend).files(bucket.container), S3Store):
        message = (
            "Notifications of a bucket at a provider are the provider's: objects change there"
            " without the gateway. Configure them there."
        )
        raise S3Error("NotImplemented", message, BucketName=bucket.name)


def _targets_of(rules: Sequence[Rule], targets: Mapping[str, Target]) -> dict[str, Target]:
    """The targets that rules name.

    Raises:
        S3Error: InvalidArgument where one is not configured, or is of another kind.
    """
    found: dict[str, Target] = {}
    problems: dict[str, str] = {}
    for rule in rules:
        target = targets.get(rule.arn)
        if target is None:
            problems[rule.arn] = "The destination does not exist"
        elif target.kind != rule.kind:
            problems[rule.arn] = f"The destination belongs into a {target.kind}"
        else:
            found[rule.arn] = target
    _refuse(problems)
    return found


async def _probe(call: Call, targets: Sequence[Target]) -> None:
    """Send each target a test message.

    Raises:
        S3Error: InvalidArgument where one does not take it.
    """
    message = probe_message(call.bucket.name, call.request.id, call.services.now_ns())
    problems: dict[str, str] = {}

    async def probe(target: Target) -> None:
        try:
            await target.send(message)
        except DeliveryError:
            # Why is for the operator, who sees it when events are delivered.
            problems[target.arn] = _UNREACHED

    async with trio.open_nursery() as nursery:
        for target in targets:
            nursery.start_soon(probe, target)
    _refuse(problems)


def _refuse(problems: Mapping[str, str]) -> None:
    if not problems:
        return
    message = "Unable to validate the following destination configurations"
    fields = {}
    for number, (arn, problem) in enumerate(sorted(problems.items()), 1):
        fields[f"ArgumentName{number}"] = arn
        fields[f"ArgumentValue{number}"] = problem
    raise S3Error("InvalidArgument", message, **fields)


# operation -> (function, action)
OPERATIONS = {
    "get_bucket_notification_configuration": (
        get_bucket_notification_configuration,
        "s3:GetBucketNotification",
    ),
    "put_bucket_notification_configuration": (
        put_bucket_notification_configuration,
        "s3:PutBucketNotification",
    ),
}
