"""Completing a multipart upload, once, however often the client asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from s3proxy.catalog import objects, tables, uploads, versions
from s3proxy.catalog.buckets import require
from s3proxy.catalog.copies import keep_owed, owe_as_object
from s3proxy.catalog.data_keys import DataKeys
from s3proxy.catalog.errors import InvalidPart, NoSuchUpload
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
    CompletedRecord,
    ObjectRecord,
    Owed,
    PartRecord,
)
from s3proxy.catalog.tables import COMPLETED, COMPLETED_ORDER, PARTS, encode
from s3proxy.kv.engine import Engine, Snapshot, Transaction

if TYPE_CHECKING:
    from s3proxy.catalog.outbox import Announcer
    from s3proxy.s3.conditions import WriteCondition

_TIME_BYTES = 8

Parts = Sequence[tuple[int, str]]


class Completion(msgspec.Struct, frozen=True):
    """What Complete answers; `replayed`: an earlier one had made the object."""

    etag: str
    checksums: dict[str, str]
    checksum_type: str
    version_id: str = ""
    replayed: bool = False


class CompletionTable:
    """Completes uploads, and remembers those completed."""

    def __init__(
        self,
        engine: Engine,
        now_ns: Callable[[], int],
        due_ns: Callable[[], int],
        data_keys: DataKeys,
    ) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._due_ns = due_ns
        self._renewed = data_keys.renewed

    def get_completed(
        self, bucket: BucketRecord, key: str, upload_id: str, parts: Parts
    ) -> Completion | None:
        """Return the answer of an earlier Complete of `upload_id` with the same parts."""
        with self._engine.read() as view:
            return _replay(view, bucket, upload_id, _digest(key, parts))

    async def complete_upload(
        self,
        bucket: BucketRecord,
        key: str,
        upload_id: str,
        record: ObjectRecord,
        *,
        parts: Parts,
        condition: WriteCondition | None = None,
        announcer: Announcer | None = None,
        owed: Sequence[Owed] = (),
    ) -> Completion:
        """Make `record` the object of an upload: one transaction.

        Where parts have blobs, the record's blobs are taken from the parts as they are in the
        transaction (one re-sent meanwhile with the same ETag has another blob). Parts that are not
        named become garbage.

        Args:
            bucket: as it was when it was decided where the object goes.
            parts: (number, ETag) as the client named them, in order.
            condition: checked against the current object.
            announcer: of the bucket's events, where it has some.
            owed: of the record's blobs, beside what is kept of the parts'.

        Raises:
            NoSuchBucket, NoSuchUpload: gone, or completed with other parts.
            InvalidPart: a part is missing or has another ETag.
            S3Error: the condition does not hold; QuotaExceeded.
        """
        now_ns, due_ns, digest = self._now_ns(), self._due_ns(), _digest(key, parts)

        def change(txn: Transaction) -> Completion:
            now = require(txn, bucket)
            upload = uploads.find(txn, bucket, key, upload_id)
            if upload is None:
                replayed = _replay(txn, bucket, upload_id, digest)
                if replayed is None:
                    raise NoSuchUpload(upload_id)
                return replayed
            stored = uploads.stored_parts(txn, bucket, upload_id)
            final = _with_blobs(self._renewed(record), _named(stored, parts, upload_id))
            old = versions.find(txn, bucket, key.encode())
            if condition is not None:
                condition.check(old.etag if old else None)
            uploads.count_out(txn, now, upload, stored)
            final = objects.replace(txn, now, key.encode(), final, old=old, due_ns=due_ns)
            _drop_parts(txn, stored, final.blobs, due_ns)
            uploads.remove(txn, bucket, key, upload_id)
            kept = {blob.id for blob in final.blobs}
            used = [one for one in owed if one.blob.id in kept]
            late = final.blobs if now.walks != bucket.walks else ()
            name = final.named_version
            owe_as_object(txn, final.blobs, name, now_ns)
            keep_owed(txn, now, key, used, now_ns=now_ns, version_id=name, late=late)
            if announcer is not None:
                announcer.created(txn, key, final)
            return _remember(txn, uploads.parts_prefix(bucket, upload_id), final, digest, now_ns)

        return await self._engine.commit(change)

    async def sweep_completed(self, before_ns: int, limit: int = 1000) -> int:
        """Forget up to `limit` uploads completed before `before_ns`; returns how many."""
        stop = before_ns.to_bytes(_TIME_BYTES, "big")

        def change(txn: Transaction) -> int:
            rows = list(islice(txn.scan(COMPLETED_ORDER, b"", stop), limit))
            for ordered, identifier in rows:
                txn.delete(COMPLETED_ORDER, ordered)
                txn.delete(COMPLETED, identifier)
            return len(rows)

        return await self._engine.commit(change)


def _digest(key: str, parts: Parts) -> bytes:
    return hashlib.blake2b(encode((key, list(parts))), digest_size=16).digest()


def _replay(
    view: Snapshot, bucket: BucketRecord, upload_id: str, digest: bytes
) -> Completion | None:
    value = view.get(COMPLETED, uploads.parts_prefix(bucket, upload_id))
    if value is None:
        return None
    record = tables.completed.decode(value)
    if record.digest != digest:
        return None
    return _completion(record, replayed=True)


def _remember(
    txn: Transaction, identifier: bytes, record: ObjectRecord, digest: bytes, now_ns: int
) -> Completion:
    completed = CompletedRecord(
        digest=digest,
        etag=record.etag,
        checksums=record.checksums,
        checksum_type=record.checksum_type,
        completed_ns=now_ns,
        version_id=record.version_id,
    )
    txn.put(COMPLETED, identifier, encode(completed))
    txn.put(COMPLETED_ORDER, now_ns.to_bytes(_TIME_BYTES, "big") + identifier, identifier)
    return _completion(record)


def _completion(record: CompletedRecord | ObjectRecord, *, replayed: bool = False) -> Completion:
    return Completion(
        record.etag, record.checksums, record.checksum_type, record.version_id, replayed
    )


def _named(
    stored: Sequence[tuple[bytes, PartRecord]], parts: Parts, upload_id: str
) -> list[PartRecord]:
    by_number = {part.number: part for _, part in stored}
    named = []
    for number, etag in parts:
        part = by_number.get(number)
        if part is None or part.etag != etag:
            raise InvalidPart(upload_id, number, etag)
        named.append(part)
    return named


def _with_blobs(record: ObjectRecord, named: Sequence[PartRecord]) -> ObjectRecord:
    blobs = tuple(part.blob for part in named if part.blob is not None)
    if not blobs:
        return record
    encryption = record.encryption
    if encryption is not None:
        salts = tuple(part.salt for part in named)
        encryption = msgspec.structs.replace(encryption, salts=salts)
    return msgspec.structs.replace(record, blobs=blobs, encryption=encryption)


def _drop_parts(
    txn: Transaction,
    stored: Sequence[tuple[bytes, PartRecord]],
    used: Sequence[BlobRef],
    due_ns: int,
) -> None:
    kept = {blob.id for blob in used}
    for key, part in stored:
        txn.delete(PARTS, key)
        if part.blob is not None and part.blob.id not in kept:
            discard(txn, (part.blob,), due_ns)
