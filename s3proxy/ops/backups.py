"""Backups of the catalog at a backend: made, listed, brought back, the older ones removed.

    <container>/<prefix>20261121T103000.123Z-<deployment>-<digest>.lmdb

The time is that of the moment the copy shows; the deployment is 16 hex digits that tell the
catalogs of gateways apart that share a container; the digest is BLAKE2b-128 of the file. So nothing
beside the name is needed to choose one, and to see that all of it came back.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b, file_digest

import msgspec
import trio

from s3proxy.backends.disk import Disk
from s3proxy.backends.disk_errors import os_errors
from s3proxy.backends.errors import BackendError, NoSuchContainer
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import Backend, PutOptions, Store
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.deployment import BackupUpload
from s3proxy.http.body import FileBody
from s3proxy.kv.errors import KvError

# One PUT up to here; what is larger goes in parts, of which S3 takes 10,000.
PART_BYTES = 64 << 20
PARTS_MAX = 9_000
DIGEST_BYTES = 16
ABORT_S_MAX = 10.0
PAGE = 1000
_NAME = re.compile(
    r"(?P<made>\d{8}T\d{6}\.\d{3}Z)-(?P<deployment>[0-9a-f]{16})-(?P<digest>[0-9a-f]{32})\.lmdb"
)


class Backup(msgspec.Struct, frozen=True):
    """One backup at the backend.

    Attributes:
        id: the moment that it shows, UTC.
        deployment: whose catalog it is.
        digest: BLAKE2b-128 of its bytes, hex.
        size: bytes.
    """

    id: str
    deployment: str
    digest: str
    size: int

    @property
    def name(self) -> str:
        """Its key below the prefix."""
        return f"{self.id}-{self.deployment}-{self.digest}.lmdb"

    @property
    def made_s(self) -> float:
        """The moment in seconds since 1970."""
        whole = timegm(time.strptime(self.id[:15], "%Y%m%dT%H%M%S"))
        return whole + int(self.id[16:19]) / 1000


def id_of(now_s: float) -> str:
    """What a backup made at that time is called."""
    whole, milliseconds = divmod(int(now_s * 1000), 1000)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(whole))}.{milliseconds:03d}Z"


class BackupPlace:
    """Where backups are kept.

    Args:
        container: the bucket or directory at the backend; made when it is not there.
        prefix: of the keys in it.
    """

    def __init__(self, backend: Backend, container: str, prefix: str) -> None:
        self._backend = backend
        self.prefix = prefix
        self.container = container

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self._backend.name

    @property
    def _store(self) -> Store:
        return self._backend.files(self.container)

    async def list(self) -> list[Backup]:
        """All backups that are there, of any deployment, the newest first.

        Raises:
            BackendError: the backend does not tell.
        """
        found, after = [], ""
        while True:
            try:
                page = await self._store.list(self.prefix, delimiter="", after=after, limit=PAGE)
            except NoSuchContainer:
                return []
            for entry in page.objects:
                named = _NAME.fullmatch(entry.key.removeprefix(self.prefix))
                if named is not None:
                    parts = named.groupdict()
                    made = Backup(parts["made"], parts["deployment"], parts["digest"], entry.size)
                    found.append(made)
            if not page.truncated:
                return sorted(found, key=lambda backup: backup.id, reverse=True)
            after = page.next_after

    async def put(self, backup: Backup, descriptor: int, catalog: Catalog) -> None:
        """Bring a file there, whole or not at all.

        Killed meanwhile, it leaves nothing that has the name of a backup; the upload of a large one
        is noted, for `end_upload` at the next start.
        """
        await self._make_container()
        key = self.prefix + backup.name
        if backup.size <= PART_BYTES or self._backend.type == "local":
            body = FileBody(descriptor, 0, backup.size, close=False)
            await self._store.put(key, body, PutOptions(length=backup.size))
        else:
            await self._put_parts(key, backup.size, descriptor, catalog)

    async def _make_container(self) -> None:
        backend, container = self._backend, self.container
        if isinstance(backend, LocalBackend):
            await backend.make_target(container)
        elif not (isinstance(backend, S3Backend) and await backend.has_container(container)):
            await backend.create_container(container)

    async def _put_parts(self, key: str, size: int, descriptor: int, catalog: Catalog) -> None:
        store = self._store
        upload_id = await store.create_upload(key, PutOptions())
        noted = BackupUpload(self.backend, self.container, key, upload_id)
        try:
            await catalog.note_backup_upload(noted)
            part_bytes = max(PART_BYTES, -(-size // PARTS_MAX))
            parts = []
            for number, offset in enumerate(range(0, size, part_bytes), 1):
                length = min(part_bytes, size - offset)
                body = FileBody(descriptor, offset, length, close=False)
                options = PutOptions(length=length)
                stat = await store.put_part(key, upload_id, number, body, options)
                parts.append((number, stat.etag))
            await store.complete_upload(key, upload_id, parts, PutOptions())
        except BaseException:
            with trio.move_on_after(ABORT_S_MAX) as scope, suppress(BackendError, KvError):
                scope.shield = True
                await self.end_upload(noted, catalog)
            raise
        await catalog.note_backup_upload(None)

    async def end_upload(self, upload: BackupUpload | None, catalog: Catalog) -> None:
        """Give up an upload that was not completed; one that is gone, or another's, is no error."""
        if upload is None:
            return
        if (upload.backend, upload.container) == (self.backend, self.container):
            await self._store.abort_upload(upload.key, upload.upload_id)
        await catalog.note_backup_upload(None)

    async def fetch(self, backup: Backup, descriptor: int) -> None:
        """Bring a backup's bytes into an open, empty file.

        Raises:
            BackendError: they cannot be read, or are not those that were brought there.
            OSError: they cannot be written here.
        """
        key = self.prefix + backup.name
        reading = await self._store.open(key)
        try:
            await Disk().write(descriptor, reading.body, length=reading.stat.size)
        finally:
            await reading.body.aclose()
        if await digest_of(descriptor) != backup.digest:
            hint = "damaged: its bytes are not those that were written"
            raise BackendError("fetch", f"{self.container}/{key}", hint, self.backend)

    async def remove(self, backup: Backup) -> None:
        """Delete a backup; one that is gone is no error."""
        await self._store.delete(self.prefix + backup.name)


