"""Waiting for what tells nobody that it has happened, for as long as a busy machine takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

HELD_S_MAX = 60.0


async def until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(HELD_S_MAX):
        while not holds():  # noqa: ASYNC110 - the catalog sets no event
            await trio.sleep(0.002)


async def cut_off(run: Callable[[], Awaitable[object]], once: Callable[[], bool]) -> None:
    """Cancel a task as soon as that holds."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(once)
        nursery.cancel_scope.cancel()
