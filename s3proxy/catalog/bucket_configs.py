"""Configurations of buckets, each a document under its name, such as "cors".

Of some kinds a bucket has several, told apart by an id: these are named `kind + NUL + id`. The
bucket's record notes which kinds there are.
"""

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.buckets import require, store
from s3proxy.catalog.records import BucketRecord, ConfigRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import BUCKET_CONFIGS, ID_BYTES, allocate_id, encode
from s3proxy.kv.engine import Engine, Transaction

_SEPARATOR = "\0"


class BucketConfigTable:
    """Documents by (bucket, name); they go with their bucket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._remembered = Remembered(engine, self._read, BUCKET_CONFIGS)

    def get_bucket_config(self, bucket: BucketRecord, name: str) -> bytes | None:
        """Return the document, or None; nothing is read where the bucket has none of its kind.

        Args:
            bucket: as just looked up: it says what there is to be found.
        """
        if not bucket.may_have(name.partition(_SEPARATOR)[0]):
            return None
        return self._remembered[bucket.id + name.encode()]

    def list_bucket_configs(
        self, bucket: BucketRecord, kind: str, after: str = ""
    ) -> list[tuple[str, bytes]]:
        """Return (id, document) of a kind that has ids, in the order of the ids above `after`."""
        prefix = bucket.id + (kind + _SEPARATOR).encode()
        with self._engine.read() as view:
            rows = list(view.scan(BUCKET_CONFIGS, prefix, keys.successor(prefix)))
        found = ((key[len(prefix) :].decode(), tables.configs.decode(row)) for key, row in rows)
        return [(identifier, config.document) for identifier, config in found if identifier > after]

    def all_bucket_configs(self, bucket: BucketRecord) -> dict[str, bytes]:
        """Return all documents of a bucket by their names, those with ids included."""
        with self._engine.read() as view:
            rows = list(view.scan(BUCKET_CONFIGS, bucket.id, keys.successor(bucket.id)))
        return {key[ID_BYTES:].decode(): tables.configs.decode(row).document for key, row in rows}

    async def put_bucket_config(self, bucket: BucketRecord, name: str, document: bytes) -> None:
        """Store a document in place of the one before.

        Raises:
            NoSuchBucket: the bucket is gone.
        """
        record = ConfigRecord(document=document)

        def change(txn: Transaction) -> None:
            current = require(txn, bucket)
            txn.put(BUCKET_CONFIGS, bucket.id + name.encode(), encode(record))
            _note(txn, current)

        await self._engine.commit(change)

    async def delete_bucket_config(self, bucket: BucketRecord, name: str) -> bool:
        """Remove a document; False when it was not there.

        Raises:
            NoSuchBucket: the bucket is gone.
        """

        def change(txn: Transaction) -> bool:
            current = require(txn, bucket)
            found = txn.delete(BUCKET_CONFIGS, bucket.id + name.encode())
            _note(txn, current)
            return found

        return await self._engine.commit(change)

    def _read(self, key: bytes) -> bytes | None:
        value = self._engine.get(BUCKET_CONFIGS, key)
        return None if value is None else tables.configs.decode(value).document


def _note(txn: Transaction, bucket: BucketRecord) -> None:
    """Write into the bucket's record which kinds of configuration it has, and that one changed."""
    rows = txn.scan(BUCKET_CONFIGS, bucket.id, keys.successor(bucket.id))
    names = {key[ID_BYTES:].decode().partition(_SEPARATOR)[0] for key, _ in rows}
    revision = int.from_bytes(allocate_id(txn), "big")
    changed = msgspec.structs.replace(bucket, configs=tuple(sorted(names)), revision=revision)
    store(txn, changed)
