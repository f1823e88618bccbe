"""Blobs nothing points at any more, waiting for the collector.

A blob goes with all its copies, each of which is garbage by itself: ids are never used again, so
what is in the queue is no place of anything that lives.

An inline blob that is all a record has is no garbage: it is removed in the transaction that drops
its record, from which readers have got both at once. Of several blobs readers open one after the
other, so inline ones among them wait as the others do.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from s3proxy.catalog import copies, tables
from s3proxy.catalog.blob_records import GarbageRecord
from s3proxy.catalog.records import BlobRef
from s3proxy.catalog.tables import GARBAGE, INLINE, encode
from s3proxy.kv.engine import Engine, Transaction

_DUE_BYTES = 8


def discard(
    txn: Transaction, blobs: Iterable[BlobRef], due_ns: int, *, backend_upload_id: str = ""
) -> None:
    """Queue a record's blobs for deletion at `due_ns`; an inline one alone goes at once.

    Cost: one get for each blob that is not inline, and has neither copies nor a debt.
    """
    blobs = tuple(blobs)
    for blob in blobs:
        if blob.backend:
            for place, upload_id in copies.take(txn, blob):
                queue(txn, place, due_ns, upload_id or backend_upload_id)
        elif len(blobs) == 1:
            txn.delete(INLINE, blob.id.encode())
        else:
            queue(txn, blob, due_ns)


def queue(txn: Transaction, place: BlobRef, due_ns: int, backend_upload_id: str = "") -> None:
    """Queue one place for deletion, whatever else holds its bytes."""
    identifier = due_ns.to_bytes(_DUE_BYTES, "big") + place.id.encode()
    record = GarbageRecord(
        id=identifier, due_ns=due_ns, blob=place, backend_upload_id=backend_upload_id
    )
    txn.put(GARBAGE, identifier, encode(record))


class GarbageTable:
    """The collector's queue, in the order it falls due."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int], delay_ns: int) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._delay_ns = delay_ns

    def due_ns(self) -> int:
        """Return when a blob dropped now may be deleted: readers of it have ended by then."""
        return self._now_ns() + self._delay_ns

    def due_garbage(self, now_ns: int, limit: int) -> list[GarbageRecord]:
        """Return up to `limit` records due at `now_ns`, the oldest first."""
        stop = (now_ns + 1).to_bytes(_DUE_BYTES, "big")
        with self._engine.read() as view:
            due = islice(view.scan(GARBAGE, b"", stop), limit)
            return [tables.garbage.decode(value) for _, value in due]

    def count_garbage(self, backend: str, after: bytes, limit: int) -> tuple[int, bytes]:
        """Count what waits at a backend, due or not, among `limit` records behind `after`.

        Returns:
            How many, and what the next call begins after; b"" at the end. One that is postponed
            meanwhile is counted twice rather than not at all.
        """
        start = after + b"\x00" if after else b""
        with self._engine.read() as view:
            rows = list(islice(view.scan(GARBAGE, start), limit))
        found = tables.garbage.decode_all(value for _, value in rows)
        count = sum(one.blob.backend == backend for one in found)
        return count, rows[-1][0] if len(rows) == limit else b""

    async def forget_garbage(self, ids: Sequence[bytes]) -> None:
        """Drop records whose blobs are deleted, and the inline ones; unknown ids are ignored."""

        def change(txn: Transaction) -> None:
            for identifier in ids:
                txn.delete(GARBAGE, identifier)
                txn.delete(INLINE, identifier[_DUE_BYTES:])

        await self._engine.commit(change)

    async def postpone_garbage(self, records: Sequence[GarbageRecord], due_ns: int) -> None:
        """Give records a later time: their backend did not answer."""

        def change(txn: Transaction) -> None:
            for record in records:
                if txn.delete(GARBAGE, record.id):
                    queue(txn, record.blob, due_ns, record.backend_upload_id)

        await self._engine.commit(change)

    async def add_garbage(self, blobs: Sequence[BlobRef]) -> None:
        """Queue blobs nothing ever pointed at (an orphan that recovery found)."""
        due_ns = self.due_ns()

        def change(txn: Transaction) -> None:
            for blob in blobs:
                queue(txn, blob, due_ns)

        await self._engine.commit(change)
