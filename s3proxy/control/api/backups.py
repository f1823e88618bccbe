"""Backups of the catalog: /api/v1/backups."""

from __future__ import annotations

from litestar import Router, get, post
from msgspec import Struct

from s3proxy.backends.errors import BackendError
from s3proxy.control.api.dependencies import After, Limit, Using, part_of
from s3proxy.control.api.problems import ApiError
from s3proxy.control.api.refusals import refusals
from s3proxy.kv.errors import KvError
from s3proxy.ops.backups import Backup, Backups
from s3proxy.ops.call import Services


class BackupStatus(Struct, frozen=True):
    """What there is, and how making more of them goes.

    Attributes:
        backend, container, prefix: where they are.
        failures, error: tries that failed since the gateway's start, and why the last one did; ""
            since one was good.
        items: the newest first, those of other deployments with the same place among them.
    """

    backend: str
    container: str
    prefix: str
    deployment: str
    failures: int
    error: str
    items: list[Backup]
    next: str


@get("/", responses=refusals(409, 502))
async def list_backups(services: Using, after: After = "", limit: Limit = 100) -> BackupStatus:
    """List the backups at the backend."""
    backups = _require(services)
    try:
        found = await backups.place.list()
    except BackendError as error:
        raise ApiError(502, "BackupsUnavailable", str(error)) from error
    page = part_of(found, after, limit, lambda backup: backup.name)
    return BackupStatus(
        backups.place.backend,
        backups.place.container,
        backups.place.prefix,
        backups.deployment,
        backups.failures,
        backups.error,
        page.items,
        page.next,
    )


@post("/", responses=refusals(502))
async def make_backup(services: Using) -> Backup:
    """Make a backup now; answered when it is at the backend."""
    try:
        return await _require(services).make()
    except (BackendError, KvError, OSError) as error:
        raise ApiError(502, "BackupFailed", str(error)) from error


def _require(services: Services) -> Backups:
    if services.backups is None:
        detail = "[backup] of the configuration names no backend; see docs/backup.md."
        raise ApiError(409, "NoBackups", detail)
    return services.backups


def router() -> Router:
    """The routes of this module."""
    return Router("/backups", route_handlers=[list_backups, make_backup], tags=["backups"])
