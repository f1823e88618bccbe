"""An attached directory: keys are file paths, the directory is the authority.

    <target>/a/b.txt              the object a/b.txt
    <target>/a/.s3proxy-marker    the object a/ (a directory marker)
    <target>/.s3proxy/tmp/        objects on their way; left-overs are removed when opened
    <target>/.s3proxy/uploads/    multipart uploads (local_uploads.py)

`put` writes a temporary, awaits `published`, then in one thread hop syncs, links or renames it into
place and syncs the directory. The file system keeps neither ETag nor metadata: `Stat.etag` is a
stand-in (local_paths.foreign_etag), and the caller keeps the rest beside (size, modified_ns). So
`if_match` is the caller's to decide; `if_none_match_any` is decided here, by link().
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from s3proxy.backends import local_paths
from s3proxy.backends.disk import Disk
from s3proxy.backends.disk_errors import os_errors
from s3proxy.backends.errors import (
    BackendError,
    BodyRejected,
    NoSuchContainer,
    PreconditionFailed,
)
from s3proxy.backends.local_blobs import reading_of, remove_files, temporary_file
from s3proxy.backends.local_listing import list_page
from s3proxy.backends.local_paths import KeyPath, parse_key, stat_of
from s3proxy.backends.local_uploads import Uploads
from s3proxy.backends.store import Features, PutOptions, Reading, Stat
from s3proxy.http.body import ByteSource
from s3proxy.s3.listing import ListPage

_PUBLISH_ATTEMPTS_MAX = 16  # a concurrent delete may take away the parents that were just made
_numbers = itertools.count()
_logger = logging.getLogger("s3proxy.backends.local")


class LocalFileStore:
    """The attached role of a local backend, bound to one directory.

    Attributes:
        hidden_names: names that listings so far could not show; grows with every listing.
    """

    features = Features(multipart=True, copy=True, conditional=True)

    def __init__(self, target: Path, disk: Disk, *, backend: str, durable: bool) -> None:
        self._target = target
        self._disk = disk
        self._backend = backend
        self._durable = durable
        self._state = target / local_paths.STATE_DIRECTORY
        self._uploads = Uploads(self._state / "uploads", disk, backend=backend, durable=durable)
        self.hidden_names = 0

    async def head(self, key: str) -> Stat:
        """See `Store.head`."""
        path = parse_key(key, "head", self._backend)
        with self._errors("head", key), self._parent(path) as parent:
            return stat_of(local_paths.stat_file(parent, path.name))

    async def open(self, key: str, first: int = 0, last: int | None = None) -> Reading:
        """See `Store.open`; opens in the loop."""
        path = parse_key(key, "open", self._backend)
        with self._errors("open", key):
            return reading_of(self._open_file(path), key, stat_of, first, last)

    async def put(self, key: str, source: ByteSource, options: PutOptions) -> Stat:
        """See `Store.put`; a key that ends in "/" takes no bytes."""
        path = parse_key(key, "put", self._backend)
        if path.is_marker and options.length:
            hint = "a key that ends in / is a directory here and holds no bytes"
            raise BodyRejected("put", key, hint, self._backend, code="InvalidRequest")
        with self._errors("put", key), self._temporary() as (fd, temporary):
            await self._disk.write(fd, source, length=options.length)
            return await self._publish(path, fd, temporary, options)

    async def copy(self, source_key: str, target_key: str, options: PutOptions) -> Stat:
        """See `Store.copy`; shares blocks where the file system can."""
        source = parse_key(source_key, "copy", self._backend)
        target = parse_key(target_key, "copy", self._backend)
        with self._errors("copy", source_key):
            source_fd = self._open_file(source)
        try:
            with self._errors("copy", target_key), self._temporary() as (fd, temporary):
                size = os.fstat(source_fd).st_size
                await self._disk.copy(source_fd, fd, (0, size), 0)
                return await self._publish(target, fd, temporary, options)
        finally:
            os.close(source_fd)

    async def delete(self, key: str) -> None:
        """See `Store.delete`; parents that become empty go too."""
        path = parse_key(key, "delete", self._backend)
        with self._errors("delete", key):
            await self._disk.run(self._delete, path)

    async def list(self, prefix: str, *, delimiter: str, after: str, limit: int) -> ListPage:
        """See `Store.list`; one walk in a worker thread for each page."""

        def page() -> tuple[ListPage, int]:
            with self._root() as root:
                return list_page(root, prefix, delimiter=delimiter, after=after, limit=limit)

        with self._errors("list", prefix):
            found, hidden = await self._disk.run(page)
        if hidden and not self.hidden_names:
            _logger.warning("%s holds names that no listing can show", self._target)
        self.hidden_names += hidden
        return found

    async def create_upload(self, key: str, options: PutOptions) -> str:
        """See `Store.create_upload`; metadata is the caller's to keep."""
        parse_key(key, "create_upload", self._backend)
        with self._errors("create_upload", key), self._root():
            return await self._uploads.create(key)

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        """See `Store.put_part`."""
        with self._errors("put_part", key):
            return await self._uploads.put_part(key, upload_id, number, source, options)

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        """See `Store.complete_upload`; the ETags of the parts are the caller's to check."""
        path = parse_key(key, "complete_upload", self._backend)
        with self._errors("complete_upload", key):
            numbers = [number for number, _ in parts]
            async with self._uploads.assembled(key, upload_id, numbers) as (fd, assembled):
                temporary = self._state / "tmp" / f"{upload_id}.{next(_numbers)}"
                stat = await self._publish(path, fd, temporary, options, linked_from=assembled)
            await self._uploads.remove(upload_id)
            return stat

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        with self._errors("abort_upload", key):
            await self._uploads.remove(upload_id)

    def remove_temporaries(self, older_than_ns: int) -> int:
        """Remove what an interrupted process left; how many. Blocks."""
        removed = remove_files(self._state / "tmp", older_than_ns)
        return removed + self._uploads.remove_leftovers()

    def remove_uploads(self, known: Collection[str]) -> int:
        """Remove uploads whose ids are not among `known`; how many. Blocks."""
        return self._uploads.remove_unknown(known)

    @contextmanager
    def _errors(self, op: str, key: str) -> Iterator[None]:
        with os_errors(op, key, self._backend):
            try:
                yield
            except BackendError as error:
                error.backend = error.backend or self._backend
                error.path = error.path or key
                raise

    @contextmanager
    def _root(self) -> Iterator[int]:
        try:
            fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            hint = "the attached directory is not there"
            raise NoSuchContainer("open", str(self._target), hint, self._backend) from error
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, Path]]:
        with self._root():
            path = self._state / "tmp" / f"{os.getpid()}.{next(_numbers)}"
        with temporary_file(path, mode=0o666) as fd:
            yield fd, path

    @contextmanager
    def _parent(self, path: KeyPath) -> Iterator[int]:
        with self._root() as root, local_paths.parent_of(root, path) as parent:
            yield parent

    def _open_file(self, path: KeyPath) -> int:
        with self._parent(path) as parent:
            return local_paths.open_file(parent, path)

    async def _publish(
        self,
        path: KeyPath,
        fd: int,
        temporary: Path,
        options: PutOptions,
        *,
        linked_from: Path | None = None,
    ) -> Stat:
        """Make the file visible under its key; `linked_from` keeps its own name as well."""
        if options.published is not None:
            await options.published()

        def publish() -> None:
            if self._durable:
                os.fsync(fd)
            if linked_from is not None:
                temporary.parent.mkdir(parents=True, exist_ok=True)
                temporary.hardlink_to(linked_from)
            try:
                self._place(path, temporary, exclusive=options.if_none_match_any)
            finally:
                if linked_from is not None:
                    temporary.unlink(missing_ok=True)

        await self._disk.run(publish)
        return stat_of(os.fstat(fd))

    def _place(self, path: KeyPath, temporary: Path, *, exclusive: bool) -> None:
        for attempt in range(_PUBLISH_ATTEMPTS_MAX):
            try:
                with self._root() as root:
                    self._place_once(root, path, temporary, exclusive=exclusive)
                return
            except (FileNotFoundError, IsADirectoryError):
                if attempt == _PUBLISH_ATTEMPTS_MAX - 1:
                    raise

    def _place_once(self, root: int, path: KeyPath, temporary: Path, *, exclusive: bool) -> None:
        with local_paths.made_parent_of(root, path, durable=self._durable) as parent:
            exists = local_paths.check_replaceable(parent, path, self._backend)
            if exclusive:
                self._link(parent, path, temporary)
            else:
                os.rename(temporary, path.name, dst_dir_fd=parent)
            if self._durable and not (exists and path.is_marker):
                os.fsync(parent)

    def _link(self, parent: int, path: KeyPath, temporary: Path) -> None:
        try:
            os.link(temporary, path.name, dst_dir_fd=parent)
        except FileExistsError:
            hint = "the key exists"
            raise PreconditionFailed("put", path.key, hint, self._backend) from None

    def _delete(self, path: KeyPath) -> None:
        with self._root() as root:
            try:
                self._unlink(root, path)
            except OSError as error:
                if error.errno in local_paths.ABSENT:
                    return
                raise
            local_paths.remove_empty_parents(root, path)

    def _unlink(self, root: int, path: KeyPath) -> None:
        with local_paths.parent_of(root, path) as parent:
            local_paths.stat_file(parent, path.name)
            os.unlink(path.name, dir_fd=parent)
            if self._durable:
                os.fsync(parent)
