"""Supervision of background work: what a worker is, and the loop that runs one.

running -> idle (wait_for_work) -> running …
running -> backing off (OSError, BackendError, TransportError, KvError) -> running …
anything else propagates: a bug takes the service down, after a clean close

What a worker does several of at once fails in groups: these are as good as the worst in them.
"""

from __future__ import annotations

import random
from typing import Protocol

import trio

from s3proxy.backends.errors import BackendError
from s3proxy.http.errors import TransportError
from s3proxy.kv.errors import KvError
from s3proxy.log import get_logger

BACKOFF_S_MIN = 0.5
BACKOFF_S_MAX = 60.0

# What passes by itself, or is mended by whoever runs the gateway.
FAILURES = (OSError, BackendError, TransportError, KvError)

logger = get_logger("workers")


class Worker(Protocol):
    """One kind of background work."""

    name: str

    async def work(self) -> bool:
        """Do a bounded piece; True when more is waiting.

        Raises:
            OSError, BackendError, TransportError, KvError: tried again after a pause.
        """

    async def wait_for_work(self) -> None:
        """Return when there may be something to do."""


class Supervised:
    """A running worker with its status for the metrics."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state = "idle"
        self.rounds = 0
        self.errors = 0
        self.last_error = ""

    async def run(self) -> None:
        """Work until cancelled."""
        failures = 0
        while True:
            try:
                self.state = "running"
                more = await self.worker.work()
                self.rounds += 1
                failures = 0
                if not more:
                    self.state = "idle"
                    await self.worker.wait_for_work()
            except (*FAILURES, BaseExceptionGroup) as error:
                failures += 1
                self._failed(_passing(error))
                await trio.sleep(backoff_s(failures))

    def _failed(self, error: BaseException) -> None:
        self.state = "backing off"
        self.errors += 1
        self.last_error = str(error)
        logger.warning("worker failed, will retry", worker=self.worker.name, error=str(error))


def backoff_s(failures: int) -> float:
    """Exponential with full jitter on its upper half, so that workers do not retry in step."""
    ceiling = min(BACKOFF_S_MAX, BACKOFF_S_MIN * float(1 << min(failures - 1, 16)))
    return ceiling * random.uniform(0.5, 1.0)


def _passing(error: BaseException) -> BaseException:
    """The first failure of a group in which there are no others than FAILURES.

    Raises:
        BaseExceptionGroup: there are, or it is being cancelled.
    """
    while isinstance(error, BaseExceptionGroup):
        if error.split(FAILURES)[1] is not None:
            raise error
        error = error.exceptions[0]
    return error
