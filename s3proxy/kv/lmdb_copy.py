"""A consistent copy of a database that others write to meanwhile; run in a process of its own.

    python -m s3proxy.kv.lmdb_copy DATABASE DESCRIPTOR

The copy is of one commit and holds its live pages alone. Pages that the copy still needs are not
used again meanwhile, so the database may grow by what is changed in that time.
"""

import errno
import os
import sys

import lmdb

from s3proxy.kv.apart import answer, run_apart
from s3proxy.kv.errors import DiskFull, KvError, WriteFailed
from s3proxy.kv.lmdb_errors import translate
from s3proxy.kv.lmdb_open import while_growing

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ROOM_BYTES_MIN = 1 << 20


async def copy(path: str, target: int) -> None:
    """Copy the database at `path` into the open, empty file `target`, and sync that.

    Raises:
        DiskFull, WriteFailed: there, not at the database. KvError: the database cannot be read.
    """
    await run_apart(__name__, path, str(target), descriptors=(target,))


def _copy(path: str, target: int) -> bytes:
    try:
        env = lmdb.open(path, subdir=False, readonly=True, create=False, max_spare_txns=0)
    except lmdb.Error as error:
        raise translate(error, "open", path) from error
    try:
        _compacted(env, target)
        os.fsync(target)
    except (lmdb.Error, OSError) as error:
        raise _reason(error, path, target) from error
    finally:
        env.close()
    return b""


def _compacted(env: lmdb.Environment, target: int) -> None:
    try:
        while_growing(env, lambda: env.copyfd(target, compact=True))
    except lmdb.IncompatibleError:
        # LMDB's word for a page that is neither free nor in use. It does no harm, but only a copy
        # of all pages is to be had then.
        os.ftruncate(target, 0)
        os.lseek(target, 0, os.SEEK_SET)
        while_growing(env, lambda: env.copyfd(target))


def _reason(error: lmdb.Error | OSError, path: str, target: int) -> KvError:
    code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    room = os.fstatvfs(target)
    if code in _FULL or (code == errno.EIO and room.f_bavail * room.f_frsize < _ROOM_BYTES_MIN):
        return DiskFull("copy", path, "no room on the file system for the copy")
    if isinstance(error, OSError):
        return WriteFailed("copy", path, f"the copy cannot be written: {error.strerror}")
    return translate(error, "copy", path)


if __name__ == "__main__":
    answer(lambda: _copy(sys.argv[1], int(sys.argv[2])))
