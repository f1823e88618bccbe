"""Rates of requests and bytes for each access key: what exceeds them is told to slow down.

A key may use its burst at once, and from then on its rate. Of each rate one number is kept: when
the key will have paid for all it has used. A request is taken while its key owes less than the
burst, and refused, before anything is done for it, while it owes more. Bodies are paid for as a
whole when their length is known: that of a request when it is taken, that of an answer when it
begins. So a large one is never slowed down or cut short, but those after it wait for it. What was
not moved in the end is given back. In the long run no key is faster than its rate.

Every process counts by itself, in memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error
from s3proxy.s3.limits import RateLimits

# Some 200 bytes each. Above, keys that owe nothing are forgotten, and if need be the oldest.
KEYS_MAX: Final = 10_000


class Pace(msgspec.Struct):
    """When a key will have paid, by the limiter's clock."""

    requests_s: float = 0.0
    bytes_s: float = 0.0


class RateLimiter:
    """The paces of all keys that have limits.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    def admit(self, access_key: str, limits: RateLimits) -> Meter:
        """Take one more request of a key.

        Raises:
            S3Error: SlowDown, with Retry-After.
        """
        now_s = self._clock()
        pace = self._pace(access_key, now_s)
        rate, bytes_rate = limits.requests_per_s, limits.bytes_per_s
        if rate:
            burst = limits.requests_burst or max(rate, 1.0)
            # One less: the burst is of requests that are taken, this one among them.
            _require("requests", pace.requests_s - now_s - max(burst - 1, 0.0) / rate)
        if bytes_rate:
            burst = limits.bytes_burst or bytes_rate
            _require("bytes", pace.bytes_s - now_s - burst / bytes_rate)
        if rate:
            pace.requests_s = max(pace.requests_s, now_s) + 1 / rate
        return Meter(pace, bytes_rate, self._clock)

    def _pace(self, access_key: str, now_s: float) -> Pace:
        pace = self._paces.get(access_key)
        if pace is None:
            if len(self._paces) >= KEYS_MAX:
                self._forget(now_s)
            pace = self._paces[access_key] = Pace(now_s, now_s)
        return pace

    def _forget(self, now_s: float) -> None:
        resting = [
            key
            for key, pace in self._paces.items()
            if pace.requests_s <= now_s and pace.bytes_s <= now_s
        ]
        for key in resting or list(self._paces)[: KEYS_MAX // 2]:
            del self._paces[key]


class Meter(msgspec.Struct):
    """What one request moves, paid by its key."""

    _pace: Pace
    _bytes_per_s: float
    _clock: Callable[[], float]
    _paid_bytes: int = 0

    def pay(self, count: int) -> None:
        """Pay for `count` more bytes."""
        self._paid_bytes += count
        if count and self._bytes_per_s:
            pace = self._pace
            pace.bytes_s = max(pace.bytes_s, self._clock()) + count / self._bytes_per_s

    def settle(self, count: int) -> None:
        """Pay for `count` bytes in all, neither more nor less."""
        self.pay(count - self._paid_bytes)


def _require(what: str, wait_s: float) -> None:
    if wait_s > 1e-9:  # above what rounding leaves
        error = S3Error("SlowDown", Limit=f"{what}-per-s")
        error.headers = (("Retry-After", str(math.ceil(wait_s))),)
        raise error
