"""A lab whose backends are in places, and what its tests ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from s3proxy.backends.errors import AlreadyExists, Unavailable
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.catalog.records import BucketRecord
from s3proxy.ops.call import Settings
from s3proxy.placement import Facts
from tests.ops.lab import Lab, location_document, open_lab

FACTS = {
    "disk": Facts("disk", "local"),
    "hel": Facts("hel", "local", region="fi-1", country="fi", jurisdiction="eu"),
    "nbg": Facts("nbg", "local", region="de-1", country="de", jurisdiction="eu"),
    "iad": Facts("iad", "local", region="us-1", country="us", jurisdiction="us", weight=900),
}


class CountingBackend(LocalBackend):
    """A local backend that notes its containers; names in `foreign` are somebody else's."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(LocalOptions(name=name, root=str(directory / name), durability="none"))
        self.made: list[str] = []
        self.foreign: set[str] = set()
        self.down = False

    async def create_container(self, container: str) -> None:
        if self.down:
            raise Unavailable("create_container", container, "no answer", self.name)
        if container in self.foreign:
            raise AlreadyExists("create_container", container, "taken", self.name)
        self.made.append(container)


@asynccontextmanager
async def open_places(directory: Path, settings: Settings | None = None) -> AsyncIterator[Lab]:
    """A lab with `disk`, of which nothing is known, and `hel`, `nbg` and `iad`."""
    more = [CountingBackend(name, directory) for name in ("hel", "nbg", "iad")]
    settings = settings or Settings(inline_bytes_max=1000, part_bytes_min=10)
    async with open_lab(directory, more=more, settings=settings) as lab:
        lab.services.facts = FACTS
        yield lab


def backend(lab: Lab, name: str) -> CountingBackend:
    found = lab.services.backends[name]
    assert isinstance(found, CountingBackend)
    return found


def bucket(lab: Lab, name: str, tenant: str = "main") -> BucketRecord:
    record = lab.catalog.get_bucket(name, tenant)
    assert record is not None
    return record


async def made(lab: Lab, location: str, name: str = "placed") -> BucketRecord:
    await lab.ask("PUT", f"/{name}", location_document(location))
    return bucket(lab, name)
