"""Fixtures of the byte layer's tests."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from s3proxy.http.readiness import Readiness


@pytest.fixture(params=["epoll", "plain"])
async def readiness(
    request: pytest.FixtureRequest, nursery: trio.Nursery
) -> AsyncIterator[Readiness]:
    """A running set, once on epoll and once on Trio's own waits."""
    readiness = Readiness(edge_triggered=request.param == "epoll")
    await nursery.start(readiness.run)
    yield readiness
    readiness.close()


@pytest.fixture
async def epoll_readiness(nursery: trio.Nursery) -> AsyncIterator[Readiness]:
    """A running set on epoll."""
    readiness = Readiness()
    await nursery.start(readiness.run)
    yield readiness
    readiness.close()


@pytest.fixture
def patient_clock() -> MockClock:
    """Virtual time that jumps only once loopback has had time to deliver."""
    return MockClock(autojump_threshold=0.005)
