"""Versions of objects: what a bucket keeps of a key beside its current object.

OBJECTS holds the current version of a key, where that is an object. Everything else of the key is
here, newest first: older versions, and delete markers, the newest of which may be the current
version. So reads and listings of current objects cost the same in buckets with versions.

The key's entry names a node of the same keyspace, which holds the key's versions under their order:
8 bytes, the complement of their sequence. The order of the null version, of which a key has one at
most, stands behind the node's id in the entry. A version id begins with the order, in hexadecimal.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from s3proxy.catalog import keys, manifests, tables
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.records import NULL_VERSION, BucketRecord, ObjectRecord
from s3proxy.catalog.tables import ID_BYTES, OBJECTS, VERSIONS, allocate_id, encode
from s3proxy.kv.engine import Snapshot, Transaction

ORDER_BYTES = 8
_ORDER_MAX = (1 << 8 * ORDER_BYTES) - 1
_RANDOM_BYTES = 8
_VERSION_ID = re.compile("[0-9a-f]{32}", re.ASCII)


class Node(NamedTuple):
    """Where the versions of a key are; `null_order` is b"" where none of them is the null one."""

    id: bytes
    null_order: bytes = b""


def is_version_id(text: str) -> bool:
    """Whether the catalog could have given this id to a version."""
    return text == NULL_VERSION or _VERSION_ID.fullmatch(text) is not None


def find(
    view: Snapshot, bucket: BucketRecord, key: bytes, version_id: str = ""
) -> ObjectRecord | None:
    """Return the object under `key`, None where it is deleted.

    Args:
        version_id: the version that has it instead, current or not, object or delete marker.
    """
    value = keys.get(view, OBJECTS, bucket.id, key)
    current = None if value is None else tables.objects.decode(value)
    if not version_id or (current is not None and current.named_version == version_id):
        return current
    node = find_node(view, bucket, key)
    return None if node is None else _find_older(view, node, version_id)


def find_latest(view: Snapshot, bucket: BucketRecord, key: bytes) -> ObjectRecord | None:
    """Return the current version of `key`, which may be a delete marker."""
    current = find(view, bucket, key)
    if current is not None:
        return current
    node = find_node(view, bucket, key)
    return None if node is None else next(older(view, node), None)


def find_node(view: Snapshot, bucket: BucketRecord, key: bytes) -> Node | None:
    """Return where the versions of `key` are; None: there are none but the current object."""
    value = keys.get(view, VERSIONS, bucket.id, key)
    return None if value is None else node_of(value)


def node_of(value: bytes) -> Node:
    """Return the node that a key's entry names."""
    return Node(value[:ID_BYTES], value[ID_BYTES:])


def older(view: Snapshot, node: Node, after: bytes = b"") -> Iterator[ObjectRecord]:
    """Yield the versions of a node, newest first; those behind the order `after`."""
    start = node.id + after + b"\x00" if after else node.id
    for stored, value in view.scan(VERSIONS, start, keys.successor(node.id)):
        if len(stored) == ID_BYTES + ORDER_BYTES:
            yield tables.objects.decode(value)


def order_of(version_id: str, node: Node | None) -> bytes:
    """Return where the version of that id is, or was, among its key's; b"": nobody knows."""
    if version_id == NULL_VERSION:
        return b"" if node is None else node.null_order
    return bytes.fromhex(version_id)[:ORDER_BYTES] if is_version_id(version_id) else b""


def order_in_node(sequence: int) -> bytes:
    """Return what a version of that sequence is under in its key's node."""
    return (_ORDER_MAX - sequence).to_bytes(ORDER_BYTES, "big")


def stamped(txn: Transaction, bucket: BucketRecord, record: ObjectRecord) -> ObjectRecord:
    """Return `record` as the newest version of its key, by the state of its bucket."""
    if not bucket.versioning:
        return record
    sequence = int.from_bytes(allocate_id(txn), "big")
    version_id = ""
    if bucket.versioning == "Enabled":
        version_id = order_in_node(sequence).hex() + secrets.token_hex(_RANDOM_BYTES)
    return msgspec.structs.replace(record, sequence=sequence, version_id=version_id)


