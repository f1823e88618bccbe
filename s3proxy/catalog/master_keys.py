"""Master keys in the data directory: the one that seals, and former ones that still open.

`master.key` seals. A rotation puts a new key in its place and keeps the old one beside it, as
`master.key.<id>`, until nothing is sealed under it any more. Processes that run meanwhile see that
by the file itself: nobody has to tell them.
"""

import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s3proxy.catalog.errors import BadMasterKey, OtherMasterKey
from s3proxy.catalog.seal import KEY_ID_BYTES, MASTER_KEY_BYTES, AesGcmSealer, key_id

MASTER_KEY_NAME = "master.key"


class FileSealer:
    """A Sealer whose keys are files of a directory.

    A key that it has read it keeps until the process ends: what a request under way has of a record
    opens also when the file of a former key was taken away meanwhile. Used by the event loop and
    by the catalog's writer.

    Raises:
        BadMasterKey: a file has the wrong length, or others than its owner may read it.
        OSError: one cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / MASTER_KEY_NAME
        self._known: dict[bytes, None] = {}  # a set in order
        self._loading = threading.Lock()
        self._loaded = self._load()

    def seal(self, secret: bytes, *, table: str, row: str) -> bytes:
        """Return `secret` sealed under the key that is in place now."""
        return self._fresh().seal(secret, table=table, row=row)

    def unseal(self, sealed: bytes, *, table: str, row: str) -> bytes:
        """Return the secret; see Sealer."""
        try:
            return self._loaded[1].unseal(sealed, table=table, row=row)
        except OtherMasterKey:
            self._loaded = self._load()
            return self._loaded[1].unseal(sealed, table=table, row=row)

    def is_current(self, sealed: bytes) -> bool:
        """Whether the key that is in place now sealed it."""
        return self._fresh().is_current(sealed)

    def _fresh(self) -> AesGcmSealer:
        seen, sealer = self._loaded  # one value, as another thread may replace it at any time
        if _identity(self._path.stat()) == seen:
            return sealer
        self._loaded = self._load()
        return self._loaded[1]

    def _load(self) -> tuple[tuple[int, int], AesGcmSealer]:
        with self._loading:
            current, seen = _read(self._path)
            known = {**self._known, current: None}
            for path in former_keys(self._path.parent):
                with suppress(FileNotFoundError):  # taken away at this very moment
                    known[_read(path)[0]] = None
            self._known = known
        return seen, AesGcmSealer(current, *(key for key in known if key != current))


def open_sealer(data_dir: str | Path) -> FileSealer:
    """Return the sealer of a data directory, making its master key at the first start.

    Raises:
        BadMasterKey, OSError: see FileSealer; a key cannot be made.
    """
    path = Path(data_dir) / MASTER_KEY_NAME
    if not path.exists():
        # Another process that does the same may be first.
        with _new_key(path) as temporary, suppress(FileExistsError):
            os.link(temporary, path)
    return FileSealer(Path(data_dir))


def replace_master_key(data_dir: str | Path) -> Path:
    """Put a new key in place of the one that seals; returns the file that keeps the old one.

    Whatever interrupts it, both keys are there, or the old one alone.

    Raises:
        BadMasterKey, OSError: see FileSealer.
    """
    path = Path(data_dir) / MASTER_KEY_NAME
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # of two at once, none may lose the other's key
        old, _ = _read(path)
        kept = path.with_name(f"{path.name}.{key_id(old).hex()}")
        if not kept.exists():
            os.link(path, kept)
            os.fsync(directory)
        with _new_key(path) as temporary:
            temporary.replace(path)
    finally:
        os.close(directory)
    return kept


def former_keys(data_dir: str | Path) -> list[Path]:
    """The files of keys that seal no more."""
    return sorted(Path(data_dir).glob(f"{MASTER_KEY_NAME}.{'[0-9a-f]' * 2 * KEY_ID_BYTES}"))


def known_ids(data_dir: str | Path) -> set[str]:
    """What the keys in a directory are called (hex) in what they sealed.

    Raises:
        BadMasterKey, OSError: see FileSealer.
    """
    current = Path(data_dir) / MASTER_KEY_NAME
    paths = [*([current] if current.exists() else []), *former_keys(data_dir)]
    return {key_id(_read(path)[0]).hex() for path in paths}


@contextmanager
def _new_key(path: Path) -> Iterator[Path]:
    """A file beside `path` with a new key, whole and synced; it is gone at the end."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(MASTER_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        yield temporary
        _sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[bytes, tuple[int, int]]:
    """A master key, and what tells its file from another one of the name."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise BadMasterKey(f"{path}: mode {mode:04o} lets others read it; chmod 600 it")
        master_key = file.read(MASTER_KEY_BYTES + 1)
    if len(master_key) != MASTER_KEY_BYTES:
        raise BadMasterKey(
            f"{path}: {MASTER_KEY_BYTES} bytes expected; restore the file that sealed the secrets"
        )
    return master_key, _identity(status)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_mtime_ns
