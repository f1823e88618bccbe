"""Which backends answer: a breaker for each, fed by probes and by every attempt.

What an attempt found is told to the breaker; when that opens, whatever is under way there ends at
once, so that a backend that froze costs seconds and not its time-outs. State changes in synchronous
functions alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import trio
from msgspec import Struct

from s3proxy.backends.breaker import Breaker, HealthSettings, State
from s3proxy.backends.errors import BackendError, Throttled, Unavailable
from s3proxy.http.errors import PoolTimeout, TransportError

T = TypeVar("T")

# A backend that asks to slow down is alive: it takes a row of these to count as down.
THROTTLED_WEIGHT: Final = 0.25
# How long writes go elsewhere first after one has failed, whatever it failed with: a client's next
# tries come within a second, and find another backend.
_AVOIDED_S: Final = 5.0
# Latencies that differ by less than this factor are the same: the order then stays as it is given.
_CLASS_FACTOR: Final = 4.0
_CLASS_S_MIN: Final = 0.010


class Place(Protocol):
    """Anything that lies on a backend, as a BlobRef does; "" is the catalog."""

    @property
    def backend(self) -> str:
        """The name of the backend."""


P = TypeVar("P", bound=Place)


class Counts(Struct):
    """What was done about backends that failed, since the start."""

    read_failovers: int = 0  # a read that another place answered
    write_failovers: int = 0  # a write that went to the next backend
    resumed_bodies: int = 0  # bodies that went on from another place in their middle
    hedged_reads: int = 0  # reads for which a second place was asked
    hedges_won: int = 0  # of these, answered by the second first


class Report(Struct, frozen=True):
    """What is known of one backend's health."""

    name: str
    state: State
    last_error: str
    latency_s: float  # to the first byte, on average; 0: not measured
    opened: int
    failures: int
    active: int


