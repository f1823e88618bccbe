"""Parameters and pages of listings, without I/O: objects, versions, uploads, parts, buckets.

A page is asked for by prefix, delimiter and the key (or common prefix) after which it starts;
Python's order of strings is the order of their UTF-8 bytes, which is S3's.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from s3proxy.s3.errors import invalid_argument

KEYS_MAX: Final = 1000
BUCKETS_MAX: Final = 10_000
_INT32_MAX: Final = 2**31 - 1
_DIGITS_MAX: Final = 10
# First byte of a decoded continuation token; another layout takes another one.
_TOKEN_VERSION: Final = b"\x01"

E = TypeVar("E")
F = TypeVar("F")


class ListedObject(msgspec.Struct, gc=False):
    """One object of a page. The ETag has no quotes; modified_ns is nanoseconds since the epoch."""

    key: str
    size: int
    etag: str
    modified_ns: int
    storage_class: str = "STANDARD"
    checksum_algorithm: str = ""
    checksum_type: str = ""


class ListPage(msgspec.Struct):
    """One page of a listing.

    Attributes:
        objects: in key order.
        common_prefixes: in order; each counts as one entry of the page.
        truncated: more entries follow.
        next_after: the next page starts strictly after this key or common prefix; "" when not
            truncated.
    """

    objects: list[ListedObject]
    common_prefixes: list[str]
    truncated: bool
    next_after: str


class MarkedPage(msgspec.Struct, Generic[E]):
    """One page of what a key may have several of, by key and then id: versions or uploads.

    Attributes:
        common_prefixes: in order; each counts as one entry of the page.
        truncated: more entries follow.
        next_key_marker, next_id_marker: the next page starts after this version or upload; the id
            is "" when the page ends with a common prefix.
    """

    entries: list[E]
    common_prefixes: list[str]
    truncated: bool = False
    next_key_marker: str = ""
    next_id_marker: str = ""

    def shown(self, show: Callable[[E], F]) -> "MarkedPage[F]":
        """The same page of what `show` makes of its entries."""
        return MarkedPage(
            [show(entry) for entry in self.entries],
            self.common_prefixes,
            self.truncated,
            self.next_key_marker,
            self.next_id_marker,
        )


class ListParameters(msgspec.Struct, frozen=True):
    """What ListObjects (version 1 or 2) asks for.

    Attributes:
        after: where the page starts, exclusive: the marker, or the token's key, or start-after.
        max_keys: 0 to 1,000.
        marker, start_after, continuation_token: as sent, for the answer to repeat.
    """

    version: int
    prefix: str
    delimiter: str
    after: str
    max_keys: int
    url_encoded: bool
    fetch_owner: bool = False

    @property
    def shows_owner(self) -> bool:
        """Whether the owner of each object is told."""
        return self.version == 1 or self.fetch_owner

    marker: str = ""
    start_after: str = ""
    continuation_token: str | None = None


class ListUploadsParameters(msgspec.Struct, frozen=True):
    """What ListMultipartUploads asks for; upload_id_marker counts only beside a key_marker."""

    prefix: str
    delimiter: str
    key_marker: str
    upload_id_marker: str
    max_uploads: int
    url_encoded: bool


class ListVersionsParameters(msgspec.Struct, frozen=True):
    """What ListObjectVersions asks for: what comes after a key, or after a version of it."""

    prefix: str
    delimiter: str
    key_marker: str
    version_id_marker: str
    max_keys: int
    url_encoded: bool


class ListPartsParameters(msgspec.Struct, frozen=True):
    """What ListParts asks for: parts numbered above the marker."""

    upload_id: str
    part_number_marker: int
    max_parts: int


class ListBucketsParameters(msgspec.Struct, frozen=True):
    """What ListBuckets asks for; `limited` when the client wants pages."""

    prefix: str
    after: str
    max_buckets: int
    limited: bool
    region: str


def parse_list_objects(query: dict[str, str]) -> ListParameters:
    """Read the parameters of ListObjects, version 1.

    Raises:
        S3Error: InvalidArgument.
    """
    marker = query.get("marker", "")
    return ListParameters(
        version=1,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=marker,
        max_keys=_count(query, "max-keys", "maxKeys", KEYS_MAX),
        url_encoded=_is_url_encoded(query),
        marker=marker,
    )


def parse_list_objects_v2(query: dict[str, str]) -> ListParameters:
    """Read the parameters of ListObjectsV2; a token that is not empty overrules start-after.

    Raises:
        S3Error: InvalidArgument.
    """
    start_after = query.get("start-after", "")
    token = query.get("continuation-token")
    return ListParameters(
        version=2,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        after=read_token(token) if token else start_after,
        max_keys=_count(query, "max-keys", "maxKeys", KEYS_MAX),
        url_encoded=_is_url_encoded(query),
        fetch_owner=query.get("fetch-owner", "").lower() == "true",
        start_after=start_after,
        continuation_token=token,
    )


def parse_list_uploads(query: dict[str, str]) -> ListUploadsParameters:
    """Read the parameters of ListMultipartUploads.

    Raises:
        S3Error: InvalidArgument.
    """
    key_marker = query.get("key-marker", "")
    return ListUploadsParameters(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        key_marker=key_marker,
        upload_id_marker=query.get("upload-id-marker", "") if key_marker else "",
        max_uploads=_count(query, "max-uploads", "max-uploads", KEYS_MAX),
        url_encoded=_is_url_encoded(query),
    )


def parse_list_versions(query: dict[str, str]) -> ListVersionsParameters:
    """Read the parameters of ListObjectVersions.

    Raises:
        S3Error: InvalidArgument, also for a version id marker without a key marker.
    """
    key_marker, version_id_marker = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version_id_marker and not key_marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(message, "version-id-marker", version_id_marker)
    return ListVersionsParameters(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        key_marker=key_marker,
        version_id_marker=version_id_marker,
        max_keys=_count(query, "max-keys", "maxKeys", KEYS_MAX),
        url_encoded=_is_url_encoded(query),
    )


def parse_list_parts(query: dict[str, str]) -> ListPartsParameters:
    """Read the parameters of ListParts.

    Raises:
        S3Error: InvalidArgument.
    """
    return ListPartsParameters(
        upload_id=query.get("uploadId", ""),
        part_number_marker=_count(query, "part-number-marker", "part-number-marker", _INT32_MAX, 0),
        max_parts=_count(query, "max-parts", "max-parts", KEYS_MAX),
    )


def parse_list_buckets(query: dict[str, str]) -> ListBucketsParameters:
    """Read the parameters of ListBuckets.

    Raises:
        S3Error: InvalidArgument.
    """
    token = query.get("continuation-token")
    return ListBucketsParameters(
        prefix=query.get("prefix", ""),
        after="" if token is None else read_token(token),
        max_buckets=max(1, _count(query, "max-buckets", "max-buckets", BUCKETS_MAX)),
        limited="max-buckets" in query,
        region=query.get("bucket-region", ""),
    )


def make_token(after: str) -> str:
    """Continuation token of a page that starts strictly after a key; opaque to clients."""
    return base64.urlsafe_b64encode(_TOKEN_VERSION + after.encode()).decode().rstrip("=")


def read_token(token: str) -> str:
    """The key a continuation token stands for.

    Raises:
        S3Error: InvalidArgument for one that was not made here.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        if raw[:1] == _TOKEN_VERSION:
            return raw[1:].decode()
    except (binascii.Error, UnicodeError):
        pass
    message = "The continuation token provided is incorrect"
    raise invalid_argument(message, "continuation-token", token) from None


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """The group a key falls into: up to the first delimiter behind the prefix; "" for none."""
    if not delimiter:
        return ""
    cut = key.find(delimiter, len(prefix))
    return key[: cut + len(delimiter)] if cut >= 0 else ""


