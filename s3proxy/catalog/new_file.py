"""A file that appears under its name once it is whole and synced, and never in another's place.

Until then it has no name, where the file system can do that: nothing is left of one that was not
finished, whatever ended its process.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What open says where the file system has no unnamed files.
_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})


class NewFile:
    """A file on its way; see `new_file`."""

    def __init__(self, path: Path, descriptor: int, temporary: Path | None) -> None:
        self.descriptor = descriptor
        self._path = path
        self._temporary = temporary

    @property
    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self.descriptor).st_size

    def publish(self) -> None:
        """Sync it and give it its name; blocking.

        Raises:
            FileExistsError: the name is taken; that file is left alone.
        """
        os.fsync(self.descriptor)
        if self._temporary is not None:
            os.link(self._temporary, self._path)
        else:
            # Only with a directory of the source, which an absolute path has no use for, the link
            # to the file is followed.
            own = f"/proc/self/fd/{self.descriptor}"
            os.link(own, self._path, src_dir_fd=self.descriptor, follow_symlinks=True)
        sync_directory(self._path.parent)


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """An empty file beside `path`, mode 0600; it is gone at the end unless it was published.

    Raises:
        OSError: it cannot be made.
    """
    temporary = None
    try:
        descriptor = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _CANNOT or not path.parent.is_dir():
            raise
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
    try:
        yield NewFile(path, descriptor, temporary)
    finally:
        os.close(descriptor)
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable; blocking."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
