import base64
import hashlib
import zlib

import pytest

from s3proxy.s3.payload import PAYLOAD_BYTES_MAX, PayloadPlan, plan_payload
from tests.s3.heads import raises_s3
from tests.s3.signing import verified

BODY = b"hello, world"
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = base64.b64encode(hashlib.md5(BODY).digest()).decode()
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def plan(
    payload_hash: str = "UNSIGNED-PAYLOAD", *, length_required: bool = True, **headers: str
) -> PayloadPlan:
    head, proof = verified(payload_hash, **headers)
    return plan_payload(head, proof, length_required=length_required)


def test_plan_payload_unsigned() -> None:
    assert plan(content_length="12") == PayloadPlan("unsigned", 12)


@pytest.mark.parametrize("payload_hash", [SHA256, SHA256.upper()])
def test_plan_payload_signed_has_the_hash_in_lower_case(payload_hash: str) -> None:
    found = plan(payload_hash, content_length="12")
    assert found == PayloadPlan("signed", 12, sha256=SHA256)
    assert not found.streaming


@pytest.mark.parametrize(
    ("payload_hash", "form", "trailer"),
    [
        (SIGNED, "streaming-signed", False),
        (SIGNED_TRAILER, "streaming-signed-trailer", True),
        (UNSIGNED_TRAILER, "streaming-unsigned-trailer", True),
    ],
)
@pytest.mark.parametrize("framing", [{"content_length": "300"}, {"transfer_encoding": "chunked"}])
def test_plan_payload_streaming_has_the_decoded_length(
    payload_hash: str, form: str, trailer: bool, framing: dict[str, str]
) -> None:
    found = plan(payload_hash, x_amz_decoded_content_length="12", **framing)
    assert found == PayloadPlan(form, 12, trailer=trailer)
    assert found.streaming


def test_plan_payload_reads_md5_and_checksum() -> None:
    found = plan(content_length="12", content_md5=MD5, x_amz_checksum_crc32=CRC32)
    assert found.content_md5 == hashlib.md5(BODY).digest()
    assert found.checksum == ("crc32", CRC32)


def test_plan_payload_with_a_trailer_knows_its_algorithm() -> None:
    found = plan(
        UNSIGNED_TRAILER,
        x_amz_decoded_content_length="12",
        x_amz_trailer="x-amz-checksum-crc32",
        x_amz_sdk_checksum_algorithm="CRC32",
    )
    assert found.checksum == ("crc32", "")


def test_plan_payload_of_http_chunks_takes_the_decoded_length() -> None:
    found = plan(transfer_encoding="chunked", x_amz_decoded_content_length="12")
    assert found == PayloadPlan("unsigned", 12)


@pytest.mark.parametrize(
    ("payload_hash", "headers"),
    [
        ("UNSIGNED-PAYLOAD", {}),
        (SIGNED, {"content_length": "300"}),
        (UNSIGNED_TRAILER, {"transfer_encoding": "chunked"}),
    ],
)
def test_plan_payload_without_a_length_is_missing_it(
    payload_hash: str, headers: dict[str, str]
) -> None:
    with raises_s3("MissingContentLength") as caught:
        plan(payload_hash, **headers)
    assert caught.value.status == 411


def test_plan_payload_chunked_without_a_decoded_length_is_not_implemented() -> None:
    with raises_s3("NotImplemented") as caught:
        plan("UNSIGNED-PAYLOAD", transfer_encoding="chunked")
    assert caught.value.fields == {"Header": "Transfer-Encoding"}


def test_plan_payload_where_a_body_may_miss_has_length_zero() -> None:
    assert plan(length_required=False).length == 0


def test_plan_payload_of_5_gib_is_taken() -> None:
    assert plan(content_length=str(PAYLOAD_BYTES_MAX)).length == 5 * 1024**3


@pytest.mark.parametrize(
    ("payload_hash", "headers"),
    [
        ("UNSIGNED-PAYLOAD", {"content_length": str(PAYLOAD_BYTES_MAX + 1)}),
        (SIGNED, {"x_amz_decoded_content_length": str(PAYLOAD_BYTES_MAX + 1)}),
    ],
)
def test_plan_payload_of_more_is_too_large(payload_hash: str, headers: dict[str, str]) -> None:
    with raises_s3("EntityTooLarge") as caught:
        plan(payload_hash, **headers)
    assert caught.value.fields == {
        "ProposedSize": "5368709121",
        "MaxSizeAllowed": "5368709120",
    }


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30])
def test_plan_payload_of_a_bad_decoded_length_is_invalid(value: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        plan(SIGNED, x_amz_decoded_content_length=value)
    assert caught.value.fields["ArgumentName"] == "x-amz-decoded-content-length"


@pytest.mark.parametrize("value", ["", "x", "AAAA", MD5 + "=", MD5[:-1], MD5 + MD5])
def test_plan_payload_of_a_bad_md5_is_an_invalid_digest(value: str) -> None:
    with raises_s3("InvalidDigest") as caught:
        plan(content_length="12", content_md5=value)
    assert caught.value.fields == {"Content-MD5": value}


@pytest.mark.parametrize(
    ("payload_hash", "code"),
    [
        ("UNSIGNED", "InvalidArgument"),
        (SHA256[:-1], "InvalidArgument"),
        ("z" * 64, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "NotImplemented"),
    ],
)
def test_plan_payload_of_an_unknown_hash_is_refused(payload_hash: str, code: str) -> None:
    with raises_s3(code):
        plan(payload_hash, content_length="12")


@pytest.mark.parametrize(
    ("payload_hash", "headers"),
    [
        ("UNSIGNED-PAYLOAD", {"x_amz_checksum_crc32": CRC32, "x_amz_checksum_crc32c": CRC32}),
        ("UNSIGNED-PAYLOAD", {"x_amz_sdk_checksum_algorithm": "CRC32"}),
        ("UNSIGNED-PAYLOAD", {"x_amz_sdk_checksum_algorithm": "CRC99"}),
        (
            "UNSIGNED-PAYLOAD",
            {"x_amz_checksum_crc32": CRC32, "x_amz_sdk_checksum_algorithm": "SHA1"},
        ),
        ("UNSIGNED-PAYLOAD", {"x_amz_trailer": "x-amz-checksum-crc32"}),
        (SIGNED, {"x_amz_trailer": "x-amz-checksum-crc32"}),
        (
            UNSIGNED_TRAILER,
            {"x_amz_trailer": "x-amz-checksum-crc32", "x_amz_checksum_crc32": CRC32},
        ),
        (UNSIGNED_TRAILER, {"x_amz_trailer": "x-amz-meta-a"}),
        ("UNSIGNED-PAYLOAD", {"content_encoding": "aws-chunked"}),
    ],
)
def test_plan_payload_of_contradicting_headers_is_refused(
    payload_hash: str, headers: dict[str, str]
) -> None:
    with raises_s3("InvalidRequest"):
        plan(payload_hash, content_length="300", x_amz_decoded_content_length="12", **headers)


def test_plan_payload_reads_hoisted_headers() -> None:
    head, proof = verified(content_length="12")
    other, _ = verified(x_amz_checksum_crc32=CRC32)
    assert plan_payload(head, proof, headers=other).checksum == ("crc32", CRC32)