async def digest_of(descriptor: int) -> str:
    """What the name of a backup has of its bytes."""

    def digest() -> str:
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(0)
            return file_digest(file, lambda: blake2b(digest_size=DIGEST_BYTES)).hexdigest()

    return await trio.to_thread.run_sync(digest)


class Backups:
    """Makes backups of a catalog at a place, and keeps so many of them.

    Args:
        directory: where a copy is made first, in a file without a name.
        keep: of this deployment's, the newest so many.
        deployment: see Backup.

    Attributes:
        last: the newest good one that is known.
        made: how many since the start.
        failures, error: how often one could not be made, and why at last; "" since a good one.
    """

    def __init__(
        self,
        catalog: Catalog,
        place: BackupPlace,
        *,
        directory: str,
        keep: int,
        deployment: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._directory = directory
        self._keep = keep
        self.deployment = deployment
        self._clock = clock
        self._lock = trio.Lock()
        self.place = place
        self.last: Backup | None = None
        self.made = 0
        self.failures = 0
        self.error = ""

    async def make(self) -> Backup:
        """Make one now, then remove those that are too many.

        Raises:
            KvError: the catalog cannot be copied, such as for want of room.
            BackendError: the backend does not take it.
        """
        async with self._lock:
            with self._noting():
                self.last = await self._make()
                self.made += 1
                await self._remove_older()
            self.error = ""
            return self.last

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except (BackendError, KvError, OSError) as error:
            self.failures += 1
            self.error = str(error)
            raise

    async def _make(self) -> Backup:
        with os_errors("backup", self._directory, "catalog"):
            copy = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
        with copy:
            descriptor = copy.fileno()
            now_s = self._clock()
            await self._catalog.engine.copy_to(descriptor)
            size = os.fstat(descriptor).st_size
            digest = await digest_of(descriptor)
            backup = Backup(id_of(now_s), self.deployment, digest, size)
            await self.place.put(backup, descriptor, self._catalog)
            return backup

    async def find_last(self) -> None:
        """Look what is there after a start, and end what a process that was killed had begun.

        Raises:
            BackendError: the backend does not tell.
        """
        with self._noting():
            await self.place.end_upload(self._catalog.backup_upload(), self._catalog)
            own = await self._own()
        self.last = own[0] if own else None

    async def _remove_older(self) -> None:
        for backup in (await self._own())[self._keep :]:
            await self.place.remove(backup)

    async def _own(self) -> list[Backup]:
        return [found for found in await self.place.list() if found.deployment == self.deployment]
