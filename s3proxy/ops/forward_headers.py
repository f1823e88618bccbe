"""Which headers pass between the client and the endpoint behind an attached bucket, either way.

Lists of what may pass, so that a header nobody thought of stays here: credentials, signatures, hop
headers, the endpoint's own request ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy._fast.http1 import HeaderNames, RequestHead, ResponseHead
from s3proxy.catalog.records import NULL_VERSION
from s3proxy.ops.call import Call
from s3proxy.s3 import subresources
from s3proxy.s3.metadata import RESPONSE_PARAMETERS
from s3proxy.s3.post_object import PostForm

if TYPE_CHECKING:
    from s3proxy.s3.headers import Headers

_READ = (
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-mode",
    "x-amz-object-attributes",
    "x-amz-max-parts",
    "x-amz-part-number-marker",
    "x-amz-optional-object-attributes",
    "x-amz-request-payer",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
)
_WRITE = (
    "if-match",
    "if-none-match",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-type",
    "expires",
    "x-amz-acl",
    "x-amz-bypass-governance-retention",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-copy-source-range",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-website-redirect-location",
)
_WRITE_PREFIXES = (
    *("x-amz-meta-", "x-amz-checksum-", "x-amz-copy-source-if-", "x-amz-object-lock-"),
    *("x-amz-server-side-encryption", "x-amz-copy-source-server-side-encryption-customer-"),
)
# Others could be sub-resources of the endpoint's own, which nobody was allowed.
_PARAMETERS = frozenset(
    {
        *subresources.BUCKET,
        *subresources.OBJECT,
        *("continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker"),
        *("list-type", "marker", "max-keys", "max-parts", "max-uploads", "partNumber"),
        *("part-number-marker", "prefix", "start-after", "upload-id-marker", "uploadId"),
        *("version-id-marker", "versionId"),
        *RESPONSE_PARAMETERS,
    }
)

READ_HEADERS = HeaderNames(_READ)
WRITE_HEADERS = HeaderNames(_WRITE, _WRITE_PREFIXES)
_ANSWER = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-range",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "x-amz-abort-date",
    "x-amz-abort-rule-id",
    "x-amz-copy-source-version-id",
    "x-amz-delete-marker",
    "x-amz-expiration",
    "x-amz-missing-meta",
    "x-amz-mp-parts-count",
    "x-amz-restore",
    "x-amz-storage-class",
    "x-amz-tagging-count",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-website-redirect-location",
)
_ANSWER_PREFIXES = (
    *("x-amz-meta-", "x-amz-checksum-", "x-amz-object-lock-", "x-amz-server-side-encryption"),
)
ANSWER_HEADERS = HeaderNames((*_ANSWER, "x-amz-version-id"), _ANSWER_PREFIXES)
_ANSWER_WITHOUT_VERSION = HeaderNames(_ANSWER, _ANSWER_PREFIXES)


def answer_lines(head: ResponseHead, *, writes: bool) -> bytes:
    """The lines of the endpoint's head that go on.

    S3 names no null version in the answer to a write. Some endpoints do, of buckets without
    versions, and then refuse a read of it (moto 5).
    """
    unversioned = writes and head.get(b"x-amz-version-id") == NULL_VERSION
    return head.select(_ANSWER_WITHOUT_VERSION if unversioned else ANSWER_HEADERS)


def request_lines(call: Call, *, writes: bool) -> bytes:
    """The lines of the client's head, or of the form that stands for it, that go on."""
    if isinstance(call.route.headers, PostForm):
        fields = call.route.headers.prefixed(b"")
        passing = [(name, value) for name, value in fields if _may_pass(name, writes=writes)]
        return "".join(f"{name}: {value}\r\n" for name, value in passing).encode("latin-1")
    return call.request.head.select(WRITE_HEADERS if writes else READ_HEADERS)


def hoisted_headers(call: Call, *, writes: bool) -> list[tuple[str, str]]:
    """Headers that a presigned URL carries in its query, which go on as headers."""
    head: RequestHead = call.request.head
    headers: Headers = call.route.headers
    if headers is head or isinstance(headers, PostForm):
        return []
    return [
        (name, value)
        for name, value in headers.prefixed(b"x-amz-")
        if _may_pass(name, writes=writes) and head.get(name.encode()) is None
    ]


def _may_pass(name: str, *, writes: bool) -> bool:
    if writes:
        return name in _WRITE or name.startswith(_WRITE_PREFIXES)
    return name in _READ


def object_coding(call: Call) -> list[tuple[str, str]]:
    """Content-Encoding of the object: without aws-chunked, which is of the transfer."""
    value = call.route.headers.get(b"content-encoding")
    if value is None:
        return []
    codings = value.split(",")
    kept = [coding for coding in codings if coding.strip().lower() not in ("", "aws-chunked")]
    return [("Content-Encoding", ",".join(kept).strip())] if kept else []


def forwarded_query(call: Call) -> list[tuple[str, str]]:
    """The parameters that go on: not those of a signature, nor headers in disguise."""
    query = call.route.query
    if not query or isinstance(call.route.headers, PostForm):
        return []
    return [(name, value) for name, value in query.items() if name in _PARAMETERS]
