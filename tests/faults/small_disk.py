"""Disks that fill up on demand: a small tmpfs where that may be mounted, else a limit on files."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.gateways import Gateway

MIB = 1 << 20
DISK_BYTES = 24 * MIB


class SmallDisk(Protocol):
    """Where a gateway keeps its things."""

    root: Path

    def full(self, gateway: Gateway) -> contextlib.AbstractContextManager[None]:
        """Leave no room for the length of a block."""


class Tmpfs:
    """A mounted file system of DISK_BYTES."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def full(self, gateway: Gateway) -> Iterator[None]:
        filler = self.root / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                for size in (MIB, 4096, 1):
                    fill(file.fileno(), size)
            yield
        finally:
            filler.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse writes for the length of a block; nothing on it may be open for writing."""
        remount(self.root, "ro")
        try:
            yield
        finally:
            remount(self.root, "rw")


class LimitedFiles:
    """A directory, and a process whose files may not grow beyond what the largest has now.

    That is what a file system's own limit on the size of a file looks like, and it needs no
    privilege.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def full(self, gateway: Gateway) -> Iterator[None]:
        sizes = [path.stat().st_size for path in gateway.folder.rglob("*.lmdb")]
        soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (max(sizes), hard))
        try:
            yield
        finally:
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (soft, hard))


def fill(fd: int, size: int) -> None:
    """Write pieces of that size until there is no room for one more."""
    try:
        while os.write(fd, bytes(size)) == size:
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def mounted(root: Path) -> Iterator[Tmpfs]:
    """A tmpfs; PermissionError where mounting is not permitted."""
    root.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr)
    try:
        yield Tmpfs(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def remount(root: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(root)], check=True)


def may_mount() -> bool:
    """Whether this process may mount file systems."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder) / "disk"):
                return True
        except (PermissionError, FileNotFoundError):
            return False
