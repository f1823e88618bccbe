"""The collector: deletes blobs that no record points to any more, once their grace has passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import trio

from s3proxy.backends.errors import BackendError, NoSuchContainer
from s3proxy.backends.health import Health
from s3proxy.backends.store import Backend
from s3proxy.catalog.blob_records import GarbageRecord
from s3proxy.catalog.catalog import Catalog
from s3proxy.log import get_logger

logger = get_logger("collect")
BATCH = 256  # blobs deleted between two catalog commits
PARALLEL = 8  # deletions in flight: enough to hide a distant backend's round trip
POLL_S = 1.0
# A backend that does not answer, or is no longer configured, is asked again this much later;
# meanwhile the queue moves on.
POSTPONE_S = 60.0
# The same where little is due, so that postponing it costs little.
POSTPONE_FEW_S = 5.0
# How long a repeated CompleteMultipartUpload gets its first answer again.
COMPLETED_KEPT_S = 24 * 3600.0
SWEEP_S = 600.0


class Collector:
    """Worker that empties the garbage queue.

    Deleting a blob is idempotent, so the order is: delete at the backend, then forget in the
    catalog; a crash between the two repeats the first.
    """

    name = "collect"

    def __init__(
        self,
        catalog: Catalog,
        backends: Mapping[str, Backend],
        health: Health | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._backends = backends
        self._health = health or Health(backends)
        self._clock = clock
        self._limiter = trio.CapacityLimiter(PARALLEL)
        self._sweep_at_s = 0.0
        self.deleted = 0

    async def work(self) -> bool:
        """Delete one batch of due blobs, and forget what completed uploads answered long ago."""
        now_s = self._clock()
        if now_s >= self._sweep_at_s:
            await self._catalog.sweep_completed(int((now_s - COMPLETED_KEPT_S) * 1e9))
            self._sweep_at_s = now_s + SWEEP_S
        due = self._catalog.due_garbage(int(now_s * 1e9), BATCH)
        deleted: list[bytes] = []
        homeless: list[GarbageRecord] = []
        failed: dict[str, list[Exception]] = {}
        async with trio.open_nursery() as nursery:
            for record in due:
                nursery.start_soon(self._delete, record, deleted, homeless, failed)
        for backend, errors in failed.items():
            # A line for each blob of a backend that is down would be all that the log has.
            first = str(errors[0])
            logger.warning(
                "not deleted, will retry", backend=backend, blobs=len(errors), error=first
            )
        deleted += [record.id for record in homeless if self._is_removed(record)]
        if deleted:
            await self._catalog.forget_garbage(deleted)
            self.deleted += len(deleted)
        kept = set(deleted)
        stubborn = [record for record in due if record.id not in kept]
        if stubborn:
            pause_s = POSTPONE_S if len(due) == BATCH else POSTPONE_FEW_S
            await self._catalog.postpone_garbage(stubborn, int((now_s + pause_s) * 1e9))
        return len(due) == BATCH

    async def _delete(
        self,
        record: GarbageRecord,
        deleted: list[bytes],
        homeless: list[GarbageRecord],
        failed: dict[str, list[Exception]],
    ) -> None:
        blob = record.blob
        if not blob.backend:
            deleted.append(record.id)  # goes with the record
            return
        backend = self._backends.get(blob.backend)
        if backend is None:
            return
        async with self._limiter:
            try:
                # One that froze holds up what is due elsewhere until its breaker opens, no longer.
                await self._health.attempt(blob.backend, partial(_remove, backend, record))
            except NoSuchContainer:
                homeless.append(record)
            except (BackendError, OSError) as error:
                failed.setdefault(blob.backend, []).append(error)
            else:
                deleted.append(record.id)

    def _is_removed(self, record: GarbageRecord) -> bool:
        """Whether the container of a blob went with its bucket.

        One that a bucket has, or had and still has to remove, will be there again: a provider may
        say for a while that there is none.
        """
        blob = record.blob
        if self._catalog.bucket_of_container(blob.backend, blob.container) is None:
            return True
        place = f"{blob.backend}/{blob.container}"
        logger.warning("blob not deleted, its container is missing", blob=blob.id, container=place)
        return False

    async def wait_for_work(self) -> None:
        """Garbage becomes due by time alone."""
        await trio.sleep(POLL_S)


async def _remove(backend: Backend, record: GarbageRecord) -> None:
    store = backend.blobs(record.blob.container)
    if record.backend_upload_id:
        await store.abort_upload(record.blob.name, record.backend_upload_id)
    await store.delete(record.blob.name)
