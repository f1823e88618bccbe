"""Quotas set and taken away, and the walks that count what buckets hold when one is set.

    no quota -> begun (counted, cursor at the start) -> walked -> exact (no cursor)
             <- ended, when neither the bucket nor its tenant has a quota any more

What is to be done has a row in COUNTING until it is done, so any process may do it, step by step,
each a short transaction of its own:

    b | bucket id   walk on; the value is the bucket's key
    t | tenant      see which of its buckets are to be counted; the value is the last one looked at
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

import msgspec

from s3proxy.catalog import keys, tables, tenants, uploads, usage, versions
from s3proxy.catalog.buckets import bucket_key, require, store
from s3proxy.catalog.errors import InvalidQuota, UnsupportedBucket
from s3proxy.catalog.records import BucketRecord, TenantRecord
from s3proxy.catalog.tables import (
    BUCKETS,
    COUNTING,
    ID_BYTES,
    OBJECTS,
    TENANTS,
    UPLOADS,
    USAGE,
    VERSIONS,
    encode,
)
from s3proxy.catalog.usage import Item
from s3proxy.catalog.usage_records import BUCKET_ROWS, TENANT_ROWS, Position, UsageRecord
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.limits import Quota

# Looked at in one transaction: a few milliseconds of the one writer.
STEP_ITEMS: Final = 512
STEP_BUCKETS: Final = 128
_SEPARATOR: Final = b"\x00"


class CountingTable:
    """Quotas, what is held, and the counts under way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_usage(self, bucket: BucketRecord) -> UsageRecord | None:
        """Return what is counted of a bucket; None: it is not counted."""
        value = self._engine.get(USAGE, usage.bucket_row(bucket))
        return None if value is None else tables.usage.decode(value)

    def get_tenant_usage(self, name: str) -> UsageRecord:
        """Return what is counted of the tenant's buckets together; zeros without a quota."""
        with self._engine.read() as view:
            return usage.read_tenant(view, name)

    def list_usage(self, limit: int) -> list[UsageRecord]:
        """Return what is counted of buckets and, without a bucket's name, of tenants.

        Args:
            limit: of each kind, at most.
        """
        with self._engine.read() as view:
            rows = [
                *islice(view.scan(USAGE, BUCKET_ROWS, keys.successor(BUCKET_ROWS)), limit),
                *islice(view.scan(USAGE, TENANT_ROWS, keys.successor(TENANT_ROWS)), limit),
            ]
        return [tables.usage.decode(value) for _, value in rows]

    def require_room(self, bucket: BucketRecord, key: str, size: int) -> None:
        """Refuse an object that has no room in a counted bucket now; writes decide by themselves.

        Raises:
            S3Error: QuotaExceeded.
        """
        with self._engine.read() as view:
            usage.require_room(view, bucket, key.encode(), size)

    def require_part_room(
        self, bucket: BucketRecord, upload_id: str, number: int, size: int
    ) -> None:
        """Refuse a part that has no room in a counted bucket now, as `require_room` does."""
        with self._engine.read() as view:
            old = uploads.find_part(view, bucket, upload_id, number)
            usage.require_part_room(view, bucket, size, old)

    async def set_bucket_quota(self, bucket: BucketRecord, quota: Quota | None) -> BucketRecord:
        """Give a bucket a quota, or none; what it holds is counted in steps, the first at once.

        Raises:
            NoSuchBucket; UnsupportedBucket: it is attached; InvalidQuota.
        """
        _require_limit(quota)

        def change(txn: Transaction) -> BucketRecord:
            now = require(txn, bucket)
            if now.kind != "managed":
                raise UnsupportedBucket(
                    f"what the bucket {now.name} holds is not counted: it is attached"
                )
            changed = msgspec.structs.replace(now, quota=quota)
            changed = _settled(txn, changed, tenants.require(txn, now.tenant))
            store(txn, changed)
            if changed.counted and not now.counted:
                _walk_on(txn, changed)  # a small bucket is counted before this is answered
            return changed

        return await self._engine.commit(change)

    async def set_tenant_quota(self, name: str, quota: Quota | None) -> TenantRecord:
        """Give a tenant a quota, or none; its buckets are counted in steps from then on.

        Raises:
            UnknownTenant; InvalidQuota.
        """
        _require_limit(quota)

        def change(txn: Transaction) -> TenantRecord:
            changed = msgspec.structs.replace(tenants.require(txn, name), quota=quota)
            txn.put(TENANTS, name.encode(), encode(changed))
            txn.put(COUNTING, TENANT_ROWS + name.encode(), b"")
            return changed

        return await self._engine.commit(change)

    async def recount(self, bucket: BucketRecord) -> bool:
        """Count a bucket anew, as after changes that no transaction of an object made.

        Returns:
            False: it has no quota in force, so nothing of it is counted.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> bool:
            now = require(txn, bucket)
            if now.counted:
                usage.end(txn, now)
                usage.begin(txn, now)
            return now.counted

        return await self._engine.commit(change)

    def is_counting(self, tenant: str) -> bool:
        """Whether a count of one of the tenant's buckets, or of which there are, goes on."""
        start = bucket_key(tenant, "")
        with self._engine.read() as view:
            rows = view.scan(COUNTING, BUCKET_ROWS, keys.successor(BUCKET_ROWS))
            if any(value.startswith(start) for _, value in rows):
                return True
            return view.get(COUNTING, TENANT_ROWS + tenant.encode()) is not None

    async def count_step(self) -> bool:
        """Do a bounded piece of what is to be counted; True: there is more to be done."""
        if self._first() is None:
            return False
        await self._engine.commit(_step)
        return self._first() is not None

    def on_counting(self, call: Callable[[], None]) -> None:
        """Have `call` called when there may be something to be counted."""
        self._engine.on_change(call, COUNTING)

    def _first(self) -> bytes | None:
        with self._engine.read() as view:
            return next((row for row, _ in view.scan(COUNTING, b"")), None)


