"""Sealing anew, under the master key in place, what a former one sealed.

The store is walked in short reads; only rows that have to change are written, a batch to a
transaction. A row that is sealed under the key in place is left alone: so a walk that was
interrupted is simply begun again.

What is stored while a walk goes on is sealed under the key in place in the transaction that stores
it (DataKeys.renewed); the walk first waits for those that were open when the key was exchanged. A
row may also move from where the walk has not been to where it has, such as an older version that
becomes the current one: so the last word has `count_stale`, which looks at everything in one
snapshot. When that finds nothing, nothing will ever be sealed under a former key again.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from s3proxy.catalog import tables
from s3proxy.catalog.data_keys import DataKeys, R
from s3proxy.catalog.records import KeyRecord
from s3proxy.catalog.seal import Sealer, sealed_by
from s3proxy.catalog.tables import KEYS, OBJECTS, UPLOADS, VERSIONS, encode
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.encryption import AES256

# Rows read in one snapshot, and at most written in one transaction: a few milliseconds.
BATCH_ROWS = 500
# In trees of keys, ids of 8 bytes lie between the records. They count up from 1 and begin with 0;
# a record is a msgpack array, whose first byte has its highest bit set.
_RECORD_FIRST_BYTE = 0x80
# Records with data keys, and what decodes them.
_ENCRYPTED: dict[str, tables.Codec[Any]] = {
    UPLOADS: tables.uploads,
    OBJECTS: tables.objects,
    VERSIONS: tables.objects,
}


class Resealed(msgspec.Struct, frozen=True):
    """One batch of a walk.

    Attributes:
        keyspace, after: where the next batch goes on; "" at the end of all.
        read, changed: rows.
    """

    keyspace: str
    after: bytes
    read: int
    changed: int


class Resealer:
    """Walks everything that is sealed."""

    def __init__(self, engine: Engine, sealer: Sealer, data_keys: DataKeys) -> None:
        self._engine = engine
        self._sealer = sealer
        self._data_keys = data_keys
        self._rows: dict[str, Callable[[bytes], bytes | None]] = {
            # In the order in which records move meanwhile: an upload becomes an object, and that an
            # older version.
            KEYS: self._key,
            UPLOADS: self._upload,
            OBJECTS: self._object,
            VERSIONS: self._object,
        }

    async def reseal(self, keyspace: str = "", after: bytes = b"") -> Resealed:
        """Seal one batch anew; without arguments the first.

        Raises:
            BadMasterKey: a row does not open under any key; nothing of the batch was changed.
        """
        if not keyspace:
            # Whoever holds the lock on writes now may have looked at the key that was there before.
            await self._engine.commit(lambda txn: None)
            keyspace = KEYS
        renewed = self._rows[keyspace]
        with self._engine.read() as view:
            start = after + b"\x00" if after else b""
            rows = list(islice(view.scan(keyspace, start), BATCH_ROWS))
        stale = [key for key, value in rows if renewed(value) is not None]
        if stale:
            await self._engine.commit(lambda txn: _renew(txn, keyspace, stale, renewed))
        if len(rows) == BATCH_ROWS:
            return Resealed(keyspace, rows[-1][0], len(rows), len(stale))
        keyspaces = [*self._rows, ""]
        following = keyspaces[keyspaces.index(keyspace) + 1]
        return Resealed(following, b"", len(rows), len(stale))

    def count_stale(self) -> int:
        """Rows that a former key sealed; blocking, all in one snapshot, a few µs a row.

        Raises:
            BadMasterKey: a row does not open under any key.
        """
        with self._engine.read() as view:
            return sum(
                renewed(value) is not None
                for keyspace, renewed in self._rows.items()
                for _, value in view.scan(keyspace, b"")
            )

    def _key(self, value: bytes) -> bytes | None:
        record: KeyRecord = tables.keys.decode(value)
        if self._sealer.is_current(record.sealed_secret):
            return None
        place = {"table": KEYS, "row": record.access_key}
        sealed = self._sealer.seal(self._sealer.unseal(record.sealed_secret, **place), **place)
        return encode(msgspec.structs.replace(record, sealed_secret=sealed))

    def _object(self, value: bytes) -> bytes | None:
        if value[0] < _RECORD_FIRST_BYTE:
            return None
        return self._encrypted(tables.objects.decode(value))

    def _upload(self, value: bytes) -> bytes | None:
        if value[0] < _RECORD_FIRST_BYTE:
            return None
        return self._encrypted(tables.uploads.decode(value))

    def _encrypted(self, record: R) -> bytes | None:
        renewed = self._data_keys.renewed(record)
        return None if renewed is record else encode(renewed)


def sealers(view: Snapshot) -> set[str]:
    """Ids (hex) of the master keys that sealed something; blocking, a few µs a row."""
    return {sealed_by(sealed) for sealed in _sealed(view)}


def _sealed(view: Snapshot) -> Iterator[bytes]:
    for _, value in view.scan(KEYS, b""):
        yield tables.keys.decode(value).sealed_secret
    for keyspace, codec in _ENCRYPTED.items():
        rows = (value for _, value in view.scan(keyspace, b""))
        for record in (codec.decode(value) for value in rows if value[0] >= _RECORD_FIRST_BYTE):
            if record.encryption is not None and record.encryption.kind == AES256:
                yield record.encryption.sealed_key


def _renew(
    txn: Transaction, keyspace: str, stale: list[bytes], renewed: Callable[[bytes], bytes | None]
) -> None:
    for key in stale:
        value = txn.get(keyspace, key)
        changed = None if value is None else renewed(value)
        if changed is not None:
            txn.put(keyspace, key, changed)
