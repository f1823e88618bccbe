"""Probes: each backend is asked now and then whether it answers, whatever else asks it."""

from __future__ import annotations

import random

import trio

from s3proxy.backends.errors import BackendError, Unavailable
from s3proxy.backends.health import Health
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.kv.errors import KvError
from s3proxy.ops.call import Services

# After a probe that failed the next one comes sooner: by this part of the interval.
SOONER = 0.25
# What /readyz gives a backend to answer in.
READY_TIMEOUT_S = 5.0


class Prober:
    """Worker that probes one backend and tells its breaker."""

    def __init__(self, backend: Backend, health: Health) -> None:
        self.name = f"probe {backend.name}"
        self._backend = backend
        self._health = health
        self._failed = False

    async def work(self) -> bool:
        """Probe once."""
        began_s = trio.current_time()
        error = await probe(self._backend, self._health.settings.probe_timeout_s)
        self._failed = error is not None
        self._health.note_probe(self._backend.name, began_s, error)
        return False

    async def wait_for_work(self) -> None:
        """The interval, give or take a tenth, so that gateways do not probe in step."""
        interval_s = self._health.settings.probe_interval_s
        if self._failed:
            interval_s *= SOONER
        await trio.sleep(interval_s * random.uniform(0.9, 1.1))


async def states_of(services: Services) -> tuple[bool, dict[str, str]]:
    """Whether requests can be served, and of the catalog and each backend "ok" or what is wrong.

    One writable backend that is up is enough, as its buckets can be. Of several the breakers know;
    one alone is asked.
    """
    parts = {"catalog": _catalog_state(services.catalog)}
    writable_up = False
    for name, backend in services.backends.items():
        if len(services.backends) == 1:
            error = await probe(backend, READY_TIMEOUT_S)
            state = "ok" if error is None else str(error)
        else:
            state = _breaker_state(services.health, name)
        parts[f"backend {name}"] = state
        facts = services.facts.get(name)
        writable_up |= state == "ok" and not (facts is not None and facts.read_only)
    return writable_up and parts["catalog"] == "ok", parts


def _catalog_state(catalog: Catalog) -> str:
    try:
        catalog.next_debt_ns()
    except KvError as error:
        return str(error)
    return "ok"


def _breaker_state(health: Health, name: str) -> str:
    if health.is_up(name):
        return "ok"
    (report,) = (found for found in health.report() if found.name == name)
    return f"{report.state}: {report.last_error}"


async def probe(backend: Backend, timeout_s: float) -> BackendError | OSError | None:
    """Ask a backend whether it answers; what is wrong, or None."""
    with trio.move_on_after(timeout_s):
        try:
            await backend.check()
        except (BackendError, OSError) as error:
            return error
        return None
    return Unavailable("check", "", f"no answer within {timeout_s:g} s", backend.name)
