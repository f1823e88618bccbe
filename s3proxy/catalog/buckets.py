"""Buckets by (tenant, name)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

import msgspec

from s3proxy.catalog import keys, manifests, tables, tenants, usage
from s3proxy.catalog.errors import BucketExists, BucketNotEmpty, NoSuchBucket
from s3proxy.catalog.records import BucketRecord, ConfigRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import (
    ATTRIBUTES,
    BUCKET_CONFIGS,
    BUCKETS,
    CONTAINERS,
    OBJECTS,
    PROGRESS,
    UPLOADS,
    VERSIONS,
    allocate_id,
    encode,
)
from s3proxy.kv.engine import Engine, Snapshot, Transaction

_SEPARATOR = b"\x00"
_CLEARED_PER_COMMIT = 1000
_SCAN_ROWS = 256
# What may not hold anything of a bucket that is deleted.
_HOLDERS = (OBJECTS, VERSIONS, UPLOADS)
NO_CONFIGS: Mapping[str, bytes] = MappingProxyType({})


def require(txn: Transaction, bucket: BucketRecord) -> BucketRecord:
    """Return `bucket` as it is now.

    Raises:
        NoSuchBucket: it is gone, or is a namesake made later.
    """
    found = current(txn, bucket.tenant, bucket.name)
    if found is None or found.id != bucket.id:
        raise NoSuchBucket(bucket.name)
    return found


def current(view: Snapshot, tenant: str, name: str) -> BucketRecord | None:
    """Return the bucket of that name as it is in a snapshot, or None."""
    value = view.get(BUCKETS, bucket_key(tenant, name))
    return None if value is None else tables.buckets.decode(value)


def store(txn: Transaction, bucket: BucketRecord) -> None:
    """Keep what changed of a bucket that `require` gave."""
    txn.put(BUCKETS, bucket_key(bucket.tenant, bucket.name), encode(bucket))
    manifests.note_bucket(txn, bucket)


def places_of(bucket: BucketRecord) -> list[bytes]:
    """Return the places where a managed bucket has containers, as keys of `containers`."""
    if bucket.kind != "managed":
        return []
    names = {bucket.backend: bucket.container, **bucket.names}
    return [place_key(*place) for place in names.items()]


def place_key(backend: str, container: str) -> bytes:
    """Return the key of a container on a backend."""
    return backend.encode() + _SEPARATOR + container.encode()


class BucketTable:
    """Bucket records; names are unique within a tenant."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._remembered = Remembered(engine, self._read, BUCKETS)

    def get_bucket(self, name: str, tenant: str = "main") -> BucketRecord | None:
        """Return the bucket, or None."""
        return self._remembered[tenant, name]

    def _read(self, named: tuple[str, str]) -> BucketRecord | None:
        value = self._engine.get(BUCKETS, bucket_key(*named))
        return None if value is None else tables.buckets.decode(value)

    def list_buckets(
        self, tenant: str = "main", after: str = "", limit: int | None = None
    ) -> list[BucketRecord]:
        """Return the tenant's buckets in order of their names.

        Args:
            after: only names behind this one.
            limit: at most so many; None: all.
        """
        start = bucket_key(tenant, "")
        first = bucket_key(tenant, after) + _SEPARATOR if after else start
        with self._engine.read() as view:
            found = view.scan(BUCKETS, first, keys.successor(start))
            return [tables.buckets.decode(value) for _, value in islice(found, limit)]

    def scan_buckets(self) -> Iterator[BucketRecord]:
        """Yield the buckets of all tenants, in short snapshots: the consumer may await."""
        after = b""
        while True:
            with self._engine.read() as view:
                rows = list(islice(view.scan(BUCKETS, after + _SEPARATOR), _SCAN_ROWS))
            yield from (tables.buckets.decode(value) for _, value in rows)
            if len(rows) < _SCAN_ROWS:
                return
            after = rows[-1][0]

    async def create_bucket(
        self, record: BucketRecord, configs: Mapping[str, bytes] = NO_CONFIGS
    ) -> BucketRecord:
        """Store a new bucket; returns it with its id.

        Args:
            configs: documents by the name of their configuration, which it has from the start.

        Raises:
            BucketExists: the tenant has one of that name; UnknownTenant: it was deleted.
        """
        key = bucket_key(record.tenant, record.name)

        def change(txn: Transaction) -> BucketRecord:
            tenant = tenants.require(txn, record.tenant)
            if txn.get(BUCKETS, key) is not None:
                raise BucketExists(record.name)
            created = msgspec.structs.replace(
                record,
                id=allocate_id(txn),
                configs=tuple(sorted(configs)),
                counted=tenant.quota is not None and record.kind == "managed",
            )
            if created.counted:
                usage.begin(txn, created, empty=True)
            txn.put(BUCKETS, key, encode(created))
            _use(txn, created)
            for name, document in configs.items():
                config = ConfigRecord(document=document)
                txn.put(BUCKET_CONFIGS, created.id + name.encode(), encode(config))
            return created

        return await self._engine.commit(change)

    async def update_bucket(
        self, bucket: BucketRecord, change: Callable[[BucketRecord], BucketRecord]
    ) -> BucketRecord:
        """Store what `change` makes of the bucket as it is now; returns that.

        Raises:
            NoSuchBucket: the bucket is gone. What `change` raises: nothing was stored.
        """

        def changing(txn: Transaction) -> BucketRecord:
            before = require(txn, bucket)
            changed = change(before)
            store(txn, changed)
            if changed.names != before.names:
                _use(txn, changed)
            return changed

        return await self._engine.commit(changing)

    def is_empty(self, bucket: BucketRecord) -> bool:
        """Say whether a bucket holds no version of any object; it may have uploads."""
        with self._engine.read() as view:
            return all(keys.is_empty(view, table, bucket.id) for table in (OBJECTS, VERSIONS))

    async def delete_bucket(self, name: str, tenant: str = "main") -> BucketRecord:
        """Remove an empty bucket; returns what it was.

        The side table of an attached bucket is cleared afterwards; a crash in between leaves rows
        under an id that is never used again.

        Raises:
            NoSuchBucket: it is not there.
            BucketNotEmpty: it holds versions of objects, or uploads.
        """
        key = bucket_key(tenant, name)

        def change(txn: Transaction) -> BucketRecord:
            value = txn.get(BUCKETS, key)
            if value is None:
                raise NoSuchBucket(name)
            record = tables.buckets.decode(value)
            if not all(keys.is_empty(txn, table, record.id) for table in _HOLDERS):
                raise BucketNotEmpty(name)
            txn.delete(BUCKETS, key)
            manifests.note_bucket(txn, record)
            if record.counted:
                usage.end(txn, record)
            for place in places_of(record):
                txn.put(CONTAINERS, place, key)
            for table in (BUCKET_CONFIGS, PROGRESS):
                _clear(txn, table, record.id)
            return record

        deleted = await self._engine.commit(change)
        while await self._engine.commit(lambda txn: _clear_attributes(txn, deleted.id)):
            pass
        return deleted


def bucket_key(tenant: str, name: str) -> bytes:
    """Return the key of a bucket in its keyspace."""
    return tenant.encode() + _SEPARATOR + name.encode()


def _use(txn: Transaction, bucket: BucketRecord) -> None:
    """Let the containers of a bucket be leftovers no more."""
    for place in places_of(bucket):
        txn.delete(CONTAINERS, place)


def _clear(txn: Transaction, table: str, bucket_id: bytes) -> None:
    found = txn.scan(table, bucket_id, keys.successor(bucket_id))
    for key in [key for key, _ in found]:  # a handful
        txn.delete(table, key)


def _clear_attributes(txn: Transaction, bucket_id: bytes) -> bool:
    found = list(islice(keys.scan(txn, ATTRIBUTES, bucket_id), _CLEARED_PER_COMMIT))
    for key, _ in found:
        keys.delete(txn, ATTRIBUTES, bucket_id, key)
    return len(found) == _CLEARED_PER_COMMIT
