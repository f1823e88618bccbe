"""Rows of a ListBucketResult, compiled."""

from collections.abc import Iterable
from typing import Protocol

class _Listed(Protocol):
    key: str
    size: int
    etag: str
    modified_ns: int
    storage_class: str
    checksum_algorithm: str
    checksum_type: str

def contents(objects: Iterable[_Listed], owner: bytes, url_encoded: bool, /) -> bytes:
    """Return the `Contents` elements of a page, one after the other.

    Args:
        owner: the Owner element that each gets, or nothing.
        url_encoded: keys are percent-encoded (`/` kept) instead of escaped.
    Raises:
        UnicodeEncodeError: a text holds half of a surrogate pair.
        OverflowError: a time outside of 64 bits of nanoseconds.
    Cost: about 0.4 us a row.
    """
