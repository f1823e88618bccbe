"""Which versions need a manifest at their providers, and which of these are to be written.

A row is written in the transaction that changes what the manifest tells of, so that none is
forgotten; a worker writes, rewrites or removes the manifest later, and notes where it is. Only
buckets marked for it have rows: those in which rules of placement are, or were, in force.
"""

from __future__ import annotations

import hashlib

import msgspec

from s3proxy.catalog import tables
from s3proxy.catalog.manifest_records import Container, ManifestRecord
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.tables import MANIFEST_ORDER, MANIFESTS, allocate_id, encode
from s3proxy.kv.engine import Snapshot, Transaction
from s3proxy.s3.metadata import WEBSITE_REDIRECT

DUE_BYTES = 8
_KEY_BYTES = 16
_SEQUENCE_BYTES = 8
_AT_ONCE_NS = 1


def needs_manifest(record: ObjectRecord) -> bool:
    """Whether a version is more than the metadata of its one blob can say."""
    return bool(
        record.version_id
        or record.sequence
        or record.delete_marker
        or record.parts
        or len(record.blobs) != 1
        or record.encryption
        or record.lock
        or record.acl
        or record.owner
        or record.tags
        or record.storage_class != "STANDARD"
        or record.checksum_type not in ("", "FULL_OBJECT")
        or WEBSITE_REDIRECT in record.system
    )


def row_of(bucket_id: bytes, key: bytes, sequence: int) -> bytes:
    """Return what the manifest of a version, or of the bucket, is under."""
    return bucket_id + (name_of(key) + sequence.to_bytes(_SEQUENCE_BYTES, "big") if key else b"")


def name_of(key: bytes) -> bytes:
    """Return what stands for a key, which may be too long, in the names of its manifests."""
    return hashlib.blake2b(key, digest_size=_KEY_BYTES).digest()


def find(view: Snapshot, row: bytes) -> ManifestRecord | None:
    """Return what is known of a manifest, or None."""
    value = view.get(MANIFESTS, row)
    return None if value is None else tables.manifests.decode(value)


def note(
    txn: Transaction,
    bucket: BucketRecord,
    key: bytes,
    record: ObjectRecord,
    *,
    changed: bool | None = None,
) -> None:
    """Note that a version is new, another than it was, or gone.

    Args:
        bucket: as it is in this transaction.
        changed: its metadata is not that of its blob; None: as it was.
    """
    if not bucket.manifests:
        return
    row = row_of(bucket.id, key, record.sequence)
    old = find(txn, row)
    if old is None and not changed and not needs_manifest(record):
        return
    fresh = ManifestRecord(
        bucket_id=bucket.id,
        tenant=bucket.tenant,
        bucket=bucket.name,
        key=key.decode(),
        version_id=record.named_version,
        sequence=record.sequence,
    )
    old = old or fresh
    store(
        txn,
        row,
        msgspec.structs.replace(old, changed=old.changed if changed is None else changed, tries=0),
    )


def note_bucket(txn: Transaction, bucket: BucketRecord) -> None:
    """Note that a bucket is another than it was, or gone."""
    if not bucket.manifests:
        return
    old = find(txn, bucket.id)
    fresh = ManifestRecord(bucket_id=bucket.id, tenant=bucket.tenant, bucket=bucket.name)
    store(txn, bucket.id, msgspec.structs.replace(old or fresh, tries=0))


def store(
    txn: Transaction,
    row: bytes,
    record: ManifestRecord,
    due_ns: int = _AT_ONCE_NS,
    told: tuple[Container, ...] = (),
) -> None:
    """Keep what is known of a manifest, as due then; unless `told` says it, everywhere."""
    forget_due(txn, row)
    revision = int.from_bytes(allocate_id(txn), "big")
    stored = msgspec.structs.replace(record, due_ns=due_ns, revision=revision, told=told)
    txn.put(MANIFESTS, row, encode(stored))
    txn.put(MANIFEST_ORDER, due_ns.to_bytes(DUE_BYTES, "big") + row, b"")


def forget_due(txn: Transaction, row: bytes) -> None:
    """Take a manifest out of the queue of those that are due."""
    old = find(txn, row)
    if old is not None and old.due_ns:
        txn.delete(MANIFEST_ORDER, old.due_ns.to_bytes(DUE_BYTES, "big") + row)
