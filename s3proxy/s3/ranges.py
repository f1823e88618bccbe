"""Byte ranges of a GET (RFC 9110 §14) as S3 answers them."""

from typing import Final

from s3proxy.s3.errors import S3Error, invalid_argument

# Longer than any offset of an object (5 TiB has 13 digits); int() of longer text costs quadratic
# time.
_DIGITS_MAX: Final = 19


def parse_range(value: str | None, size: int) -> tuple[int, int] | None:
    """Turn a Range header into offsets.

    Args:
        value: the header, None when absent.
        size: of the object, in bytes.

    Returns:
        (first, last), inclusive and within the object; None: the whole object is meant, also for
        several ranges, other units and malformed values, which S3 ignores.

    Raises:
        S3Error: InvalidRange when no byte of the object is in it.
    """
    if value is None or not value.startswith("bytes="):
        return None
    first_text, dash, last_text = value[6:].strip().partition("-")
    if not dash or not _is_number_or_empty(first_text) or not _is_number_or_empty(last_text):
        return None
    if not first_text:
        if not last_text:
            return None
        first, last = max(0, size - _number(last_text)), size - 1
        satisfiable = size > 0 and _number(last_text) > 0
    else:
        first = _number(first_text)
        last = _number(last_text) if last_text else size - 1
        if last_text and last < first:
            return None
        satisfiable = first < size
    if not satisfiable:
        raise S3Error("InvalidRange", RangeRequested=value, ActualObjectSize=str(size))
    return first, min(last, size - 1)


def parse_copy_range(value: str | None, size: int) -> tuple[int, int] | None:
    """Turn x-amz-copy-source-range into (first, last); None: absent. Unlike Range it is strict.

    Raises:
        S3Error: InvalidArgument for another form than `bytes=first-last`; InvalidRange for one that
            goes beyond the source.
    """
    if value is None:
        return None
    name = "x-amz-copy-source-range"
    first_text, dash, last_text = value[6:].partition("-")
    well_formed = value.startswith("bytes=") and dash and first_text and last_text
    if not well_formed or not (_is_number_or_empty(first_text) and _is_number_or_empty(last_text)):
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first"
            " and last are the zero-based offsets of the first and last bytes to copy",
            name,
            value,
        )
    first, last = _number(first_text), _number(last_text)
    if first > last:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(message, name, value)
    if last >= size:
        raise S3Error("InvalidRange", RangeRequested=value, ActualObjectSize=str(size))
    return first, last


def content_range(first: int, last: int, size: int) -> str:
    """Value of the Content-Range header of a 206."""
    return f"bytes {first}-{last}/{size}"


def _is_number_or_empty(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())


def _number(text: str) -> int:
    return int(text) if len(text) <= _DIGITS_MAX else 10**_DIGITS_MAX
