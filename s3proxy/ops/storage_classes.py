"""Storage classes as placements: which backend new blobs of a class go to.

STANDARD is the bucket's own backend. Every other class has a backend of its own in the
configuration; a bucket's container there is made with its first object of the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import BUCKETS, MARKS, TENANTS
from s3proxy.ops.blob_writer import BlobWriter
from s3proxy.ops.placing import (
    check_writable,
    container_on,
    decision_of,
    is_read_only,
    plan_of,
    refused_class,
    rules_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from s3proxy.catalog.records import BlobRef, BucketRecord
    from s3proxy.ops.call import Call, Services


def classes_of(call: Call) -> Collection[str]:
    """The classes beside STANDARD that objects of the call's bucket may have."""
    return allowed_classes(call.services, call.bucket) if call.bucket.kind == "managed" else ()


def allowed_classes(services: Services, bucket: BucketRecord) -> Collection[str]:
    """The classes whose backends the rules of a managed bucket allow; without rules, all."""
    classes = services.settings.storage_classes
    if not classes or rules_of(services, bucket) is None:
        return classes
    allowed = decision_of(services, bucket, drained=False).writable
    return [name for name, backend in classes.items() if backend in allowed]


def bucket_writer(services: Services, bucket: BucketRecord) -> BlobWriter:
    """Writes where the bucket is."""
    backend = services.backend(bucket.backend)
    return BlobWriter(services, bucket, backend, bucket.container)


class PlainWriters(Remembered[tuple[str, str], BlobWriter]):
    """Writers of the buckets, by tenant and name, for which nobody has rules of placement.

    None for any other: where its objects go is found anew for each. An object that has tags, which
    may be such a rule, or another storage class than STANDARD, is not theirs.
    """

    def __init__(self, services: Services) -> None:
        def read(named: tuple[str, str]) -> BlobWriter | None:
            tenant, name = named
            bucket = services.catalog.get_bucket(name, tenant)
            if bucket is None or is_read_only(services, bucket.backend):
                return None
            return bucket_writer(services, bucket) if plan_of(services, bucket) is None else None

        super().__init__(services.catalog.engine, read, BUCKETS, TENANTS, MARKS)


async def class_writer(services: Services, bucket: BucketRecord, storage_class: str) -> BlobWriter:
    """Writes where objects of a class go; the container is there.

    A class that is no longer configured is the bucket's own backend: what has it stays readable.

    Raises:
        S3Error: InvalidStorageClass; the rules of the bucket do not allow its backend.
            InvalidBucketState; that is read-only.
        BackendError: the container could not be made.
    """
    name = services.settings.storage_classes.get(storage_class, bucket.backend)
    check_writable(services, name)
    if name == bucket.backend:
        return bucket_writer(services, bucket)
    if storage_class not in allowed_classes(services, bucket):
        raise refused_class(storage_class)
    container = await container_on(services, bucket, name)
    return BlobWriter(services, bucket, services.backend(name), container)


def blob_writer(services: Services, bucket: BucketRecord, blob: BlobRef) -> BlobWriter:
    """Writes where a blob is."""
    return BlobWriter(services, bucket, services.backend(blob.backend), blob.container)