def _step(txn: Transaction) -> None:
    row, value = next(txn.scan(COUNTING, b""), (b"", b""))
    if row.startswith(TENANT_ROWS):
        _look_at_buckets(txn, row[len(TENANT_ROWS) :].decode(), value)
    elif row:
        found = txn.get(BUCKETS, value)
        bucket = None if found is None else tables.buckets.decode(found)
        if bucket is None or bucket.id != row[len(BUCKET_ROWS) :] or not bucket.counted:
            txn.delete(COUNTING, row)
        else:
            _walk_on(txn, bucket)


def _look_at_buckets(txn: Transaction, name: str, after: bytes) -> None:
    """Begin and end counts, as the tenant's quota wants it now."""
    start, row = bucket_key(name, ""), TENANT_ROWS + name.encode()
    tenant = tenants.find(txn, name)
    if tenant is None:
        txn.delete(COUNTING, row)
        return
    first = after + _SEPARATOR if after else start
    found = list(islice(txn.scan(BUCKETS, first, keys.successor(start)), STEP_BUCKETS))
    for _, value in found:
        bucket = tables.buckets.decode(value)
        if bucket.kind == "managed":
            changed = _settled(txn, bucket, tenant)
            if changed != bucket:
                store(txn, changed)
    if len(found) < STEP_BUCKETS:
        txn.delete(COUNTING, row)
    else:
        txn.put(COUNTING, row, found[-1][0])


def _require_limit(quota: Quota | None) -> None:
    """Refuse a quota that limits nothing: every write would be counted for it."""
    if quota is not None and quota.bytes is None and quota.objects is None:
        raise InvalidQuota("a quota limits bytes, objects or both; to limit neither, clear it")


def _settled(txn: Transaction, bucket: BucketRecord, tenant: TenantRecord) -> BucketRecord:
    """Return a bucket that is counted from now on if that is to be."""
    wanted = bucket.quota is not None or tenant.quota is not None
    if wanted and not bucket.counted:
        usage.begin(txn, bucket)
    elif bucket.counted and not wanted:
        usage.end(txn, bucket)
    return msgspec.structs.replace(bucket, counted=wanted)


def _walk_on(txn: Transaction, bucket: BucketRecord) -> None:
    cursor = usage.read_bucket(txn, bucket).cursor
    if cursor is None:
        txn.delete(COUNTING, usage.bucket_row(bucket))
        return
    items = list(islice(_items(txn, bucket, cursor), STEP_ITEMS))
    last = items[-1].position if len(items) == STEP_ITEMS else None
    usage.advance(txn, bucket, items, last)


def _items(view: Snapshot, bucket: BucketRecord, after: Position) -> Iterator[Item]:
    """Yield what a bucket holds behind a position, in order."""
    trees = (OBJECTS, VERSIONS, UPLOADS)
    scans = [_tagged(view, tree, bucket, after[0]) for tree in trees]
    for key, rows in groupby(merge(*scans), itemgetter(0)):
        place = after[1] if key == after[0] else b""
        found = {tree: value for _, tree, value in rows}
        yield from _versions(view, key, found, place)
        if UPLOADS in found:
            yield from _parts(view, bucket, key, found[UPLOADS], place)


def _tagged(
    view: Snapshot, tree: str, bucket: BucketRecord, start: bytes
) -> Iterator[tuple[bytes, str, bytes]]:
    return ((key, tree, value) for key, value in keys.scan(view, tree, bucket.id, start))


def _versions(view: Snapshot, key: bytes, found: dict[str, bytes], place: bytes) -> Iterator[Item]:
    """Yield the versions of a key behind `place`: its current object is the newest of them."""
    if place.startswith(usage.PART):
        return
    if OBJECTS in found:
        current = usage.version_item(key, tables.objects.decode(found[OBJECTS]))
        if current.position[1] > place:
            yield current
    if VERSIONS in found:
        node = versions.node_of(found[VERSIONS])
        for record in versions.older(view, node, place[len(usage.VERSION) :]):
            yield usage.version_item(key, record)


def _parts(
    view: Snapshot, bucket: BucketRecord, key: bytes, node: bytes, place: bytes
) -> Iterator[Item]:
    """Yield the uploads of a key, which hold nothing, each with its parts, behind `place`."""
    first = place[len(usage.PART) :].partition(b"\x00")[0] if place >= usage.PART else b""
    for stored, _ in view.scan(UPLOADS, node + first, keys.successor(node)):
        upload_id = stored[ID_BYTES:].decode()
        begun = usage.part_place(upload_id, 0)
        number = 0
        if begun > place:
            yield Item((key, begun), 0, 0)
        elif place.startswith(begun[:-2]):
            number = int.from_bytes(place[-2:], "big")
        for _, part in uploads.iter_parts(view, bucket, upload_id, number):
            yield usage.part_item(key, upload_id, part)
