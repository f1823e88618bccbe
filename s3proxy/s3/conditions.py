"""Conditional requests: RFC 9110 §13 for reads, S3's own rules for copy sources and writes."""

from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, not_implemented_header
from s3proxy.s3.headers import Headers
from s3proxy.s3.time import parse_http_date

_NS: Final = 1_000_000_000


class NotModified(Exception):  # noqa: N818 - an answer (304), not an error
    """The client's copy is current.

    Attributes:
        etag: of the object, without quotes.
        modified_ns: of the object.
    """

    def __init__(self, etag: str, modified_ns: int) -> None:
        self.etag = etag
        self.modified_ns = modified_ns
        super().__init__(etag)


class WriteCondition(msgspec.Struct, frozen=True):
    """What must hold of the current object for a write to happen.

    Attributes:
        if_none_match_any: no object may exist.
        if_match: the ETag (without quotes) the object must have; "*" for any; None: no condition.
    """

    if_none_match_any: bool = False
    if_match: str | None = None

    def check(self, current_etag: str | None) -> None:
        """Compare with the current object's ETag; None: there is no object.

        Raises:
            S3Error: PreconditionFailed with Condition; NoSuchKey for If-Match without an object.
        """
        if self.if_none_match_any and current_etag is not None:
            raise S3Error("PreconditionFailed", Condition="If-None-Match")
        if self.if_match is None:
            return
        if current_etag is None:
            raise S3Error("NoSuchKey")
        if self.if_match not in ("*", current_etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")


def parse_write_condition(headers: Headers) -> WriteCondition | None:
    """Condition of a PUT, copy, Complete or DELETE; None: unconditional.

    Raises:
        S3Error: NotImplemented for If-None-Match with anything but `*`, and for both headers
            together.
    """
    if_none_match = headers.get(b"if-none-match")
    if_match = headers.get(b"if-match")
    if if_none_match is None and if_match is None:
        return None
    if if_none_match is not None and (if_none_match != "*" or if_match is not None):
        raise not_implemented_header("If-None-Match")
    if if_match is not None and "," in if_match:
        raise not_implemented_header("If-Match")
    return WriteCondition(
        if_none_match_any=if_none_match is not None,
        if_match=None if if_match is None else unquote_etag(if_match),
    )


def check_read(headers: Headers, etag: str, modified_ns: int) -> None:
    """Evaluate a GET's or HEAD's conditions in the order of RFC 9110 §13.2.2.

    Raises:
        NotModified: answer 304.
        S3Error: PreconditionFailed with Condition.
    """
    if_match = headers.get(b"if-match")
    if if_match is not None:
        if not matches_strongly(if_match, etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")
    elif _modified_since(headers.get(b"if-unmodified-since"), modified_ns) is True:
        raise S3Error("PreconditionFailed", Condition="If-Unmodified-Since")
    if_none_match = headers.get(b"if-none-match")
    if if_none_match is not None:
        if matches_weakly(if_none_match, etag):
            raise NotModified(etag, modified_ns)
    elif _modified_since(headers.get(b"if-modified-since"), modified_ns) is False:
        raise NotModified(etag, modified_ns)


def check_copy_source(headers: Headers, etag: str, modified_ns: int) -> None:
    """Evaluate the x-amz-copy-source-if-* conditions.

    Raises:
        S3Error: PreconditionFailed with Condition; there is no 304 here.
    """
    prefix = "x-amz-copy-source-"
    if_match = headers.get(b"x-amz-copy-source-if-match")
    if_none_match = headers.get(b"x-amz-copy-source-if-none-match")
    unmodified_since = headers.get(b"x-amz-copy-source-if-unmodified-since")
    modified_since = headers.get(b"x-amz-copy-source-if-modified-since")
    failed = ""
    if if_match is not None:
        failed = "" if matches_strongly(if_match, etag) else "if-match"
    elif _modified_since(unmodified_since, modified_ns) is True:
        failed = "if-unmodified-since"
    if not failed and if_none_match is not None:
        failed = "if-none-match" if matches_weakly(if_none_match, etag) else ""
    elif not failed and _modified_since(modified_since, modified_ns) is False:
        failed = "if-modified-since"
    if failed:
        raise S3Error("PreconditionFailed", Condition=prefix + failed)


def range_applies(headers: Headers, etag: str, modified_ns: int) -> bool:
    """Whether If-Range (RFC 9110 §13.1.5) lets the Range header count; True when it is absent."""
    if_range = headers.get(b"if-range")
    if if_range is None:
        return True
    date = parse_http_date(if_range)
    if date is not None:
        return date == modified_ns // _NS
    return not if_range.startswith("W/") and unquote_etag(if_range) == etag


def matches_strongly(value: str, etag: str) -> bool:
    """Whether an If-Match list names the ETag; a weak tag never does."""
    return value == "*" or any(
        not tag.startswith("W/") and unquote_etag(tag) == etag for tag in _tags(value)
    )


def matches_weakly(value: str, etag: str) -> bool:
    """Whether an If-None-Match list names the ETag, weak or not."""
    return value == "*" or any(unquote_etag(tag.removeprefix("W/")) == etag for tag in _tags(value))


def unquote_etag(tag: str) -> str:
    """An entity tag without its quotes; S3 takes bare ones too."""
    tag = tag.strip()
    return tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag


def _tags(value: str) -> list[str]:
    """Members of a list of entity tags. S3's have no comma within, so a plain split does."""
    return [tag.strip() for tag in value.split(",")]


def _modified_since(date: str | None, modified_ns: int) -> bool | None:
    """Whether the object changed after the date; None: no date, or not one."""
    if date is None:
        return None
    seconds = parse_http_date(date)
    return None if seconds is None else modified_ns // _NS > seconds
