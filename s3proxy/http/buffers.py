"""Buffers for bytes on their way through, kept for the next body.

A fresh buffer costs its page faults each time. A connection that is idle or splices holds none.
"""

from typing import Final

BUFFER_BYTES: Final = 256 * 1024
# 16 MiB kept at most; more bodies at once than this allocate and free.
BUFFERS_KEPT_MAX: Final = 64


class BufferPool:
    """A free list of equal buffers; take and give are synchronous.

    Args:
        size_bytes: of each buffer.
        kept_max: how many free ones are kept.
    """

    __slots__ = ("_free", "_kept_max", "_size_bytes")

    def __init__(self, size_bytes: int = BUFFER_BYTES, kept_max: int = BUFFERS_KEPT_MAX) -> None:
        self._size_bytes = size_bytes
        self._kept_max = kept_max
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """A buffer of `size_bytes`; its content is whatever was there."""
        return self._free.pop() if self._free else memoryview(bytearray(self._size_bytes))

    def give(self, buffer: memoryview) -> None:
        """Take a buffer back; nobody may touch it afterwards."""
        if len(self._free) < self._kept_max:
            self._free.append(buffer)


# One per process: every body of every connection draws from it.
BUFFERS: Final = BufferPool()
