"""What lifecycle rules do to versions, decided where it is done: in the transaction.

A version is judged from a snapshot first, to find what is to be done at all. In the transaction it
has to be what it was then, and is judged again with what else its key has by now, so that a version
that was replaced, tagged or restored meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog import versions
from s3proxy.catalog.buckets import require
from s3proxy.catalog.copies import keep_owed
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.intents import check_open, settle
from s3proxy.catalog.objects import Deletion, delete
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, Owed
from s3proxy.catalog.tables import INLINE
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.errors import S3Error
from s3proxy.s3.lifecycle import Lifecycle, Verdict, Version, judge
from s3proxy.s3.lifecycle_checks import NEWER_MAX

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer


class Candidate(msgspec.Struct, frozen=True):
    """A version that something is to be done with.

    Attributes:
        since_ns: when it became noncurrent; None: it is the current version.
    """

    key: str
    record: ObjectRecord
    since_ns: int | None
    verdict: Verdict


class Moved(msgspec.Struct, frozen=True):
    """Where a version's bytes are after they were copied; the rest is as in put_object."""

    blobs: tuple[BlobRef, ...]
    intents: tuple[str, ...] = ()
    inline: dict[str, bytes] = {}
    owed: Sequence[Owed] = ()


def version_of(
    key: str, record: ObjectRecord, since_ns: int | None, *, newer: int = 0, alone: bool = True
) -> Version:
    """What rules look at of a record."""
    return Version(
        key=key,
        size=record.size,
        modified_ns=record.modified_ns,
        tags=record.tags,
        storage_class=record.storage_class,
        marker=record.delete_marker,
        noncurrent_ns=since_ns,
        newer=newer,
        alone=alone,
    )


class ExpiryTable:
    """Carries out what rules ask for."""

    def __init__(
        self, engine: Engine, now_ns: Callable[[], int], due_ns: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._due_ns = due_ns

    async def expire_versions(
        self,
        bucket: BucketRecord,
        lifecycle: Lifecycle,
        candidates: Sequence[Candidate],
        announcer: Announcer | None = None,
    ) -> int:
        """Expire or remove those candidates that still ask for it, in one transaction.

        What may not be deleted (a locked version) is passed over.

        Args:
            announcer: of the bucket's events, where it has some.
        Returns:
            How many were.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        due_ns, now_ns = self._due_ns(), self._now_ns()

        def change(txn: Transaction) -> int:
            now = require(txn, bucket)
            done = 0
            for candidate in candidates:
                if not _stands(txn, now, lifecycle, candidate, now_ns):
                    continue
                removed = candidate.verdict.action == "remove"
                name = candidate.record.named_version if removed else ""
                try:
                    delete(
                        txn,
                        now,
                        Deletion(candidate.key, name),
                        due_ns=due_ns,
                        now_ns=now_ns,
                        announcer=announcer,
                    )
                except S3Error:  # raised before anything is changed
                    continue
                done += 1
            return done

        return await self._engine.commit(change)

    async def move_version(
        self,
        bucket: BucketRecord,
        candidate: Candidate,
        moved: Moved,
        announcer: Announcer | None = None,
    ) -> bool:
        """Make a version point at the copies of its blobs, in its new storage class.

        Args:
            announcer: of the bucket's events, where it has some.
        Returns:
            False when its bytes are no longer those that were copied: nothing was changed.

        Raises:
            NoSuchBucket: the bucket is gone.
            IntentLost: the copies may have been deleted.
        """
        due_ns, now_ns, old = self._due_ns(), self._now_ns(), candidate.record

        def change(txn: Transaction) -> bool:
            now = require(txn, bucket)
            key = candidate.key.encode()
            found = versions.find(txn, now, key, old.named_version)
            if found is None or (found.sequence, found.blobs) != (old.sequence, old.blobs):
                return False
            check_open(txn, moved.intents, bucket, now)
            storage_class = candidate.verdict.storage_class
            record = msgspec.structs.replace(found, storage_class=storage_class, blobs=moved.blobs)
            versions.update(txn, now, key, record)
            kept = {blob.id for blob in moved.blobs}
            discard(txn, (blob for blob in old.blobs if blob.id not in kept), due_ns)
            settle(txn, moved.intents)
            for name, data in moved.inline.items():
                txn.put(INLINE, name.encode(), data)
            late = moved.blobs if now.walks != bucket.walks else ()
            name, owed = record.named_version, moved.owed
            keep_owed(txn, now, candidate.key, owed, now_ns=now_ns, version_id=name, late=late)
            if announcer is not None:
                announcer.changed(txn, candidate.key, record)
            return True

        return await self._engine.commit(change)


def _stands(
    view: Snapshot,
    bucket: BucketRecord,
    lifecycle: Lifecycle,
    candidate: Candidate,
    now_ns: int,
) -> bool:
    """Whether a candidate is what it was, and the rules still ask for the same."""
    key, record = candidate.key.encode(), candidate.record
    current = candidate.since_ns is None
    latest = versions.find_latest(view, bucket, key)
    found = latest if current else versions.find(view, bucket, key, record.named_version)
    if found != record or (not current and latest == record):
        return False
    newer, alone = _neighbours(view, bucket, key, record)
    version = version_of(candidate.key, record, candidate.since_ns, newer=newer, alone=alone)
    verdict = judge(lifecycle, version, now_ns, versioned=bool(bucket.versioning))
    return verdict == candidate.verdict


def _neighbours(
    view: Snapshot, bucket: BucketRecord, key: bytes, record: ObjectRecord
) -> tuple[int, bool]:
    """How many newer noncurrent versions a version has, up to what rules count, and if it is alone.

    Cost: a hundred versions at most.
    """
    node = versions.find_node(view, bucket, key)
    if node is None:
        return 0, True
    current = versions.find(view, bucket, key)
    before = list(islice(versions.older(view, node), NEWER_MAX + 1))
    alone = current is None and len(before) == 1
    newer = sum(one.sequence > record.sequence for one in before)
    return newer - (current is None and newer > 0), alone