def keep(
    txn: Transaction, bucket: BucketRecord, key: bytes, old: ObjectRecord | None
) -> ObjectRecord | None:
    """Make room for a new current version; returns the version that its place costs, if any.

    A new null version replaces the one before; every other version is kept.

    Args:
        old: the current object, which is about to be replaced or removed from OBJECTS.
    """
    if not bucket.versioning:
        return old
    if bucket.versioning == "Enabled":
        if old is not None:
            insert(txn, bucket, key, old)
        return None
    if old is not None and not old.version_id:
        return old
    if old is not None:
        insert(txn, bucket, key, old)
    return take(txn, bucket, key, NULL_VERSION)


def insert(txn: Transaction, bucket: BucketRecord, key: bytes, record: ObjectRecord) -> None:
    """Put a version among those of its key that are no current objects."""
    node = find_node(txn, bucket, key) or Node(allocate_id(txn))
    order = order_in_node(record.sequence)
    null_order = node.null_order if record.version_id else order
    keys.put(txn, VERSIONS, bucket.id, key, node.id + null_order)
    txn.put(VERSIONS, node.id + order, encode(record))


def take(
    txn: Transaction, bucket: BucketRecord, key: bytes, version_id: str
) -> ObjectRecord | None:
    """Remove a version that is no current object; the key's entry goes with the last one."""
    node = find_node(txn, bucket, key)
    found = None if node is None else _find_older(txn, node, version_id)
    if node is None or found is None:
        return None
    txn.delete(VERSIONS, node.id + order_in_node(found.sequence))
    if keys.is_empty(txn, VERSIONS, node.id):
        keys.delete(txn, VERSIONS, bucket.id, key)
    elif not found.version_id:
        keys.put(txn, VERSIONS, bucket.id, key, node.id)
    return found


def remove(
    txn: Transaction, bucket: BucketRecord, key: bytes, version_id: str, due_ns: int
) -> ObjectRecord | None:
    """Remove one version for good; the newest of the others is current after it.

    Returns:
        What was removed; None: there is no such version.
    """
    current = find(txn, bucket, key)
    if current is not None and current.named_version == version_id:
        keys.delete(txn, OBJECTS, bucket.id, key)
        removed: ObjectRecord | None = current
        current = None
    else:
        removed = take(txn, bucket, key, version_id)
    if removed is None:
        return None
    discard(txn, removed.blobs, due_ns)
    manifests.note(txn, bucket, key, removed)
    if current is None:
        _promote(txn, bucket, key)
    return removed


def update(txn: Transaction, bucket: BucketRecord, key: bytes, record: ObjectRecord) -> None:
    """Store a changed record in the place of the version whose id and sequence it has."""
    manifests.note(txn, bucket, key, record)
    current = find(txn, bucket, key)
    if current is not None and current.sequence == record.sequence:
        keys.put(txn, OBJECTS, bucket.id, key, encode(record))
        return
    node = find_node(txn, bucket, key)
    assert node is not None, "the version was read in this transaction"
    txn.put(VERSIONS, node.id + order_in_node(record.sequence), encode(record))


def _promote(txn: Transaction, bucket: BucketRecord, key: bytes) -> None:
    node = find_node(txn, bucket, key)
    newest = None if node is None else next(older(txn, node), None)
    if newest is not None and not newest.delete_marker:
        take(txn, bucket, key, newest.named_version)
        keys.put(txn, OBJECTS, bucket.id, key, encode(newest))


def _find_older(view: Snapshot, node: Node, version_id: str) -> ObjectRecord | None:
    order = order_of(version_id, node)
    value = view.get(VERSIONS, node.id + order) if order else None
    record = None if value is None else tables.objects.decode(value)
    return record if record is not None and record.named_version == version_id else None
