"""What the layers below raise, as S3 errors: one table, used at the boundary.

A fault of the gateway's own credentials or of a backend never reads as the client's: it is a 5xx.
"""

from __future__ import annotations

from collections.abc import Callable

from s3proxy.backends import errors as backend
from s3proxy.catalog.errors import CatalogError, IntentLost, UnknownTenant
from s3proxy.http import errors as transport
from s3proxy.kv import errors as kv
from s3proxy.s3.errors import STATUSES, S3Error

_REFUSED = "The storage backend refused this operation."
_FULL = "The storage backend has no space left."
_CATALOG_FULL = "The catalog has no space left."
_TRY_AGAIN = "The write was interrupted. Please try again."


def _code(code: str, message: str = "") -> Callable[[Exception], S3Error]:
    return lambda error: S3Error(code, message)


def _coded(error: Exception) -> S3Error:
    """A backend error that names its S3 code; the hint is safe to show."""
    assert isinstance(error, backend.CodedError)
    code = error.code if error.code in STATUSES else "InternalError"
    return S3Error(code, error.hint)


def _protocol(error: Exception) -> S3Error:
    assert isinstance(error, transport.ProtocolError)
    if error.status >= 500:
        return S3Error("ServiceUnavailable")
    return S3Error("InvalidRequest", error.reason)


# Looked up along the class's bases, so that a subclass needs a row only where it differs.
_TABLE: dict[type[Exception], Callable[[Exception], S3Error]] = {
    backend.NoSuchUpload: _code("NoSuchUpload"),
    backend.NoSuchContainer: _code("NoSuchBucket"),
    backend.NotFound: _code("NoSuchKey"),
    backend.AlreadyExists: _code("OperationAborted"),
    backend.PreconditionFailed: _code("PreconditionFailed"),
    backend.Conflict: _code("ConditionalRequestConflict"),
    backend.PermissionDenied: _code("InternalError", _REFUSED),
    backend.Throttled: _code("SlowDown"),
    backend.Unavailable: _code("ServiceUnavailable"),
    backend.NoSpace: _code("ServiceUnavailable", _FULL),
    backend.InvalidRange: _code("InvalidRange"),
    backend.CodedError: _coded,
    backend.BackendError: _code("InternalError"),
    transport.Disconnected: _code("IncompleteBody"),
    transport.BodyCutShort: _code("IncompleteBody"),
    transport.DeadlineExceeded: _code("RequestTimeout"),
    transport.BodyTooLarge: _code("MaxMessageLengthExceeded"),
    transport.ProtocolError: _protocol,
    transport.UpstreamError: _code("ServiceUnavailable"),
    transport.TransportError: _code("InternalError"),
    kv.MapFull: _code("ServiceUnavailable", _CATALOG_FULL),
    kv.DiskFull: _code("ServiceUnavailable", _CATALOG_FULL),
    kv.WriteFailed: _code("ServiceUnavailable"),
    kv.Closed: _code("ServiceUnavailable"),
    kv.KvError: _code("InternalError"),
    IntentLost: _code("ServiceUnavailable", _TRY_AGAIN),
    UnknownTenant: _code("AccessDenied"),
    CatalogError: _code("InternalError"),
}


def as_s3_error(error: Exception) -> S3Error | None:
    """The S3 error a client is told for `error`; None: it is a bug, not a known fault."""
    if isinstance(error, S3Error):
        return error
    for kind in type(error).__mro__:
        make = _TABLE.get(kind)
        if make is not None:
            return make(error)
    return None
