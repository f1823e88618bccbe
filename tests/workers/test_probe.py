"""Probes find out that a backend froze, and that it is back."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import trio
from trio.testing import MockClock

from s3proxy.backends.errors import PermissionDenied, Unavailable
from s3proxy.backends.health import Health, HealthSettings
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.ops.call import Services, Settings
from s3proxy.placement import Facts
from s3proxy.workers.probe import Prober, probe, states_of
from s3proxy.workers.worker import Supervised
from tests.catalog.catalogs import open_catalog


class Probed:
    """A backend that answers probes, refuses them, or is frozen."""

    name = "a"

    def __init__(self) -> None:
        self.frozen = False
        self.fails: Exception | None = None
        self.asked = 0

    async def check(self) -> None:
        self.asked += 1
        if self.frozen:
            await trio.sleep_forever()
        if self.fails is not None:
            raise self.fails


def as_backend(probed: Probed) -> Backend:
    return cast(Backend, probed)


async def test_probe_of_a_frozen_backend_ends_in_its_time(autojump_clock: MockClock) -> None:
    probed = Probed()
    probed.frozen = True
    error = await probe(as_backend(probed), 2.0)
    assert trio.current_time() == 2.0
    assert isinstance(error, Unavailable)
    assert error.hint == "no answer within 2 s"


async def test_prober_opens_the_breaker_of_a_frozen_backend_within_seconds(
    autojump_clock: MockClock,
) -> None:
    probed = Probed()
    health = Health(("a",), HealthSettings(open_s=5.0))
    worker = Supervised(Prober(as_backend(probed), health))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run)
        await trio.sleep(10)
        assert 4 <= probed.asked <= 6
        assert health.is_up("a")
        probed.frozen = True
        await trio.sleep(7)
        assert not health.is_up("a")
        probed.frozen = False
        await trio.sleep(10)
        assert health.is_up("a")
        nursery.cancel_scope.cancel()
    assert worker.errors == 0


async def test_prober_takes_a_refusal_for_an_answer(autojump_clock: MockClock) -> None:
    probed = Probed()
    probed.fails = PermissionDenied("check")
    health = Health(("a",))
    with trio.move_on_after(60):
        await Supervised(Prober(as_backend(probed), health)).run()
    assert health.is_up("a")


def services_of(catalog: Catalog, *names: str, read_only: str = "") -> Services:
    backends = {name: as_backend(Probed()) for name in names}
    facts = {name: Facts(name, read_only=name == read_only) for name in names}
    return Services(catalog, backends, Settings(), facts=facts)


async def test_states_one_backend_alone_is_asked(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        services = services_of(catalog, "a")
        assert await states_of(services) == (True, {"catalog": "ok", "backend a": "ok"})
        cast(Probed, services.backends["a"]).fails = Unavailable("check", hint="gone")
        ready, parts = await states_of(services)
        assert (ready, parts["backend a"]) == (False, "Unavailable: check: gone")


async def test_states_one_writable_backend_of_several_is_enough(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        services = services_of(catalog, "a", "b", "c", read_only="c")
        assert (await states_of(services))[0]
        error = Unavailable("check", hint="gone")
        for name in ("a", "b"):
            for _ in range(2):
                services.health.note_probe(name, trio.current_time(), error)
            ready, parts = await states_of(services)
            assert ready == (name == "a")
            assert parts[f"backend {name}"] == "open: gone"
        assert parts["backend c"] == "ok"
