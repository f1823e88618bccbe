"""The side table of attached buckets: what their backend cannot keep of an object."""

from s3proxy.catalog import keys, tables
from s3proxy.catalog.buckets import require
from s3proxy.catalog.records import AttributesRecord, BucketRecord
from s3proxy.catalog.tables import ATTRIBUTES, encode
from s3proxy.kv.engine import Engine, Transaction


class AttributesTable:
    """Attributes by bucket and key; the reader compares size and mtime_ns with the backend's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_attributes(self, bucket: BucketRecord, key: str) -> AttributesRecord | None:
        """Return the attributes kept for `key`, or None."""
        with self._engine.read() as view:
            value = keys.get(view, ATTRIBUTES, bucket.id, key.encode())
        return None if value is None else tables.attributes.decode(value)

    async def put_attributes(
        self, bucket: BucketRecord, key: str, record: AttributesRecord
    ) -> None:
        """Keep attributes for `key`.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            keys.put(txn, ATTRIBUTES, bucket.id, key.encode(), encode(record))

        await self._engine.commit(change)

    async def delete_attributes(self, bucket: BucketRecord, key: str) -> bool:
        """Forget the attributes of `key`; False when there were none."""
        encoded = key.encode()
        return await self._engine.commit(
            lambda txn: keys.delete(txn, ATTRIBUTES, bucket.id, encoded)
        )
