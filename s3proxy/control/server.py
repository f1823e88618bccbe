"""Runs the control application on Hypercorn's Trio worker."""

from __future__ import annotations

import socket

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio import serve
from litestar.types import ASGIApp


async def serve_control(
    app: ASGIApp,
    listen: str,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `listen` ("host:port") until cancelled.

    Reports the bound URLs through `task_status`. Raises OSError when the address cannot be bound.
    """
    config = HypercornConfig()
    # Bound here: Hypercorn's own failure comes wrapped in exception groups. It closes the socket.
    config.bind = [f"fd://{_bound(listen).detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.graceful_timeout = 1.0
    await serve(
        app,  # type: ignore[arg-type]
        config,
        shutdown_trigger=trio.sleep_forever,
        task_status=task_status,
    )


def _bound(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family)
