from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.target import split_path

BUCKET_BYTES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (b"/bucket/key", ("bucket", "key")),
        (b"/b_1/k", ("b_1", "k")),
        (b"/bucket/a/b/../c//", ("bucket", "a/b/../c//")),
        (b"/bucket/%e2%82%AC+%2f", ("bucket", "€+/")),
        (b"/bucket/%00", ("bucket", "\x00")),
        (b"/" + b"b" * 255 + b"/" + b"k" * 1024, ("b" * 255, "k" * 1024)),
        (b"/bucket/" + b"%6B" * 1024, ("bucket", "k" * 1024)),
    ],
)
def test_split_path_of_an_object_names_it(path: bytes, named: tuple[str, str]) -> None:
    assert split_path(path) == named


@pytest.mark.parametrize(
    "path",
    [
        *(b"", b"/", b"*", b"bucket/key", b"//key", b"/bucket", b"/bucket/"),
        *(b"/bu/key", b"/" + b"b" * 256 + b"/key", b"/bu%63ket/key", b"/buck~et/key"),
        *(b"/bucket/%", b"/bucket/%4", b"/bucket/%4x", b"/bucket/%x4", b"/bucket/a%"),
        *(b"/bucket/\xff", b"/bucket/%ff", b"/bucket/%ed%a0%80"),
        *(b"/bucket/" + b"k" * 1025, b"/bucket/" + b"%6B" * 1025),
    ],
)
def test_split_path_out_of_the_ordinary_is_left_to_the_caller(path: bytes) -> None:
    assert split_path(path) is None


@given(
    bucket=st.text(BUCKET_BYTES, min_size=3, max_size=64),
    key=st.text(min_size=1, max_size=80).filter(lambda key: not any(map(_is_surrogate, key))),
    safe=st.sampled_from(["", "/", "/+ ~"]),
)
def test_split_path_reads_what_urllib_wrote(bucket: str, key: str, safe: str) -> None:
    assert split_path(f"/{bucket}/{quote(key, safe=safe)}".encode()) == (bucket, key)


@given(st.binary(max_size=60))
def test_split_path_decodes_as_urllib_or_not_at_all(tail: bytes) -> None:
    named = split_path(b"/bucket/" + tail)
    if named is not None:
        assert named[1].encode() == unquote_to_bytes(tail)


def _is_surrogate(letter: str) -> bool:
    return "\ud800" <= letter <= "\udfff"
