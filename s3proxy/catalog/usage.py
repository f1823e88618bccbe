"""What buckets with a quota hold, kept in the transactions that change it; and the refusals.

A bucket is `counted` while it or its tenant has a quota. Its row in USAGE has the bytes and objects
of what a walk (counting.py) has passed, that of its tenant the sum of all its counted buckets. A
change of something that lies at or before the walk's cursor changes both rows; what lies behind it
the walk will meet as it is by then. So the rows are exact when it ends, whatever was written.

A version lies at its key and its order among the key's versions, which stays while it is or is not
the current one; a part at its key, its upload and its number. Delete markers hold nothing.

Until the walk ends, what is counted is less than what is there: nothing is refused that fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from s3proxy.catalog import tables, tenants, versions
from s3proxy.catalog.records import (
    NULL_VERSION,
    BucketRecord,
    ObjectRecord,
    PartRecord,
    TenantRecord,
)
from s3proxy.catalog.tables import COUNTING, USAGE, encode
from s3proxy.catalog.usage_records import BUCKET_ROWS, TENANT_ROWS, Position, UsageRecord
from s3proxy.kv.engine import Snapshot, Transaction
from s3proxy.s3.errors import S3Error
from s3proxy.s3.limits import Quota

VERSION: Final = b"\x00"
PART: Final = b"\x01"
_NUMBER_BYTES: Final = 2


class Item(NamedTuple):
    """Something that a bucket holds, and where among the rest of it."""

    position: Position
    bytes: int
    objects: int


def change(
    txn: Transaction,
    bucket: BucketRecord,
    key: bytes,
    *,
    added: ObjectRecord | None = None,
    removed: ObjectRecord | None = None,
) -> None:
    """Note that a bucket has a version more, one less, or one in the place of another.

    Args:
        bucket: as it is in this transaction; nothing is done for one that is not counted.
    Raises:
        S3Error: QuotaExceeded. What gives back at least as much as it takes is never refused.
    """
    if bucket.counted:
        more = () if added is None else (version_item(key, added),)
        less = () if removed is None else (version_item(key, removed),)
        _apply(txn, bucket, more, less)


def change_parts(
    txn: Transaction,
    bucket: BucketRecord,
    key: str,
    upload_id: str,
    *,
    added: Sequence[PartRecord] = (),
    removed: Sequence[PartRecord] = (),
) -> None:
    """Note that an upload has other parts; see `change`."""
    if bucket.counted:
        encoded = key.encode()
        more = [part_item(encoded, upload_id, part) for part in added]
        _apply(txn, bucket, more, [part_item(encoded, upload_id, part) for part in removed])


def require_room(view: Snapshot, bucket: BucketRecord, key: bytes, size: int) -> None:
    """Refuse an object of `size` bytes under `key` that has no room now.

    Raises:
        S3Error: QuotaExceeded.
    """
    lost = None
    if bucket.versioning != "Enabled":  # a null version takes the place of the one before
        lost = versions.find(view, bucket, key, NULL_VERSION)
    held = (0, 0) if lost is None else version_item(key, lost)[1:]
    _check(view, bucket, size - held[0], 1 - held[1])


def require_part_room(
    view: Snapshot, bucket: BucketRecord, size: int, old: PartRecord | None
) -> None:
    """Refuse a part of `size` bytes, in place of `old`, that has no room now.

    Raises:
        S3Error: QuotaExceeded.
    """
    _check(view, bucket, size - (0 if old is None else old.size), 0)


def version_item(key: bytes, record: ObjectRecord) -> Item:
    """A version as it counts."""
    position = (key, VERSION + versions.order_in_node(record.sequence))
    return Item(position, record.size, 0 if record.delete_marker else 1)


def part_item(key: bytes, upload_id: str, part: PartRecord) -> Item:
    """A part of an upload as it counts."""
    return Item((key, part_place(upload_id, part.number)), part.size, 0)


def part_place(upload_id: str, number: int) -> bytes:
    """Where a part lies among what its key has; number 0: its upload."""
    return PART + upload_id.encode() + b"\x00" + number.to_bytes(_NUMBER_BYTES, "big")


def bucket_row(bucket: BucketRecord) -> bytes:
    """The key of a bucket in USAGE and COUNTING."""
    return BUCKET_ROWS + bucket.id


def read_bucket(view: Snapshot, bucket: BucketRecord) -> UsageRecord:
    """Return what is counted of a bucket; nothing where no count was begun."""
    value = view.get(USAGE, bucket_row(bucket))
    if value is None:
        return UsageRecord(tenant=bucket.tenant, bucket=bucket.name)
    return tables.usage.decode(value)


def read_tenant(view: Snapshot, name: str) -> UsageRecord:
    """Return what is counted of all buckets of a tenant."""
    value = view.get(USAGE, TENANT_ROWS + name.encode())
    return UsageRecord(tenant=name) if value is None else tables.usage.decode(value)


def begin(txn: Transaction, bucket: BucketRecord, *, empty: bool = False) -> None:
    """Count a bucket from now on; `empty`: it was just made, so there is nothing to walk over."""
    record = UsageRecord(tenant=bucket.tenant, bucket=bucket.name)
    if empty:
        record = msgspec.structs.replace(record, cursor=None)
    else:
        txn.put(COUNTING, bucket_row(bucket), f"{bucket.tenant}\0{bucket.name}".encode())
    txn.put(USAGE, bucket_row(bucket), encode(record))


def end(txn: Transaction, bucket: BucketRecord) -> None:
    """Forget what a bucket holds."""
    held = read_bucket(txn, bucket)
    for table in (USAGE, COUNTING):
        txn.delete(table, bucket_row(bucket))
    _add_to_tenant(txn, bucket.tenant, -held.bytes, -held.objects)


def advance(
    txn: Transaction, bucket: BucketRecord, items: Iterable[Item], cursor: Position | None
) -> None:
    """Count what the walk has met, up to `cursor`; None: that was all."""
    found = list(items)
    size, objects = _sums(found)
    before = read_bucket(txn, bucket)
    record = msgspec.structs.replace(
        before, bytes=before.bytes + size, objects=before.objects + objects, cursor=cursor
    )
    txn.put(USAGE, bucket_row(bucket), encode(record))
    if cursor is None:
        txn.delete(COUNTING, bucket_row(bucket))
    _add_to_tenant(txn, bucket.tenant, size, objects)


def _apply(
    txn: Transaction, bucket: BucketRecord, more: Sequence[Item], less: Sequence[Item]
) -> None:
    more_bytes, more_objects = _sums(more)
    less_bytes, less_objects = _sums(less)
    held = _check(txn, bucket, more_bytes - less_bytes, more_objects - less_objects)
    if held.cursor is not None:
        more_bytes, more_objects = _sums(_passed(more, held.cursor))
        less_bytes, less_objects = _sums(_passed(less, held.cursor))
    size, objects = more_bytes - less_bytes, more_objects - less_objects
    if size or objects:
        record = msgspec.structs.replace(
            held, bytes=held.bytes + size, objects=held.objects + objects
        )
        txn.put(USAGE, bucket_row(bucket), encode(record))
        _add_to_tenant(txn, bucket.tenant, size, objects)


def _passed(items: Iterable[Item], cursor: Position) -> Iterator[Item]:
    return (item for item in items if item.position <= cursor)


def _sums(items: Iterable[Item]) -> tuple[int, int]:
    size = objects = 0
    for item in items:
        size += item.bytes
        objects += item.objects
    return size, objects


def _check(view: Snapshot, bucket: BucketRecord, size: int, objects: int) -> UsageRecord:
    """Return what the bucket holds; raise where so much more is too much."""
    held = read_bucket(view, bucket)
    if size > 0 or objects > 0:
        if bucket.quota is not None:
            _require(bucket.quota, held, size, objects, "bucket")
        tenant = tenants.find(view, bucket.tenant) or TenantRecord(name="", created_ns=0)
        if tenant.quota is not None:
            _require(tenant.quota, read_tenant(view, bucket.tenant), size, objects, "tenant")
    return held


def _require(quota: Quota, held: UsageRecord, size: int, objects: int, whose: str) -> None:
    if quota.bytes is not None and size > 0 and held.bytes + size > quota.bytes:
        raise _exceeded(f"The request would exceed the {whose}'s quota of bytes.", whose, "bytes")
    if quota.objects is not None and objects > 0 and held.objects + objects > quota.objects:
        message = f"The request would exceed the {whose}'s quota of objects."
        raise _exceeded(message, whose, "objects")


def _exceeded(message: str, whose: str, what: str) -> S3Error:
    return S3Error("QuotaExceeded", message, Limit=f"{whose}-{what}")


def _add_to_tenant(txn: Transaction, name: str, size: int, objects: int) -> None:
    held = read_tenant(txn, name)
    record = msgspec.structs.replace(
        held, bytes=held.bytes + size, objects=held.objects + objects, cursor=None
    )
    txn.put(USAGE, TENANT_ROWS + name.encode(), encode(record))
