"""Snapshot and Transaction over one LMDB transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile

import lmdb
import msgspec

from s3proxy.kv.errors import BadKey

Databases = dict[str, "lmdb._Database"]


class LmdbSnapshot(msgspec.Struct, eq=False):
    """A read transaction; keyspaces are LMDB's named databases."""

    _databases: Databases
    _txn: "lmdb.Transaction[bytes]"

    def get(self, keyspace: str, key: bytes, /) -> bytes | None:
        """Return the value under `key`, or None; a key too long to be stored is not there."""
        try:
            return self._txn.get(key, None, self._databases[keyspace])
        except lmdb.BadValsizeError:
            return None

    def scan(
        self, keyspace: str, start: bytes, stop: bytes | None = None, /
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start <= key < stop; the cursor advances in C."""
        cursor = self._txn.cursor(self._databases[keyspace])
        # LMDB takes no empty key: an empty start is the first entry.
        if not (cursor.set_range(start) if start else cursor.first()):
            return iter(())
        if stop is None:
            return cursor.iternext()
        # (stop,) > (key, value) is stop > key, and False for key == stop: a shorter tuple is less.
        before_stop: Callable[[tuple[bytes, ...]], bool] = (stop,).__gt__
        return takewhile(before_stop, cursor.iternext())


class LmdbTransaction(LmdbSnapshot):
    """A write transaction, or a child of one; knows whether anything was written through it.

    Args:
        touched: gets the keyspaces that were written to.
    """

    touched: set[str]
    written: bool = False

    @contextmanager
    def begin_child(self, env: lmdb.Environment) -> Iterator["LmdbTransaction"]:
        """A transaction within this one, which is thrown away when its block raises."""
        with env.begin(parent=self._txn, write=True) as txn:
            yield LmdbTransaction(self._databases, txn, self.touched)

    def put(self, keyspace: str, key: bytes, value: bytes, /) -> None:
        """Store `value` under `key`.

        Raises:
            BadKey: the key is empty or over 511 bytes.
        """
        try:
            self._txn.put(key, value, db=self._databases[keyspace])
        except lmdb.BadValsizeError as error:
            raise BadKey("put", keyspace, f"a key of {len(key)} bytes") from error
        self.written = True
        self.touched.add(keyspace)

    def delete(self, keyspace: str, key: bytes, /) -> bool:
        """Remove `key`; False when it was not there."""
        try:
            found = self._txn.delete(key, db=self._databases[keyspace])
        except lmdb.BadValsizeError:
            return False
        if found:
            self.written = True
            self.touched.add(keyspace)
        return found
