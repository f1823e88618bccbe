"""Blobs about to be written: what recovery looks at after a crash.

An intent is queued before the first byte goes to a backend and is durable before the blob becomes
visible there. The transaction that makes an object point at the blob removes it. One that is open
while its gateway is gone belongs to a blob that no object points at.
"""

from collections.abc import Callable, Iterable

from s3proxy.catalog import tables
from s3proxy.catalog.blob_records import IntentRecord
from s3proxy.catalog.buckets import place_key, places_of
from s3proxy.catalog.errors import ContainerLeft, IntentLost
from s3proxy.catalog.garbage import discard
from s3proxy.catalog.records import BlobRef, BucketRecord
from s3proxy.catalog.tables import INTENTS, encode
from s3proxy.kv.engine import Commit, Engine, Snapshot, Transaction


def settle(txn: Transaction, ids: Iterable[str]) -> None:
    """Remove the intents of blobs that the same transaction makes an object point at.

    Raises:
        IntentLost: recovery was faster and may have deleted the blob.
    """
    for identifier in ids:
        if not txn.delete(INTENTS, identifier.encode()):
            raise IntentLost(identifier)


def check_open(
    txn: Transaction, ids: Iterable[str], planned: BucketRecord, bucket: BucketRecord
) -> None:
    """Check that all intents are open, and for where the bucket still is.

    Args:
        planned: the bucket as it was when it was decided where the blobs go.
        bucket: as it is in this transaction.
    Raises:
        IntentLost, ContainerLeft.
    """
    late = bucket.walks != planned.walks
    for identifier in ids:
        value = txn.get(INTENTS, identifier.encode())
        if value is None:
            raise IntentLost(identifier)
        if late:
            check_place(tables.intents.decode(value).blob, bucket)


def check_place(blob: BlobRef, bucket: BucketRecord) -> None:
    """Raise ContainerLeft unless the bucket has the container that the blob is in."""
    if place_key(blob.backend, blob.container) not in places_of(bucket):
        raise ContainerLeft(f"{blob.backend}/{blob.container}")


def is_written_to(view: Snapshot, backend: str, container: str) -> bool:
    """Whether a blob is about to be written to a container."""
    blobs = (tables.intents.decode(value).blob for _, value in view.scan(INTENTS, b""))
    return any((blob.backend, blob.container) == (backend, container) for blob in blobs)


class IntentTable:
    """Open intents, keyed by blob id."""

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
        self.gateway = gateway

    def intend(self, blob: BlobRef, bucket: BucketRecord, key: str) -> Commit[None]:
        """Queue the intent to write `blob`; wait for it before the blob becomes visible."""
        record = IntentRecord(
            blob=blob,
            bucket_id=bucket.id,
            key=key,
            created_ns=self._now_ns(),
            gateway=self.gateway,
        )
        identifier, value = blob.id.encode(), encode(record)
        return self._engine.submit(lambda txn: txn.put(INTENTS, identifier, value))

    def open_intents(self) -> list[IntentRecord]:
        """Return all open intents, those of other live gateways included."""
        with self._engine.read() as view:
            return [tables.intents.decode(value) for _, value in view.scan(INTENTS, b"")]

    async def drop_intent(self, identifier: str, garbage: BlobRef | None = None) -> bool:
        """Remove an intent, queueing its blob for deletion; False when it was not open."""
        due_ns = self._due_ns()

        def change(txn: Transaction) -> bool:
            if not txn.delete(INTENTS, identifier.encode()):
                return False
            if garbage is not None:
                discard(txn, (garbage,), due_ns)
            return True

        return await self._engine.commit(change)

    async def forget_intents(self) -> int:
        """Remove all intents and leave their blobs alone; returns how many there were.

        For a catalog of some time ago: what it has as a write under way may have become an object
        since, and its blob is not to be taken for garbage.
        """

        def change(txn: Transaction) -> int:
            open_ones = [key for key, _ in txn.scan(INTENTS, b"")]
            for key in open_ones:
                txn.delete(INTENTS, key)
            return len(open_ones)

        return await self._engine.commit(change)
