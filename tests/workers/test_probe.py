"""Probes find out that a backend froze, and that it is back."""

from __future__ import annotations

from typing import cast

import trio
from trio.testing import MockClock

from s3proxy.backends.errors import PermissionDenied, Unavailable
from s3proxy.backends.health import Health, HealthSettings
from s3proxy.backends.store import Backend
from s3proxy.workers.probe import Prober, probe
from s3proxy.workers.worker import Supervised


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
