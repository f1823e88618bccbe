"""LMDB's errors in the engine's words."""

import errno
import os

import lmdb

from s3proxy.kv.errors import Broken, DiskFull, InvalidStore, KvError, MapFull, WriteFailed

# EFBIG: RLIMIT_FSIZE or the file system's own limit; to whoever writes it is one more full disk.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# LMDB calls a write that was cut short EIO; with less room than this it was the full disk.
_ROOM_BYTES_MIN = 1 << 20

_FOREIGN = (
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.IncompatibleError,
)


def translate(error: lmdb.Error, op: str, path: str) -> KvError:
    """Return the KvError that says what `error` means for the operation `op` on `path`."""
    code = getattr(error, "code", 0)
    if isinstance(error, lmdb.MapFullError):
        return MapFull(op, path, "the database has reached its size limit; raise it")
    if code in _FULL or isinstance(error, lmdb.DiskError) or _cut_short(code, path):
        return DiskFull(op, path, f"no room on the file system ({error})")
    if isinstance(error, lmdb.PanicError):
        return Broken(op, path, f"the database failed while writing; restart ({error})")
    if isinstance(error, _FOREIGN):
        return InvalidStore(
            op, path, f"not a usable database ({error}); restore it or move it away"
        )
    if isinstance(error, lmdb.ReadersFullError):
        return KvError(op, path, "too many processes read the database at once")
    if op == "commit":
        return WriteFailed(op, path, str(error))
    return KvError(op, path, str(error))


def _cut_short(code: int, path: str) -> bool:
    if code != errno.EIO:
        return False
    try:
        room = os.statvfs(path)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _ROOM_BYTES_MIN
