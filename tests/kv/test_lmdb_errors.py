import errno
import os
from types import SimpleNamespace

import lmdb
import pytest

from s3proxy.kv.errors import Broken, DiskFull, InvalidStore, KvError, MapFull, WriteFailed
from s3proxy.kv.lmdb_errors import translate

PATH = "/data/catalog.mdb"


def error(kind: type[lmdb.Error], code: int = 0) -> lmdb.Error:
    """Return an error as LMDB's binding raises it: with the errno as an attribute."""
    raised = kind("mdb_txn_commit")
    raised.code = code  # type: ignore[misc]
    return raised


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (error(lmdb.MapFullError, -30792), MapFull),
        (error(lmdb.Error, errno.ENOSPC), DiskFull),
        (error(lmdb.Error, errno.EDQUOT), DiskFull),
        (error(lmdb.Error, errno.EFBIG), DiskFull),
        (error(lmdb.DiskError, errno.ENOSPC), DiskFull),
        (error(lmdb.Error, errno.EIO), WriteFailed),
        (error(lmdb.Error, errno.EROFS), WriteFailed),
        (error(lmdb.PanicError), Broken),
        (error(lmdb.InvalidError), InvalidStore),
        (error(lmdb.CorruptedError), InvalidStore),
        (error(lmdb.VersionMismatchError), InvalidStore),
        (error(lmdb.ReadersFullError), KvError),
    ],
)
def test_translate_names_what_happened(raised: lmdb.Error, expected: type[KvError]) -> None:
    translated = translate(raised, "commit", PATH)
    assert type(translated) is expected
    assert PATH in str(translated)


@pytest.mark.parametrize(("blocks", "expected"), [(0, DiskFull), (1_000_000, WriteFailed)])
def test_translate_short_write_is_a_full_disk_where_no_room_is(
    monkeypatch: pytest.MonkeyPatch, blocks: int, expected: type[KvError]
) -> None:
    room = SimpleNamespace(f_bavail=blocks, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    assert type(translate(error(lmdb.Error, errno.EIO), "commit", PATH)) is expected


def test_translate_other_operation_is_a_plain_error() -> None:
    assert type(translate(error(lmdb.Error, errno.EINVAL), "read", PATH)) is KvError
