"""Immutable blobs on a local disk, fanned out by id.

    <root>/ab/cd/abcd…      a whole blob, under its id; written once, never changed
    <root>/tmp/<id>.<n>     a blob on its way; what an earlier process left is removed at start

Write order: bytes to the temporary, `published`, then in one thread hop fsync, link to the final
name, unlink of the temporary, fsync of the directory. A crash before the link leaves a temporary,
one after it a whole blob, perhaps with two names; recovery removes the first, and the open intent
leads the collector to the second.

Multipart needs no support here: parts are blobs of their own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from s3proxy.backends.disk import Disk, sync_directory
from s3proxy.backends.disk_errors import os_errors
from s3proxy.backends.errors import AlreadyExists, InvalidKey, InvalidRange, Unsupported
from s3proxy.backends.store import Features, PutOptions, Reading, Stat
from s3proxy.http.body import ByteSource, FileBody
from s3proxy.s3.listing import ListedObject, ListPage

TEMPORARIES = "tmp"
ID_LENGTH_MIN = 5  # two characters for each fan-out level, and one to tell blobs apart

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_HEX = frozenset("0123456789abcdef")
_numbers = itertools.count()


def clip_range(key: str, size: int, first: int, last: int | None) -> tuple[int, int]:
    """(offset, length) of bytes first..last of an object; InvalidRange."""
    stop = size if last is None else min(last + 1, size)
    if first < 0 or first > stop or (first == size and size > 0):
        raise InvalidRange("open", key, f"the object has {size} bytes")
    return first, stop - first


def stat_of(status: os.stat_result) -> Stat:
    """Stat of a blob's file."""
    return Stat(size=status.st_size, modified_ns=status.st_mtime_ns)


def reading_of(
    fd: int,
    key: str,
    stat_of: Callable[[os.stat_result], Stat],
    first: int,
    last: int | None,
) -> Reading:
    """Bytes first..last of an open file, which it owns from now on; InvalidRange, OSError."""
    try:
        stat = stat_of(os.fstat(fd))
        offset, length = clip_range(key, stat.size, first, last)
    except BaseException:
        os.close(fd)
        raise
    return Reading(stat=stat, body=FileBody(fd, offset, length))


