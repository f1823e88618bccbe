"""Ids of requests, as the x-amz-request-id header carries them."""

import os
from typing import Final

_ID_MASK: Final = (1 << 64) - 1
# 2**64 divided by the golden ratio: odd, so its multiples reach every 64-bit number once, and
# consecutive ids share no prefix that would make them hard to tell apart in a log.
_ID_STRIDE: Final = 0x9E3779B97F4A7C15


class RequestIds:
    """Request ids: 16 upper-case hexadecimal digits, each once per process.

    They start at a random one of 2**64, so two processes hardly ever give the same.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = int.from_bytes(os.urandom(8), "big")

    def next(self) -> str:
        """The next id."""
        self._last = (self._last + _ID_STRIDE) & _ID_MASK
        return f"{self._last:016X}"
