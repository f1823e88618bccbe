"""What commands need to work on backends and catalog without a gateway, or beside one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from s3proxy.backends.errors import BackendError
from s3proxy.backends.health import Health
from s3proxy.backends.registry import open_backends
from s3proxy.backends.store import Backend
from s3proxy.bootstrap import StartError
from s3proxy.catalog.catalog import Catalog
from s3proxy.config import Config
from s3proxy.http.client import Client
from s3proxy.http.readiness import Readiness
from s3proxy.ops.call import Services, Settings
from s3proxy.resources import backend_options, upstream_trust


@asynccontextmanager
async def open_all_backends(config: Config) -> AsyncIterator[tuple[Mapping[str, Backend], Client]]:
    """The backends of a configuration, and the client that they share."""
    readiness = Readiness()
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        client = Client(readiness, config.upstream.limits(), upstream_trust(config))
        nursery.start_soon(client.run)
        backends = _opened(config, client)
        try:
            yield backends, client
        finally:
            with trio.CancelScope(shield=True):
                await _close(backends, client)
        nursery.cancel_scope.cancel()


def _opened(config: Config, client: Client) -> Mapping[str, Backend]:
    try:
        return open_backends(map(backend_options, config.backends()), client)
    except (BackendError, OSError, ValueError) as error:
        raise StartError(f"backend: {error}") from error


async def _close(backends: Mapping[str, Backend], client: Client) -> None:
    for backend in backends.values():
        await backend.aclose()
    await client.aclose()


@asynccontextmanager
async def open_services(config: Config, catalog: Catalog) -> AsyncIterator[Services]:
    """What operations work with, for a command."""
    async with open_all_backends(config) as (backends, client):
        settings = Settings(
            region=config.server.region,
            inline_bytes_max=config.data.inline_bytes_max,
            container_seed=await catalog.container_seed(),
            storage_classes={entry.name: entry.backend for entry in config.storage_class},
            backup_backend=config.backup.backend,
            spool_dir=config.data.dir,
        )
        yield Services(
            catalog,
            backends,
            settings,
            client=client,
            facts={backend.name: backend.facts() for backend in config.backends()},
            default_rules=config.placement.rules(),
            health=Health(backends, config.health.settings()),
        )
