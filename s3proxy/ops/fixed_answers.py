"""Questions that have one true answer on an unencrypted, private bucket.

SDKs and tools ask them before they do anything else; NotImplemented would stop them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops.resolve import XML_HEADERS, open_namespace, owner_of
from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Function = Callable[["Call"], Awaitable[Response]]


def _document(make: Callable[[], bytes]) -> Function:
    async def answer(call: Call) -> Response:
        return Response(200, XML_HEADERS, make())

    return answer


def _absent(code: str) -> Function:
    async def answer(call: Call) -> Response:
        raise S3Error(code, BucketName=call.bucket.name)

    return answer


async def get_bucket_acl(call: Call) -> Response:
    """GetBucketAcl: full control for the owner."""
    return Response(200, XML_HEADERS, xml.access_control_policy(owner_of(call, call.bucket)))


async def get_object_acl(call: Call) -> Response:
    """GetObjectAcl: that of the bucket, for an object that is there."""
    await _require_object(call)
    return await get_bucket_acl(call)


async def _require_object(call: Call) -> None:
    namespace = open_namespace(call.services, call.bucket)
    if await namespace.find(call.route.key) is None:
        raise S3Error("NoSuchKey", Key=call.route.key)


# operation -> (function, action)
ANSWERS: dict[str, tuple[Function, str]] = {
    "get_bucket_acl": (get_bucket_acl, "s3:GetBucketAcl"),
    "get_bucket_logging": (_document(xml.logging_status), "s3:GetBucketLogging"),
    "get_bucket_notification_configuration": (
        _document(xml.notification),
        "s3:GetBucketNotification",
    ),
    "get_bucket_ownership_controls": (
        _absent("OwnershipControlsNotFoundError"),
        "s3:GetBucketOwnershipControls",
    ),
    "get_bucket_policy": (_absent("NoSuchBucketPolicy"), "s3:GetBucketPolicy"),
    "get_bucket_policy_status": (_absent("NoSuchBucketPolicy"), "s3:GetBucketPolicyStatus"),
    "get_bucket_replication": (
        _absent("ReplicationConfigurationNotFoundError"),
        "s3:GetReplicationConfiguration",
    ),
    "get_object_acl": (get_object_acl, "s3:GetObjectAcl"),
    "get_public_access_block": (
        _absent("NoSuchPublicAccessBlockConfiguration"),
        "s3:GetBucketPublicAccessBlock",
    ),
}
