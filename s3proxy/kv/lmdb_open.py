"""Opening the LMDB file, and refusing what is not one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import lmdb

from s3proxy.kv.errors import InvalidStore, KvError
from s3proxy.kv.lmdb_errors import translate
from s3proxy.kv.lmdb_views import LmdbSnapshot

T = TypeVar("T")

KEYSPACES_MAX = 64
# One slot per read transaction open at the same time, over all processes.
READERS_MAX = 510


def open_environment(path: str, *, map_size_bytes: int, sync: bool) -> lmdb.Environment:
    """Open or create the database file `path` (mode 0600).

    Raises:
        InvalidStore: a foreign, damaged or incompatible file.
        KvError: the operating system refused.
    """
    try:
        env = lmdb.open(
            path,
            subdir=False,
            map_size=map_size_bytes,
            max_dbs=KEYSPACES_MAX,
            max_readers=READERS_MAX,
            max_spare_txns=8,
            mode=0o600,
            sync=sync,
            metasync=sync,
        )
    except lmdb.Error as error:
        raise translate(error, "open", path) from error
    except OSError as error:
        raise KvError("open", path, str(error)) from error
    try:
        env.reader_check()
        while_growing(env, lambda: _cover_last_page(env, path))
    except lmdb.Error as error:
        env.close()
        raise translate(error, "open", path) from error
    return env


def while_growing(env: lmdb.Environment, action: Callable[[], T]) -> T:
    """Return what `action` returns, resizing the map as it needs; while nothing else uses it.

    Another process may be making the database larger at this very moment.
    """
    while True:
        try:
            return action()
        except lmdb.MapResizedError:
            env.set_mapsize(0)
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()["map_size"])


def _cover_last_page(env: lmdb.Environment, path: str) -> None:
    """Extend a file that is shorter than its root page says.

    The pages missing may never have been written (allocated and freed in one transaction) or were
    cut off. Reading past the end of a mapped file kills the process (SIGBUS); zero pages are
    refused by LMDB as corrupted.
    """
    with env.begin(write=True):  # other processes extend the file under this lock
        size_bytes = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if 0 < os.stat(path).st_size < size_bytes:  # noqa: PTH116
            os.truncate(path, size_bytes)


@contextmanager
def open_snapshot(path: str, *, in_use: bool) -> Iterator[tuple[LmdbSnapshot, list[str]]]:
    """The database file at `path` as it is, and the names of its keyspaces; nothing is written.

    To be run apart (apart.py): a damaged file can end the process.

    Args:
        in_use: other processes may be writing to it. A file that nobody writes to gets no lock file
            beside it.
    Raises:
        InvalidStore: no database of LMDB, or a damaged one.
        KvError: it cannot be opened.
    """
    env = None
    try:
        env = lmdb.open(
            path, subdir=False, readonly=True, create=False, lock=in_use, max_dbs=KEYSPACES_MAX
        )
        with while_growing(env, env.begin) as txn:
            names = [name for name, _ in txn.cursor()]
            databases = {name.decode(): env.open_db(name, txn, create=False) for name in names}
            yield LmdbSnapshot(databases, txn), list(databases)
    except (lmdb.Error, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise InvalidStore("read", path, "not a usable database (names)") from error
        raise translate(error, "read", path) from error
    except OSError as error:
        raise KvError("open", path, error.strerror or str(error)) from error
    finally:
        if env is not None:
            env.close()
