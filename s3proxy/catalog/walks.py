"""Walks over buckets for what is not where it should be, and what they cannot see.

A walk only sees what is there. So a bucket counts its walks: a write that was decided on with
another number than the bucket has when it is published may have been passed by one. It owes for
itself then (catalog/copies.py), and the walks for drains begin anew.
"""

from __future__ import annotations

from s3proxy.catalog import keys, tables
from s3proxy.catalog.records import BucketRecord, ProgressRecord
from s3proxy.catalog.tables import PROGRESS
from s3proxy.kv.engine import Snapshot, Transaction

_DRAIN = "owe\0drain\0"


def drain_task(backend: str) -> str:
    """The task that finds what a bucket has on a backend that is drained."""
    return _DRAIN + backend


def drain_rules(since_ns: int) -> bytes:
    """What that task is done for: the drain that began then."""
    return str(since_ns).encode()


def find(view: Snapshot, bucket: BucketRecord, task: str) -> ProgressRecord | None:
    """Return how far a task has come, or None."""
    value = view.get(PROGRESS, bucket.id + task.encode())
    return None if value is None else tables.progress.decode(value)


def forget_drains(txn: Transaction, bucket: BucketRecord) -> None:
    """Have walks for drains begin anew: something is there that they have not seen."""
    start = bucket.id + _DRAIN.encode()
    for key in [key for key, _ in txn.scan(PROGRESS, start, keys.successor(start))]:
        txn.delete(PROGRESS, key)
