"""What can go wrong in the key-value engine.

KvError
  Closed          the engine is not running (not yet, or no longer)
  InvalidStore    the file is no database of ours, is damaged, or was made by another version
  MapFull         the database has reached its configured size limit
  DiskFull        the file system has no room for the commit
  WriteFailed     the operating system refused the write (EIO, EROFS …)
  Broken          the environment died (a failed write of its root page): reopen the process
"""

# ruff: noqa: N818 - named for what happened or was found


class KvError(Exception):
    """An operation of the engine failed; nothing of it was stored.

    Args:
        op: what was tried (`open`, `read`, `commit`, `grow`).
        path: the database file.
        hint: what an operator can do about it.
    """

    def __init__(self, op: str, path: str, hint: str) -> None:
        super().__init__(f"{op} {path}: {hint}")
        self.op = op
        self.path = path
        self.hint = hint


class BadKey(KvError):
    """A key cannot be stored."""


class Closed(KvError):
    """The engine is not running."""


class InvalidStore(KvError):
    """The file cannot be used as a database."""


class MapFull(KvError):
    """The database has reached its size limit."""


class DiskFull(KvError):
    """The file system has no room left."""


class WriteFailed(KvError):
    """The operating system refused to write."""


class Broken(KvError):
    """The environment cannot be used any more in this process."""
