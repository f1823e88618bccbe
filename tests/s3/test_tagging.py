"""Tags: the document, the header, and what a tag may be."""

from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3 import tagging
from s3proxy.s3.errors import S3Error

_LETTERS = st.characters(categories=("L", "N", "Zs"), include_characters="_.:/=+-@")
_KEYS = st.text(_LETTERS, min_size=1, max_size=128).filter(
    lambda key: not key.lower().startswith("aws:")
)
_TAGS = st.dictionaries(_KEYS, st.text(_LETTERS, max_size=256), max_size=10)


class FormHeaders:
    """Headers with a tagging header, as latin-1 text of its bytes, and a directive."""

    def __init__(self, form: str | None, directive: str | None = None) -> None:
        self._values = {b"x-amz-tagging": form, b"x-amz-tagging-directive": directive}

    def get(self, name: bytes, /) -> str | None:
        return self._values[name]

    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        return []


def _document(*pairs: tuple[str, str]) -> bytes:
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


def _code_of_document(document: bytes, tags_max: int = 10) -> str:
    with pytest.raises(S3Error) as caught:
        tagging.parse_tagging(document, tags_max=tags_max)
    return caught.value.code


def _code_of_form(form: str) -> str:
    with pytest.raises(S3Error) as caught:
        tagging.parse_tagging_form(form)
    return caught.value.code


@given(_TAGS)
def test_document_rendered_reads_back(tags: dict[str, str]) -> None:
    document = tagging.tagging(tags)
    assert list(tagging.parse_tagging(document, tags_max=10).items()) == list(tags.items())
    ElementTree.fromstring(document)


@given(_TAGS, st.booleans())
def test_form_as_urllib_encodes_it_reads_back(tags: dict[str, str], plus: bool) -> None:
    form = urlencode(tags) if plus else urlencode(tags, quote_via=quote)
    assert tagging.parse_tagging_form(form) == tags


@given(st.text(st.sampled_from("abcA1=&+%2 ._-é"), max_size=40))
def test_form_of_any_text_agrees_with_urllib(text: str) -> None:
    form = text.encode().decode("latin-1")
    try:
        tags = tagging.parse_tagging_form(form)
    except S3Error as error:
        assert error.code in ("InvalidArgument", "InvalidTag")
    else:
        assert list(tags.items()) == sorted(parse_qsl(text, keep_blank_values=True))


def test_form_with_raw_bytes_or_without_values_is_read() -> None:
    assert tagging.parse_tagging_form("a&b=&&c=é".encode().decode("latin-1")) == {
        "a": "",
        "b": "",
        "c": "é",
    }
    assert tagging.parse_tagging_form("a=b=c&d%3De=%2B") == {"a": "b=c", "d=e": "+"}


def test_header_absent_or_empty_gives_no_tags() -> None:
    assert tagging.parse_tagging_header(FormHeaders(None)) == {}
    assert tagging.parse_tagging_header(FormHeaders("")) == {}
    assert tagging.parse_tagging_header(FormHeaders("a=1")) == {"a": "1"}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("a=1&a=2", "InvalidArgument"),
        ("a=%zz", "InvalidArgument"),
        ("a=%ff", "InvalidArgument"),
        ("=v", "InvalidTag"),
        ("aws:a=1", "InvalidTag"),
        ("a=%0A", "InvalidTag"),
        ("&".join(f"k{number}=v" for number in range(11)), "InvalidTag"),
    ],
)
def test_form_with_a_fault_is_refused(form: str, code: str) -> None:
    assert _code_of_form(form) == code


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no xml",
        b"<Tagging/>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><Tag><Key>a</Key><Value>b</Value></Tag></Tagging>",
        b"<Other><TagSet/></Other>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value><Value/></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key><b/></Key><Value>b</Value></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Other><Key>a</Key><Value>b</Value></Other></TagSet></Tagging>",
    ],
)
def test_document_of_another_shape_is_malformed(document: bytes) -> None:
    assert _code_of_document(document) == "MalformedXML"


def test_document_over_its_bound_is_refused() -> None:
    document = _document(("a", "b")) + b" " * tagging.TAGGING_BYTES_MAX
    assert _code_of_document(document) == "MaxMessageLengthExceeded"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "v"),
        ("k" * 129, "v"),
        ("k", "v" * 257),
        ("k!", "v"),
        ("k", "v\N{GRINNING FACE}"),
        ("k", "a\tb"),
        ("aws:k", "v"),
        ("AWS:k", "v"),
    ],
)
def test_document_with_a_forbidden_tag_is_refused(key: str, value: str) -> None:
    assert _code_of_document(_document((key, value))) == "InvalidTag"


def test_document_with_duplicate_keys_is_refused() -> None:
    assert _code_of_document(_document(("k", "1"), ("k", "2"))) == "InvalidTag"
    assert len(tagging.parse_tagging(_document(("k", "1"), ("K", "2")), tags_max=10)) == 2


def test_document_at_the_bounds_is_read() -> None:
    key, value = "\U00010400" * 128, "\N{CYRILLIC SMALL LETTER ZHE}" * 256
    assert tagging.parse_tagging(_document((key, value), ("k", "aws:v")), tags_max=10) == {
        key: value,
        "k": "aws:v",
    }
    assert tagging.parse_tagging(_document(), tags_max=10) == {}


@pytest.mark.parametrize("tags_max", [10, 50])
def test_document_with_too_many_tags_is_refused(tags_max: int) -> None:
    pairs = [(f"k{number}", "v") for number in range(tags_max + 1)]
    assert _code_of_document(_document(*pairs), tags_max) == "InvalidTag"
    assert len(tagging.parse_tagging(_document(*pairs[1:]), tags_max=tags_max)) == tags_max


def test_directive_is_copy_or_replace() -> None:
    assert tagging.parse_tagging_directive(FormHeaders(None)) == "COPY"
    assert tagging.parse_tagging_directive(FormHeaders(None, "REPLACE")) == "REPLACE"
    with pytest.raises(S3Error) as caught:
        tagging.parse_tagging_directive(FormHeaders(None, "MERGE"))
    assert caught.value.code == "InvalidArgument"
