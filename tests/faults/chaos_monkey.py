"""What breaks during the chaos test: one provider at a time, and now and then the gateway."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.faulty_relay import BLACK_HOLE, PASS, Fault
from tests.faults.providers import Provider, Watcher, watched
from tests.gateways import Gateway

PIECE_BYTES_MAX = 200_000


@dataclass(frozen=True)
class Plan:
    """How long, and how much.

    Attributes:
        first: objects that each client writes before anything breaks.
        keys: how many each writes at most.
        fault_s: how long a fault lasts, at least and at most.
        gap_s: the same of the times in which everything is well.
    """

    seconds: float
    gateway_kills: int
    clients: int
    keys: int
    fault_s: tuple[float, float]
    gap_s: tuple[float, float]
    pause_s: float
    first: int = 0


class Monkey:
    """Breaks and mends; always at least one of `victims` is in order.

    Attributes:
        gateway_down: [from, to) on the monotonic clock, the gateway's restarts.
    """

    def __init__(
        self, gateway: Gateway, watcher: Watcher, victims: list[Provider], seed: str
    ) -> None:
        self._gateway, self._watcher, self._victims = gateway, watcher, victims
        self._random = random.Random(f"{seed} monkey")
        self._resting = threading.Event()
        self.gateway_down: list[tuple[float, float]] = []
        self.done: Counter[str] = Counter()

    def run(self, plan: Plan) -> None:
        """Until the time is up and everything is mended again."""
        start = time.monotonic()
        stop = start + plan.seconds
        kills = sorted(start + self._random.uniform(0.1, 0.95) * plan.seconds
                       for _ in range(plan.gateway_kills))  # fmt: skip
        while kills or time.monotonic() < stop:
            fault, mend = self._fault()
            fault()
            kills = self._live_through(self._random.uniform(*plan.fault_s), kills)
            mend()
            kills = self._live_through(self._random.uniform(*plan.gap_s), kills)

    def _live_through(self, seconds: float, kills: list[float]) -> list[float]:
        """Let the time pass, and kill the gateway where it is due; returns the kills to come."""
        until = time.monotonic() + seconds
        while kills and kills[0] <= until:
            self._resting.wait(max(0, kills[0] - time.monotonic()))
            self._kill_gateway()
            kills = kills[1:]
        self._resting.wait(max(0, until - time.monotonic()))
        return kills

    def _kill_gateway(self) -> None:
        self.done["gateway killed"] += 1
        started = time.monotonic()
        pid = self._gateway.pid
        self._gateway.kill()
        self._watcher.ended(pid)
        watched(self._watcher, self._gateway)
        self.gateway_down.append((started, time.monotonic()))

    def _fault(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """What breaks one provider, and what mends it."""
        victim = self._random.choice(self._victims)
        kinds = {
            "killed": (victim.kill, victim.start),
            "frozen": (victim.freeze, victim.thaw),
            "refusing": (victim.relay.refuse, victim.relay.accept),
            "silent": self._relaying(victim, BLACK_HOLE),
            "resetting": self._relaying(victim, Fault(end="reset", answer_bytes=self._bytes())),
            "resetting uploads": self._relaying(
                victim, Fault(("PUT",), end="reset", request_bytes=self._bytes())
            ),
            "slow": self._relaying(victim, Fault(delay_s=1.0)),
            "throttled": self._relaying(victim, Fault(bytes_per_s=100_000)),
        }
        name = self._random.choice(sorted(kinds))
        self.done[name] += 1
        breaks, mends = kinds[name]

        def fault() -> None:
            victim.fails()
            breaks()

        def mend() -> None:
            mends()
            victim.serves()

        return fault, mend

    def _bytes(self) -> int:
        """Few as often as many."""
        return int(PIECE_BYTES_MAX ** self._random.random())

    def _relaying(
        self, victim: Provider, fault: Fault
    ) -> tuple[Callable[[], None], Callable[[], None]]:
        def change(to: Fault) -> None:
            victim.relay.fault = to

        return lambda: change(fault), lambda: change(PASS)
