"""Framing of bodies: what we frame we decode, and its length is known before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.aws_chunked import ChunkSigner, chunk_head, encoded_length, end
from tests._fast.chunked_bodies import (
    SEED,
    decode,
    signed_body,
    signed_decoder,
    unsigned_body,
    unsigned_decoder,
)
from tests._fast.sigv4_requests import AMZ_DATE, KEY, SCOPE

sizes = st.integers(0, 40000)
NAME, VALUE = "x-amz-checksum-crc32", "AAAAAA=="


def chunks_of(size: int, chunk_bytes: int) -> list[bytes]:
    return [b"d" * min(chunk_bytes, size - at) for at in range(0, size, chunk_bytes)]


def signer() -> ChunkSigner:
    return ChunkSigner(signing_key=KEY, seed_signature=SEED, amz_date=AMZ_DATE, scope=SCOPE)


def framed(chunks: list[bytes], trailer: tuple[str, ...]) -> bytes:
    return b"".join(chunk_head(len(c)) + c + b"\r\n" for c in chunks) + end(*trailer)


def signed_framed(chunks: list[bytes], trailer: tuple[str, ...]) -> bytes:
    chain = signer()
    return b"".join(chain.chunk_head(c) + c + b"\r\n" for c in chunks) + chain.end(*trailer)


@pytest.mark.parametrize("trailer", [(), (NAME, VALUE)])
@given(size=sizes, chunk_bytes=st.integers(8192, 20000))
def test_framing_unsigned_is_decoded_and_as_long_as_announced(
    trailer: tuple[str, ...], size: int, chunk_bytes: int
) -> None:
    chunks = chunks_of(size, chunk_bytes)
    body = framed(chunks, trailer)
    assert body == unsigned_body(chunks, [(NAME, VALUE)] if trailer else [])
    name, value_bytes = (NAME, len(VALUE)) if trailer else ("", 0)
    assert encoded_length(size, chunk_bytes, name, value_bytes) == len(body)
    decoder = unsigned_decoder(size)
    assert decode(decoder, body) == b"d" * size
    assert decoder.trailers == ({NAME: VALUE} if trailer else {})


@pytest.mark.parametrize("trailer", [(), (NAME, VALUE)])
@given(size=sizes, chunk_bytes=st.integers(8192, 20000))
def test_framing_signed_is_decoded_and_as_long_as_announced(
    trailer: tuple[str, ...], size: int, chunk_bytes: int
) -> None:
    chunks = chunks_of(size, chunk_bytes)
    body = signed_framed(chunks, trailer)
    assert body == signed_body(chunks, [(NAME, VALUE)] if trailer else None)
    name, value_bytes = (NAME, len(VALUE)) if trailer else ("", 0)
    assert encoded_length(size, chunk_bytes, name, value_bytes, signed=True) == len(body)
    decoder = signed_decoder(size, trailer=bool(trailer))
    assert decode(decoder, body) == b"d" * size


def test_framing_empty_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="a byte at least"):
        chunk_head(0)
    with pytest.raises(ValueError, match="a byte at least"):
        signer().chunk_head(b"")


@pytest.mark.parametrize(("name", "value"), [("a\r\nb", "c"), ("a", "b\n"), ("a", "\0")])
def test_framing_trailer_with_line_end_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        end(name, value)
    with pytest.raises(ValueError, match="line end"):
        signer().end(name, value)


@pytest.mark.parametrize(("size", "chunk_bytes"), [(-1, 1), (1, 0), (1, -1)])
def test_framing_impossible_length_is_refused(size: int, chunk_bytes: int) -> None:
    with pytest.raises(ValueError, match="negative size"):
        encoded_length(size, chunk_bytes)


def test_framing_signed_without_a_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="64 digits"):
        ChunkSigner(signing_key=KEY, seed_signature="", amz_date=AMZ_DATE, scope=SCOPE)
