"""Listing a directory tree in S3 key order without reading more of it than the page needs.

A directory's names are sorted as the keys they lead to: "a/" (a directory) after "a.txt", before
"a0". The walk holds one frame for each directory on its way down; what lies below its floor is
passed over without being read, and a common prefix moves the floor behind everything it covers.

Hidden, so that a listing never fails on them: names that are not UTF-8, symbolic links, special
files, directories that may not be read, and the gateway's own names. `hidden` counts the first and
the unreadable ones.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress

from s3proxy.backends.local_paths import MARKER, RESERVED_PREFIX, stat_file, stat_of
from s3proxy.s3.listing import ListedObject, ListPage, common_prefix

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNREADABLE = (FileNotFoundError, NotADirectoryError, PermissionError)


class _Frame:
    """One directory being walked: its key ("" or "a/b/") and the names still to come, reversed."""

    __slots__ = ("base", "fd", "names")

    def __init__(self, base: bytes, fd: int, names: list[bytes]) -> None:
        self.base = base
        self.fd = fd
        self.names = names


class Walk:
    """Keys below a directory in UTF-8 byte order, from a floor on, all with a prefix.

    Args:
        root_fd: of the attached directory; stays the caller's.
        prefix: only keys that begin with it.
        floor: only keys from this one on; may be raised while walking.
    """

    def __init__(self, root_fd: int, prefix: bytes, floor: bytes) -> None:
        self._prefix = prefix
        self.floor = max(floor, prefix)
        self.hidden = 0
        self._frames = [_Frame(b"", os.dup(root_fd), [])]
        self._frames[0].names = self._names(self._frames[0].fd, b"")

    def close(self) -> None:
        """Close the directories still open."""
        while self._frames:
            os.close(self._frames.pop().fd)

    def next_entry(self, delimiter: bytes) -> tuple[bytes, os.stat_result | None] | None:
        """The next key and its status; a group (b"…/", None) when delimited; None at the end.

        The floor is moved behind what is returned.
        """
        while self._frames:
            frame = self._frames[-1]
            if not frame.names:
                os.close(self._frames.pop().fd)
                continue
            name = frame.names.pop()
            key = frame.base + name
            if key < self.floor and not (name.endswith(b"/") and self.floor.startswith(key)):
                continue
            entry = self._enter(frame, name, key, delimiter)
            if entry is not None:
                return entry
        return None

    def _enter(
        self, frame: _Frame, name: bytes, key: bytes, delimiter: bytes
    ) -> tuple[bytes, os.stat_result | None] | None:
        if name.endswith(b"/"):
            if delimiter == b"/" and key >= self.floor and len(key) > len(self._prefix):
                return self._group(frame.fd, name, key)
            self._descend(frame.fd, name, key)
            return None
        try:
            status = stat_file(frame.fd, name.decode() or MARKER)
        except FileNotFoundError:
            return None  # gone since the directory was read
        group = common_prefix(key.decode(), self._prefix.decode(), delimiter.decode())
        if group:
            self.floor = successor(group.encode())
            return group.encode(), None
        self.floor = key + b"\0"
        return key, status

    def _group(self, fd: int, name: bytes, key: bytes) -> tuple[bytes, None] | None:
        if not _holds_object(fd, name[:-1].decode()):
            return None
        self.floor = successor(key)
        return key, None

    def _descend(self, parent_fd: int, name: bytes, key: bytes) -> None:
        try:
            fd = os.open(name[:-1], _DIRECTORY, dir_fd=parent_fd)
        except _UNREADABLE as error:
            self.hidden += isinstance(error, PermissionError)
            return
        frame = _Frame(key, fd, [])
        self._frames.append(frame)  # before reading, so that `close` knows it
        frame.names = self._names(fd, key)

    def _names(self, fd: int, base: bytes) -> list[bytes]:
        """Names of a directory that can lead to wanted keys, last first."""
        names = sorted(self._read(fd, base))
        # Keys with the prefix are one run; so are those from the floor on.
        if base.startswith(self._prefix):
            return names[bisect_left(names, self._lowest(base)) :][::-1]
        wanted = self._prefix[len(base) :]
        kept = [name for name in names if name.startswith(wanted) or _leads_to(name, wanted)]
        return kept[::-1]

    def _lowest(self, base: bytes) -> bytes:
        if not self.floor.startswith(base):
            return b""
        head, slash, _ = self.floor[len(base) :].partition(b"/")
        return head + slash

    def _read(self, fd: int, base: bytes) -> Iterator[bytes]:
        with os.scandir(fd) as entries:
            for entry in entries:
                name = self._name(entry, base)
                if name is not None:
                    yield name

    def _name(self, entry: os.DirEntry[str], base: bytes) -> bytes | None:
        """What an entry adds to the key of its directory; None when it is hidden."""
        if entry.name.startswith(RESERVED_PREFIX):
            return b"" if entry.name == MARKER and base else None
        try:
            name = entry.name.encode()
        except UnicodeEncodeError:
            self.hidden += 1
            return None
        if entry.is_dir(follow_symlinks=False):
            return name + b"/"
        return name if entry.is_file(follow_symlinks=False) else None


def list_page(
    root_fd: int, prefix: str, *, delimiter: str, after: str, limit: int
) -> tuple[ListPage, int]:
    """One page of a tree, and how many names were hidden on the way. Blocks.

    Cost: O(page + names in the directories that hold it).
    """
    page = ListPage(objects=[], common_prefixes=[], truncated=False, next_after="")
    walk = Walk(root_fd, prefix.encode(), floor_after(prefix, delimiter, after))
    last = ""
    try:
        while entry := walk.next_entry(delimiter.encode()):
            if len(page.objects) + len(page.common_prefixes) >= limit:
                page.truncated, page.next_after = True, last
                break
            last = entry[0].decode()
            if entry[1] is None:
                page.common_prefixes.append(last)
            else:
                page.objects.append(_listed(last, entry[1]))
    finally:
        walk.close()
    if limit <= 0:
        page.truncated = False
    return page, walk.hidden


def floor_after(prefix: str, delimiter: str, after: str) -> bytes:
    """The first key a page may hold that starts after a key or a common prefix."""
    if not after:
        return b""
    if after == common_prefix(after, prefix, delimiter):
        return successor(after.encode())
    return after.encode() + b"\0"


def successor(prefix: bytes) -> bytes:
    """The first byte string above all that begin with `prefix` (UTF-8 has no 0xFF)."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _leads_to(name: bytes, wanted: bytes) -> bool:
    return name.endswith(b"/") and wanted.startswith(name)


