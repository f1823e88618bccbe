import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.auth import Verified
from s3proxy.s3.payload import Digests, PayloadVerifier, plan_payload
from tests.s3.chunked import frame
from tests.s3.heads import raises_s3
from tests.s3.signing import verified

BODY = b"hello, world" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).digest()
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
OTHER_CRC32 = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
TRAILER = ("x-amz-checksum-crc32", CRC32)


def make(
    payload_hash: str = "UNSIGNED-PAYLOAD", extra: tuple[str, ...] = ("md5",), **headers: str
) -> tuple[PayloadVerifier, Verified]:
    if payload_hash.startswith("STREAMING"):
        headers = {"x_amz_decoded_content_length": str(len(BODY)), **headers}
    else:
        headers = {"content_length": str(len(BODY)), **headers}
    head, proof = verified(payload_hash, **headers)
    return PayloadVerifier(plan_payload(head, proof), proof, extra=extra), proof


def feed(verifier: PayloadVerifier, body: bytes, step: int = 4096) -> bytes:
    """Feed the body in steps; return the payload."""
    payload = b""
    for start in range(0, len(body), step):
        buffer = bytearray(body[start : start + step])
        count = verifier.feed(memoryview(buffer), len(buffer))
        payload += buffer[:count]
    return payload


def check(verifier: PayloadVerifier, body: bytes, step: int = 4096) -> Digests:
    assert feed(verifier, body, step) == BODY
    assert verifier.finished
    return verifier.finish()


def test_verifier_of_an_unsigned_body_gives_the_md5() -> None:
    verifier, _ = make()
    assert not verifier.finished
    assert check(verifier, BODY) == Digests(MD5, {})


def test_verifier_without_extras_hashes_nothing_it_need_not() -> None:
    verifier, _ = make(extra=())
    assert check(verifier, BODY) == Digests(b"", {})


def test_verifier_gives_the_checksums_asked_for() -> None:
    verifier, _ = make(SHA256, extra=("md5", "crc32", "sha256"))
    sha256 = base64.b64encode(bytes.fromhex(SHA256)).decode()
    assert check(verifier, BODY) == Digests(MD5, {"crc32": CRC32, "sha256": sha256})


def test_verifier_keeps_the_signed_hash_out_of_the_checksums() -> None:
    verifier, _ = make(SHA256)
    assert check(verifier, BODY) == Digests(MD5, {})


@pytest.mark.parametrize(
    "headers",
    [
        {"content_md5": base64.b64encode(MD5).decode()},
        {"x_amz_checksum_crc32": CRC32},
        {"x_amz_checksum_crc32": CRC32, "x_amz_sdk_checksum_algorithm": "CRC32"},
    ],
)
def test_verifier_of_a_true_digest_passes(headers: dict[str, str]) -> None:
    verifier, _ = make(SHA256, **headers)
    declared = {"crc32": CRC32} if "x_amz_checksum_crc32" in headers else {}
    assert check(verifier, BODY) == Digests(MD5, declared)


def test_verifier_of_a_wrong_signed_hash_is_a_mismatch() -> None:
    wrong = hashlib.sha256(b"other").hexdigest()
    verifier, _ = make(wrong)
    feed(verifier, BODY)
    with raises_s3("XAmzContentSHA256Mismatch") as caught:
        verifier.finish()
    assert caught.value.fields == {
        "ClientComputedContentSHA256": wrong,
        "S3ComputedContentSHA256": SHA256,
    }


def test_verifier_of_a_wrong_md5_is_a_bad_digest() -> None:
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    verifier, _ = make(content_md5=wrong, extra=())
    feed(verifier, BODY)
    with raises_s3("BadDigest") as caught:
        verifier.finish()
    assert caught.value.fields == {
        "ExpectedDigest": wrong,
        "CalculatedDigest": base64.b64encode(MD5).decode(),
    }


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_verifier_of_a_wrong_checksum_is_a_bad_digest(algorithm: str) -> None:
    size = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}[algorithm]
    header = {f"x_amz_checksum_{algorithm}": base64.b64encode(bytes(size)).decode()}
    verifier, _ = make(**header)
    feed(verifier, BODY)
    with raises_s3("BadDigest") as caught:
        verifier.finish()
    assert caught.value.message == (
        f"The {algorithm.upper()} you specified did not match the calculated checksum."
    )


