"""Headers of S3 requests and answers as PutOptions and Stat, both ways."""

from __future__ import annotations

import time
from base64 import b64encode
from urllib.parse import quote, urlencode

from s3proxy._fast.http1 import ResponseHead
from s3proxy.backends.s3_xml import unquote_etag
from s3proxy.backends.store import PutOptions, Stat
from s3proxy.s3.metadata import SYSTEM_HEADERS
from s3proxy.s3.time import parse_http_date

CHECKSUM_PREFIX = "x-amz-checksum-"
USER_PREFIX = "x-amz-meta-"


def metadata_headers(options: PutOptions) -> list[tuple[str, str]]:
    """Headers that describe the object: system, user, storage class, tags."""
    headers = [(SYSTEM_HEADERS.get(name, name), value) for name, value in options.system.items()]
    headers += [(USER_PREFIX + name, value) for name, value in options.user.items()]
    if options.storage_class and options.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", options.storage_class))
    if options.tags:
        headers.append(("x-amz-tagging", urlencode(options.tags, quote_via=quote)))
    return headers


def condition_headers(options: PutOptions) -> list[tuple[str, str]]:
    """If-None-Match and If-Match of a conditional write."""
    headers = []
    if options.if_none_match_any:
        headers.append(("If-None-Match", "*"))
    if options.if_match:
        headers.append(("If-Match", f'"{options.if_match}"'))
    return headers


def digest_headers(options: PutOptions) -> list[tuple[str, str]]:
    """Content-MD5 and checksums that are known before the body is sent."""
    headers = [(CHECKSUM_PREFIX + name, value) for name, value in options.checksums.items()]
    if options.md5:
        headers.append(("Content-MD5", b64encode(options.md5).decode()))
    return headers


def length_line(length: int) -> bytes:
    """Content-Length as a ready line: it frames the message and is not signed."""
    return b"Content-Length: %d\r\n" % length


def stat_of(head: ResponseHead) -> Stat:
    """Stat from the answer to a GET or HEAD, also of a range; `size` is the whole object's."""
    checksums = {}
    checksum_type = head.get(b"x-amz-checksum-type") or ""
    for name, value in head.prefixed(CHECKSUM_PREFIX.encode()):
        if name != "x-amz-checksum-type":
            checksums[name.removeprefix(CHECKSUM_PREFIX)] = value
    system = {name: head.get(name.encode()) or "" for name in SYSTEM_HEADERS}
    parts = head.get(b"x-amz-mp-parts-count") or "0"
    return Stat(
        size=whole_size(head),
        modified_ns=modified_ns(head, b"last-modified"),
        etag=unquote_etag(head.get(b"etag") or ""),
        system={name: value for name, value in system.items() if value},
        user={
            name.removeprefix(USER_PREFIX): value
            for name, value in head.prefixed(USER_PREFIX.encode())
        },
        checksums=checksums,
        checksum_type=checksum_type,
        storage_class=head.get(b"x-amz-storage-class") or "STANDARD",
        parts_count=int(parts) if parts.isdecimal() else 0,
        opaque_etag=_is_opaque(head),
    )


def written_stat(head: ResponseHead, size: int) -> Stat:
    """Stat from the answer to a write; its time is the endpoint's clock where it tells."""
    return Stat(
        size=size,
        modified_ns=modified_ns(head, b"date") or time.time_ns() // 1_000_000 * 1_000_000,
        etag=unquote_etag(head.get(b"etag") or ""),
        opaque_etag=_is_opaque(head),
    )


def _is_opaque(head: ResponseHead) -> bool:
    return (head.get(b"x-amz-server-side-encryption") or "").startswith("aws:kms")


def modified_ns(head: ResponseHead, name: bytes) -> int:
    """A date header in nanoseconds; 0 when it is absent or no date."""
    seconds = parse_http_date(head.get(name) or "")
    return 0 if seconds is None else seconds * 1_000_000_000


def whole_size(head: ResponseHead) -> int:
    """Size of the object that a GET or HEAD answered with; -1 when the answer does not tell."""
    if head.status != 206:
        return head.content_length
    total = (head.get(b"content-range") or "").rpartition("/")[2]
    return int(total) if total.isascii() and total.isdecimal() else -1
