"""Backups of a catalog, and where they go in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.catalog.catalog import Catalog
from s3proxy.ops.backups import BackupPlace, Backups

CONTAINER, PREFIX = "kept-apart", "catalog/"


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.s = 1_700_000_000.25

    def __call__(self) -> float:
        return self.s


def local_place(folder: Path) -> BackupPlace:
    backend = LocalBackend(LocalOptions(name="disk", root=str(folder / "root")))
    return BackupPlace(backend, CONTAINER, PREFIX)


def backups_at(
    place: BackupPlace, catalog: Catalog, folder: Path, clock: Seconds, **more: Any
) -> Backups:
    more = {"keep": 3, "deployment": "0123456789abcdef", **more}
    return Backups(catalog, place, directory=str(folder), clock=clock, **more)
