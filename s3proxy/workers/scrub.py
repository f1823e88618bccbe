"""Scrubs everything now and then, at a bounded rate; one that was cut off is gone on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.marks import SCRUBBED
from s3proxy.log import get_logger
from s3proxy.ops.scrub import Scrub, ScrubOptions

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

POLL_S: Final = 60.0

logger = get_logger("scrub")


class Scrubber:
    """Worker that scrubs all backends.

    Args:
        interval_s: from the beginning of one to that of the next; 0: never.
    Attributes:
        counts: of all runs since the start, by outcome.
    """

    name = "scrub"

    def __init__(self, services: Services, options: ScrubOptions, *, interval_s: float) -> None:
        self._services = services
        self._options = options
        self._interval_ns = int(interval_s * 1e9)
        self.counts: dict[str, int] = {}

    async def work(self) -> bool:
        """Scrub everything, if it is time to."""
        catalog, now_ns = self._services.catalog, self._services.clock_ns()
        last_ns = catalog.get_mark(SCRUBBED)
        if not self._interval_ns:
            return False
        if last_ns is None:  # the first comes after an interval: nothing is old yet
            await catalog.put_mark(SCRUBBED, now_ns)
            return False
        if now_ns < last_ns + self._interval_ns:
            return False
        run = Scrub(self._services, self._options)
        try:
            await run.run()
        except CatalogError as error:
            logger.error("scrub given up", error=str(error))
        finally:
            for what, number in run.report.counts.items():
                self.counts[what] = self.counts.get(what, 0) + number
        for problem in run.report.problems:
            logger.warning("scrub", found=problem)
        await catalog.put_mark(SCRUBBED, now_ns)
        return False

    async def wait_for_work(self) -> None:
        """It becomes due by time alone."""
        await trio.sleep(POLL_S)
