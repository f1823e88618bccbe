"""Lifecycle rules of a bucket: put, get, delete, and what answers about objects tell of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.ops.delete_object import require_digest
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.placing import refused_class
from s3proxy.ops.resolve import XML_HEADERS, require_managed
from s3proxy.ops.storage_classes import classes_of
from s3proxy.s3.errors import S3Error
from s3proxy.s3.lifecycle import (
    Lifecycle,
    Version,
    abort_headers,
    abortion_of,
    expiration_header,
    expiration_of,
    storage_classes,
)
from s3proxy.s3.lifecycle_xml import (
    LIFECYCLE_BYTES_MAX,
    lifecycle_configuration,
    minimum_header,
    read_lifecycle,
    read_minimum,
)

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord, ObjectRecord
    from s3proxy.ops.call import Call, Services

NAME = "lifecycle"


async def put_bucket_lifecycle_configuration(call: Call) -> Response:
    """PutBucketLifecycleConfiguration, and PutBucketLifecycle, its older form.

    Raises:
        S3Error: what is wrong with the rules; InvalidStorageClass for a class without a place here;
            NotImplemented for an attached bucket.
    """
    require_managed(call, "Lifecycle configuration")
    require_digest(call)
    body = await read_document(call, LIFECYCLE_BYTES_MAX)
    lifecycle = read_lifecycle(body, read_minimum(call.route.headers))
    for name in sorted(storage_classes(lifecycle.rules)):
        if name not in classes_of(call):
            if name in call.services.settings.storage_classes:
                raise refused_class(name)
            message = f"The storage class {name} has no place here; the configuration gives it one."
            raise S3Error("InvalidStorageClass", message, StorageClassRequested=name)
    document = lifecycle_configuration(lifecycle, kept=True)
    await call.services.catalog.put_bucket_config(call.bucket, NAME, document)
    return Response(200, [minimum_header(lifecycle)])


async def get_bucket_lifecycle_configuration(call: Call) -> Response:
    """GetBucketLifecycleConfiguration.

    Raises:
        S3Error: NoSuchLifecycleConfiguration.
    """
    lifecycle = lifecycle_of(call.services, call.bucket)
    if lifecycle is None:
        raise S3Error("NoSuchLifecycleConfiguration", BucketName=call.bucket.name)
    headers = [*XML_HEADERS, minimum_header(lifecycle)]
    return Response(200, headers, lifecycle_configuration(lifecycle))


async def delete_bucket_lifecycle(call: Call) -> Response:
    """DeleteBucketLifecycle: 204 whether there were rules or not."""
    await call.services.catalog.delete_bucket_config(call.bucket, NAME)
    return Response(204)


def lifecycle_of(services: Services, bucket: BucketRecord) -> Lifecycle | None:
    """The rules of a bucket; None: it has none, which is known without a look."""
    document = services.catalog.get_bucket_config(bucket, NAME)
    return None if document is None else understood(document)


def expiration_headers(call: Call, record: ObjectRecord) -> list[tuple[str, str]]:
    """x-amz-expiration of the object in the route, where a rule will delete it."""
    lifecycle = lifecycle_of(call.services, call.bucket)
    if lifecycle is None:
        return []
    version = Version(
        key=call.route.key, size=record.size, modified_ns=record.modified_ns, tags=record.tags
    )
    due = expiration_of(lifecycle, version)
    return [] if due is None else [("x-amz-expiration", expiration_header(due))]


def upload_headers(call: Call, initiated_ns: int) -> list[tuple[str, str]]:
    """x-amz-abort-date and its rule, for an upload of the key in the route."""
    lifecycle = lifecycle_of(call.services, call.bucket)
    due = None if lifecycle is None else abortion_of(lifecycle, call.route.key, initiated_ns)
    return [] if due is None else abort_headers(due)


@lru_cache(maxsize=64)
def understood(document: bytes) -> Lifecycle:
    """The rules of a document that a bucket keeps."""
    return read_lifecycle(document)


# operation -> (function, action)
OPERATIONS = {
    "put_bucket_lifecycle_configuration": (
        put_bucket_lifecycle_configuration,
        "s3:PutLifecycleConfiguration",
    ),
    "get_bucket_lifecycle_configuration": (
        get_bucket_lifecycle_configuration,
        "s3:GetLifecycleConfiguration",
    ),
    "delete_bucket_lifecycle": (delete_bucket_lifecycle, "s3:PutLifecycleConfiguration"),
}
