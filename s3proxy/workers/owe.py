"""Walks the buckets whose rules of placement are others than when they were walked last."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import trio

from s3proxy.catalog.errors import CatalogError, NoSuchBucket
from s3proxy.catalog.tables import BUCKETS
from s3proxy.log import get_logger
from s3proxy.ops.owing import OBJECTS_PER_S, owe_bucket, walk_rules
from s3proxy.ops.walks import buckets_of

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services

TASK: Final = "owe\0placement"
# Rules of tenants change without the bucket; all of them are looked at this often.
POLL_S: Final = 60.0
# Changes that come together cost one look at all buckets.
GATHER_S: Final = 0.5

logger = get_logger("owe")


class Ower:
    """Worker that writes debts where rules have changed.

    Args:
        objects_per_s: versions looked at in a second, at most.
    """

    name = "owe"

    def __init__(self, services: Services, *, objects_per_s: int = OBJECTS_PER_S) -> None:
        self._services = services
        self._rate = objects_per_s
        self._changed = trio.Event()
        services.catalog.engine.on_change(self._wake, BUCKETS)

    def _wake(self) -> None:
        self._changed.set()

    async def work(self) -> bool:
        """Walk the buckets whose rules are others now."""
        self._changed = trio.Event()
        walked = False
        async with aclosing(buckets_of(self._services)) as buckets:
            async for bucket in buckets:
                walked |= await self._walk(bucket)
        return walked

    async def wait_for_work(self) -> None:
        """Return when buckets have changed, or after a while."""
        with trio.move_on_after(POLL_S):
            await self._changed.wait()
        await trio.sleep(GATHER_S)

    async def _walk(self, bucket: BucketRecord) -> bool:
        """Walk a bucket if it has to be."""
        # Other walks may have taken long since it was read.
        now = self._services.catalog.get_bucket(bucket.name, bucket.tenant)
        if now is None or now.id != bucket.id:
            return False
        bucket = now
        rules = self._stale_rules(bucket)
        if rules is None:
            return False
        try:
            found = await owe_bucket(
                self._services, bucket, TASK, rules=rules, objects_per_s=self._rate
            )
        except NoSuchBucket:
            return False
        except CatalogError as error:
            logger.error("walk given up", bucket=bucket.name, error=str(error))
            return False
        logger.info("rules of placement changed", bucket=bucket.name, owed=found)
        return True

    def _stale_rules(self, bucket: BucketRecord) -> bytes | None:
        """What a bucket is to be walked for; None: it has been, or has no need."""
        if bucket.kind != "managed":
            return None
        rules = walk_rules(self._services, bucket)
        progress = self._services.catalog.get_progress(bucket, TASK)
        if progress is None:
            return rules or None
        return None if progress.done and progress.rules == rules else rules
