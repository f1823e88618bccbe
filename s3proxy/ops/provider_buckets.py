"""Buckets that CreateBucket makes at a provider under the client's name, and attaches.

The record comes first and goes last: while the provider has not made the bucket, or no longer has
it, requests are answered NoSuchBucket, and the same request again finishes what was cut short. A
bucket that is at the provider without a record here is somebody else's: it is never taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from s3proxy.backends.errors import AlreadyExists, BackendError, Conflict, Unavailable
from s3proxy.backends.s3 import S3Backend
from s3proxy.ops.bucket_access import OWNERSHIP
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml_acl import ENFORCED, WRITER, read_ownership_controls

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services


def attaching_backend(services: Services, name: str) -> S3Backend | None:
    """The backend of that name, if new buckets there are the provider's own."""
    backend = services.backend(name)
    return backend if isinstance(backend, S3Backend) and backend.attaching else None


async def create_at_provider(
    services: Services,
    backend: S3Backend,
    record: BucketRecord,
    configs: Mapping[str, bytes],
    *,
    locks: bool,
) -> None:
    """Make a bucket at the provider and attach it.

    Args:
        locks: with object lock.

    Raises:
        S3Error: BucketAlreadyExists.
        BackendError: Unavailable: it may have been made, so its record stays; of another kind: it
            was not.
    """
    name = record.container
    # The namespace of the provider is one for all tenants.
    async with services.key_locks.hold_bucket(f"\0{backend.name}", name):
        if await backend.has_container(name):
            raise S3Error("BucketAlreadyExists", BucketName=name)
        await services.catalog.create_bucket(record, configs)
        try:
            await _create(backend, record, locks=locks, ownership=_ownership(configs))
        except (S3Error, BackendError) as error:
            if not isinstance(error, Unavailable):
                await services.catalog.delete_bucket(record.name, record.tenant)
            raise


async def require_at_provider(services: Services, record: BucketRecord, *, locks: bool) -> bool:
    """See that the provider has the bucket of a record; False: it has had it all along."""
    backend = attaching_backend(services, record.backend)
    if backend is None or await backend.has_container(record.container):
        return False
    ownership = services.access.find(record).ownership
    await _create(backend, record, locks=locks, ownership=ownership)
    return True


async def delete_at_provider(services: Services, record: BucketRecord) -> None:
    """Delete an empty bucket at the provider; one that is not there any more is fine.

    Raises:
        S3Error: BucketNotEmpty.
    """
    try:
        await services.backend(record.backend).delete_container(record.container)
    except Conflict as error:
        if error.upstream_code == "BucketNotEmpty":
            raise S3Error("BucketNotEmpty", BucketName=record.name) from error
        raise


def _ownership(configs: Mapping[str, bytes]) -> str:
    document = configs.get(OWNERSHIP)
    return WRITER if document is None else read_ownership_controls(document)


async def _create(backend: S3Backend, record: BucketRecord, *, locks: bool, ownership: str) -> None:
    # Where ACLs are off here, it does not matter whether they are on there.
    asked = "" if ownership == ENFORCED else ownership
    name = record.container
    # For the gateway of another region to read; a provider knows no places but its own.
    location = record.location if backend.relaying else ""
    try:
        await backend.create_container(name, locks=locks, ownership=asked, location=location)
    except AlreadyExists as error:
        raise S3Error("BucketAlreadyExists", BucketName=name) from error
