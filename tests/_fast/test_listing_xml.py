"""The rows of a listing against the same made of the Python functions for single elements."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3proxy._fast.listing_xml import contents
from s3proxy._fast.sigv4 import uri_encode
from s3proxy.s3.listing import ListedObject
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import element, escape

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NS = st.integers(-(2**63), 2**63 - 1)
OBJECT = st.builds(
    ListedObject,
    key=TEXT,
    size=st.integers(0, 2**80),
    etag=TEXT,
    modified_ns=NS,
    storage_class=TEXT,
    checksum_algorithm=TEXT,
    checksum_type=TEXT,
)


def rendered(entry: ListedObject, owner: str, url_encoded: bool) -> str:
    key = escape(entry.key)
    if url_encoded:
        key = uri_encode(entry.key.encode(), keep_slash=True).decode()
    kind = ""
    if entry.checksum_algorithm:
        kind = element("ChecksumAlgorithm", entry.checksum_algorithm.upper())
        kind += element("ChecksumType", entry.checksum_type) if entry.checksum_type else ""
    return (
        f"<Contents><Key>{key}</Key>{element('LastModified', iso8601(entry.modified_ns))}"
        f"<ETag>&quot;{escape(entry.etag)}&quot;</ETag>{kind}<Size>{entry.size}</Size>{owner}"
        f"{element('StorageClass', entry.storage_class)}</Contents>"
    )


@given(st.lists(OBJECT, max_size=4), TEXT, st.booleans())
@example([ListedObject("\x00\t\r\x7f\x80\x9f\xa0\ufffe\uffff\ufffd<&>\"'", 0, "e", 0)], "", False)
@example([ListedObject("k" * 1024, 5, '"' * 4096, -1)] * 3, "o" * 5000, True)
def test_contents_is_what_the_elements_give(
    objects: list[ListedObject], owner: str, url_encoded: bool
) -> None:
    expected = "".join(rendered(entry, owner, url_encoded) for entry in objects)
    assert contents(objects, owner.encode(), url_encoded) == expected.encode()


@given(NS)
@example(0)
@example(-1)
@example(951_782_400_000_000_000)
@example(-(2**63))
@example(2**63 - 1)
def test_contents_time_is_that_of_iso8601(ns: int) -> None:
    row = contents([ListedObject("k", 0, "e", ns)], b"", False).decode()
    assert f"<LastModified>{iso8601(ns)}</LastModified>" in row


def test_contents_of_nothing_is_empty() -> None:
    assert contents([], b"<Owner/>", False) == b""


def test_contents_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        contents([ListedObject("\ud800", 0, "e", 0)], b"", False)


def test_contents_time_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError):
        contents([ListedObject("k", 0, "e", 2**63)], b"", False)
