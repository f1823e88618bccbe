"""A directory on this machine as a backend.

    <root>/ab/cd/<id>      blobs of managed buckets (local_blobs.py)
    <root>/tmp/            blobs on their way
    <root>/<target>/       attached directories (local_files.py)

A target whose first component looks like one of the blobs' directories is refused, so that no
attached bucket shows blobs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from s3proxy.backends.disk import Disk
from s3proxy.backends.disk_errors import os_errors
from s3proxy.backends.errors import InvalidKey
from s3proxy.backends.local_blobs import TEMPORARIES, LocalBlobStore, is_fan_out
from s3proxy.backends.local_files import LocalFileStore
from s3proxy.backends.local_paths import refusal
from s3proxy.backends.options import LocalOptions


class LocalBackend:
    """See `Backend`. Makes its root; opened inside a Trio run."""

    type = "local"

    def __init__(self, options: LocalOptions, disk: Disk | None = None) -> None:
        self.name = options.name
        self._root = Path(options.root)
        self._disk = disk or Disk()
        self._durable = options.durability == "fsync"
        self._opened_ns = time.time_ns()
        self._files: dict[str, LocalFileStore] = {}
        with os_errors("open", options.root, self.name):
            self._root.mkdir(parents=True, exist_ok=True)
        self._blobs = LocalBlobStore(
            self._root, self._disk, backend=self.name, durable=self._durable
        )

    def blobs(self, container: str) -> LocalBlobStore:
        """See `Backend.blobs`; one store for all containers, as ids are unique."""
        return self._blobs

    def files(self, target: str) -> LocalFileStore:
        """See `Backend.files`; removes what an earlier process left unfinished there.

        Raises:
            InvalidKey: the target is no path below the root, or one of the blobs' directories.
        """
        store = self._files.get(target)
        if store is None:
            store = LocalFileStore(
                self._target(target), self._disk, backend=self.name, durable=self._durable
            )
            with os_errors("recover", target, self.name):
                store.remove_temporaries(self._opened_ns)
            self._files[target] = store
        return store

    def blob_name(self, key: str, blob_id: str) -> str:
        """The id alone."""
        return blob_id

    def container(self, name: str) -> str:
        """The name."""
        return name

    async def create_container(self, container: str) -> None:
        """Nothing to make: blobs of all containers share the fan-out."""

    async def delete_container(self, container: str) -> None:
        """Nothing to remove."""

    async def make_target(self, target: str) -> None:
        """Make the directory of an attached target; succeeds when it is there already."""
        path = self._target(target)
        with os_errors("make_target", target, self.name):
            await self._disk.run(lambda: path.mkdir(mode=0o700, parents=True, exist_ok=True))

    async def check(self) -> None:
        """See `Backend.check`: the root is a directory that may be written."""
        with os_errors("check", str(self._root), self.name):
            status = os.statvfs(self._root)
            if status.f_flag & os.ST_RDONLY or not os.access(self._root, os.W_OK | os.X_OK):
                raise PermissionError(13, "the root is not writable")

    async def capacity(self) -> tuple[int, int] | None:
        """See `Backend.capacity`: of the file system, for who is not root."""
        with os_errors("capacity", str(self._root), self.name):
            status = await self._disk.run(os.statvfs, self._root)
        return status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize

    async def recover(self) -> int:
        """See `Backend.recover`; multipart uploads stay, as they outlive a restart."""
        removed = 0
        stores: list[LocalBlobStore | LocalFileStore] = [self._blobs, *self._files.values()]
        for store in stores:
            with os_errors("recover", str(self._root), self.name):
                removed += await self._disk.run(store.remove_temporaries, self._opened_ns)
        return removed

    async def forget_uploads(self, target: str, known: Collection[str]) -> int:
        """See `Backend.forget_uploads`."""
        store = self.files(target)
        with os_errors("recover", target, self.name):
            return await self._disk.run(store.remove_uploads, known)

    def blob_ids(self) -> Iterator[str]:
        """See `Backend.blob_ids`."""
        return self._blobs.ids()

    async def aclose(self) -> None:
        """Holds nothing open."""

    def _target(self, target: str) -> Path:
        names = target.strip("/").split("/")
        for name in names:
            reason = refusal(name)
            if reason:
                raise InvalidKey("attach", target, reason, self.name)
        if is_fan_out(names[0]) or names[0] == TEMPORARIES:
            hint = f'"{names[0]}" is where this backend keeps blobs'
            raise InvalidKey("attach", target, hint, self.name)
        path = self._root.joinpath(*names)
        if path.resolve() != self._root.resolve().joinpath(*names):
            raise InvalidKey("attach", target, "a symbolic link is on the way", self.name)
        return path
