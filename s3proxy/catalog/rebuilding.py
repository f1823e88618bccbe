"""Putting back into the catalog what was found at providers: adds what is missing, loses nothing.

What the catalog knows already stays, unless it came from an older telling of the same version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

import msgspec

from s3proxy.catalog import copies, keys, manifests, tables, uploads, usage, versions
from s3proxy.catalog.blob_records import (
    CopiesRecord,
)
from s3proxy.catalog.buckets import bucket_key, current, place_key, require, store
from s3proxy.catalog.garbage import queue
from s3proxy.catalog.manifest_records import Container, ManifestRecord
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    ConfigRecord,
    ObjectRecord,
    TenantRecord,
)
from s3proxy.catalog.tables import (
    BUCKET_CONFIGS,
    CONTAINERS,
    COPIES,
    INTENTS,
    MANIFESTS,
    META,
    OBJECTS,
    PHYSICAL,
    TENANTS,
    UPLOADS,
    allocate_id,
    encode,
)
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.tenants import MAIN

Places = Mapping[str, Sequence[BlobRef]]
# Blobs of a key that are looked at in a transaction before an unknown one is given up.
LOOKED_AT_MAX = 1000


class Telling(msgspec.Struct, frozen=True):
    """A version as something at a provider tells it.

    Attributes:
        places: of each of its blobs, those that were seen.
        manifest: where the manifest lies that tells it; None: its blob does.
        revision: of the manifest.
        newest: it is put behind all versions that there are, as one of its own.
    """

    key: str
    record: ObjectRecord
    places: Places
    manifest: Container | None = None
    revision: int = 0
    newest: bool = False


class RebuildTable:
    """Adds buckets, versions and places."""

    def __init__(self, engine: Engine, due_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._due_ns = due_ns

    async def adopt_bucket(
        self, told: BucketRecord, configs: Mapping[str, bytes], place: Container
    ) -> BucketRecord | None:
        """Have a bucket, with a container that was found to be its own; returns it as it is.

        Returns:
            None where the container is another bucket's here.
        """
        owner = bucket_key(told.tenant, told.name)
        backend, container = place

        def change(txn: Transaction) -> BucketRecord | None:
            if txn.get(PHYSICAL, place_key(*place)) not in (None, b"", owner):
                return None
            found = current(txn, told.tenant, told.name)
            if found is None:
                found = _create(txn, told, configs, place)
            elif found.kind != "managed":
                return None
            elif backend != found.backend and backend not in found.names:
                names = {**found.names, backend: container}
                found = msgspec.structs.replace(found, names=names)
                store(txn, found)
            elif container not in (found.container, found.names.get(backend)):
                return None
            if found.counted:  # anew, by the walk of the next gateway
                usage.end(txn, found)
                usage.begin(txn, found)
            txn.put(PHYSICAL, place_key(*place), owner)
            txn.delete(CONTAINERS, place_key(*place))
            return found

        return await self._engine.commit(change)

    async def adopt_version(self, bucket: BucketRecord, told: Telling) -> str:
        """Have a version, and its places.

        Returns:
            "added"; "updated": it was told newer than it was known; "known"; "older": its place is
            taken by a newer one.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        return await self._engine.commit(lambda txn: _adopt(txn, require(txn, bucket), told))

    async def adopt_place(
        self, bucket: BucketRecord, key: str, version_id: str, blob_id: str, place: BlobRef
    ) -> bool:
        """Add a place of a blob that something of a key points at; False where that does not.

        Args:
            version_id: of the version that does; "": an upload does.
        """

        def change(txn: Transaction) -> bool:
            blobs: Iterable[BlobRef] = ()
            if not version_id:
                blobs = _blobs_of_uploads(txn, bucket, key)
            elif (record := versions.find(txn, bucket, key.encode(), version_id)) is not None:
                blobs = record.blobs
            blob = next((one for one in blobs if one.id == blob_id), None)
            if blob is not None:
                _add_places(txn, blob, [place], is_known=True)
            return blob is not None

        return await self._engine.commit(change)

    async def drop_unknown(self, bucket: BucketRecord, key: str, blob: BlobRef) -> bool:
        """Make garbage of a blob under the name of a key that nothing has to do with.

        The caller has looked through all of the key. Here, where every writer waits, that is done
        for the newest of it alone, and for what is known of the blob itself.

        Returns:
            False where something has: a version, a part, a copy or write under way.
        """
        due_ns = self._due_ns()

        def change(txn: Transaction) -> bool:
            if is_referred_to(txn, require(txn, bucket), key, blob.id):
                return False
            queue(txn, blob, due_ns)
            return True

        return await self._engine.commit(change)


