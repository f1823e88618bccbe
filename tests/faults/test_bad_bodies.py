"""Bodies that are not what their head announced: the exact error, and no object anywhere."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.bodies import (
    CRC32,
    FORMS,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    WRONG_SIGNATURE,
    Chunked,
    crc32,
)
from tests.faults.conftest import Bucket
from tests.faults.wire import UNSIGNED, Answer, Wire, ask, is_absent, signed_head

KIB = 1024
# In the catalog where that is on a disk; and a blob, of more than one read.
SIZES = (1000, 300 * KIB)
CHECKSUMS = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}

pytestmark = pytest.mark.slow


def body_of(size: int) -> bytes:
    return os.urandom(size)


def chunks_of(body: bytes) -> list[bytes]:
    """At least three, none but the last below what S3 takes."""
    size = max(8 * KIB, len(body) // 4)
    return [body[start : start + size] for start in range(0, len(body), size)]


def wrong_base64(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def put(bucket: Bucket, pieces: list[bytes], *, cut: bool = False) -> Answer:
    """Send, end the sending side where the body is to be cut off, and read the answer."""
    with Wire(bucket.gateway.port) as wire:
        wire.send(*pieces)
        if cut:
            wire.end()
        return wire.read_answer()


def plain(bucket: Bucket, body: bytes, headers: dict[str, str], payload_hash: str) -> list[bytes]:
    sent = {"Content-Length": str(len(body)), **headers}
    head = signed_head(bucket.gateway.port, "PUT", bucket.target(), sent, payload_hash=payload_hash)
    return [head.data, body]


def refused(bucket: Bucket, answer: Answer, code: str) -> None:
    """The error is the right one, and nothing can be read or listed."""
    assert answer.code == code, answer
    assert 400 <= answer.status < 500
    assert is_absent(bucket.gateway, bucket.target())
    listed = ask(bucket.gateway, "GET", f"/{bucket.name}?list-type=2&prefix={bucket.prefix}")
    assert b"<KeyCount>0</KeyCount>" in listed.body


@pytest.mark.parametrize("size", SIZES)
def test_put_with_wrong_sha256_is_refused(bucket: Bucket, size: int) -> None:
    digest = hashlib.sha256(b"something else").hexdigest()
    answer = put(bucket, plain(bucket, body_of(size), {}, digest))
    refused(bucket, answer, "XAmzContentSHA256Mismatch")


@pytest.mark.parametrize("payload_hash", ["unsigned", "signed"])
@pytest.mark.parametrize("size", SIZES)
def test_put_with_wrong_md5_is_refused(bucket: Bucket, size: int, payload_hash: str) -> None:
    body = body_of(size)
    form = UNSIGNED if payload_hash == "unsigned" else hashlib.sha256(body).hexdigest()
    answer = put(bucket, plain(bucket, body, {"Content-MD5": wrong_base64(16)}, form))
    refused(bucket, answer, "BadDigest")


@pytest.mark.parametrize("payload_hash", ["unsigned", "signed"])
@pytest.mark.parametrize("algorithm", CHECKSUMS)
@pytest.mark.parametrize("size", SIZES)
def test_put_with_wrong_checksum_is_refused(
    bucket: Bucket, size: int, algorithm: str, payload_hash: str
) -> None:
    body = body_of(size)
    form = UNSIGNED if payload_hash == "unsigned" else hashlib.sha256(body).hexdigest()
    wrong = {f"x-amz-checksum-{algorithm}": wrong_base64(CHECKSUMS[algorithm])}
    refused(bucket, put(bucket, plain(bucket, body, wrong, form)), "BadDigest")


MALFORMED = {
    "md5-not-base64": ({"Content-MD5": "not base64"}, "InvalidDigest"),
    "md5-short": ({"Content-MD5": wrong_base64(15)}, "InvalidDigest"),
    "checksum-short": ({CRC32: wrong_base64(3)}, "BadDigest"),
    "two-checksums": (
        {CRC32: wrong_base64(4), "x-amz-checksum-sha1": wrong_base64(20)},
        "InvalidRequest",
    ),
    "decoded-length-without-form": (
        {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "5"},
        "InvalidRequest",
    ),
    "trailer-without-form": ({"x-amz-trailer": CRC32}, "InvalidRequest"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_put_with_malformed_digest_is_refused(bucket: Bucket, case: str) -> None:
    headers, code = MALFORMED[case]
    refused(bucket, put(bucket, plain(bucket, b"hello", headers, UNSIGNED)), code)


def test_put_with_unknown_payload_form_is_refused(bucket: Bucket) -> None:
    refused(
        bucket, put(bucket, plain(bucket, b"hello", {}, "STREAMING-NO-SUCH")), "InvalidArgument"
    )


def test_put_without_length_is_refused(bucket: Bucket) -> None:
    head = signed_head(bucket.gateway.port, "PUT", bucket.target())
    refused(bucket, put(bucket, [head.data]), "MissingContentLength")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_put_cut_off_by_its_client_is_refused(bucket: Bucket, size: int, signed: bool) -> None:
    body = body_of(size)
    form = hashlib.sha256(body).hexdigest() if signed else UNSIGNED
    head, _ = plain(bucket, body, {}, form)
    refused(bucket, put(bucket, [head, body[:-1]], cut=True), "IncompleteBody")


@pytest.mark.parametrize("size", SIZES)
def test_put_reset_by_its_client_leaves_no_object(bucket: Bucket, size: int) -> None:
    body = body_of(size)
    head, _ = plain(bucket, body, {}, UNSIGNED)
    with Wire(bucket.gateway.port) as wire:
        wire.send(head, body[: size // 2])
    assert is_absent(bucket.gateway, bucket.target())


def test_put_longer_than_declared_ends_where_it_was_declared(bucket: Bucket) -> None:
    """The rest is no request: the object is what was announced, and the connection ends."""
    head, body = plain(bucket, b"hello", {}, UNSIGNED)
    with Wire(bucket.gateway.port) as wire:
        wire.send(head, body, b" and more\r\n\r\n")
        assert wire.read_answer().status == 200
        answer = wire.read_answer()
        assert (answer.status, answer.code) == (400, "BadRequest")
        assert wire.at_end()
    assert ask(bucket.gateway, "GET", bucket.target()).body == b"hello"


def faults(good: Chunked) -> Iterator[tuple[str, Chunked, str]]:
    """(name, upload, code) of each way in which chunks can be wrong."""
    signed = good.form != UNSIGNED_TRAILER
    trailer = good.form.endswith("TRAILER")
    total = len(good.payload)
    yield "declared-longer", replace(good, declared=total + 1), "IncompleteBody"
    yield "declared-shorter", replace(good, declared=total - 1), "IncompleteBody"
    yield "declared-nothing", replace(good, declared=0), "IncompleteBody"
    yield "no-last-chunk", replace(good, tail=b""), "IncompleteBody"
    yield "bytes-after-end", replace(good, after=b"more\r\n"), "IncompleteBody"
    small = [good.chunks[0][:100], *good.chunks]
    yield "small-chunk", replace(good, chunks=small), "InvalidChunkSizeError"
    for name, tail in GARBAGE.items():
        yield f"framing-{name}", replace(good, tail=tail), "IncompleteBody"
    if signed:
        middle = len(good.chunks) // 2
        for name, index in (("first", 0), ("middle", middle), ("last", len(good.chunks) - 1)):
            yield f"chunk-{name}", replace(good, bad_chunk=index), "SignatureDoesNotMatch"
        yield "chunk-zero", replace(good, bad_chunk=len(good.chunks)), "SignatureDoesNotMatch"
        short = f"0;chunk-signature={WRONG_SIGNATURE[1:]}\r\n\r\n".encode()
        yield "chunk-signature-short", replace(good, tail=short), "IncompleteBody"
        yield "chunk-unsigned", replace(good, tail=b"0\r\n\r\n"), "IncompleteBody"
    if trailer:
        yield from trailer_faults(good, signed=signed)


def trailer_faults(good: Chunked, *, signed: bool) -> Iterator[tuple[str, Chunked, str]]:
    right = (CRC32, crc32(good.payload))
    wrong = [(CRC32, crc32(b"something else"))]
    other = [("x-amz-checksum-sha1", wrong_base64(20))]
    yield "trailer-wrong", replace(good, trailer=wrong), "BadDigest"
    yield "trailer-missing", replace(good, trailer=[]), "MalformedTrailerError"
    yield "trailer-twice", replace(good, trailer=[right, right]), "MalformedTrailerError"
    yield "trailer-other", replace(good, trailer=other), "MalformedTrailerError"
    yield "trailer-more", replace(good, trailer=[right, *other]), "MalformedTrailerError"
    yield "trailer-no-base64", replace(good, trailer=[(CRC32, "!!!!")]), "InvalidRequest"
    yield "trailer-no-colon", replace(good, trailer=[("x", "y" * 20_000)]), "MalformedTrailerError"
    if signed:
        yield (
            "trailer-signature",
            replace(good, bad_trailer_signature=True),
            "SignatureDoesNotMatch",
        )


# What may come where the last chunk should begin; all of it is cut off by the declared length.
GARBAGE = {
    "letters": b"zz\r\n\r\n",
    "negative": b"-1\r\n\r\n",
    "bare-lf": b"0\n\n",
    "empty": b"\r\n\r\n",
    "huge": b"ffffffffffffffff\r\n",
    "long-line": b"0" * 20_000,
    "nul": bytes(100),
    "chunk-too-many": b"5\r\nhello\r\n0\r\n\r\n",
}


def uploads(form: str, size: int) -> list[tuple[str, Chunked, str]]:
    return list(faults(Chunked(form, chunks_of(body_of(size)))))


CASES = [(form, name, code) for form in FORMS for name, _, code in uploads(form, 100 * KIB)]


@pytest.mark.parametrize(("form", "name", "code"), CASES)
def test_chunked_put_that_is_wrong_is_refused(
    bucket: Bucket, form: str, name: str, code: str
) -> None:
    for size in (10 * KIB, 300 * KIB):
        found = {case: upload for case, upload, _ in uploads(form, size)}
        pieces = found[name].request(bucket.gateway.port, bucket.target())
        refused(bucket, put(bucket, pieces), code)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_chunked_put_cut_off_by_its_client_is_refused(bucket: Bucket, form: str, size: int) -> None:
    upload = Chunked(form, chunks_of(body_of(size)))
    head, body = upload.request(bucket.gateway.port, bucket.target())
    for length in (0, 1, 50, len(body) // 2, len(body) - 1):
        refused(bucket, put(bucket, [head, body[:length]], cut=True), "IncompleteBody")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [0, 1, *SIZES])
def test_chunked_put_that_is_right_is_kept(bucket: Bucket, form: str, size: int) -> None:
    upload = Chunked(form, chunks_of(body_of(size)))
    answer = put(bucket, upload.request(bucket.gateway.port, bucket.target()))
    assert answer.status == 200, answer
    assert ask(bucket.gateway, "GET", bucket.target()).body == upload.payload


@pytest.mark.parametrize("form", [SIGNED, SIGNED_TRAILER])
def test_chunked_put_with_chunks_swapped_is_refused(bucket: Bucket, form: str) -> None:
    """Each chunk is signed for its place."""
    chunks = [b"a" * 8 * KIB, b"b" * 8 * KIB]
    head, body = Chunked(form, chunks).request(bucket.gateway.port, bucket.target())
    size = body.index(b"b" * 8 * KIB) - body.index(b"a" * 8 * KIB)
    swapped = body[size : 2 * size] + body[:size] + body[2 * size :]
    refused(bucket, put(bucket, [head, swapped]), "SignatureDoesNotMatch")


def test_refused_put_leaves_the_object_that_was_there(bucket: Bucket) -> None:
    assert ask(bucket.gateway, "PUT", bucket.target(), body=b"before").status == 200
    digest = hashlib.sha256(b"something else").hexdigest()
    answer = put(bucket, plain(bucket, body_of(300 * KIB), {}, digest))
    assert answer.code == "XAmzContentSHA256Mismatch"
    assert ask(bucket.gateway, "GET", bucket.target()).body == b"before"


@pytest.mark.parametrize("form", FORMS)
def test_upload_part_that_is_wrong_is_refused(bucket: Bucket, form: str) -> None:
    """Parts are bodies like any other; a refused one is not listed."""
    gateway = bucket.gateway
    s3 = gateway.client()
    where = {"Bucket": bucket.name, "Key": f"{bucket.prefix}key"}
    upload_id = s3.create_multipart_upload(**where)["UploadId"]
    target = f"{bucket.target()}?partNumber=1&uploadId={upload_id}"
    for name, upload, code in uploads(form, 100 * KIB):
        answer = put(bucket, upload.request(gateway.port, target))
        assert answer.code == code, (name, answer)
        assert "Parts" not in s3.list_parts(**where, UploadId=upload_id), name
    s3.abort_multipart_upload(**where, UploadId=upload_id)
