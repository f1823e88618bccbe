"""Copies of large blobs on their way in parts, so that a retry or a restart goes on with them.

A transfer is noted with the blob's places before its first part is sent, and goes with the blob.
Until it ends it stands for the intent of its copy; then it is one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from s3proxy.catalog import copies, debts, keys
from s3proxy.catalog.blob_records import (
    IntentRecord,
    Transfer,
)
from s3proxy.catalog.garbage import queue
from s3proxy.catalog.records import (
    BlobRef,
    BucketRecord,
)
from s3proxy.catalog.tables import COPIED_PARTS, INTENTS, encode
from s3proxy.kv.engine import Engine, Transaction

_NUMBER_BYTES = 2


class TransferTable:
    """Transfers of blobs for which something is owed."""

    def __init__(
        self,
        engine: Engine,
        now_ns: Callable[[], int],
        due_ns: Callable[[], int],
        gateway: str,
    ) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._due_ns = due_ns
        self._gateway = gateway

    async def begin_transfer(self, blob: BlobRef, transfer: Transfer) -> bool:
        """Note a transfer; False where nothing is owed for the blob any more."""

        def change(txn: Transaction) -> bool:
            if debts.find(txn, blob.id) is None:
                return False
            record = copies.read(txn, blob)
            transfers = (*record.transfers, transfer)
            copies.store(txn, blob, msgspec.structs.replace(record, transfers=transfers))
            return True

        return await self._engine.commit(change)

    def copied_parts(self, copy: BlobRef) -> dict[int, str]:
        """Return the ETags of the parts that are at the backend, by number."""
        start = copy.id.encode()
        with self._engine.read() as view:
            rows = view.scan(COPIED_PARTS, start, keys.successor(start))
            return {
                int.from_bytes(key[-_NUMBER_BYTES:], "big"): etag.decode() for key, etag in rows
            }

    async def keep_copied_part(self, blob: BlobRef, copy: BlobRef, number: int, etag: str) -> bool:
        """Note a part; False where the transfer is gone."""
        key = copy.id.encode() + number.to_bytes(_NUMBER_BYTES, "big")

        def change(txn: Transaction) -> bool:
            if _find(txn, blob, copy) is None:
                return False
            txn.put(COPIED_PARTS, key, etag.encode())
            return True

        return await self._engine.commit(change)

    async def end_transfer(
        self, blob: BlobRef, copy: BlobRef, bucket: BucketRecord, key: str
    ) -> bool:
        """Make a transfer that is whole an open intent; False where it is gone."""
        intent = IntentRecord(
            blob=copy,
            bucket_id=bucket.id,
            key=key,
            created_ns=self._now_ns(),
            gateway=self._gateway,
        )

        def change(txn: Transaction) -> bool:
            if _take(txn, blob, copy) is None:
                return False
            txn.put(INTENTS, copy.id.encode(), encode(intent))
            return True

        return await self._engine.commit(change)

    async def drop_transfer(self, blob: BlobRef, copy: BlobRef) -> None:
        """Give a transfer up: the copy and its native upload become garbage."""
        due_ns = self._due_ns()

        def change(txn: Transaction) -> None:
            found = _take(txn, blob, copy)
            if found is not None:
                queue(txn, copy, due_ns, found.backend_upload_id)

        await self._engine.commit(change)


def _find(txn: Transaction, blob: BlobRef, copy: BlobRef) -> Transfer | None:
    transfers = copies.read(txn, blob).transfers
    return next((one for one in transfers if one.copy.id == copy.id), None)


def _take(txn: Transaction, blob: BlobRef, copy: BlobRef) -> Transfer | None:
    found = _find(txn, blob, copy)
    if found is not None:
        record = copies.read(txn, blob)
        left = tuple(one for one in record.transfers if one != found)
        copies.take_transfers(txn, msgspec.structs.replace(record, transfers=(found,)))
        copies.store(txn, blob, msgspec.structs.replace(record, transfers=left))
    return found
