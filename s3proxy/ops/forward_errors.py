"""Errors of the endpoint behind an attached bucket, as the client is told them.

Code, status and message pass through. What is wrong between this gateway and the endpoint (its
credentials, a redirect, an answer that cannot be read) is not the client's fault and becomes a
BackendError, which names no secret and reads as a 5xx.
"""

from __future__ import annotations

from s3proxy._fast.http1 import ResponseHead
from s3proxy.backends.errors import BackendError
from s3proxy.backends.s3_errors import ERROR_BYTES_MAX, from_answer
from s3proxy.backends.s3_request import Ask
from s3proxy.catalog.records import BucketRecord
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml_read import Node, parse

# The endpoint's opinion of the gateway's own credentials, clock and signature.
_OURS = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
# Elements of an error that say nothing of the endpoint.
_FIELDS = frozenset(
    {
        *("ActualObjectSize", "ArgumentName", "ArgumentValue", "Condition", "ETag", "Key"),
        *("MaxSizeAllowed", "MinSizeAllowed", "PartNumber", "ProposedSize", "RangeRequested"),
        *("UploadId", "VersionId"),
    }
)
# HEAD has no body to name the code.
_HEAD_CODES = {
    400: "InvalidRequest",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    412: "PreconditionFailed",
}
# What an error says of the version that it is about.
_HEADERS = ("x-amz-delete-marker", "x-amz-version-id", "Last-Modified", "Allow")


class ForwardedError(S3Error):
    """An error with the status the endpoint gave it."""

    def __init__(self, status: int, code: str, message: str, **fields: str) -> None:
        super().__init__(code, message, **fields)
        self._status = status

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return self._status


def from_endpoint(
    ask: Ask, bucket: BucketRecord, head: ResponseHead, body: bytes, *, denied: bool = False
) -> S3Error | BackendError:
    """The error for an answer with a status of 300 or more, but 304.

    Args:
        denied: AccessDenied is about what the client asks for, not about the gateway's credentials.
    """
    error = _error(ask, bucket, head, body, denied)
    if isinstance(error, S3Error):
        found = [(name, head.get(name.lower().encode())) for name in _HEADERS]
        error.headers = tuple((name, value) for name, value in found if value is not None)
    return error


def _error(
    ask: Ask, bucket: BucketRecord, head: ResponseHead, body: bytes, denied: bool
) -> S3Error | BackendError:
    failure = from_answer(ask.op, ask.path, bucket.backend, head, body)
    if head.status < 400:
        return failure
    if ask.method == "HEAD":
        return S3Error("AccessDenied") if denied and head.status == 403 else _of_head(head, failure)
    root = _read(body)
    code = (root.child_text("Code") or "").strip() if root is not None else ""
    ours = code in _OURS and not (denied and code == "AccessDenied")
    if root is None or not code or ours:
        return failure
    fields = {child.name: child.text for child in root.children if child.name in _FIELDS}
    if root.child_text("BucketName") is not None:
        fields["BucketName"] = bucket.name
    return ForwardedError(head.status, code, root.child_text("Message") or "", **fields)


def _of_head(head: ResponseHead, failure: BackendError) -> S3Error | BackendError:
    if head.status == 416:
        size = (head.get(b"content-range") or "").rpartition("/")[2]
        return S3Error("InvalidRange", **({"ActualObjectSize": size} if size.isdecimal() else {}))
    code = _HEAD_CODES.get(head.status)
    return failure if code is None else S3Error(code)


def _read(body: bytes) -> Node | None:
    try:
        return parse(body, "Error", ERROR_BYTES_MAX)
    except S3Error:
        return None
