"""How far the tasks have come that walk buckets now and then; goes with the bucket."""

import msgspec

from s3proxy.catalog import manifests, walks
from s3proxy.catalog.buckets import bucket_key, require
from s3proxy.catalog.records import BucketRecord, ProgressRecord
from s3proxy.catalog.tables import BUCKETS, PROGRESS, encode
from s3proxy.kv.engine import Engine, Transaction


class ProgressTable:
    """Progress by (bucket, task)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_progress(self, bucket: BucketRecord, task: str) -> ProgressRecord | None:
        """Return how far the task has come, or None."""
        with self._engine.read() as view:
            return walks.find(view, bucket, task)

    async def begin_walk(
        self, bucket: BucketRecord, task: str, rules: bytes, *, describe: bool = False
    ) -> BucketRecord:
        """Begin a walk for what is not where it should be; returns the bucket as it is then.

        Args:
            describe: the bucket's manifest may be where it should not be, too.
        Raises:
            NoSuchBucket: the bucket is gone.
        """
        key = bucket_key(bucket.tenant, bucket.name)

        def change(txn: Transaction) -> BucketRecord:
            before = require(txn, bucket)
            walked = msgspec.structs.replace(before, walks=before.walks + 1)
            txn.put(BUCKETS, key, encode(walked))  # no manifest tells of it
            if describe:
                manifests.note_bucket(txn, walked)
            record = ProgressRecord(round=0, rules=rules)
            txn.put(PROGRESS, bucket.id + task.encode(), encode(record))
            return walked

        return await self._engine.commit(change)

    async def put_progress(self, bucket: BucketRecord, task: str, record: ProgressRecord) -> None:
        """Keep how far the task has come.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            txn.put(PROGRESS, bucket.id + task.encode(), encode(record))

        await self._engine.commit(change)