def is_referred_to(view: Snapshot, bucket: BucketRecord, key: str, blob_id: str) -> bool:
    """Whether a write under way, or any of the newest of a key, has to do with a blob."""
    encoded = blob_id.encode()
    if view.get(INTENTS, encoded) is not None or view.get(COPIES, encoded) is not None:
        return True
    blobs = chain(_blobs_of_versions(view, bucket, key), _blobs_of_uploads(view, bucket, key))
    return any(_is_of(view, blob, blob_id) for blob in islice(blobs, LOOKED_AT_MAX))


def _is_of(view: Snapshot, blob: BlobRef, blob_id: str) -> bool:
    """Whether an id is of a blob, of a place of it, or of a copy under way."""
    record = copies.read(view, blob)
    return (
        blob.id == blob_id
        or any(place.id == blob_id for place in record.places)
        or any(transfer.copy.id == blob_id for transfer in record.transfers)
    )


def _blobs_of_versions(view: Snapshot, bucket: BucketRecord, key: str) -> Iterator[BlobRef]:
    encoded = key.encode()
    found = versions.find(view, bucket, encoded)
    if found is not None:
        yield from found.blobs
    node = versions.find_node(view, bucket, encoded)
    if node is not None:
        for record in versions.older(view, node):
            yield from record.blobs


def _blobs_of_uploads(view: Snapshot, bucket: BucketRecord, key: str) -> Iterator[BlobRef]:
    node = keys.get(view, UPLOADS, bucket.id, key.encode())
    if node is None:
        return
    for _, value in view.scan(UPLOADS, node, keys.successor(node)):
        upload = tables.uploads.decode(value)
        if upload.blob is not None:
            yield upload.blob
        for _, part in uploads.iter_parts(view, bucket, upload.upload_id):
            if part.blob is not None:
                yield part.blob


def _create(
    txn: Transaction, told: BucketRecord, configs: Mapping[str, bytes], place: Container
) -> BucketRecord:
    value = txn.get(TENANTS, told.tenant.encode())
    tenant = TenantRecord(name=told.tenant, created_ns=told.created_ns)
    if value is not None:
        tenant = tables.tenants.decode(value)
    elif told.tenant != MAIN:
        txn.put(TENANTS, told.tenant.encode(), encode(tenant))
    kinds = {name.partition("\0")[0] for name in configs}
    backend, container = place
    bucket = msgspec.structs.replace(
        told,
        id=allocate_id(txn),
        backend=backend,
        container=container,
        names={},
        configs=tuple(sorted(kinds)),
        counted=bool(told.quota or tenant.quota),
    )
    store(txn, bucket)
    for name, document in configs.items():
        txn.put(BUCKET_CONFIGS, bucket.id + name.encode(), encode(ConfigRecord(document=document)))
    return bucket


def _adopt(txn: Transaction, bucket: BucketRecord, told: Telling) -> str:
    key, record = told.key.encode(), told.record
    if told.newest:
        record = versions.stamped(txn, bucket, record)
    _count_beyond(txn, max(record.sequence, told.revision))
    old = versions.find(txn, bucket, key, record.named_version)
    outcome = "added"
    if old is not None and old.sequence == record.sequence and _same_blobs(old, record):
        outcome = _retell(txn, bucket, told, old)
    elif old is not None and _is_newer(old, record):
        return "older"
    else:
        _insert(txn, bucket, key, record, old)
    for blob in record.blobs:
        _add_places(txn, blob, told.places.get(blob.id, ()), is_known=outcome != "added")
    _note(txn, bucket, told, record)
    return outcome


