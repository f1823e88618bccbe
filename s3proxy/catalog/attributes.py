"""The side table of attached buckets: what their backend cannot keep of an object."""

from __future__ import annotations

from collections.abc import Callable

from s3proxy.catalog import keys, tables
from s3proxy.catalog.buckets import require
from s3proxy.catalog.records import AttributesRecord, BucketRecord
from s3proxy.catalog.tables import ATTRIBUTES, encode
from s3proxy.kv.engine import Engine, Transaction

Tell = Callable[[Transaction], None]


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
        self, bucket: BucketRecord, key: str, record: AttributesRecord, tell: Tell | None = None
    ) -> None:
        """Keep attributes for `key`.

        Args:
            tell: writes the event of the change in the same transaction.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> None:
            require(txn, bucket)
            keys.put(txn, ATTRIBUTES, bucket.id, key.encode(), encode(record))
            if tell is not None:
                tell(txn)

        await self._engine.commit(change)

    async def delete_attributes(
        self, bucket: BucketRecord, key: str, tell: Tell | None = None
    ) -> bool:
        """Forget the attributes of `key`; False when there were none.

        Args:
            tell: writes the event of the change in the same transaction.
        """
        encoded = key.encode()

        def change(txn: Transaction) -> bool:
            if tell is not None:
                tell(txn)
            return keys.delete(txn, ATTRIBUTES, bucket.id, encoded)

        return await self._engine.commit(change)
