"""What locks an object that is made now."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.s3.object_lock import DefaultRetention, ObjectLock, read_lock_configuration

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services

LOCK_CONFIGURATION: Final = "object_lock"


def lock_of_new(
    services: Services, bucket: BucketRecord, requested: ObjectLock | None
) -> ObjectLock | None:
    """The lock of an object made now: what its write asks for, else the bucket's default."""
    if not bucket.object_lock or (requested is not None and requested.mode):
        return requested
    document = services.catalog.get_bucket_config(bucket, LOCK_CONFIGURATION)
    default = None if document is None else _understood(document)
    if default is None:
        return requested
    lock = default.lock_from(services.now_ns())
    return (
        lock
        if requested is None
        else msgspec.structs.replace(lock, legal_hold=requested.legal_hold)
    )


@lru_cache(maxsize=256)
def _understood(document: bytes) -> DefaultRetention | None:
    return read_lock_configuration(document)
