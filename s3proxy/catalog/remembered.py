"""What nearly every request reads, kept while the store does not change."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from s3proxy.kv.engine import Engine

N = TypeVar("N")
R = TypeVar("R")

# Some 600 bytes each.
REMEMBERED_MAX: Final = 4096


class Remembered(dict[N, R], Generic[N, R]):
    """The last results of a read, by name: `remembered[name]`, None for what is not there.

    All are forgotten with every commit that may have changed one: one of this process before it is
    answered, one of another process's within `kv.lmdb_engine.FOREIGN_CHECK_S`.

    Args:
        read: looks a name up in the store; what it does not find is not remembered.
        keyspaces: all that `read` reads from.
    """

    __slots__ = ("_read",)

    def __init__(self, engine: Engine, read: Callable[[N], R | None], *keyspaces: str) -> None:
        super().__init__()
        self._read = read
        engine.on_change(self.clear, *keyspaces)

    def __missing__(self, name: N) -> R | None:
        found = self._read(name)
        if found is not None:
            if len(self) >= REMEMBERED_MAX:
                self.clear()
            self[name] = found
        return found
