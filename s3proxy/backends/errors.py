"""What can go wrong at a backend, in terms that every kind of backend shares.

    BackendError
    ├── NotFound              no such key
    │   ├── NoSuchContainer   no such physical bucket or directory
    │   └── NoSuchUpload      no such multipart upload
    ├── AlreadyExists         a blob id or a container that is there already
    ├── PreconditionFailed    If-None-Match or If-Match did not hold
    ├── Conflict              changed by someone else at the same moment; may be tried again
    ├── PermissionDenied      refused by the file system or by the endpoint; read-only
    ├── Throttled             asked to slow down
    ├── Unavailable           no connection, no answer in time, garbage, an I/O error
    ├── NoSpace               disk or quota is full
    ├── InvalidRange          starts behind the end
    ├── BodyRejected(code)    the bytes are not what was announced; `code` is an S3 code
    ├── InvalidPart(code)     Complete names parts that are not there, out of order, or too small
    ├── InvalidKey(code)      a key this backend cannot hold; `hint` says which rule it breaks
    │   └── KeyConflict       `a` beside `a/b` where keys are paths
    ├── Rejected(code)        an endpoint refused the request for a reason that only it has
    └── Unsupported           the backend lacks the feature

Each class maps to one S3 error at the boundary (ops/errors.py); nothing here knows S3 status codes.
"""

# Named for the state that was found, as S3 names its codes.
# ruff: noqa: N818

from __future__ import annotations


class BackendError(Exception):
    """An operation on a backend that failed.

    Attributes:
        op: the operation, as the Protocol names it ("put").
        path: the key, blob or container that it was for.
        hint: one sentence for the operator; safe to show to a client.
        backend: the configured name.
        upstream_status, upstream_code, upstream_message, upstream_request_id: what an HTTP endpoint
            answered; 0 and "" where there was no answer.
    """

    def __init__(self, op: str, path: str = "", hint: str = "", backend: str = "") -> None:
        super().__init__(op, path, hint, backend)
        self.op = op
        self.path = path
        self.hint = hint
        self.backend = backend
        self.upstream_status = 0
        self.upstream_code = ""
        self.upstream_message = ""
        self.upstream_request_id = ""

    def __str__(self) -> str:
        text = f"{type(self).__name__}: {self.op}"
        if self.path:
            text += f" {self.path!r}"
        if self.backend:
            text += f" on {self.backend}"
        if self.hint:
            text += f": {self.hint}"
        if self.upstream_status:
            answer = f"{self.upstream_status} {self.upstream_code}".rstrip()
            text += f" [answered {answer}, request {self.upstream_request_id or '?'}]"
        return text


class NotFound(BackendError):
    """There is no such key."""


class NoSuchContainer(NotFound):
    """There is no such physical bucket or directory."""


class NoSuchUpload(NotFound):
    """There is no such multipart upload, or no longer."""


class AlreadyExists(BackendError):
    """The blob or container is there already."""


class PreconditionFailed(BackendError):
    """A conditional write found another state than it asked for."""


class Conflict(BackendError):
    """Another request changed the same thing at the same moment; the caller may try again."""


class PermissionDenied(BackendError):
    """The file system or the endpoint refused, or it is read-only."""


class Throttled(BackendError):
    """The endpoint asked to slow down."""


class Unavailable(BackendError):
    """No usable answer: connect failure, deadline, garbage, internal error, I/O error."""


class NoSpace(BackendError):
    """The disk or the quota is full."""


class InvalidRange(BackendError):
    """The range starts behind the end of the object."""


class CodedError(BackendError):
    """An error whose S3 code is more precise than its class; `code` is that code."""

    default_code = "InvalidRequest"

    def __init__(
        self, op: str, path: str = "", hint: str = "", backend: str = "", *, code: str = ""
    ) -> None:
        super().__init__(op, path, hint, backend)
        self.code = code or self.default_code


class BodyRejected(CodedError):
    """The bytes differ from what was announced (length, digest); nothing was stored."""

    default_code = "IncompleteBody"


class InvalidPart(CodedError):
    """Complete names parts that are missing, differ, come out of order or are too small."""

    default_code = "InvalidPart"


class InvalidKey(CodedError):
    """A key or target that this backend cannot hold; `hint` names the rule."""

    default_code = "InvalidRequest"


class KeyConflict(InvalidKey):
    """The key needs a directory where an object is, or the other way round."""


class Rejected(CodedError):
    """An endpoint refused the request for a reason of its own; `code` is what it said."""


class Unsupported(CodedError):
    """The backend lacks the feature that was asked for."""

    default_code = "NotImplemented"
