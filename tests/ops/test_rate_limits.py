"""Rates of access keys, on a clock that stands still."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.ops import rate_limits
from s3proxy.ops.rate_limits import RateLimiter
from s3proxy.s3.errors import S3Error
from s3proxy.s3.limits import RateLimits


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def taken(limiter: RateLimiter, limits: RateLimits, key: str = "key") -> bool:
    try:
        limiter.admit(key, limits)
    except S3Error as error:
        assert error.code == "SlowDown"
        return False
    return True


def test_limiter_takes_the_burst_at_once_and_then_the_rate() -> None:
    clock = Clock()
    limiter, limits = RateLimiter(clock), RateLimits(requests_per_s=2, requests_burst=5)
    assert [taken(limiter, limits) for _ in range(7)] == [True] * 5 + [False] * 2
    clock.s += 0.5
    assert [taken(limiter, limits) for _ in range(2)] == [True, False]
    clock.s += 100
    assert [taken(limiter, limits) for _ in range(6)] == [True] * 5 + [False]


def test_limiter_of_less_than_one_request_a_second_takes_one_at_once() -> None:
    clock = Clock()
    limiter, limits = RateLimiter(clock), RateLimits(requests_per_s=0.1)
    assert [taken(limiter, limits) for _ in range(2)] == [True, False]
    with pytest.raises(S3Error) as caught:
        limiter.admit("key", limits)
    assert caught.value.headers == (("Retry-After", "10"),)
    assert caught.value.status == 503
    clock.s += 10
    assert taken(limiter, limits)


def test_limiter_has_a_body_paid_by_the_requests_after_it() -> None:
    clock = Clock()
    limiter, limits = RateLimiter(clock), RateLimits(bytes_per_s=100)
    meter = limiter.admit("key", limits)
    meter.pay(1000)
    with pytest.raises(S3Error) as caught:
        limiter.admit("key", limits)
    assert caught.value.headers == (("Retry-After", "9"),)
    assert taken(limiter, limits, "other")
    clock.s += 9
    assert taken(limiter, limits)


def test_limiter_gives_back_what_was_not_moved() -> None:
    clock = Clock()
    limiter, limits = RateLimiter(clock), RateLimits(bytes_per_s=100)
    meter = limiter.admit("key", limits)
    meter.pay(1000)
    meter.settle(50)
    assert taken(limiter, limits)
    meter = limiter.admit("key", limits)
    meter.settle(50)
    assert taken(limiter, limits)
    meter.settle(51)
    assert not taken(limiter, limits)


def test_limiter_refused_request_costs_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    limits = RateLimits(requests_per_s=1, requests_burst=2, bytes_per_s=100)
    limiter.admit("key", limits).pay(1000)
    assert not any(taken(limiter, limits) for _ in range(100))
    clock.s += 9
    assert [taken(limiter, limits) for _ in range(3)] == [True, True, False]


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 500)), min_size=1, max_size=60),
    st.floats(0.5, 20),
    st.integers(1, 200),
)
def test_limiter_lets_nobody_be_faster_in_the_long_run(
    steps: list[tuple[float, int]], rate: float, bytes_rate: int
) -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    limits = RateLimits(requests_per_s=rate, bytes_per_s=bytes_rate)
    start, count, moved, last = clock.s, 0, 0, 0
    for pause_s, size in steps:
        clock.s += pause_s
        try:
            meter = limiter.admit("key", limits)
        except S3Error:
            continue
        meter.pay(size)
        count, moved, last = count + 1, moved + size, size
    elapsed_s = clock.s - start
    assert count <= elapsed_s * rate + max(rate, 1.0) + 1e-6
    assert moved - last <= (elapsed_s + 1) * bytes_rate + 1e-6


def test_limiter_with_too_many_keys_forgets_those_that_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "KEYS_MAX", 4)
    clock = Clock()
    limiter, limits = RateLimiter(clock), RateLimits(requests_per_s=1)
    assert all(taken(limiter, limits, name) for name in "abc")
    clock.s += 1
    assert all(taken(limiter, limits, name) for name in "de")
    assert set(limiter._paces) == {"d", "e"}
    assert all(taken(limiter, limits, name) for name in "fgh")
    assert set(limiter._paces) == {"f", "g", "h"}
