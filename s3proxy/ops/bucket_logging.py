"""Access logging of buckets: put and get the configuration, and what a delivery writes."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from s3proxy.http.body import BytesBody
from s3proxy.http.handler import Response
from s3proxy.ops.encryption import default_cipher
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import ObjectWrite
from s3proxy.ops.payload_source import ObjectPayload, read_document
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.ops.retention import lock_of_new
from s3proxy.s3.acl import LOG_DELIVERY, allows
from s3proxy.s3.bucket_logging import (
    BucketLogging,
    Source,
    log_key,
    logging_status,
    read_logging,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import Decision, PolicyRequest, Principal, evaluate
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Call, Services

NAME: Final = "logging"
_SERVICE: Final = Principal("", "", "", service="logging.s3.amazonaws.com")
_ARN: Final = "arn:aws:s3:::"


async def put_bucket_logging(call: Call) -> Response:
    """PutBucketLogging; an empty status turns it off.

    Raises:
        S3Error: what is wrong with the document; InvalidTargetBucketForLogging; AccessDenied where
            the target does not let the log delivery write.
    """
    body = await read_document(call, CONFIGURATION_BYTES_MAX)
    catalog, bucket = call.services.catalog, call.bucket

    def owner_of(name: str) -> str:
        target = catalog.get_bucket(name, bucket.tenant)
        return "" if target is None else target.owner or target.tenant

    logging = read_logging(body, owner_of)
    if logging is None:
        await catalog.delete_bucket_config(bucket, NAME)
        return Response(200)
    target = find_target(call.services, bucket, logging)
    if not may_deliver(call.services, bucket, target, logging.prefix):
        message = (
            f"The log delivery may not write to {target.name}: its policy or ACL has to say so."
        )
        raise S3Error("AccessDenied", message)
    await catalog.put_bucket_config(bucket, NAME, logging_status(logging))
    return Response(200)


async def get_bucket_logging(call: Call) -> Response:
    """GetBucketLogging; empty where it is off."""
    document = call.services.catalog.get_bucket_config(call.bucket, NAME)
    return Response(200, XML_HEADERS, logging_status(None) if document is None else document)


def logging_of(services: Services, bucket: BucketRecord) -> BucketLogging | None:
    """Where the log of a bucket goes; None: it has none."""
    document = services.catalog.get_bucket_config(bucket, NAME)
    return None if document is None else _understood(document)


def find_target(services: Services, bucket: BucketRecord, logging: BucketLogging) -> BucketRecord:
    """The bucket that takes the log: a managed one of the same tenant.

    Raises:
        S3Error: InvalidTargetBucketForLogging.
    """
    target = services.catalog.get_bucket(logging.target, bucket.tenant)
    if target is None:
        message = "The target bucket for logging does not exist"
    elif target.kind != "managed":
        message = "The target bucket for logging has to be a managed one"
    elif lock_of_new(services, target, None) is not None:
        message = "The target bucket for logging must not have a default retention"
    else:
        return target
    raise S3Error("InvalidTargetBucketForLogging", message, TargetBucket=logging.target)


def may_deliver(
    services: Services, bucket: BucketRecord, target: BucketRecord, prefix: str, key: str = ""
) -> bool:
    """Whether the target lets the log of a bucket be written.

    Args:
        key: of the log object; a policy may also name the prefix alone.
    """
    access = services.access.find(target)
    given = {
        "aws:sourcearn": (_ARN + bucket.name,),
        "aws:sourceaccount": (bucket.owner or bucket.tenant,),
        "aws:securetransport": ("true",),
    }

    def context(name: str) -> tuple[str, ...]:
        return given.get(name, ())

    if access.policy is not None:
        names = {f"{_ARN}{target.name}/{prefix}", f"{_ARN}{target.name}/{key or prefix}"}
        requests = [PolicyRequest("s3:PutObject", name, _SERVICE, context) for name in names]
        decisions = {evaluate((access.policy,), request) for request in requests}
        if decisions != {Decision.NONE}:
            return Decision.DENY not in decisions
    return not access.enforced and allows(access.acl, LOG_DELIVERY, "WRITE", public=False)


async def deliver_log(
    services: Services, bucket: BucketRecord, logging: BucketLogging, day: int, lines: list[str]
) -> None:
    """Write lines of a bucket's log as one object.

    Args:
        day: of all lines, counted from 1970, where keys are partitioned by it.

    Raises:
        S3Error: the target is gone, or does not let the log be written.
        BackendError, KvError, OSError: it could not be written.
    """
    target = find_target(services, bucket, logging)
    source = Source(bucket.owner or bucket.tenant, bucket.region, bucket.name)
    now_s = services.now_ns() // 1_000_000_000
    key = log_key(logging, source, day, now_s, secrets.token_hex(8).upper())
    if not may_deliver(services, bucket, target, logging.prefix, key):
        raise S3Error("AccessDenied", f"The log delivery may not write to {target.name}.")
    data = "".join(lines).encode()
    write = ObjectWrite(
        system={"content-type": "text/plain"}, user={}, cipher=default_cipher(services, target)
    )
    payload = ObjectPayload(BytesBody(data), len(data))
    await ManagedNamespace(services, target).put(key, payload, write)


@lru_cache(maxsize=256)
def _understood(document: bytes) -> BucketLogging | None:
    return read_logging(document, lambda name: "")


# operation -> (function, action)
OPERATIONS = {
    "get_bucket_logging": (get_bucket_logging, "s3:GetBucketLogging"),
    "put_bucket_logging": (put_bucket_logging, "s3:PutBucketLogging"),
}
