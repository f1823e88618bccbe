"""Backups of the catalog on a schedule."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from s3proxy.log import get_logger
from s3proxy.ops.backups import Backups

logger = get_logger("backup")


class BackupWorker:
    """Worker that makes a backup when the newest one is older than the interval.

    Args:
        interval_s: from the moment that one shows to the next.
        clock: seconds since 1970.
    """

    name = "backup"

    def __init__(
        self, backups: Backups, *, interval_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._backups = backups
        self._interval_s = interval_s
        self._clock = clock
        self._looked = False

    async def work(self) -> bool:
        """Make one if it is due."""
        if not self._looked:
            await self._backups.find_last()
            self._looked = True
        if self._due_s() <= 0:
            made = await self._backups.make()
            logger.info("catalog backed up", backup=made.id, bytes=made.size)
        return False

    async def wait_for_work(self) -> None:
        """One made meanwhile by request puts the next off."""
        await trio.sleep(max(0.0, self._due_s()))

    def _due_s(self) -> float:
        """Seconds until the next; one from the future does not hold it up."""
        last = self._backups.last
        if last is None:
            return 0.0
        age_s = max(0.0, self._clock() - last.made_s)
        return self._interval_s - age_s