class LocalBlobStore:
    """The managed role of a local backend. One for all containers: ids are unique."""

    features = Features(copy=True, conditional=True)

    def __init__(self, root: Path, disk: Disk, *, backend: str, durable: bool) -> None:
        self._root = root
        self._disk = disk
        self._backend = backend
        self._durable = durable

    async def head(self, key: str) -> Stat:
        """See `Store.head`."""
        with os_errors("head", key, self._backend):
            return stat_of(self._path(key).lstat())

    async def open(self, key: str, first: int = 0, last: int | None = None) -> Reading:
        """See `Store.open`; opens in the loop, since the collector alone makes blobs go."""
        with os_errors("open", key, self._backend):
            fd = os.open(self._path(key), _READ)
            return reading_of(fd, key, stat_of, first, last)

    async def put(self, key: str, source: ByteSource, options: PutOptions) -> Stat:
        """See `Store.put`; AlreadyExists when the id was used before."""
        with os_errors("put", key, self._backend), self._temporary(key) as (fd, temporary):
            await self._disk.write(fd, source, length=options.length)
            return await self._publish(key, fd, temporary, options)

    async def copy(self, source_key: str, target_key: str, options: PutOptions) -> Stat:
        """See `Store.copy`; shares blocks where the file system can."""
        with os_errors("copy", source_key, self._backend):
            source_fd = os.open(self._path(source_key), _READ)
            try:
                size = os.fstat(source_fd).st_size
                with self._temporary(target_key) as (fd, temporary):
                    await self._disk.copy(source_fd, fd, (0, size), 0)
                    return await self._publish(target_key, fd, temporary, options)
            finally:
                os.close(source_fd)

    async def delete(self, key: str) -> None:
        """See `Store.delete`; not synced: a blob that a power loss brings back only costs space."""
        path = self._path(key)
        with os_errors("delete", key, self._backend):
            await self._disk.run(_unlink, path)

    async def list(self, prefix: str, *, delimiter: str, after: str, limit: int) -> ListPage:
        """See `Store.list`; for tests and repair, as it walks all blobs. No delimiter."""
        if delimiter:
            raise Unsupported("list", prefix, "blobs have no delimiter", self._backend)

        def page() -> ListPage:
            names = sorted(name for name in self.ids() if name > after and name.startswith(prefix))
            chosen = names[:limit]
            objects = [self._listed(name) for name in chosen]
            truncated = len(names) > limit
            return ListPage(
                objects=objects,
                common_prefixes=[],
                truncated=truncated,
                next_after=chosen[-1] if truncated and chosen else "",
            )

        with os_errors("list", prefix, self._backend):
            return await self._disk.run(page)

    async def create_upload(self, key: str, options: PutOptions) -> str:
        """Unsupported: parts of managed objects are blobs."""
        raise self._no_multipart("create_upload", key)

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        """Unsupported, see `create_upload`."""
        raise self._no_multipart("put_part", key)

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        """Unsupported, see `create_upload`."""
        raise self._no_multipart("complete_upload", key)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Nothing to abort."""

    def ids(self) -> Iterator[str]:
        """All stored ids, in any order. Blocks; O(blobs)."""
        for outer in _fan_out_names(self._root):
            for inner in _fan_out_names(self._root / outer):
                yield from _names(self._root / outer / inner)

    def remove_temporaries(self, older_than_ns: int) -> int:
        """Remove what an interrupted process left; how many. Blocks."""
        return remove_files(self._root / TEMPORARIES, older_than_ns)

    def _path(self, blob_id: str) -> Path:
        # Only hex digits, so that no id can name anything but a file two levels down.
        if len(blob_id) < ID_LENGTH_MIN or not _HEX.issuperset(blob_id):
            raise InvalidKey("blob", blob_id, "not a blob id", self._backend)
        return self._root / blob_id[:2] / blob_id[2:4] / blob_id

    def _listed(self, blob_id: str) -> ListedObject:
        stat = stat_of(self._path(blob_id).stat())
        return ListedObject(key=blob_id, size=stat.size, etag="", modified_ns=stat.modified_ns)

    def _no_multipart(self, op: str, key: str) -> Unsupported:
        return Unsupported(op, key, "parts are blobs of their own", self._backend)

    @contextmanager
    def _temporary(self, blob_id: str) -> Iterator[tuple[int, Path]]:
        self._path(blob_id)
        path = self._root / TEMPORARIES / f"{blob_id}.{os.getpid()}-{next(_numbers)}"
        with temporary_file(path, mode=0o600) as fd:
            yield fd, path

    async def _publish(self, blob_id: str, fd: int, temporary: Path, options: PutOptions) -> Stat:
        if options.published is not None:
            await options.published()
        path = self._path(blob_id)
        try:
            await self._disk.run(self._link, fd, temporary, path)
        except FileExistsError:
            raise AlreadyExists("put", blob_id, "blobs never change", self._backend) from None
        return stat_of(os.fstat(fd))

    def _link(self, fd: int, temporary: Path, path: Path) -> None:
        if self._durable:
            os.fsync(fd)
        try:
            path.hardlink_to(temporary)
        except FileNotFoundError:
            self._make_parent(path.parent)
            path.hardlink_to(temporary)
        temporary.unlink()
        if self._durable:
            sync_directory(str(path.parent))

    def _make_parent(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        if self._durable:
            sync_directory(str(directory.parent))
            sync_directory(str(self._root))


@contextmanager
def temporary_file(path: Path, *, mode: int) -> Iterator[int]:
    """A new file that is closed, and gone unless it was renamed, when the block ends."""
    try:
        fd = os.open(path, _CREATE, mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, _CREATE, mode)
    try:
        yield fd
    finally:
        os.close(fd)
        _unlink(path)


def remove_files(directory: Path, older_than_ns: int) -> int:
    """Remove the files of a directory that were last changed before a time; how many. Blocks."""
    removed = 0
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return 0
    for entry in entries:
        try:
            if entry.stat(follow_symlinks=False).st_mtime_ns < older_than_ns:
                Path(entry.path).unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _names(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _fan_out_names(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if is_fan_out(entry.name)]
    except FileNotFoundError:
        return []


def is_fan_out(name: str) -> bool:
    """Whether a directory name is one of the blobs' fan-out levels."""
    return len(name) == 2 and _HEX.issuperset(name)
