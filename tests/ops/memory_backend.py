"""A backend in memory that can be told to fail, with all that an S3 provider does for blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

import trio

from s3proxy.backends.errors import (
    AlreadyExists,
    InvalidRange,
    NoSuchUpload,
    NotFound,
    Unavailable,
    Unsupported,
)
from s3proxy.backends.s3_multipart import multipart_etag
from s3proxy.backends.store import Features, PutOptions, Reading, Stat
from s3proxy.http.body import BytesBody, ByteSource
from s3proxy.s3.listing import ListPage

Hook = Callable[[str, str], Awaitable[None]]


async def _nothing(op: str, key: str) -> None:
    await trio.lowlevel.checkpoint()


class MemoryBackend:
    """One place.

    Attributes:
        blobs_kept: bytes by name.
        metadata: (system, user) by name.
        uploads: parts by number, by upload id.
        asked: (operation, name) of all that was asked.
        hook: awaited before each operation; may raise or wait.
        written: awaited after a write is visible.
        down: nothing answers.
        flip: the first byte that is stored is another.
        told: ETags of what does not have that of its bytes; "opaque": they are no MD5, and said so.
    """

    type = "memory"

    def __init__(self, name: str, *, multipart: bool = True) -> None:
        self.name = name
        self.features = Features(multipart=multipart, metadata=True, etags=True)
        self.blobs_kept: dict[str, bytes] = {}
        self.metadata: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.containers: set[str] = set()
        self.hook: Hook = _nothing
        self.written: Hook = _nothing
        self.down = False
        self.flip = False
        self.told: dict[bytes, str] = {}

    def count(self, op: str) -> int:
        return sum(asked == op for asked, _ in self.asked)

    async def enter(self, op: str, key: str) -> None:
        self.asked.append((op, key))
        await self.hook(op, key)
        if self.down:
            raise Unavailable(op, key, "down", self.name)

    def blobs(self, container: str) -> MemoryStore:
        return MemoryStore(self)

    def files(self, target: str) -> MemoryStore:
        return MemoryStore(self)

    def blob_name(self, key: str, blob_id: str) -> str:
        return f"{key}~{blob_id}"

    def container(self, name: str) -> str:
        return name

    async def create_container(self, container: str) -> None:
        await self.enter("create_container", container)
        self.containers.add(container)

    async def delete_container(self, container: str) -> None:
        self.containers.discard(container)

    async def check(self) -> None:
        await self.enter("check", "")

    async def capacity(self) -> tuple[int, int] | None:
        return None

    async def recover(self) -> int:
        return 0

    async def forget_uploads(self, target: str, known: Collection[str]) -> int:
        return 0

    def blob_ids(self) -> Iterator[str]:
        return iter(name.rpartition("~")[2] for name in self.blobs_kept)

    async def aclose(self) -> None:
        pass


class MemoryStore:
    """Its blobs."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self.features = backend.features

    def _stat(self, key: str) -> Stat:
        data = self._backend.blobs_kept.get(key)
        if data is None:
            raise NotFound("open", key, "", self._backend.name)
        system, user = self._backend.metadata.get(key, ({}, {}))
        etag = self._backend.told.get(data, _md5(data))
        stat = Stat(size=len(data), modified_ns=1, etag=etag, system=system, user=user)
        if etag == "opaque":
            stat.etag, stat.opaque_etag = "0" * 32, True
        return stat

    async def head(self, key: str) -> Stat:
        await self._backend.enter("head", key)
        return self._stat(key)

    async def open(self, key: str, first: int = 0, last: int | None = None) -> Reading:
        await self._backend.enter("open", key)
        stat = self._stat(key)
        if first and first >= stat.size:
            raise InvalidRange("open", key)
        data = self._backend.blobs_kept[key]
        stop = len(data) if last is None else last + 1
        return Reading(stat=stat, body=BytesBody(data[first:stop]))

    async def put(self, key: str, source: ByteSource, options: PutOptions) -> Stat:
        await self._backend.enter("put", key)
        if key in self._backend.blobs_kept:
            raise AlreadyExists("put", key)
        data = await self._read(source, options)
        if options.published is not None:
            await options.published()
        self._keep(key, data, options)
        await self._backend.written("put", key)
        return self._stat(key)

    async def delete(self, key: str) -> None:
        await self._backend.enter("delete", key)
        self._backend.blobs_kept.pop(key, None)

    async def copy(self, source_key: str, target_key: str, options: PutOptions) -> Stat:
        raise Unsupported("copy", source_key)

    async def list(self, prefix: str, *, delimiter: str, after: str, limit: int) -> ListPage:
        raise Unsupported("list", prefix)

    async def create_upload(self, key: str, options: PutOptions) -> str:
        await self._backend.enter("create_upload", key)
        upload_id = f"upload-{len(self._backend.asked)}"
        self._backend.uploads[upload_id] = {}
        self._backend.metadata[key] = (options.system, options.user)
        return upload_id

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        await self._backend.enter("put_part", key)
        data = await self._read(source, options)
        parts = self._parts(key, upload_id)
        parts[number] = data
        await self._backend.written("put_part", key)
        return Stat(size=len(data), modified_ns=1, etag=_md5(data))

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        await self._backend.enter("complete_upload", key)
        found = self._parts(key, upload_id)
        assert [_md5(found[number]) for number, _ in parts] == [etag for _, etag in parts]
        data = b"".join(found[number] for number, _ in parts)
        del self._backend.uploads[upload_id]
        self._backend.blobs_kept[key] = data
        await self._backend.written("complete_upload", key)
        etag = multipart_etag([etag for _, etag in parts])
        return Stat(size=len(data), modified_ns=1, etag=etag)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._backend.enter("abort_upload", key)
        self._backend.uploads.pop(upload_id, None)

    def _parts(self, key: str, upload_id: str) -> dict[int, bytes]:
        parts = self._backend.uploads.get(upload_id)
        if parts is None:
            raise NoSuchUpload("put_part", key)
        return parts

    async def _read(self, source: ByteSource, options: PutOptions) -> bytes:
        data = bytearray()
        buffer = memoryview(bytearray(1 << 16))
        while count := await source.read_into(buffer):
            data += buffer[:count]
        assert len(data) == options.length
        if self._backend.flip and data:
            data[0] ^= 1
        return bytes(data)

    def _keep(self, key: str, data: bytes, options: PutOptions) -> None:
        self._backend.blobs_kept[key] = data
        self._backend.metadata[key] = (options.system, options.user)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
