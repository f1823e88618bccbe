"""Drains the backends that are marked for it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import trio

from s3proxy.backends.errors import BackendError
from s3proxy.catalog.errors import CatalogError, NoSuchBucket
from s3proxy.catalog.tables import MARKS
from s3proxy.log import get_logger
from s3proxy.ops.drain import describe_elsewhere, drain_bucket
from s3proxy.ops.walks import buckets_of

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services

POLL_S_MIN: Final = 2.0
POLL_S_MAX: Final = 600.0
# Of the time that a round takes, for the next to wait.
PAUSE: Final = 10.0

logger = get_logger("drain")


class Drainer:
    """Worker that has what lies at backends to be drained owed to others, until nothing is left."""

    name = "drain"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._changed = trio.Event()
        self._pause_s = POLL_S_MIN
        services.catalog.engine.on_change(self._wake, MARKS)

    def _wake(self) -> None:
        self._changed.set()

    async def work(self) -> bool:
        """Look at each bucket on each backend that is drained."""
        self._changed = trio.Event()
        began_s = trio.current_time()
        for backend in sorted(self._services.draining & self._services.backends.keys()):
            async with aclosing(buckets_of(self._services)) as buckets:
                async for bucket in buckets:
                    await self._drain(bucket, backend)
            await describe_elsewhere(self._services, backend)
        took_s = trio.current_time() - began_s
        self._pause_s = min(max(POLL_S_MIN, took_s * PAUSE), POLL_S_MAX)
        return False

    async def _drain(self, bucket: BucketRecord, backend: str) -> None:
        try:
            await drain_bucket(self._services, bucket, backend)
        except NoSuchBucket:
            return  # deleted meanwhile
        except (CatalogError, BackendError) as error:
            logger.warning(
                "bucket not drained yet", backend=backend, bucket=bucket.name, error=str(error)
            )

    async def wait_for_work(self) -> None:
        """Return when the marks have changed; while backends are drained, after a while, too."""
        pause_s = self._pause_s if self._services.draining else POLL_S_MAX
        with trio.move_on_after(pause_s):
            await self._changed.wait()
