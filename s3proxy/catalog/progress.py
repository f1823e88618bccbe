"""How far the tasks have come that walk buckets now and then; goes with the bucket."""

from s3proxy.catalog import tables
from s3proxy.catalog.buckets import require
from s3proxy.catalog.records import BucketRecord, ProgressRecord
from s3proxy.catalog.tables import PROGRESS, encode
from s3proxy.kv.engine import Engine, Transaction


class ProgressTable:
    """Progress by (bucket, task)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_progress(self, bucket: BucketRecord, task: str) -> ProgressRecord | None:
        """Return how far the task has come, or None."""
        value = self._engine.get(PROGRESS, bucket.id + task.encode())
        return None if value is None else tables.progress.decode(value)

    async def put_progress(self, bucket: BucketRecord, task: str, record: ProgressRecord) -> None:
        """Keep how far the task has come.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            txn.put(PROGRESS, bucket.id + task.encode(), encode(record))

        await self._engine.commit(change)