class Health:
    """The breakers of all backends.

    Args:
        names: of the backends.
        settings: when a breaker opens, and for how long.

    Attributes:
        counts: what was done about failures.
    """

    def __init__(self, names: Iterable[str] = (), settings: HealthSettings | None = None) -> None:
        self.settings = settings or HealthSettings()
        self.counts = Counts()
        self._breakers = {name: Breaker(self.settings) for name in names}
        # Until when writes go elsewhere first.
        self._avoided_s: dict[str, float] = {}
        # What ends at once when a breaker opens: when it began, by what ends it.
        self._active: dict[str, dict[Callable[[], None], float]] = {
            name: {} for name in self._breakers
        }

    def is_up(self, backend: str) -> bool:
        """Whether a backend works, as far as is known; one that is being tried does not yet."""
        breaker = self._breakers.get(backend)
        return breaker is not None and breaker.since_s is None

    def order_to_write(self, backends: Iterable[str]) -> list[str]:
        """Backends in the order to write to: those up first, of these those that took the last."""
        now_s = trio.current_time() if self._avoided_s else 0.0

        def rank(backend: str) -> tuple[bool, float]:
            until_s = self._avoided_s.get(backend, 0.0)
            return not self.is_up(backend), until_s if until_s > now_s else 0.0

        return sorted(backends, key=rank)

    def note_write(self, backend: str, *, failed: bool) -> None:
        """Have writes go elsewhere first for a while after one that failed, until one succeeds."""
        if failed:
            self._avoided_s[backend] = trio.current_time() + _AVOIDED_S
        else:
            self._avoided_s.pop(backend, None)

    def state(self, backend: str) -> State:
        """The breaker's state; KeyError for a backend that is not configured."""
        breaker = self._breakers[backend]
        return "closed" if breaker.since_s is None else breaker.state(trio.current_time())

    def order(self, places: Sequence[P]) -> list[P]:
        """Places in the order to ask: those up first, then by latency, else as they are given."""
        return sorted(places, key=self._rank) if len(places) > 1 else list(places)

    def latency_p95_s(self, backend: str) -> float:
        """The 95th percentile of the time to the first byte; 0 while too little is known."""
        breaker = self._breakers.get(backend)
        return 0.0 if breaker is None else breaker.latency.p95_s

    async def attempt(
        self,
        backend: str,
        do: Callable[[], Awaitable[T]],
        *,
        last_resort: bool = False,
        timed: bool = False,
    ) -> T:
        """Do something at a backend, and let its breaker know what came of it.

        Args:
            last_resort: try even where the breaker is open, as there is nowhere else to go.
            timed: it takes as long as the backend does for its first byte.
        Raises:
            Unavailable: not tried as the breaker is open, or given up as it opened meanwhile.
            What `do` raises; what speaks of the backend counts against it.
        """
        breaker = self._breakers.get(backend)
        if breaker is None:
            return await do()
        began_s = trio.current_time()
        if not last_resort and not breaker.admits(began_s):
            raise Unavailable("attempt", "", "the backend does not answer", backend)
        active = self._active[backend]
        breaker.begin()
        with trio.CancelScope() as scope:
            # The bound method is equal for equal scopes: one entry.
            active[scope.cancel] = began_s
            try:
                result = await do()
            except (BackendError, TransportError, OSError) as error:
                self.note_failure(backend, error)
                raise
            finally:
                del active[scope.cancel]
                breaker.end()
            breaker.succeeded()
            if timed:
                breaker.latency.add(trio.current_time() - began_s)
            return result
        raise Unavailable("attempt", "", "the backend stopped answering", backend)

    def watch(self, backend: str, end: Callable[[], None]) -> None:
        """Have `end` called when the breaker opens; until `unwatch`."""
        active = self._active.get(backend)
        if active is not None:
            active[end] = trio.current_time()

    def unwatch(self, backend: str, end: Callable[[], None]) -> None:
        """Forget what `watch` was told; idempotent."""
        active = self._active.get(backend)
        if active is not None:
            active.pop(end, None)

    def note_failure(self, backend: str, error: Exception) -> None:
        """Let the breaker know of an error; one of the request alone counts nothing."""
        breaker = self._breakers.get(backend)
        weight = weight_of(error)
        if breaker is None or not weight:
            return
        now_s = trio.current_time()
        if breaker.failed_attempt(now_s, weight, _reason(error)):
            self._end_all(backend, now_s)

    def note_probe(self, backend: str, began_s: float, error: Exception | None) -> None:
        """Let the breaker know what a probe that began at `began_s` found; None: an answer."""
        breaker = self._breakers[backend]
        now_s = trio.current_time()
        if error is None or not probe_failed(error):
            breaker.answered_probe(now_s)
            breaker.latency.smooth(now_s - began_s)
        elif breaker.failed_probe(now_s, _reason(error)):
            # What began after the probe has not been given its time.
            self._end_all(backend, began_s)

    def report(self) -> list[Report]:
        """What is known of each backend."""
        return [
            Report(
                name=name,
                state=self.state(name),
                last_error=breaker.last_error,
                latency_s=breaker.latency.mean_s,
                opened=breaker.opened,
                failures=breaker.failed,
                active=len(self._active[name]),
            )
            for name, breaker in self._breakers.items()
        ]

    def _end_all(self, backend: str, before_s: float) -> None:
        """End what is under way at a backend since `before_s` or longer."""
        for end, began_s in list(self._active[backend].items()):
            if began_s <= before_s:
                end()

    def _rank(self, place: Place) -> tuple[bool, int]:
        breaker = self._breakers.get(place.backend)
        if breaker is None:
            return bool(place.backend), 0
        return breaker.since_s is not None, latency_class(breaker.latency.mean_s)


def latency_class(seconds: float) -> int:
    """A number that is the same for latencies which differ too little to matter."""
    found = 0
    while seconds > _CLASS_S_MIN:
        seconds /= _CLASS_FACTOR
        found += 1
    return found


def weight_of(error: Exception) -> float:
    """How much an error speaks against the health of the backend that it came from."""
    if isinstance(error, Throttled):
        return THROTTLED_WEIGHT
    if isinstance(error.__cause__, PoolTimeout):
        return 0.0  # nobody asked: it was the gateway that had no connection left
    return 1.0 if isinstance(error, Unavailable | OSError) else 0.0


def probe_failed(error: Exception) -> bool:
    """Whether a probe got no answer; a refusal is one."""
    return isinstance(error, Unavailable | OSError)


def _reason(error: Exception) -> str:
    return error.hint if isinstance(error, BackendError) and error.hint else str(error)
