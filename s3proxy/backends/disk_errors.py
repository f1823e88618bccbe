"""Operating system errors in terms of backends/errors.py, mapped once, here."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from s3proxy.backends.errors import (
    BackendError,
    InvalidKey,
    NoSpace,
    NotFound,
    PermissionDenied,
    Unavailable,
    Unsupported,
)

_CLASSES: dict[int, type[BackendError]] = {
    errno.ENOENT: NotFound,
    errno.ENOTDIR: NotFound,
    errno.EISDIR: NotFound,
    errno.ELOOP: NotFound,  # a symbolic link where none is followed
    errno.ENXIO: NotFound,  # a socket or a FIFO without reader
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EFBIG: NoSpace,
    errno.EROFS: PermissionDenied,
    errno.EACCES: PermissionDenied,
    errno.EPERM: PermissionDenied,
    errno.ENAMETOOLONG: InvalidKey,
    errno.EILSEQ: InvalidKey,
    errno.EINVAL: InvalidKey,
    errno.EXDEV: Unsupported,
}


def from_os_error(error: OSError, op: str, path: str, backend: str) -> BackendError:
    """The BackendError for `error`; what is not in the table (EIO, EMFILE …) is Unavailable."""
    number = error.errno or 0
    kind = _CLASSES.get(number, Unavailable)
    return kind(op, path, error.strerror or str(error), backend)


@contextmanager
def os_errors(op: str, path: str, backend: str) -> Iterator[None]:
    """Turn OSErrors of the block into BackendErrors about `path`."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, op, path, backend) from error