def _retell(txn: Transaction, bucket: BucketRecord, told: Telling, old: ObjectRecord) -> str:
    """Take a newer telling of a version that is known."""
    if old == told.record or told.manifest is None:
        return "known"
    known = manifests.find(
        txn, manifests.row_of(bucket.id, told.key.encode(), told.record.sequence)
    )
    if known is not None and known.revision >= told.revision:
        return "known"
    versions.update(txn, bucket, told.key.encode(), told.record)
    return "updated"


def _insert(
    txn: Transaction,
    bucket: BucketRecord,
    key: bytes,
    record: ObjectRecord,
    old: ObjectRecord | None,
) -> None:
    """Put a version in its place among those of its key; `old` has its id, and goes."""
    now = versions.find(txn, bucket, key)
    if old is not None and old == now:
        keys.delete(txn, OBJECTS, bucket.id, key)
        now = None
    elif old is not None:
        versions.take(txn, bucket, key, old.named_version)
    latest = now or versions.find_latest(txn, bucket, key)
    if latest is not None and _is_newer(latest, record):
        versions.insert(txn, bucket, key, record)
        return
    if now is not None:
        keys.delete(txn, OBJECTS, bucket.id, key)
        versions.insert(txn, bucket, key, now)
    if record.delete_marker:
        versions.insert(txn, bucket, key, record)
    else:
        keys.put(txn, OBJECTS, bucket.id, key, encode(record))


def _note(txn: Transaction, bucket: BucketRecord, told: Telling, record: ObjectRecord) -> None:
    """Keep where a version's manifest is, as one that is as it should be."""
    key = told.key.encode()
    if told.manifest is None:
        manifests.note(txn, bucket, key, record)
        return
    row = manifests.row_of(bucket.id, key, record.sequence)
    known = manifests.find(txn, row) or ManifestRecord(
        bucket_id=bucket.id,
        tenant=bucket.tenant,
        bucket=bucket.name,
        key=told.key,
        version_id=record.named_version,
        sequence=record.sequence,
        changed=not manifests.needs_manifest(record),
    )
    written = tuple(dict.fromkeys((*known.written, told.manifest)))
    revision = max(known.revision, told.revision)
    txn.put(
        MANIFESTS,
        row,
        encode(msgspec.structs.replace(known, written=written, revision=revision)),
    )


def _add_places(
    txn: Transaction, blob: BlobRef, seen: Sequence[BlobRef], *, is_known: bool
) -> None:
    """Note where a blob was seen.

    Args:
        is_known: it was in the catalog already, so that without a row it is its own only place.
    """
    value = txn.get(COPIES, blob.id.encode())
    known = CopiesRecord(places=(blob,) if is_known else ())
    if value is not None:
        known = tables.copies.decode(value)
    there = {place.id for place in known.places}
    places = (*known.places, *(place for place in seen if place.id not in there))
    if value is None and places == (blob,):
        return
    txn.put(COPIES, blob.id.encode(), encode(msgspec.structs.replace(known, places=places)))


def _is_newer(one: ObjectRecord, other: ObjectRecord) -> bool:
    return (one.sequence, one.modified_ns) > (other.sequence, other.modified_ns)


def _same_blobs(one: ObjectRecord, other: ObjectRecord) -> bool:
    return [blob.id for blob in one.blobs] == [blob.id for blob in other.blobs]


def _count_beyond(txn: Transaction, number: int) -> None:
    """Never give a number again that was given before the catalog was lost."""
    last = int.from_bytes(txn.get(META, tables.LAST_ID) or b"", "big")
    if last < number:
        txn.put(META, tables.LAST_ID, number.to_bytes(tables.ID_BYTES, "big"))
