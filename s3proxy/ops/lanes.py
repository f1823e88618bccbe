"""Bounds on what is copied at once, and how fast, by backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio
from msgspec import Struct

# What was not used of a second may be used at once.
BURST_S: Final = 1.0
# Well within the time in which a provider wants to see a byte.
PIECE_S: Final = 0.25


class ByteRate:
    """A token bucket; who takes more than there is waits until it would have been there.

    Attributes:
        piece_bytes: who takes no more at once is never still for long.
    """

    __slots__ = ("_bytes_per_s", "_paid_until_s", "piece_bytes")

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self.piece_bytes = max(int(bytes_per_s * PIECE_S), 1)
        self._paid_until_s = float("-inf")

    async def take(self, count: int) -> None:
        """Wait until `count` bytes may have been moved."""
        now_s = trio.current_time()
        start_s = max(self._paid_until_s, now_s - BURST_S)
        self._paid_until_s = start_s + count / self._bytes_per_s
        if self._paid_until_s > now_s:
            await trio.sleep(self._paid_until_s - now_s)


class LaneLimits(Struct, frozen=True):
    """Bounds of one backend; 0: none of its own."""

    concurrency: int = 0
    bytes_per_s: int = 0


class Lanes:
    """The bounds of all backends.

    Args:
        workers: copies at once, over all.
        limits: by backend.
    """

    def __init__(self, workers: int, limits: Mapping[str, LaneLimits]) -> None:
        self._workers = workers
        self._all = trio.CapacityLimiter(workers)
        self._limits = limits
        self._limiters: dict[str, trio.CapacityLimiter] = {}
        self._visitors: dict[str, int] = {}
        self._rates = {
            name: ByteRate(found.bytes_per_s) for name, found in limits.items() if found.bytes_per_s
        }

    def width(self, backend: str) -> int:
        """How many copies may go there at once."""
        found = self._limits.get(backend)
        return min(found.concurrency or self._workers if found else self._workers, self._workers)

    @asynccontextmanager
    async def turn(self, backend: str) -> AsyncIterator[None]:
        """Wait for a turn to copy there; it is held for the length of the block."""
        limiter = self._limiters.get(backend)
        if limiter is None:
            limiter = self._limiters[backend] = trio.CapacityLimiter(self.width(backend))
        async with limiter, self._all:
            yield

    @contextmanager
    def visit(self, backend: str, lane: str) -> Iterator[bool]:
        """Have a copy go to a backend for a debt that is in another one's lane.

        As many may as copies may go there at once, so that those of one lane, which all turn to
        one backend while their own is down, do not wait there instead of others.

        Yields:
            False: there is no room, as for who would wait for a turn there.
        """
        if backend == lane:
            yield True
            return
        visitors, limiter = self._visitors.get(backend, 0), self._limiters.get(backend)
        copies = limiter.borrowed_tokens if limiter is not None else 0
        if max(visitors, copies) >= self.width(backend):
            yield False
            return
        self._visitors[backend] = visitors + 1
        try:
            yield True
        finally:
            self._visitors[backend] -= 1

    def rates(self, *backends: str) -> tuple[ByteRate, ...]:
        """What bounds bytes that go from and to these."""
        return tuple(self._rates[name] for name in dict.fromkeys(backends) if name in self._rates)
