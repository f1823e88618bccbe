"""The circuit breaker of one backend: state and transitions, without a clock and without I/O.

    closed ──failures──▶ open ──open_s──▶ half-open ──success──▶ closed
                           ◀────────────────failure────┘

- Failures count in a row: a success of the same kind begins anew. Probes and attempts are counted
  apart, as a backend may answer the one and fail at the other.
- Half-open lets one attempt through at a time. A probe that succeeds then closes the breaker on
  probation: the next attempt that fails opens it again.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from msgspec import Struct

State = Literal["closed", "open", "half-open"]

# Two probes that failed in a row are no accident; each waited for its whole time-out.
PROBE_FAILURES_TO_OPEN: Final = 2
# Of the latest measurement in the average: about ten of them make it new.
_LATEST: Final = 0.2
# What the 95th percentile is taken of, and how many it takes to mean something.
_SAMPLES_MAX: Final = 128
_SAMPLES_MIN: Final = 20


class HealthSettings(Struct, frozen=True, kw_only=True):
    """When a backend counts as down, and how it is found out; see HealthConfig."""

    probe_interval_s: float = 2.0
    probe_timeout_s: float = 2.0
    failures_to_open: int = 3
    open_s: float = 5.0
    hedge_reads: bool = False


class Latency:
    """How long a backend took for its first byte, lately; in seconds."""

    __slots__ = ("_asked", "_p95_s", "_samples", "mean_s")

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_SAMPLES_MAX)
        self._asked = 0
        self._p95_s = 0.0
        self.mean_s = 0.0  # 0: not measured yet

    def add(self, seconds: float) -> None:
        """Take one measurement into the average and the percentile."""
        self._samples.append(seconds)
        self._asked = 0
        self.smooth(seconds)

    def smooth(self, seconds: float) -> None:
        """Take one measurement of another kind into the average alone."""
        self.mean_s += (seconds - self.mean_s) * (_LATEST if self.mean_s else 1.0)

    @property
    def p95_s(self) -> float:
        """The 95th percentile; 0 while too few are known."""
        count = len(self._samples)
        if count < _SAMPLES_MIN:
            return 0.0
        if not self._asked:
            self._asked = count
            self._p95_s = sorted(self._samples)[count * 95 // 100]
        return self._p95_s


class Breaker:
    """Whether one backend is asked.

    Attributes:
        opened: how often it opened.
        failed: how many attempts and probes failed.
        last_error: of the last one; kept when it works again.
        since_s: when it opened; None: it is closed.
    """

    __slots__ = (
        *("_failures", "_probe_failures", "_retry_s", "_settings", "_trials", "failed"),
        *("last_error", "latency", "opened", "since_s"),
    )

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._failures = 0.0
        self._probe_failures = 0
        self._trials = 0
        self._retry_s = 0.0
        self.latency = Latency()
        self.opened = 0
        self.failed = 0
        self.last_error = ""
        self.since_s: float | None = None

    def state(self, now_s: float) -> State:
        """What it is at `now_s`."""
        if self.since_s is None:
            return "closed"
        return "half-open" if now_s >= self._retry_s else "open"

    def admits(self, now_s: float) -> bool:
        """Whether an attempt may be made; of half-open ones, one at a time."""
        state = self.state(now_s)
        return state == "closed" or (state == "half-open" and not self._trials)

    def begin(self) -> None:
        """An attempt begins; `end` follows, whatever becomes of it."""
        self._trials += 1

    def end(self) -> None:
        """An attempt ended."""
        self._trials -= 1

    def succeeded(self) -> None:
        """An attempt came to its end: the backend works."""
        self._failures = 0.0
        self._probe_failures = 0
        self.since_s = None

    def answered_probe(self, now_s: float) -> None:
        """A probe was answered: no news, but for a breaker that waits for it."""
        self._probe_failures = 0
        if self.state(now_s) == "half-open":
            self.since_s = None
            self._failures = self._settings.failures_to_open - 1

    def failed_attempt(self, now_s: float, weight: float, reason: str) -> bool:
        """An attempt failed; whether the breaker opened, or stays open for as long again."""
        self._note(reason)
        self._failures += weight
        if self.since_s is None and self._failures < self._settings.failures_to_open:
            return False
        return self._open(now_s)

    def failed_probe(self, now_s: float, reason: str) -> bool:
        """As `failed_attempt`, of a probe."""
        self._note(reason)
        self._probe_failures += 1
        if self.since_s is None and self._probe_failures < PROBE_FAILURES_TO_OPEN:
            return False
        return self._open(now_s)

    def _note(self, reason: str) -> None:
        self.failed += 1
        self.last_error = reason

    def _open(self, now_s: float) -> bool:
        if self.since_s is None:
            self.since_s = now_s
            self.opened += 1
        self._retry_s = now_s + self._settings.open_s
        return True
