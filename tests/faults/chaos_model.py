"""What clients wrote and were told, so that every answer can be held against it.

A key has one writer. Its states are kept in the order in which they were tried; the last that was
acknowledged and all that were tried after it are what a read may find.
"""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class State:
    """One content of a key, made anew whenever it is asked for.

    Attributes:
        sizes: of the pieces it was uploaded in; one: not a multipart upload.
    """

    key: str
    turn: int
    sizes: tuple[int, ...]

    @property
    def pieces(self) -> list[bytes]:
        return [
            random.Random(f"{self.key} {self.turn} {number}").randbytes(size)
            for number, size in enumerate(self.sizes)
        ]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        return sum(self.sizes)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """MD5 of each piece."""
        return tuple(_md5(piece) for piece in self.pieces)

    @property
    def etag(self) -> str:
        if len(self.sizes) == 1:
            return self.digests[0]
        joined = b"".join(bytes.fromhex(digest) for digest in self.digests)
        return f"{_md5(joined)}-{len(self.sizes)}"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Truth:
    """The states of all keys; None stands for absence."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, list[State | None]] = {}
        self._certain: dict[str, int] = {}

    def known_keys(self) -> list[str]:
        """All that were ever tried."""
        with self._lock:
            return sorted(self._states)

    def tried(self, key: str, state: State | None) -> int:
        """A change is about to be asked for; returns what `acknowledged` is told."""
        with self._lock:
            states = self._states.setdefault(key, [None])
            states.append(state)
            return len(states) - 1

    def acknowledged(self, key: str, change: int) -> None:
        with self._lock:
            self._certain[key] = change

    def mark(self, key: str) -> int:
        """Taken before a read; what it finds is then one of `allowed`."""
        with self._lock:
            return self._certain.get(key, 0)

    def allowed(self, key: str, mark: int = -1) -> list[State | None]:
        """The states that a read may find that began at the mark; -1: that begins now."""
        with self._lock:
            start = self._certain.get(key, 0) if mark < 0 else mark
            return self._states.get(key, [None])[start:]
