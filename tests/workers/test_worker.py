"""Supervision: back-off in virtual time, what is retried and what is a bug."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from s3proxy.http.errors import Disconnected
from s3proxy.kv.errors import DiskFull
from s3proxy.workers.worker import BACKOFF_S_MAX, BACKOFF_S_MIN, Supervised, backoff_s
from tests.workers.fakes import unavailable

IDLE_S = 10.0
BROKEN = Disconnected("the connection broke")
Step = Exception | bool


class Scripted:
    """A worker that fails or works as its script says, then has nothing to do."""

    name = "scripted"

    def __init__(self, *script: Step) -> None:
        self._script = list(script)
        self.times_s: list[float] = []

    async def work(self) -> bool:
        self.times_s.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        step = self._script.pop(0) if self._script else False
        if isinstance(step, Exception):
            raise step
        return step

    async def wait_for_work(self) -> None:
        await trio.sleep(IDLE_S)

    def pauses_s(self) -> list[float]:
        return [
            after - before for before, after in zip(self.times_s, self.times_s[1:], strict=False)
        ]


async def run_for(seconds: float, run: Callable[[], Awaitable[None]]) -> None:
    with trio.move_on_after(seconds):
        await run()


async def test_supervised_with_more_to_do_does_not_pause(
    autojump_clock: trio.testing.MockClock,
) -> None:
    worker = Scripted(True, True, False)
    supervised = Supervised(worker)
    await run_for(IDLE_S - 1, supervised.run)
    assert worker.pauses_s() == [0.0, 0.0]
    assert (supervised.rounds, supervised.errors, supervised.state) == (3, 0, "idle")


@pytest.mark.parametrize(
    "error",
    [OSError("no route"), unavailable(), DiskFull("commit", "catalog", "no room")],
    ids=lambda error: type(error).__name__,
)
async def test_supervised_failure_that_passes_is_retried(
    autojump_clock: trio.testing.MockClock, error: Exception
) -> None:
    worker = Scripted(error, False)
    supervised = Supervised(worker)
    await run_for(5, supervised.run)
    (pause_s,) = worker.pauses_s()
    assert BACKOFF_S_MIN / 2 <= pause_s <= BACKOFF_S_MIN
    assert (supervised.rounds, supervised.errors) == (1, 1)
    assert supervised.last_error == str(error)


async def test_supervised_group_of_failures_that_pass_is_retried(
    autojump_clock: trio.testing.MockClock,
) -> None:
    group = ExceptionGroup("two at once", [ExceptionGroup("", [OSError("no route")]), BROKEN])
    supervised = Supervised(Scripted(group, False))
    await run_for(5, supervised.run)
    assert (supervised.errors, supervised.last_error) == (1, "no route")


async def test_supervised_group_with_a_bug_in_it_takes_the_service_down() -> None:
    supervised = Supervised(Scripted(ExceptionGroup("two at once", [BROKEN, KeyError("bug")])))
    with pytest.raises(ExceptionGroup, match="two at once"):
        await supervised.run()


async def test_supervised_repeated_failures_back_off_to_the_limit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    worker = Scripted(*[OSError("still down")] * 12)
    supervised = Supervised(worker)
    await run_for(2000, supervised.run)
    for failures, pause_s in enumerate(worker.pauses_s()[:12], 1):
        ceiling_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2 ** (failures - 1))
        assert ceiling_s / 2 <= pause_s <= ceiling_s
    assert supervised.errors == 12


async def test_supervised_success_starts_the_back_off_afresh(
    autojump_clock: trio.testing.MockClock,
) -> None:
    worker = Scripted(*[OSError("down")] * 6, True, OSError("again"), False)
    await run_for(100, Supervised(worker).run)
    assert worker.pauses_s()[7] <= BACKOFF_S_MIN


async def test_supervised_backing_off_says_so(autojump_clock: trio.testing.MockClock) -> None:
    supervised = Supervised(Scripted(OSError("down")))
    await run_for(BACKOFF_S_MIN / 4, supervised.run)
    assert supervised.state == "backing off"


async def test_supervised_bug_propagates() -> None:
    with pytest.raises(KeyError):
        await Supervised(Scripted(KeyError("bug"))).run()


def test_backoff_after_very_many_failures_stays_at_the_limit() -> None:
    assert BACKOFF_S_MAX / 2 <= backoff_s(10_000) <= BACKOFF_S_MAX