@pytest.mark.parametrize("payload_hash", ["UNSIGNED-PAYLOAD", SHA256])
def test_verifier_of_a_short_body_is_incomplete(payload_hash: str) -> None:
    verifier, _ = make(payload_hash)
    feed(verifier, BODY[:-1])
    assert not verifier.finished
    with raises_s3("IncompleteBody"):
        verifier.finish()


def test_verifier_of_a_long_body_is_refused_at_once() -> None:
    verifier, _ = make()
    with raises_s3("IncompleteBody"):
        feed(verifier, BODY + b"x")


def test_verifier_of_an_empty_body_passes() -> None:
    head, proof = verified(hashlib.sha256(b"").hexdigest(), content_length="0")
    verifier = PayloadVerifier(plan_payload(head, proof), proof)
    assert verifier.finished
    assert verifier.finish() == Digests(hashlib.md5(b"").digest(), {})


def split(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_verifier_of_signed_chunks_passes(step: int) -> None:
    verifier, proof = make(SIGNED)
    body = frame(split(BODY, 8192), proof)
    assert check(verifier, body, step) == Digests(MD5, {})


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_verifier_of_signed_chunks_with_a_trailer_passes(step: int) -> None:
    verifier, proof = make(SIGNED_TRAILER, x_amz_trailer=TRAILER[0])
    body = frame(split(BODY, 8192), proof, TRAILER)
    assert check(verifier, body, step) == Digests(MD5, {"crc32": CRC32})


@given(st.integers(8192, 13000), st.integers(1, 13000))
def test_verifier_of_unsigned_chunks_with_a_trailer_passes(size: int, step: int) -> None:
    verifier, _ = make(UNSIGNED_TRAILER, x_amz_trailer=TRAILER[0])
    body = frame(split(BODY, size), None, TRAILER)
    assert check(verifier, body, step) == Digests(MD5, {"crc32": CRC32})


def test_verifier_of_a_wrong_chunk_signature_does_not_match() -> None:
    verifier, proof = make(SIGNED)
    body = bytearray(frame(split(BODY, 8192), proof))
    body[-10] ^= 1
    with raises_s3("SignatureDoesNotMatch"):
        feed(verifier, bytes(body))


def test_verifier_of_small_chunks_is_refused() -> None:
    verifier, proof = make(SIGNED)
    with raises_s3("InvalidChunkSizeError"):
        feed(verifier, frame(split(BODY, 1000), proof))


def test_verifier_of_cut_chunks_is_incomplete() -> None:
    verifier, proof = make(SIGNED)
    feed(verifier, frame(split(BODY, 8192), proof)[:-100])
    with raises_s3("IncompleteBody"):
        verifier.finish()


def test_verifier_of_another_decoded_length_is_incomplete() -> None:
    verifier, _ = make(UNSIGNED_TRAILER, x_amz_decoded_content_length=str(len(BODY) + 1))
    with raises_s3("IncompleteBody"):
        feed(verifier, frame([BODY]))
        verifier.finish()


@pytest.mark.parametrize(
    ("trailer", "code"),
    [
        (("x-amz-checksum-crc32", OTHER_CRC32), "BadDigest"),
        (("x-amz-checksum-crc32", "AAAA"), "InvalidRequest"),
        (("x-amz-checksum-crc32c", CRC32), "MalformedTrailerError"),
        (("x-amz-meta-a", "1"), "MalformedTrailerError"),
        (None, "MalformedTrailerError"),
    ],
)
def test_verifier_of_a_bad_trailer_is_refused(trailer: tuple[str, str] | None, code: str) -> None:
    verifier, _ = make(UNSIGNED_TRAILER, x_amz_trailer=TRAILER[0])
    feed(verifier, frame([BODY], None, trailer))
    with raises_s3(code):
        verifier.finish()


def test_verifier_of_an_unannounced_trailer_is_refused() -> None:
    verifier, _ = make(UNSIGNED_TRAILER)
    feed(verifier, frame([BODY], None, TRAILER))
    with raises_s3("MalformedTrailerError"):
        verifier.finish()


def test_verifier_of_an_announced_form_without_any_trailer_passes() -> None:
    verifier, _ = make(UNSIGNED_TRAILER)
    assert check(verifier, frame([BODY])) == Digests(MD5, {})
