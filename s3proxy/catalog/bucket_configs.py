"""Configurations of buckets, each a document under its name, such as "cors"."""

from s3proxy.catalog import tables
from s3proxy.catalog.buckets import require
from s3proxy.catalog.records import BucketRecord, ConfigRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import BUCKET_CONFIGS, encode
from s3proxy.kv.engine import Engine, Transaction


class BucketConfigTable:
    """Documents by (bucket, name); they go with their bucket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._remembered = Remembered(engine, self._read)

    def get_bucket_config(self, bucket: BucketRecord, name: str) -> bytes | None:
        """Return the document, or None."""
        return self._remembered[bucket.id + name.encode()]

    async def put_bucket_config(self, bucket: BucketRecord, name: str, document: bytes) -> None:
        """Store a document in place of the one before.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        record = ConfigRecord(document=document)

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            txn.put(BUCKET_CONFIGS, bucket.id + name.encode(), encode(record))

        await self._engine.commit(change)

    async def delete_bucket_config(self, bucket: BucketRecord, name: str) -> None:
        """Remove a document, if it is there.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            txn.delete(BUCKET_CONFIGS, bucket.id + name.encode())

        await self._engine.commit(change)

    def _read(self, key: bytes) -> bytes | None:
        value = self._engine.get(BUCKET_CONFIGS, key)
        return None if value is None else tables.configs.decode(value).document
