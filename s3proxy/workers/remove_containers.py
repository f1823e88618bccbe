"""Removing what deleted buckets had on backends, once the last of their blobs is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from s3proxy.ops.containers import remove_container

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

# Blobs outlive their last record by GARBAGE_DELAY_S.
POLL_S = 30.0


class ContainerRemover:
    """Worker that removes leftover containers; one with foreign bytes in it stays."""

    name = "remove_containers"

    def __init__(self, services: Services) -> None:
        self._services = services

    async def work(self) -> bool:
        """Try each once."""
        for leftover in self._services.catalog.leftover_containers():
            await remove_container(self._services, leftover)
        return False

    async def wait_for_work(self) -> None:
        """They become empty by time alone."""
        await trio.sleep(POLL_S)
