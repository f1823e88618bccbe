"""Breakers open and close, and what is under way at a backend ends as its breaker opens."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock

from s3proxy.backends.errors import (
    BackendError,
    BodyRejected,
    InvalidRange,
    NotFound,
    PermissionDenied,
    Throttled,
    Unavailable,
)
from s3proxy.backends.health import Health, HealthSettings, latency_class
from s3proxy.http.errors import Disconnected, PoolTimeout
from s3proxy.s3.errors import S3Error

SETTINGS = HealthSettings(failures_to_open=3, open_s=5.0)


@dataclass(frozen=True)
class At:
    backend: str


@pytest.fixture
def health() -> Health:
    return Health(("a", "b", "c"), SETTINGS)


async def fail(health: Health, error: Exception, *, last_resort: bool = False) -> None:
    async def do() -> None:
        raise error

    with pytest.raises(type(error)):
        await health.attempt("a", do, last_resort=last_resort)


async def work(health: Health, *, last_resort: bool = False, timed: bool = False) -> int:
    async def do() -> int:
        await trio.lowlevel.checkpoint()
        return 7

    return await health.attempt("a", do, last_resort=last_resort, timed=timed)


def down() -> Unavailable:
    return Unavailable("open", "k", "no answer", "a")


async def open_breaker(health: Health) -> None:
    for _ in range(3):
        await fail(health, down())
    assert health.state("a") == "open"


async def test_attempt_of_a_backend_that_works_gives_its_result(health: Health) -> None:
    assert await work(health) == 7
    assert health.state("a") == "closed"
    assert health.is_up("a")


async def test_breaker_after_failures_in_a_row_opens_and_refuses(health: Health) -> None:
    await open_breaker(health)
    assert not health.is_up("a")
    with pytest.raises(Unavailable, match="does not answer"):
        await work(health)


async def test_breaker_success_between_failures_begins_anew(health: Health) -> None:
    for _ in range(3):
        await fail(health, down())
        if health.is_up("a"):
            await fail(health, down())
        if health.is_up("a"):
            await work(health)
    assert health.is_up("a")


@pytest.mark.parametrize(
    "error",
    [
        NotFound("open"),
        InvalidRange("open"),
        BodyRejected("put"),
        PermissionDenied("put"),
        S3Error("BadDigest"),
        Disconnected("the client went away"),
    ],
)
async def test_breaker_errors_that_are_not_the_backends_count_nothing(
    health: Health, error: Exception
) -> None:
    for _ in range(20):
        await fail(health, error)
    assert health.is_up("a")


async def test_breaker_full_pool_counts_nothing(health: Health) -> None:
    error = down()
    error.__cause__ = PoolTimeout("busy")
    for _ in range(20):
        await fail(health, error)
    assert health.is_up("a")


async def test_breaker_throttling_counts_lightly(health: Health) -> None:
    for _ in range(11):
        await fail(health, Throttled("put"))
    assert health.is_up("a")
    await fail(health, Throttled("put"))
    assert not health.is_up("a")


async def test_breaker_half_open_lets_one_attempt_through_at_a_time(
    health: Health, autojump_clock: MockClock
) -> None:
    await open_breaker(health)
    await trio.sleep(5)
    assert health.state("a") == "half-open"
    assert not health.is_up("a")
    done = trio.Event()

    async def slow() -> None:
        await done.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(health.attempt, "a", slow)
        await trio.sleep(1)
        with pytest.raises(Unavailable):
            await work(health)
        done.set()
    assert health.state("a") == "closed"


async def test_breaker_half_open_failure_opens_for_as_long_again(
    health: Health, autojump_clock: MockClock
) -> None:
    await open_breaker(health)
    await trio.sleep(5)
    await fail(health, down())
    await trio.sleep(4.9)
    assert health.state("a") == "open"
    await trio.sleep(0.2)
    assert health.state("a") == "half-open"


async def test_breaker_closed_by_a_probe_opens_at_the_next_failure(
    health: Health, autojump_clock: MockClock
) -> None:
    await open_breaker(health)
    health.note_probe("a", trio.current_time(), None)
    assert health.state("a") == "open"
    await trio.sleep(5)
    health.note_probe("a", trio.current_time(), None)
    assert health.state("a") == "closed"
    await fail(health, down())
    assert health.state("a") == "open"


async def test_breaker_two_failed_probes_open_it(health: Health) -> None:
    health.note_probe("a", 0.0, down())
    health.note_probe("a", 0.0, None)
    health.note_probe("a", 0.0, down())
    assert health.is_up("a")
    health.note_probe("a", 0.0, down())
    assert not health.is_up("a")


async def test_breaker_refused_probe_is_an_answer(health: Health) -> None:
    for _ in range(3):
        health.note_probe("a", 0.0, PermissionDenied("check"))
    assert health.is_up("a")


async def test_attempt_under_way_as_the_breaker_opens_ends_as_unavailable(
    health: Health, autojump_clock: MockClock
) -> None:
    errors: list[BackendError] = []

    async def frozen() -> None:
        try:
            await health.attempt("a", trio.sleep_forever)
        except Unavailable as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(frozen)
        nursery.start_soon(frozen)
        await trio.sleep(1)
        for _ in range(2):
            health.note_probe("a", trio.current_time(), down())
    assert [error.backend for error in errors] == ["a", "a"]
    assert health.report()[0].active == 0


async def test_attempt_of_last_resort_is_made_and_ends_with_a_probe_that_began_later(
    health: Health, autojump_clock: MockClock
) -> None:
    await open_breaker(health)
    assert await work(health, last_resort=True) == 7
    assert health.is_up("a")
    await open_breaker(health)
    ended: list[float] = []

    async def frozen() -> None:
        with pytest.raises(Unavailable):
            await health.attempt("a", trio.sleep_forever, last_resort=True)
        ended.append(trio.current_time())

    before_s = trio.current_time()
    await trio.sleep(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(frozen)
        await trio.sleep(1)
        health.note_probe("a", before_s, down())
        await trio.sleep(1)
        assert not ended
        health.note_probe("a", trio.current_time(), down())
    assert len(ended) == 1


async def test_attempt_cancelled_from_outside_says_nothing_of_the_backend(
    health: Health, autojump_clock: MockClock
) -> None:
    for _ in range(5):
        with trio.move_on_after(1) as scope:
            await health.attempt("a", trio.sleep_forever)
        assert scope.cancelled_caught
    assert health.is_up("a")
    assert health.report()[0].active == 0


async def test_watch_calls_what_it_was_given_as_the_breaker_opens(health: Health) -> None:
    called: list[str] = []

    def end() -> None:
        called.append("end")

    def other() -> None:
        called.append("other")

    health.watch("a", end)
    health.watch("a", other)
    health.unwatch("a", other)
    await open_breaker(health)
    assert called == ["end"]


async def test_order_puts_those_up_first_then_the_nearer_else_keeps_what_is_given(
    health: Health, autojump_clock: MockClock
) -> None:
    places = [At("a"), At("b"), At("c")]
    assert health.order(places) == places
    began_s = trio.current_time()
    await trio.sleep(0.2)
    health.note_probe("b", began_s, None)
    assert health.order(places) == [At("a"), At("c"), At("b")]
    await open_breaker(health)
    assert health.order(places) == [At("c"), At("b"), At("a")]
    assert health.order([At("gone"), At("b")]) == [At("b"), At("gone")]
    assert health.order([At("b"), At("")]) == [At(""), At("b")]


def test_latency_class_is_the_same_for_what_hardly_differs() -> None:
    assert latency_class(0.0) == latency_class(0.0001) == latency_class(0.009)
    assert latency_class(0.011) == latency_class(0.035) == 1
    assert latency_class(0.150) < latency_class(0.7)


async def test_latency_p95_is_known_after_enough_attempts(
    health: Health, autojump_clock: MockClock
) -> None:
    for milliseconds in range(100):
        assert (health.latency_p95_s("a") > 0) == (milliseconds >= 20)

        async def do(seconds: float = milliseconds / 1000) -> None:
            await trio.sleep(seconds)

        await health.attempt("a", do, timed=True)
    assert health.latency_p95_s("a") == pytest.approx(0.095, abs=0.001)
    assert health.report()[0].latency_s == pytest.approx(0.095, abs=0.006)


async def test_health_of_unknown_backends_attempts_without_a_breaker(health: Health) -> None:
    async def do() -> int:
        return 1

    assert await health.attempt("gone", do) == 1
    assert not health.is_up("gone")
    health.watch("gone", print)
    health.unwatch("gone", print)
