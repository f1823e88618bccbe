"""Bodies that are right, in every form and split."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.aws_chunked import Decoder
from s3proxy._fast.checksum import Hasher, digest
from tests._fast.chunked_bodies import (
    SEED,
    decode,
    signed_body,
    signed_decoder,
    trailer_signature,
    unsigned_body,
    unsigned_decoder,
)
from tests._fast.sigv4_requests import (
    AMZ_DATE,
    EMPTY_SHA256,
    check,
    credentials,
    head_of,
)

# The worked examples of AWS's documentation: 65 KiB of "a" in chunks of 64 KiB.
EXAMPLE_CHUNKS = (b"a" * 65536, b"a" * 1024)
EXAMPLE_SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"

DATA = random.Random(1).randbytes(40000)
CHUNKS = (DATA[:8192], DATA[8192:24600], DATA[24600:39999])
PAYLOAD = b"".join(CHUNKS)
TRAILERS = (("x-amz-checksum-crc32c", "sOO8/Q=="),)


def example_body(signatures: tuple[str, ...]) -> bytes:
    return b"".join(
        b"%x;chunk-signature=%s\r\n" % (len(payload), signature.encode())
        + (payload + b"\r\n" if payload else b"")
        for payload, signature in zip((*EXAMPLE_CHUNKS, b""), signatures, strict=True)
    )


def test_decoder_documentation_example_of_66560_bytes_passes() -> None:
    body = example_body(EXAMPLE_SIGNATURES) + b"\r\n"
    headers = [
        ("Host", "s3.amazonaws.com"),
        ("x-amz-date", AMZ_DATE),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("Content-Length", str(len(body))),
    ]
    assert len(body) == 66824
    names = ";".join(sorted(name.lower() for name, _ in headers))
    head = head_of("PUT", "/examplebucket/chunkObject.txt", [*headers, credentials(names, SEED)])
    authorization = check(head)
    decoder = signed_decoder(66560, seed=authorization.signature)
    assert decode(decoder, body) == b"a" * 66560
    assert decoder.finished
    assert decoder.trailers == {}


def test_decoder_documentation_example_with_trailer_passes() -> None:
    body = (
        example_body(TRAILER_SIGNATURES)
        + (
            f"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n\r\n"
        ).encode()
    )
    headers = [
        ("Host", "s3.amazonaws.com"),
        ("x-amz-date", AMZ_DATE),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-trailer", "x-amz-checksum-crc32c"),
    ]
    names = ";".join(sorted(name.lower() for name, _ in headers))
    check(
        head_of(
            "PUT", "/examplebucket/chunkObject.txt", [*headers, credentials(names, TRAILER_SEED)]
        )
    )
    decoder = signed_decoder(66560, trailer=True, seed=TRAILER_SEED)
    assert decode(decoder, body) == b"a" * 66560
    assert decoder.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}


FORMS = {
    "signed": (lambda: signed_decoder(len(PAYLOAD)), signed_body(CHUNKS), {}),
    "signed-trailer": (
        lambda: signed_decoder(len(PAYLOAD), trailer=True),
        signed_body(CHUNKS, TRAILERS),
        dict(TRAILERS),
    ),
    "unsigned-trailer": (
        lambda: unsigned_decoder(len(PAYLOAD)),
        unsigned_body(CHUNKS, TRAILERS),
        dict(TRAILERS),
    ),
    "unsigned": (
        lambda: unsigned_decoder(len(PAYLOAD), trailer=False),
        unsigned_body(CHUNKS),
        {},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7, 64, 97, 4095, 4096, 8192, 8300])
def test_decoder_any_piece_size_gives_the_payload(form: str, piece: int) -> None:
    make, body, trailers = FORMS[form]
    decoder = make()
    assert decode(decoder, body, [piece] * (len(body) // piece if piece else 0)) == PAYLOAD
    assert decoder.finished
    assert decoder.trailers == trailers


@pytest.mark.parametrize("form", FORMS)
@given(pieces=st.lists(st.integers(0, 9000), max_size=12))
def test_decoder_any_split_gives_the_payload(form: str, pieces: list[int]) -> None:
    make, body, trailers = FORMS[form]
    decoder = make()
    assert decode(decoder, body, pieces) == PAYLOAD
    assert decoder.trailers == trailers


@pytest.mark.parametrize("form", ["signed", "signed-trailer", "unsigned-trailer"])
def test_decoder_split_at_each_byte_of_the_framing_passes(form: str) -> None:
    make, body, _ = FORMS[form]
    framing = [*range(100), *range(8270, 8400), *range(len(body) - 330, len(body))]
    for position in framing:
        assert decode(make(), body, [position]) == PAYLOAD


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("piece", [1, 4095, 4096, 20000, 100_000])
def test_decoder_with_a_hasher_digests_the_payload_alone(signed: bool, piece: int) -> None:
    chunks = (PAYLOAD, PAYLOAD[:16384], PAYLOAD[:16385])
    payload = b"".join(chunks)
    hasher = Hasher(("md5", "crc32c"))
    if signed:
        decoder = signed_decoder(len(payload), trailer=True, hasher=hasher)
        body = signed_body(chunks, TRAILERS)
    else:
        decoder = unsigned_decoder(len(payload), hasher=hasher)
        body = unsigned_body(chunks, TRAILERS)
    assert decode(decoder, body, [piece] * (len(body) // piece)) == payload
    assert hasher.digest("md5") == hashlib.md5(payload).digest()
    assert hasher.digest("crc32c") == digest("crc32c", payload)


def test_decoder_is_not_finished_before_the_last_byte() -> None:
    for make, body, _ in FORMS.values():
        decoder = make()
        decoder.feed(bytearray(body[:-1]), len(body) - 1)
        assert not decoder.finished
        decoder.feed(bytearray(body[-1:]), 1)
        assert decoder.finished


@pytest.mark.parametrize("trailers", [None, TRAILERS])
def test_decoder_empty_payload_passes(trailers: tuple[tuple[str, str], ...] | None) -> None:
    decoder = signed_decoder(0, trailer=trailers is not None)
    assert decode(decoder, signed_body((), trailers)) == b""
    assert decoder.finished


def test_decoder_small_last_chunk_passes() -> None:
    chunks = (b"a" * 8192, b"b")
    assert decode(signed_decoder(8193), signed_body(chunks)) == b"".join(chunks)


def test_decoder_upper_case_and_padded_sizes_are_taken() -> None:
    body = b"000A\r\n0123456789\r\n0000\r\n\r\n"
    assert decode(unsigned_decoder(10), body) == b"0123456789"


def test_decoder_chunk_extension_of_the_unsigned_form_is_passed_over() -> None:
    body = b"2;chunk-signature=00\r\nhi\r\n0;x\r\n\r\n"
    assert decode(unsigned_decoder(2), body) == b"hi"


def test_decoder_several_trailers_keep_their_order_in_the_signature() -> None:
    trailers = (("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-meta-a", "1"))
    decoder = signed_decoder(2, trailer=True)
    decode(decoder, signed_body([b"hi"], trailers))
    assert decoder.trailers == dict(trailers)


def test_decoder_trailer_lines_of_minio_go_pass() -> None:
    """It ends the lines with LF, and puts an empty line before their signature."""
    body = signed_body([b"hi"], TRAILERS)
    marker = b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    assert marker in body
    decoder = signed_decoder(2, trailer=True)
    decode(decoder, body.replace(marker, b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n"))
    assert decoder.trailers == dict(TRAILERS)


def test_decoder_trailer_names_are_lowered_and_values_trimmed() -> None:
    body = b"2\r\nhi\r\n0\r\nX-Amz-Checksum-CRC32:  AAAA== \t\r\n\r\n"
    decoder = unsigned_decoder(2)
    decode(decoder, body)
    assert decoder.trailers == {"x-amz-checksum-crc32": "AAAA=="}


def test_decoder_last_empty_line_may_be_missing_in_signed_forms() -> None:
    decoder = signed_decoder(len(PAYLOAD))
    assert decode(decoder, signed_body(CHUNKS)[:-2]) == PAYLOAD
    assert decoder.finished
    decoder = signed_decoder(2, trailer=True)
    assert decode(decoder, signed_body([b"hi"], TRAILERS)[:-2]) == b"hi"


def test_decoder_trailer_signature_alone_covers_no_trailer() -> None:
    body = signed_body([b"hi"], ())
    decoder = signed_decoder(2, trailer=True)
    decode(decoder, body)
    assert decoder.trailers == {}
    previous = body.split(b"0;chunk-signature=")[1][:64].decode()
    assert trailer_signature(previous, "").encode() in body


def test_decoder_empty_feed_gives_nothing() -> None:
    decoder = signed_decoder(2)
    assert decoder.feed(bytearray(), 0) == 0


def test_decoder_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        unsigned_decoder(-1)
    with pytest.raises(ValueError, match="signing key"):
        Decoder(
            decoded_length=1,
            signing_key=None,
            seed_signature=EMPTY_SHA256,
            amz_date=AMZ_DATE,
            scope="",
            trailer=False,
            signed=True,
        )
    with pytest.raises(ValueError, match="64 digits"):
        signed_decoder(1, seed="abc")
    with pytest.raises(ValueError, match="outside"):
        unsigned_decoder(1).feed(bytearray(2), 3)
    with pytest.raises(BufferError):
        unsigned_decoder(1).feed(memoryview(b"0\r\n"), 3)
