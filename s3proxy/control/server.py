"""Runs the control application on Hypercorn's Trio worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio import serve
from litestar import Litestar


async def serve_control(
    app: Litestar,
    listen: str,
    *,
    shutdown: Callable[[], Awaitable[Any]],
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `listen` ("host:port") until `shutdown()` returns.

    Reports the bound URLs through `task_status`. Raises OSError when the address cannot be bound.
    """
    config = HypercornConfig()
    config.bind = [listen]
    config.accesslog = None
    config.errorlog = None
    config.graceful_timeout = 1.0
    await serve(app, config, shutdown_trigger=shutdown, task_status=task_status)  # type: ignore[arg-type]
