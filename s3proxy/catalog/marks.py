"""Marks: what an operator, or a task of the whole gateway, has noted by name.

draining<backend>   the backend is to hold nothing; the time since when
scrubbed            when the last scrub of everything began
"""

from __future__ import annotations

from s3proxy.catalog import keys
from s3proxy.catalog.tables import MARKS
from s3proxy.kv.engine import Engine, Snapshot, Transaction

_DRAINING = "draining\0"
SCRUBBED = "scrubbed"


def draining_since(view: Snapshot, backend: str) -> int | None:
    """Return since when a backend is being drained, or None."""
    value = view.get(MARKS, (_DRAINING + backend).encode())
    return None if value is None else int.from_bytes(value, "big")


class MarkTable:
    """Times (ns) by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_mark(self, name: str) -> int | None:
        """Return the time noted under a name, or None."""
        value = self._engine.get(MARKS, name.encode())
        return None if value is None else int.from_bytes(value, "big")

    async def put_mark(self, name: str, time_ns: int | None) -> None:
        """Note a time under a name, or (None) nothing any more."""
        key = name.encode()

        def change(txn: Transaction) -> None:
            if time_ns is None:
                txn.delete(MARKS, key)
            else:
                txn.put(MARKS, key, time_ns.to_bytes(8, "big"))

        await self._engine.commit(change)

    def draining(self) -> frozenset[str]:
        """Return the backends that are being drained."""
        prefix = _DRAINING.encode()
        with self._engine.read() as view:
            rows = list(view.scan(MARKS, prefix, keys.successor(prefix)))
        return frozenset(key[len(prefix) :].decode() for key, _ in rows)

    async def set_draining(self, backend: str, since_ns: int | None) -> None:
        """Have a backend drained, or (None) not any more."""
        await self.put_mark(_DRAINING + backend, since_ns)

    def draining_since(self, backend: str) -> int | None:
        """Return since when a backend is being drained, or None."""
        return self.get_mark(_DRAINING + backend)
