"""Keys as paths below a directory that nothing leaves.

A key is walked component by component from the directory's descriptor, following no symbolic link:
what is below one does not exist for clients, nor does the link. Refused, because no file can carry
them or because the path would mean something else: empty components, ".", "..", NUL, names over
255 bytes, and names that begin with ".s3proxy", which are the gateway's own. A key that ends in "/"
is a directory marker: a directory with an empty file MARKER in it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import xxhash
from msgspec import Struct

from s3proxy.backends.errors import InvalidKey, KeyConflict
from s3proxy.backends.store import Stat

RESERVED_PREFIX = ".s3proxy"
STATE_DIRECTORY = ".s3proxy"  # in the attached directory, thus on its file system
MARKER = ".s3proxy-marker"
NAME_BYTES_MAX = 255  # NAME_MAX of every Linux file system in use
MODIFIED_NS_MAX = 2**63 - 1  # the year 2262; file systems go on
MAKE_ATTEMPTS_MAX = 16  # a concurrent delete may remove a parent that was just made

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})  # what a missing key looks like

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = (
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # O_NONBLOCK: a FIFO must not hang


class KeyPath(Struct, frozen=True):
    """A key taken apart: the directories on the way, and the file's name (MARKER for "…/")."""

    key: str
    parents: tuple[str, ...]
    name: str

    @property
    def is_marker(self) -> bool:
        """Whether the key ended in "/"."""
        return self.name == MARKER


def parse_key(key: str, op: str, backend: str) -> KeyPath:
    """Take a key apart; InvalidKey with the rule it breaks."""
    marker = key.endswith("/")
    names = key.removesuffix("/").split("/")
    for name in names:
        reason = refusal(name)
        if reason:
            raise InvalidKey(op, key, f"this bucket's keys are file paths: {reason}", backend)
    if marker:
        return KeyPath(key, tuple(names), MARKER)
    return KeyPath(key, tuple(names[:-1]), names[-1])


def refusal(name: str) -> str:
    """Why a path component cannot be used; "" when it can."""
    if not name:
        return "a path component is empty"
    if name in (".", ".."):
        return f'"{name}" is not allowed as a path component'
    if "\0" in name:
        return "NUL is not allowed"
    if name.startswith(RESERVED_PREFIX):
        return f'names that begin with "{RESERVED_PREFIX}" are reserved'
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "the key is not valid Unicode"
    return (
        f"a path component is longer than {NAME_BYTES_MAX} bytes" if size > NAME_BYTES_MAX else ""
    )


def foreign_etag(size: int, modified_ns: int, inode: int = 0) -> str:
    """A stand-in ETag that changes when the file does; its "-" tells clients it is no MD5."""
    text = f"{size}.{modified_ns}.{inode}".encode()
    return f"{xxhash.xxh3_128_hexdigest(text)}-1"


def stat_of(status: os.stat_result) -> Stat:
    """Stat of an attached file, with the stand-in ETag; its time within what listings hold."""
    etag = foreign_etag(status.st_size, status.st_mtime_ns, status.st_ino)
    modified_ns = max(-MODIFIED_NS_MAX, min(status.st_mtime_ns, MODIFIED_NS_MAX))
    return Stat(size=status.st_size, modified_ns=modified_ns, etag=etag)


@contextmanager
def parent_of(root_fd: int, path: KeyPath) -> Iterator[int]:
    """The descriptor of the directory that holds the key; OSError when it is not there."""
    fd = os.dup(root_fd)
    try:
        for name in path.parents:
            inner = os.open(name, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


@contextmanager
def made_parent_of(root_fd: int, path: KeyPath, *, durable: bool) -> Iterator[int]:
    """The same, making what is missing, durably where asked. Blocks.

    Raises:
        KeyConflict: a component is a file.
        InvalidKey: a component is a symbolic link.
    """
    fd = os.dup(root_fd)
    try:
        for name in path.parents:
            if _make(fd, name) and durable:
                os.fsync(fd)
            inner = _open_made(fd, name, path)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def open_file(parent_fd: int, path: KeyPath) -> int:
    """Open the key's file for reading; OSError (ENOENT when it is no regular file)."""
    fd = os.open(path.name, _FILE, dir_fd=parent_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return fd


def stat_file(parent_fd: int, name: str) -> os.stat_result:
    """Status of a regular file; OSError (ENOENT when it is anything else)."""
    status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return status


def check_replaceable(parent_fd: int, path: KeyPath, backend: str) -> bool:
    """Whether a file is there that a put would replace.

    An empty directory in its place, which no key refers to, is removed.

    Raises:
        KeyConflict: a directory with something in it is there.
        InvalidKey: something else is there, such as a symbolic link.
    """
    try:
        mode = os.stat(path.name, dir_fd=parent_fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        return True
    if not stat.S_ISDIR(mode):
        raise InvalidKey("put", path.key, "a link or special file is there", backend)
    try:
        os.rmdir(path.name, dir_fd=parent_fd)
    except OSError as error:
        hint = f'"{path.key}/" has objects, and keys here are file paths'
        raise KeyConflict("put", path.key, hint, backend) from error
    return False


def remove_empty_parents(root_fd: int, path: KeyPath) -> None:
    """Remove the directories on the key's way that are empty, deepest first; never the root."""
    names = list(path.parents)
    while names:
        above = KeyPath(path.key, tuple(names[:-1]), names[-1])
        try:
            with parent_of(root_fd, above) as fd:
                os.rmdir(names[-1], dir_fd=fd)
        except OSError:  # not empty, or gone: either way the walk upwards is over
            return
        names.pop()


def _make(parent_fd: int, name: str) -> bool:
    try:
        os.mkdir(name, dir_fd=parent_fd)
    except FileExistsError:
        return False
    return True


def _open_made(parent_fd: int, name: str, path: KeyPath) -> int:
    for _ in range(MAKE_ATTEMPTS_MAX):
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent_fd)
        except FileNotFoundError:
            _make(parent_fd, name)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                hint = f'"{name}" on its way is a symbolic link'
                raise InvalidKey("put", path.key, hint) from error
            hint = f'"{name}" on its way is an object, and keys here are file paths'
            raise KeyConflict("put", path.key, hint) from error
    raise FileNotFoundError(errno.ENOENT, f"{name} keeps disappearing")
