"""Answers of an S3 endpoint, and failures to get one, in terms of backends/errors.py."""

from __future__ import annotations

import trio

from s3proxy._fast.http1 import ResponseHead
from s3proxy.backends.errors import (
    AlreadyExists,
    BackendError,
    BodyRejected,
    CodedError,
    Conflict,
    InvalidKey,
    InvalidPart,
    InvalidRange,
    NoSpace,
    NoSuchContainer,
    NoSuchUpload,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Rejected,
    Throttled,
    Unavailable,
    Unsupported,
)
from s3proxy.backends.s3_xml import read_error
from s3proxy.http.errors import BodyTooLarge, TransportError

ERROR_BYTES_MAX = 64 << 10

# By S3 code first, as it is more precise than the status; the hint is what the endpoint said.
_BY_CODE: dict[str, type[BackendError]] = {
    "NoSuchKey": NotFound,
    "NoSuchVersion": NotFound,
    "NoSuchBucket": NoSuchContainer,
    "NoSuchUpload": NoSuchUpload,
    "BucketAlreadyExists": AlreadyExists,
    "BucketAlreadyOwnedByYou": AlreadyExists,
    "BucketNotEmpty": Conflict,
    "PreconditionFailed": PreconditionFailed,
    "ConditionalRequestConflict": Conflict,
    "OperationAborted": Conflict,
    "AccessDenied": PermissionDenied,
    "AllAccessDisabled": PermissionDenied,
    "AccountProblem": PermissionDenied,
    "InvalidAccessKeyId": PermissionDenied,
    "SignatureDoesNotMatch": PermissionDenied,
    "RequestTimeTooSkewed": PermissionDenied,
    "ExpiredToken": PermissionDenied,
    "InvalidToken": PermissionDenied,
    "InvalidSecurity": PermissionDenied,
    "NotSignedUp": PermissionDenied,
    "AuthorizationHeaderMalformed": PermissionDenied,
    "AuthorizationQueryParametersError": PermissionDenied,
    "SlowDown": Throttled,
    "Throttling": Throttled,
    "ThrottlingException": Throttled,
    "TooManyRequests": Throttled,
    "RequestLimitExceeded": Throttled,
    "QuotaExceeded": NoSpace,
    "XMinioStorageFull": NoSpace,
    "InsufficientStorage": NoSpace,
    "InvalidRange": InvalidRange,
    "BadDigest": BodyRejected,
    "InvalidDigest": BodyRejected,
    "IncompleteBody": BodyRejected,
    "XAmzContentSHA256Mismatch": BodyRejected,
    "XAmzContentChecksumMismatch": BodyRejected,
    "EntityTooLarge": BodyRejected,
    "MetadataTooLarge": BodyRejected,
    "EntityTooSmall": InvalidPart,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPart,
    "KeyTooLongError": InvalidKey,
    "InvalidObjectName": InvalidKey,
    "XMinioInvalidObjectName": InvalidKey,
    "NotImplemented": Unsupported,
    "MethodNotAllowed": Unsupported,
}
_BY_STATUS: dict[int, type[BackendError]] = {
    401: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    416: InvalidRange,
    429: Throttled,
    501: Unsupported,
    503: Throttled,
    507: NoSpace,
}
_OWN_CODES = {BodyRejected, InvalidPart, InvalidKey, Rejected}  # whose S3 code is the endpoint's


def from_answer(op: str, path: str, backend: str, head: ResponseHead, body: bytes) -> BackendError:
    """The error that an answer stands for.

    Args:
        body: of the answer; may be empty (HEAD) or no XML at all.
    """
    answer = read_error(body)
    code = answer.code if answer else ""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(head.status, Unavailable)
    if kind is Unavailable and 400 <= head.status < 500 and code:
        kind = Rejected
    if head.status == 503 and code in ("ServiceUnavailable", "InternalError"):
        kind = Unavailable
    hint = answer.message if answer else f"the endpoint answered {head.status} {head.reason}"
    error = kind(op, path, hint, backend)
    if isinstance(error, CodedError) and kind in _OWN_CODES and code:
        error.code = code
    error.upstream_status = head.status
    error.upstream_code = code
    error.upstream_message = answer.message if answer else ""
    error.upstream_request_id = head.get(b"x-amz-request-id") or (
        answer.request_id if answer else ""
    )
    return error


def from_transport(op: str, path: str, backend: str, error: Exception) -> Unavailable:
    """The error for an endpoint that gave no usable answer."""
    if isinstance(error, BodyTooLarge):
        return Unavailable(op, path, "the endpoint's answer is too long", backend)
    return Unavailable(op, path, f"the endpoint gave no usable answer: {error}", backend)


def may_pass(error: BackendError) -> bool:
    """Whether the same request may succeed a moment later."""
    status = error.upstream_status
    return isinstance(error, Unavailable | Throttled) and not 300 <= status < 429


# What the client raises when the upstream is at fault; a source's own errors pass by unchanged.
TRANSPORT_ERRORS = (TransportError, trio.ClosedResourceError, trio.BrokenResourceError)
