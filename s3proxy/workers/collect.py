"""The collector: deletes blobs that no record points to any more, once their grace has passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import trio

from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import GarbageRecord

BATCH = 256  # blobs deleted between two catalog commits
PARALLEL = 8  # deletions in flight: enough to hide a distant backend's round trip
POLL_S = 1.0


class Collector:
    """Worker that empties the garbage queue.

    Deleting a blob is idempotent, so the order is: delete at the backend, then forget in the catalog; a crash between
    the two repeats the first.
    """

    name = "collect"

    def __init__(
        self,
        catalog: Catalog,
        backends: Mapping[str, Backend],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._backends = backends
        self._clock = clock
        self.deleted = 0

    async def work(self) -> bool:
        """Delete one batch of due blobs."""
        due = self._catalog.due_garbage(int(self._clock() * 1e9), BATCH)
        # A blob of a backend that is no longer configured waits until it is again.
        known = [record for record in due if record.blob.backend in self._backends]
        await self._delete_all(known)
        if known:
            await self._catalog.forget_garbage(known)
            self.deleted += len(known)
        return len(due) == BATCH and bool(known)

    async def _delete_all(self, records: list[GarbageRecord]) -> None:
        limiter = trio.CapacityLimiter(PARALLEL)
        failures: list[Exception] = []

        async def delete(record: GarbageRecord) -> None:
            async with limiter:
                try:
                    await self._delete(record)
                except Exception as error:  # collected, so that one failure does not hide in a group
                    failures.append(error)

        async with trio.open_nursery() as nursery:
            for record in records:
                nursery.start_soon(delete, record)
        if failures:
            raise failures[0]

    async def _delete(self, record: GarbageRecord) -> None:
        blob = record.blob
        await self._backends[blob.backend].blobs(blob.container).delete(blob.name)

    async def wait_for_work(self) -> None:
        """Garbage becomes due by time alone."""
        await trio.sleep(POLL_S)
