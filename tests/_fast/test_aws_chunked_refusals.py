"""Bodies that are wrong: each with its S3 error code, none with a byte too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.aws_chunked import Decoder
from s3proxy._fast.errors import ChunkError
from tests._fast.chunked_bodies import (
    SEED,
    decode,
    signed_body,
    signed_decoder,
    unsigned_body,
    unsigned_decoder,
)

CHUNKS = (b"a" * 8192, b"b" * 8192, b"c" * 100)
LENGTH = 16484
TRAILERS = (("x-amz-checksum-crc32c", "sOO8/Q=="),)
SIGNED = signed_body(CHUNKS)
SIGNED_TRAILER = signed_body(CHUNKS, TRAILERS)


def refusal(decoder: Decoder, body: bytes, pieces: tuple[int, ...] = ()) -> ChunkError:
    with pytest.raises(ChunkError) as caught:
        decode(decoder, body, pieces)
    return caught.value


def three_ways(body: bytes) -> list[tuple[int, ...]]:
    return [(), (1,) * len(body), (8200,)]


def code(make: Decoder, body: bytes) -> str:
    return refusal(make, body).code


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_decoder_changed_payload_is_refused_at_its_chunk(chunk: int) -> None:
    letter = b"abc"[chunk : chunk + 1]
    body = SIGNED.replace(letter * 100, letter * 99 + b"x", 1)
    for pieces in three_ways(body):
        error = refusal(signed_decoder(LENGTH), body, pieces)
        assert error.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("chunk", [0, 1, 2, 3])
@pytest.mark.parametrize("digit", [0, 31, 63])
def test_decoder_changed_signature_is_refused(chunk: int, digit: int) -> None:
    parts = SIGNED.split(b"chunk-signature=")
    signature = parts[chunk + 1]
    other = b"0" if signature[digit : digit + 1] != b"0" else b"1"
    parts[chunk + 1] = signature[:digit] + other + signature[digit + 1 :]
    body = b"chunk-signature=".join(parts)
    assert code(signed_decoder(LENGTH), body) == "SignatureDoesNotMatch"


def test_decoder_swapped_chunks_are_refused() -> None:
    frame = len(b"2000;chunk-signature=") + 64 + 2 + 8192 + 2
    body = SIGNED[frame : 2 * frame] + SIGNED[:frame] + SIGNED[2 * frame :]
    assert code(signed_decoder(LENGTH), body) == "SignatureDoesNotMatch"


def test_decoder_of_another_seed_is_refused() -> None:
    assert code(signed_decoder(LENGTH, seed="0" * 64), SIGNED) == "SignatureDoesNotMatch"


def test_decoder_upper_case_signature_is_refused() -> None:
    body = SIGNED.replace(SIGNED[22:86], SIGNED[22:86].upper(), 1)
    assert body != SIGNED
    assert code(signed_decoder(LENGTH), body) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"sOO8", b"sOO9", "SignatureDoesNotMatch"),
        (b"crc32c", b"crc32d", "SignatureDoesNotMatch"),
        (b"signature:", b"signature:0", "SignatureDoesNotMatch"),
        (b"x-amz-checksum-crc32c:sOO8/Q==\r\n", b"", "SignatureDoesNotMatch"),
        (b"x-amz-checksum-crc32c:", b"x-amz-checksum-crc32c", "MalformedTrailerError"),
        (b"x-amz-checksum-crc32c:", b":", "MalformedTrailerError"),
        (b"x-amz-checksum-crc32c:", b" x-amz-checksum-crc32c:", "MalformedTrailerError"),
        (
            b"x-amz-checksum-crc32c:",
            b"x-amz-checksum-crc32c:1\r\nX-Amz-Checksum-Crc32c:",
            "MalformedTrailerError",
        ),
        (b"x-amz-checksum-crc32c:", b"\r\nx-amz-checksum-crc32c:", "MalformedTrailerError"),
        (b"x-amz-checksum-crc32c:", b"x" * 1100 + b":", "MalformedTrailerError"),
    ],
)
def test_decoder_changed_trailer_is_refused(old: bytes, new: bytes, expected: str) -> None:
    tail = SIGNED_TRAILER.rindex(b"0;chunk-signature=")
    body = SIGNED_TRAILER[:tail] + SIGNED_TRAILER[tail:].replace(old, new, 1)
    assert body != SIGNED_TRAILER
    for pieces in three_ways(body):
        assert refusal(signed_decoder(LENGTH, trailer=True), body, pieces).code == expected


def test_decoder_trailer_without_signature_is_refused() -> None:
    start = SIGNED_TRAILER.index(b"x-amz-trailer-signature")
    body = SIGNED_TRAILER[:start] + b"\r\n"
    assert code(signed_decoder(LENGTH, trailer=True), body) == "IncompleteBody"


def test_decoder_trailer_where_none_was_announced_is_refused() -> None:
    assert code(signed_decoder(LENGTH), SIGNED_TRAILER) == "IncompleteBody"


def test_decoder_trailer_signature_in_an_unsigned_body_is_refused() -> None:
    body = unsigned_body([b"hi"], [("x-amz-trailer-signature", "0" * 64)])
    assert code(unsigned_decoder(2), body) == "MalformedTrailerError"


def test_decoder_endless_trailer_is_refused() -> None:
    lines = [(f"x-amz-meta-{i}", "v" * 900) for i in range(40)]
    body = unsigned_body([b"hi"], lines)
    for pieces in three_ways(body):
        assert refusal(unsigned_decoder(2), body, pieces).code == "MalformedTrailerError"


@pytest.mark.parametrize("cut", [1, 10, 87, 88, 100, 8279, 8280, 8281, 8282, 8283, 16500, 16700])
def test_decoder_cut_body_is_incomplete(cut: int) -> None:
    assert code(signed_decoder(LENGTH), SIGNED[:cut]) == "IncompleteBody"


def test_decoder_body_cut_anywhere_is_incomplete() -> None:
    body = signed_body([b"hello"], TRAILERS)
    for cut in range(len(body) - 2):
        assert code(signed_decoder(5, trailer=True), body[:cut]) == "IncompleteBody", cut
    body = unsigned_body([b"hello"], TRAILERS)
    for cut in range(len(body)):
        assert code(unsigned_decoder(5), body[:cut]) == "IncompleteBody", cut


@pytest.mark.parametrize("length", [0, 8191, LENGTH - 1, LENGTH + 1, 1 << 40])
def test_decoder_other_length_than_declared_is_refused(length: int) -> None:
    assert code(signed_decoder(length), SIGNED) == "IncompleteBody"
    assert code(unsigned_decoder(length), unsigned_body(CHUNKS)) == "IncompleteBody"


def test_decoder_never_gives_more_than_declared() -> None:
    decoder = unsigned_decoder(10)
    body = bytearray(b"a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n")
    with pytest.raises(ChunkError, match="IncompleteBody"):
        decoder.feed(body, len(body))


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"0x1\r\n",
        b"1\n",
        b"1\rx\n",
        b"1\r\r\n",
        b"fffffffffffffff\r\n",
        b"ffffffffffffffff\r\n",
        b"00000000000000001\r\n",
        b"1" * 2000,
        b";" * 2000,
    ],
)
def test_decoder_bad_chunk_header_is_refused(head: bytes) -> None:
    body = head + b"x\r\n0\r\n\r\n"
    for pieces in three_ways(body):
        assert refusal(unsigned_decoder(1), body, pieces).code == "IncompleteBody"


@pytest.mark.parametrize(
    "head",
    [
        b"1\r\n",
        b"1;\r\n",
        b"1;chunk-signature=\r\n",
        b"1;chunk-signature=" + b"0" * 63 + b"\r\n",
        b"1;chunk-signature=" + b"0" * 65 + b"\r\n",
        b"1;Chunk-Signature=" + b"0" * 64 + b"\r\n",
        b"1; chunk-signature=" + b"0" * 63 + b"\r\n",
    ],
)
def test_decoder_bad_signed_chunk_header_is_refused(head: bytes) -> None:
    assert code(signed_decoder(1), head + b"x\r\n") == "IncompleteBody"


@pytest.mark.parametrize("end", [b"xx", b"\n\r", b"\r\r\n", b"x\r\n", b"\n"])
def test_decoder_chunk_without_crlf_is_refused(end: bytes) -> None:
    body = b"1\r\na" + end + b"0\r\n\r\n"
    assert code(unsigned_decoder(1), body) == "IncompleteBody"


@pytest.mark.parametrize("size", [1, 8191])
def test_decoder_small_chunk_before_another_is_refused(size: int) -> None:
    chunks = (b"a" * size, b"b")
    error = refusal(signed_decoder(size + 1), signed_body(chunks))
    assert error.code == "InvalidChunkSizeError"
    assert error.message == "Only the last chunk is allowed to have a size less than 8192 bytes"
    assert code(unsigned_decoder(size + 1), unsigned_body(chunks)) == "InvalidChunkSizeError"


@pytest.mark.parametrize("extra", [b"x", b"\r\n", b"0\r\n\r\n"])
def test_decoder_bytes_after_the_end_are_refused(extra: bytes) -> None:
    for pieces in ((), (len(SIGNED),)):
        assert refusal(signed_decoder(LENGTH), SIGNED + extra, pieces).code == "IncompleteBody"


def test_decoder_stays_dead_after_a_refusal() -> None:
    decoder = signed_decoder(LENGTH, seed=SEED[::-1])
    first = refusal(decoder, SIGNED)
    assert refusal(decoder, SIGNED) is first
    with pytest.raises(ChunkError) as caught:
        decoder.finish()
    assert caught.value is first
    assert not decoder.finished


@given(noise=st.binary(max_size=300), signed=st.booleans(), trailer=st.booleans())
def test_decoder_noise_is_refused_cleanly(noise: bytes, signed: bool, trailer: bool) -> None:
    make = signed_decoder if signed else unsigned_decoder
    error = refusal(make(50, trailer=trailer), noise)
    assert error.code in (
        "IncompleteBody",
        "SignatureDoesNotMatch",
        "MalformedTrailerError",
        "InvalidChunkSizeError",
    )


@given(position=st.integers(0, len(SIGNED_TRAILER) - 3), value=st.integers(1, 255))
def test_decoder_any_changed_byte_is_refused_or_means_the_same(position: int, value: int) -> None:
    body = bytearray(SIGNED_TRAILER)
    body[position] ^= value
    decoder = signed_decoder(LENGTH, trailer=True)
    try:
        payload = decode(decoder, bytes(body))
    except ChunkError:
        return
    # Digits of sizes, names of trailers and the space around them have more than one spelling.
    assert payload == b"".join(CHUNKS)
    assert decoder.trailers == dict(TRAILERS)
