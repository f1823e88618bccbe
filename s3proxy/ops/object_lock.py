"""Object lock: the bucket's configuration, and retention and legal hold of its objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.notification import announcer_of
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS, open_namespace
from s3proxy.ops.retention import LOCK_CONFIGURATION
from s3proxy.ops.versions import find_object, require_object, version_header
from s3proxy.s3.errors import S3Error
from s3proxy.s3.object_lock import (
    ObjectLock,
    bypasses_governance,
    legal_hold_document,
    lock_configuration,
    parse_lock_headers,
    read_legal_hold,
    read_lock_configuration,
    read_retention,
    retention_document,
)
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

_NO_LOCK = "Bucket is missing Object Lock Configuration"
_NOT_VERSIONED = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"


def requested_lock(call: Call) -> ObjectLock | None:
    """The lock that a write asks for in its headers.

    Raises:
        S3Error: InvalidArgument; InvalidRequest in a bucket without object lock.
    """
    lock = parse_lock_headers(call.route.headers, call.services.now_ns())
    if lock is not None:
        _require_lock(call)
    return lock


async def put_object_lock_configuration(call: Call) -> Response:
    """PutObjectLockConfiguration, which turns object lock on; it is never off again.

    Raises:
        S3Error: MalformedXML, InvalidRetentionPeriod; InvalidBucketState without versions.
    """
    default = read_lock_configuration(await read_document(call, CONFIGURATION_BYTES_MAX))

    def locked(bucket: BucketRecord) -> BucketRecord:
        if bucket.versioning != "Enabled":
            raise S3Error("InvalidBucketState", _NOT_VERSIONED, BucketName=bucket.name)
        return msgspec.structs.replace(bucket, object_lock=True)

    catalog = call.services.catalog
    await catalog.update_bucket(call.bucket, locked)
    await catalog.put_bucket_config(call.bucket, LOCK_CONFIGURATION, lock_configuration(default))
    return Response(200)


async def get_object_lock_configuration(call: Call) -> Response:
    """GetObjectLockConfiguration.

    Raises:
        S3Error: ObjectLockConfigurationNotFoundError.
    """
    if not call.bucket.object_lock:
        raise S3Error("ObjectLockConfigurationNotFoundError", BucketName=call.bucket.name)
    document = call.services.catalog.get_bucket_config(call.bucket, LOCK_CONFIGURATION)
    return Response(200, XML_HEADERS, document or lock_configuration(None))


async def put_object_retention(call: Call) -> Response:
    """PutObjectRetention: longer for everybody, otherwise by bypass of GOVERNANCE only.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion, MethodNotAllowed; MalformedXML, InvalidArgument;
            InvalidRequest in a bucket without object lock; AccessDenied.
    """
    _require_lock(call)
    now_ns = call.services.now_ns()
    wanted = read_retention(await read_document(call, CONFIGURATION_BYTES_MAX), now_ns)
    bypass = bypasses_governance(call.route.headers)
    return await _change(call, lambda lock: lock.retained(wanted, now_ns, bypass_governance=bypass))


async def get_object_retention(call: Call) -> Response:
    """GetObjectRetention.

    Raises:
        S3Error: as PutObjectRetention; NoSuchObjectLockConfiguration without retention.
    """
    lock, headers = await _found(call)
    if not lock.mode:
        raise S3Error("NoSuchObjectLockConfiguration", Key=call.route.key)
    return Response(200, headers, retention_document(lock))


async def put_object_legal_hold(call: Call) -> Response:
    """PutObjectLegalHold.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion, MethodNotAllowed; MalformedXML; InvalidRequest in a
            bucket without object lock.
    """
    _require_lock(call)
    status = read_legal_hold(await read_document(call, CONFIGURATION_BYTES_MAX))
    return await _change(call, lambda lock: msgspec.structs.replace(lock, legal_hold=status))


async def get_object_legal_hold(call: Call) -> Response:
    """GetObjectLegalHold.

    Raises:
        S3Error: as PutObjectLegalHold; NoSuchObjectLockConfiguration where none was ever put.
    """
    lock, headers = await _found(call)
    if not lock.legal_hold:
        raise S3Error("NoSuchObjectLockConfiguration", Key=call.route.key)
    return Response(200, headers, legal_hold_document(lock.legal_hold))


def _require_lock(call: Call) -> None:
    if not call.bucket.object_lock:
        raise S3Error("InvalidRequest", _NO_LOCK, BucketName=call.bucket.name)


async def _found(call: Call) -> tuple[ObjectLock, list[tuple[str, str]]]:
    _require_lock(call)
    record = await find_object(call, open_namespace(call.services, call.bucket))
    return record.lock or ObjectLock(), [*XML_HEADERS, *version_header(call.bucket, record)]


async def _change(call: Call, change: Callable[[ObjectLock], ObjectLock]) -> Response:
    def locked(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, lock=change(record.lock or ObjectLock()))

    route = call.route
    version_id = route.query.get("versionId", "")
    catalog = call.services.catalog
    changed = await catalog.update_object(
        call.bucket, route.key, locked, version_id=version_id, announcer=announcer_of(call)
    )
    return Response(200, version_header(call.bucket, require_object(call, changed)))


# operation -> (function, action)
OBJECT_LOCK = {
    "put_object_lock_configuration": (
        put_object_lock_configuration,
        "s3:PutBucketObjectLockConfiguration",
    ),
    "get_object_lock_configuration": (
        get_object_lock_configuration,
        "s3:GetBucketObjectLockConfiguration",
    ),
    "put_object_retention": (put_object_retention, "s3:PutObjectRetention"),
    "get_object_retention": (get_object_retention, "s3:GetObjectRetention"),
    "put_object_legal_hold": (put_object_legal_hold, "s3:PutObjectLegalHold"),
    "get_object_legal_hold": (get_object_legal_hold, "s3:GetObjectLegalHold"),
}
