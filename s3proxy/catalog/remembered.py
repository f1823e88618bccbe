"""What nearly every request reads, kept while the store does not change."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from s3proxy.kv.engine import Engine

N = TypeVar("N")
R = TypeVar("R")

# Some 600 bytes each.
REMEMBERED_MAX: Final = 4096


class Remembered(Generic[N, R]):
    """The last results of a read, by name; forgotten with every commit.

    A commit of this process is seen before it is answered, one of another process's within
    `kv.lmdb_engine.FOREIGN_CHECK_S`.

    Args:
        read: looks a name up in the store; what it does not find is not remembered.
    """

    __slots__ = ("_engine", "_found", "_read", "_version")

    def __init__(self, engine: Engine, read: Callable[[N], R | None]) -> None:
        self._engine = engine
        self._read = read
        self._found: dict[N, R] = {}
        self._version = engine.version

    def get(self, name: N) -> R | None:
        """Return what `read` would."""
        version = self._engine.version
        if version != self._version or len(self._found) > REMEMBERED_MAX:
            self._found.clear()
            self._version = version
        found = self._found.get(name)
        if found is None and (found := self._read(name)) is not None:
            self._found[name] = found
        return found
