"""Counting what buckets hold whose quota was set, a few hundred objects at a time."""

from __future__ import annotations

import trio

from s3proxy.catalog.catalog import Catalog


class UsageCounter:
    """Worker that does what the catalog has to count (catalog/counting.py)."""

    name = "count_usage"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._changed = trio.Event()
        catalog.on_counting(lambda: self._changed.set())

    async def work(self) -> bool:
        """Do one step."""
        self._changed = trio.Event()
        return await self._catalog.count_step()

    async def wait_for_work(self) -> None:
        """Return when something may have come, from a command too."""
        await self._changed.wait()
