"""A queued change on its way through the writer, and the answer its waiter gets."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

import trio

from s3proxy.kv.engine import Transaction

T = TypeVar("T")


class Pending(Generic[T]):
    """A submitted change; `wait` may be called any number of times, or never.

    The writer thread sets `result` or `error`; `settle` publishes them in the event loop.
    """

    __slots__ = ("_event", "_settled", "change", "error", "result")

    def __init__(self, change: Callable[[Transaction], T]) -> None:
        self.change = change
        self.result: T | None = None
        self.error: BaseException | None = None
        self._settled = False
        self._event: trio.Event | None = None

    async def wait(self) -> T:
        """Return the change's result once it is durable; see `kv.engine.Commit.wait`."""
        if self._settled:
            await trio.lowlevel.checkpoint()
        else:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
        if self.error is not None:
            raise self.error
        return cast(T, self.result)

    def settle(self) -> None:
        """Wake whoever waits; in the event loop."""
        self._settled = True
        if self._event is not None:
            self._event.set()


def settle_all(batch: Iterable[Pending[object]]) -> None:
    """Settle a whole batch: one hop into the event loop wakes all of its waiters."""
    for pending in batch:
        pending.settle()


def fail_all(batch: Iterable[Pending[object]], error: BaseException) -> None:
    """Give every change of a batch the same failure."""
    for pending in batch:
        pending.result, pending.error = None, error
