"""Storage classes as placements: which backend new blobs of a class go to.

STANDARD is the bucket's own backend. Every other class has a backend of its own in the
configuration; a bucket's container there is made with its first object of the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.backends.errors import BackendError
from s3proxy.ops.blob_writer import BlobWriter
from s3proxy.placement import container_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from s3proxy.catalog.buckets import LeftoverContainer
    from s3proxy.catalog.records import BlobRef, BucketRecord
    from s3proxy.ops.call import Call, Services


def classes_of(call: Call) -> Collection[str]:
    """The classes beside STANDARD that objects of the call's bucket may have."""
    return call.services.settings.storage_classes if call.bucket.kind == "managed" else ()


def bucket_writer(services: Services, bucket: BucketRecord) -> BlobWriter:
    """Writes where the bucket is."""
    backend = services.backend(bucket.backend)
    return BlobWriter(services, bucket, backend, bucket.container)


async def class_writer(services: Services, bucket: BucketRecord, storage_class: str) -> BlobWriter:
    """Writes where objects of a class go; the container is there.

    A class that is no longer configured is the bucket's own backend: what has it stays readable.

    Raises:
        BackendError: the container could not be made.
    """
    name = services.settings.storage_classes.get(storage_class, bucket.backend)
    if name == bucket.backend:
        return bucket_writer(services, bucket)
    container = _container(services, bucket, name)
    backend = services.backend(name)
    if (name, container) not in services.containers:
        await backend.create_container(container)
        services.containers.add((name, container))
    return BlobWriter(services, bucket, backend, container)


def blob_writer(services: Services, bucket: BucketRecord, blob: BlobRef) -> BlobWriter:
    """Writes where a blob is."""
    return BlobWriter(services, bucket, services.backend(blob.backend), blob.container)


def containers_of(services: Services, bucket: BucketRecord) -> list[tuple[str, str]]:
    """(backend, container) of every place where a managed bucket may have bytes."""
    names = {bucket.backend, *services.settings.storage_classes.values()}
    return [
        (name, bucket.container if name == bucket.backend else _container(services, bucket, name))
        for name in sorted(names & services.backends.keys())
    ]


async def remove_container(services: Services, leftover: LeftoverContainer) -> bool:
    """Remove a container of a deleted bucket; False where blobs are still in it.

    The name of the bucket is held, so that no namesake is made meanwhile, which would use the same
    container.
    """
    backend = services.backends.get(leftover.backend)
    if backend is None:
        return False
    place = (leftover.backend, leftover.container)
    catalog = services.catalog
    async with services.key_locks.hold_bucket(leftover.tenant, leftover.bucket):
        if catalog.get_bucket(leftover.bucket, leftover.tenant) is None:
            services.containers.discard(place)
            try:
                await backend.delete_container(leftover.container)
            except BackendError:
                return False
        await catalog.forget_container(*place)
    return True


def _container(services: Services, bucket: BucketRecord, backend: str) -> str:
    seed = services.settings.container_seed
    return container_name(seed, bucket.tenant, bucket.name, 0, backend)
