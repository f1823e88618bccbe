import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.uri import parse_query, percent_decode
from tests.s3.heads import raises_s3

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_percent_decode_reverses_quote(text: str) -> None:
    assert percent_decode(urllib.parse.quote(text, safe="").encode()) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"a+b", "a+b"), (b"%2f%2F", "//"), (b"%252f", "%2f"), (b"%00", "\x00"), ("ä".encode(), "ä")],
)
def test_percent_decode_decodes_once_and_keeps_plus(raw: bytes, text: str) -> None:
    assert percent_decode(raw) == text


@pytest.mark.parametrize(
    "raw", [b"%", b"%4", b"%zz", b"a%2", b"%+1", b"% 1", b"%ff", b"\xff", b"%c3", b"%ed%a0%80"]
)
def test_percent_decode_of_bad_encoding_is_invalid_uri(raw: bytes) -> None:
    with raises_s3("InvalidURI"):
        percent_decode(raw)


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {}),
        (b"acl", {"acl": ""}),
        (b"acl=", {"acl": ""}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=1&a=2", {"a": "1"}),
        (b"&&a&&", {"a": ""}),
        (b"prefix=a+b%2Bc", {"prefix": "a b+c"}),
        (b"pre%66ix=%C3%A4", {"prefix": "ä"}),
        (b"=x", {"": "x"}),
    ],
)
def test_parse_query_reads_names_and_values(raw: bytes, query: dict[str, str]) -> None:
    assert parse_query(raw) == query


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=20))
def test_parse_query_reverses_urlencode(query: dict[str, str]) -> None:
    assert parse_query(urllib.parse.urlencode(query).encode()) == query


def test_parse_query_of_128_parameters_is_taken() -> None:
    assert len(parse_query(b"&".join(b"p%d=" % n for n in range(128)))) == 128


def test_parse_query_of_more_parameters_is_refused() -> None:
    with raises_s3("InvalidArgument"):
        parse_query(b"&".join(b"p%d" % n for n in range(129)))


def test_parse_query_of_bad_encoding_is_invalid_uri() -> None:
    with raises_s3("InvalidURI"):
        parse_query(b"prefix=%ff")