def parse_count(text: str, parameter: str, *, argument: str, maximum: int, default: int) -> int:
    """A bounded count in a parameter or header: larger ones mean the maximum, "" the default.

    Raises:
        S3Error: InvalidArgument for what is no integer of 0 to 2**31-1.
    """
    if not text:
        return default
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MAX
    number = int(text) if is_number else None
    if number is None:
        message = f"Provided {parameter} not an integer or within integer range"
        raise invalid_argument(message, parameter, text)
    if not 0 <= number <= _INT32_MAX:
        message = f"Argument {argument} must be an integer between 0 and {_INT32_MAX}"
        raise invalid_argument(message, parameter, text)
    return min(number, maximum)


def _count(
    query: dict[str, str], parameter: str, argument: str, maximum: int, default: int | None = None
) -> int:
    return parse_count(
        query.get(parameter, ""),
        parameter,
        argument=argument,
        maximum=maximum,
        default=maximum if default is None else default,
    )


def _is_url_encoded(query: dict[str, str]) -> bool:
    value = query.get("encoding-type", "")
    if value not in ("", "url"):
        message = "Invalid Encoding Method specified in Request"
        raise invalid_argument(message, "encoding-type", value)
    return value == "url"


def parse_part_number(query: dict[str, str], *, parameter: str = "partNumber") -> int:
    """Number of a part, 1 to 10,000.

    Raises:
        S3Error: InvalidArgument.
    """
    text = query.get(parameter, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    if not 1 <= number <= 10_000:
        message = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(message, parameter, text)
    return number