def _listed(key: str, status: os.stat_result) -> ListedObject:
    stat = stat_of(status)
    return ListedObject(key=key, size=stat.size, etag=stat.etag, modified_ns=stat.modified_ns)


def _holds_object(dir_fd: int, name: str) -> bool:
    """Whether any object is below a directory; stops at the first.

    Keys go down some 500 directories, which is more than Python's own stack takes.
    """
    below: list[tuple[int, list[str]]] = []  # descriptors on the way down, and what is left there
    try:
        if _enter(below, dir_fd, name):
            return True
        while below:
            fd, directories = below[-1]
            if not directories:
                os.close(below.pop()[0])
            elif _enter(below, fd, directories.pop()):
                return True
        return False
    finally:
        for fd, _ in below:
            os.close(fd)


def _enter(below: list[tuple[int, list[str]]], dir_fd: int, name: str) -> bool:
    """Go down into a directory; whether an object is in it."""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=dir_fd)
    except _UNREADABLE:
        return False
    directories: list[str] = []
    below.append((fd, directories))
    return _scan_for_file(fd, directories)


def _scan_for_file(fd: int, directories: list[str]) -> bool:
    """Whether an object is in a directory itself; fills `directories` until then."""
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.name == MARKER or _is_visible_file(entry):
                return True
            if _is_visible(entry) and entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
    return False


def _is_visible_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and _is_visible(entry)


def _is_visible(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(RESERVED_PREFIX):
        return False
    with suppress(UnicodeEncodeError):
        return bool(entry.name.encode())
    return False
