"""Manifests that are to be written or removed, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from s3proxy.catalog import keys, manifests, versions
from s3proxy.catalog.buckets import current, require
from s3proxy.catalog.manifest_records import Container, ManifestRecord
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.catalog.tables import MANIFEST_ORDER, MANIFESTS, encode
from s3proxy.kv.engine import Engine, Transaction
from s3proxy.s3.encryption import AES256

# Rows looked at, and at most written, in one transaction.
BATCH_ROWS = 500


class WrittenManifest(msgspec.Struct, frozen=True):
    """What became of a manifest that was due.

    Attributes:
        places: all where it may be now.
        told: of these, where it is as it should be.
        retry_ns: when to try again; 0: it is so everywhere.
    """

    record: ManifestRecord
    places: tuple[Container, ...]
    told: tuple[Container, ...] = ()
    retry_ns: int = 0


class ManifestTable:
    """Manifests by what they tell of, and by the time they are due."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due_manifests(self, now_ns: int, limit: int) -> list[ManifestRecord]:
        """Return up to `limit` manifests that are to be written or removed by `now_ns`."""
        stop = (now_ns + 1).to_bytes(manifests.DUE_BYTES, "big")
        with self._engine.read() as view:
            rows = islice(view.scan(MANIFEST_ORDER, b"", stop), limit)
            found = (manifests.find(view, key[manifests.DUE_BYTES :]) for key, _ in rows)
            return [record for record in found if record is not None]

    def bucket_manifest(self, bucket: BucketRecord) -> ManifestRecord | None:
        """Return what is kept of a bucket's own manifest; None: it has none."""
        with self._engine.read() as view:
            return manifests.find(view, bucket.id)

    def version_manifest(
        self, bucket: BucketRecord, key: str, record: ObjectRecord
    ) -> ManifestRecord | None:
        """Return what is kept of a version's manifest; None: it has none."""
        with self._engine.read() as view:
            return manifests.find(view, manifests.row_of(bucket.id, key.encode(), record.sequence))

    def count_due_manifests(self, limit: int) -> int:
        """Return how many manifests are to be written, counting to `limit`."""
        with self._engine.read() as view:
            return sum(1 for _ in islice(view.scan(MANIFEST_ORDER, b""), limit))

    async def settle_manifests(self, settled: Sequence[WrittenManifest]) -> None:
        """Keep what became of manifests, in one transaction; newer changes stay due."""

        def change(txn: Transaction) -> None:
            for one in settled:
                _settle(txn, one)

        await self._engine.commit(change)

    async def note_sealed(self, after: bytes = b"") -> tuple[bytes, int]:
        """Note a batch of the manifests that hold a sealed data key: they are to be written anew.

        Returns:
            Where the next batch goes on, b"" at the end; and how many were noted.
        """
        with self._engine.read() as view:
            start = after + b"\x00" if after else b""
            rows = [row for row, _ in islice(view.scan(MANIFESTS, start), BATCH_ROWS)]
        noted = await self._engine.commit(lambda txn: sum(_note_sealed(txn, row) for row in rows))
        return rows[-1] if len(rows) == BATCH_ROWS else b"", noted

    async def note_stale(self, bucket: BucketRecord, place: Container, after: bytes = b"") -> bytes:
        """Note a batch of the manifests of a bucket that were written where it is no more.

        Returns:
            Where the next batch goes on; b"" at the end.
        """
        with self._engine.read() as view:
            start = after + b"\x00" if after else bucket.id
            found = islice(view.scan(MANIFESTS, start, keys.successor(bucket.id)), BATCH_ROWS)
            rows = [row for row, _ in found]
            stale = [row for row in rows if _is_at_rest(manifests.find(view, row), place)]

        def change(txn: Transaction) -> None:
            for row in stale:
                record = manifests.find(txn, row)
                if record is not None and _is_at_rest(record, place):
                    manifests.store(txn, row, msgspec.structs.replace(record, tries=0))

        if stale:
            await self._engine.commit(change)
        return rows[-1] if len(rows) == BATCH_ROWS else b""

    async def note_versions(
        self,
        bucket: BucketRecord,
        found: Sequence[tuple[str, ObjectRecord]],
        *,
        anew: bool = False,
    ) -> None:
        """Note those versions of a walk that need a manifest and have none, as they are now.

        Args:
            anew: also those that have one.
        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            now = require(txn, bucket)
            for key, seen in found:
                name = key.encode()
                record = versions.find(txn, now, name, seen.named_version)
                row = None if record is None else manifests.row_of(now.id, name, record.sequence)
                if record is None or row is None:
                    continue
                if anew or manifests.find(txn, row) is None:
                    manifests.note(txn, now, name, record)

        await self._engine.commit(change)


def _is_at_rest(record: ManifestRecord | None, place: Container) -> bool:
    """Whether a manifest lies in a place, and nothing is to be done about it."""
    return record is not None and not record.due_ns and place in record.written


def _note_sealed(txn: Transaction, row: bytes) -> bool:
    found = manifests.find(txn, row)
    if found is None or not found.key:
        return False
    bucket = current(txn, found.tenant, found.bucket)
    if bucket is None or bucket.id != found.bucket_id:
        return False
    record = versions.find(txn, bucket, found.key.encode(), found.version_id)
    if record is None or record.encryption is None or record.encryption.kind != AES256:
        return False
    manifests.store(txn, row, msgspec.structs.replace(found, tries=0))
    return True


def _settle(txn: Transaction, done: WrittenManifest) -> None:
    row = manifests.row_of(done.record.bucket_id, done.record.key.encode(), done.record.sequence)
    now = manifests.find(txn, row)
    if now is None:
        return
    if now.revision != done.record.revision:
        places = tuple(dict.fromkeys((*now.written, *done.places)))
        txn.put(MANIFESTS, row, encode(msgspec.structs.replace(now, written=places)))
        return
    if done.retry_ns:
        kept = msgspec.structs.replace(now, written=done.places, tries=now.tries + 1)
        manifests.store(txn, row, kept, done.retry_ns, done.told)
        return
    manifests.forget_due(txn, row)
    if done.places:
        kept = msgspec.structs.replace(now, written=done.places, due_ns=0, tries=0, told=())
        txn.put(MANIFESTS, row, encode(kept))
    else:
        txn.delete(MANIFESTS, row)
