"""What the store tests share: sources, the stores under test, and how they are opened."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions, S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import Backend, PutOptions, Stat, Store
from s3proxy.http.client import Client, ClientLimits
from s3proxy.http.readiness import Readiness

KIB = 1024
MIB = 1024 * KIB


class Source:
    """Bytes in pieces of at most `piece`; may fail or wait for ever after `stop` bytes."""

    def __init__(self, data: bytes, piece: int = 100_000) -> None:
        self.length = len(data)
        self._data = memoryview(data)
        self._piece = piece

    async def read_into(self, buffer: memoryview) -> int:
        await trio.lowlevel.checkpoint()
        count = min(len(buffer), self._piece, len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


class SourceError(Exception):
    pass


class FailingSource(Source):
    """Raises where the data would end, in place of the last byte."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data[:-1])

    async def read_into(self, buffer: memoryview) -> int:
        count = await super().read_into(buffer)
        if not count:
            raise SourceError
        return count


class HangingSource(Source):
    """Waits for ever in place of the last byte; `reached` is set then."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data[:-1])
        self.reached = trio.Event()

    async def read_into(self, buffer: memoryview) -> int:
        count = await super().read_into(buffer)
        if not count:
            self.reached.set()
            await trio.sleep_forever()
        return count


async def put(store: Store, key: str, data: bytes, **options: Any) -> Stat:
    """Put bytes whole."""
    return await store.put(key, Source(data), PutOptions(length=len(data), **options))


async def read(store: Store, key: str, first: int = 0, last: int | None = None) -> bytes:
    """The bytes of an object, its body closed."""
    reading = await store.open(key, first, last)
    data = bytearray()
    buffer = memoryview(bytearray(70_000))
    try:
        while count := await reading.body.read_into(buffer):
            data += buffer[:count]
    finally:
        await reading.body.aclose()
    assert len(data) == reading.body.length
    return bytes(data)


async def keys(store: Store, prefix: str = "") -> list[str]:
    """All keys, page by page."""
    found: list[str] = []
    after = ""
    while True:
        page = await store.list(prefix, delimiter="", after=after, limit=100)
        found += [entry.key for entry in page.objects]
        if not page.truncated:
            return found
        after = page.next_after


@dataclass
class Place:
    """One store under test.

    Attributes:
        blobs: the managed role, whose keys are ids.
        atomic: conditional writes are decided atomically by what is behind the store.
        leftovers: files that an interrupted write may have left; must be none.
    """

    name: str
    backend: Backend
    store: Store
    blobs: bool = False
    atomic: bool = True
    leftovers: Callable[[], list[Path]] = list

    def key(self, hint: str) -> str:
        """A key for a test that does not care which."""
        return uuid.uuid4().hex if self.blobs else hint


def files_below(directory: Path) -> list[Path]:
    """All files of a tree."""
    return [path for path in directory.rglob("*") if path.is_file()]


def names_in(directory: Path) -> list[str]:
    """Names of a directory, sorted."""
    return sorted(path.name for path in directory.iterdir())


@asynccontextmanager
async def local_blobs(root: Path) -> AsyncIterator[Place]:
    backend = LocalBackend(LocalOptions(name="disk", root=str(root)))
    yield Place(
        "local-blobs",
        backend,
        backend.blobs("any"),
        blobs=True,
        leftovers=lambda: files_below(root / "tmp"),
    )


@asynccontextmanager
async def local_files(root: Path) -> AsyncIterator[Place]:
    (root / "www").mkdir()
    backend = LocalBackend(LocalOptions(name="disk", root=str(root)))
    yield Place(
        "local-files",
        backend,
        backend.files("www"),
        leftovers=lambda: files_below(root / "www" / ".s3proxy"),
    )


@asynccontextmanager
async def s3_bucket(name: str, url: str, *, atomic: bool, **options: str) -> AsyncIterator[Place]:
    async with s3_backend(url, **options) as backend:
        bucket = f"test-{uuid.uuid4().hex}"
        await backend.create_container(bucket)
        yield Place(name, backend, backend.files(bucket), atomic=atomic)


@asynccontextmanager
async def s3_prefix(name: str, url: str, *, atomic: bool) -> AsyncIterator[Place]:
    async with s3_backend(url, physical_bucket=f"test-{uuid.uuid4().hex}") as backend:
        container = backend.container("s3gw-0123456789abcdef-moto")
        await backend.create_container(container)
        beside = backend.blobs(backend.container("s3gw-1"))
        await put(beside, "s3gw-0123456789abcdef-moto/foreign", b"beside")
        yield Place(name, backend, backend.blobs(container), atomic=atomic)


@asynccontextmanager
async def s3_backend(
    url: str, *, first_byte_timeout_s: float = 30.0, **options: Any
) -> AsyncIterator[S3Backend]:
    credentials: dict[str, Any] = {"access_key": "AKIATEST", "secret_key": "secret", **options}
    async with trio.open_nursery() as nursery:
        readiness = Readiness()
        await nursery.start(readiness.run)
        client = Client(readiness, ClientLimits(first_byte_timeout_s=first_byte_timeout_s))
        yield S3Backend(S3Options(name="moto", endpoint=url, **credentials), client)
        await client.aclose()
        nursery.cancel_scope.cancel()
    readiness.close()
