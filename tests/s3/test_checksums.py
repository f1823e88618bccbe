import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3 import checksums
from tests.s3.heads import make_head, raises_s3

CRC32 = base64.b64encode(zlib.crc32(b"abc").to_bytes(4, "big")).decode()
SHA256 = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()


def test_names_are_s3s() -> None:
    assert checksums.element_name("crc64nvme") == "ChecksumCRC64NVME"
    assert checksums.header_name("crc32c") == "x-amz-checksum-crc32c"


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("crc32", "AAAAAA"),
        ("crc32", SHA256),
        ("sha256", CRC32),
        ("crc32", "!AAAAA=="),
        ("sha1", ""),
    ],
)
def test_decode_of_another_length_or_alphabet_is_none(algorithm: str, value: str) -> None:
    assert checksums.decode(algorithm, value) is None


@pytest.mark.parametrize("algorithm", sorted(checksums.DIGEST_BYTES))
def test_decode_reverses_encode(algorithm: str) -> None:
    digest = bytes(range(checksums.DIGEST_BYTES[algorithm]))
    assert checksums.decode(algorithm, checksums.encode(digest)) == digest


def test_parse_checksum_header_finds_the_one() -> None:
    head = make_head("PUT", x_amz_checksum_crc32=CRC32, x_amz_checksum_type="FULL_OBJECT")
    assert checksums.parse_checksum_header(head) == ("crc32", CRC32)


def test_parse_checksum_header_without_one_is_none() -> None:
    head = make_head("PUT", x_amz_checksum_mode="ENABLED", x_amz_checksum_algorithm="CRC32")
    assert checksums.parse_checksum_header(head) is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_amz_checksum_crc32": CRC32, "x_amz_checksum_sha256": SHA256}, "InvalidRequest"),
        ({"x_amz_checksum_crc32": "AAAA"}, "BadDigest"),
        ({"x_amz_checksum_crc32": ""}, "BadDigest"),
        ({"x_amz_checksum_crc99": CRC32}, "InvalidRequest"),
        ({"x_amz_checksum_sha512": "AAAA"}, "NotImplemented"),
        ({"x_amz_checksum_xxhash3": "AAAA"}, "NotImplemented"),
    ],
)
def test_parse_checksum_header_otherwise_is_refused(headers: dict[str, str], code: str) -> None:
    with raises_s3(code):
        checksums.parse_checksum_header(make_head("PUT", **headers))


@pytest.mark.parametrize(
    ("value", "algorithm"),
    [("x-amz-checksum-crc32", "crc32"), (" X-Amz-Checksum-CRC64NVME ", "crc64nvme")],
)
def test_parse_trailer_header_names_the_algorithm(value: str, algorithm: str) -> None:
    assert checksums.parse_trailer_header(make_head("PUT", x_amz_trailer=value)) == algorithm


def test_parse_trailer_header_without_one_is_empty() -> None:
    assert checksums.parse_trailer_header(make_head("PUT")) == ""


@pytest.mark.parametrize(
    "value",
    ["", "x-amz-meta-a", "crc32", "x-amz-checksum-md4", "x-amz-checksum-crc32,x-amz-checksum-sha1"],
)
def test_parse_trailer_header_otherwise_is_refused(value: str) -> None:
    with raises_s3("InvalidRequest"):
        checksums.parse_trailer_header(make_head("PUT", x_amz_trailer=value))


@pytest.mark.parametrize(
    ("algorithm", "checksum_type", "expected"),
    [
        ("", "", ("", "")),
        ("CRC32", "", ("crc32", "COMPOSITE")),
        ("crc32c", "FULL_OBJECT", ("crc32c", "FULL_OBJECT")),
        ("CRC64NVME", "", ("crc64nvme", "FULL_OBJECT")),
        ("SHA256", "COMPOSITE", ("sha256", "COMPOSITE")),
    ],
)
def test_parse_multipart_checksum_gives_algorithm_and_type(
    algorithm: str, checksum_type: str, expected: tuple[str, str]
) -> None:
    head = make_head("POST", x_amz_checksum_algorithm=algorithm, x_amz_checksum_type=checksum_type)
    assert checksums.parse_multipart_checksum(head) == expected


@pytest.mark.parametrize(
    ("algorithm", "checksum_type", "code"),
    [
        ("SHA1", "FULL_OBJECT", "InvalidRequest"),
        ("CRC64NVME", "COMPOSITE", "InvalidRequest"),
        ("", "COMPOSITE", "InvalidRequest"),
        ("CRC32", "OTHER", "InvalidRequest"),
        ("CRC99", "", "InvalidRequest"),
        ("SHA512", "", "NotImplemented"),
    ],
)
def test_parse_multipart_checksum_of_a_bad_pair_is_refused(
    algorithm: str, checksum_type: str, code: str
) -> None:
    head = make_head("POST", x_amz_checksum_algorithm=algorithm, x_amz_checksum_type=checksum_type)
    with raises_s3(code):
        checksums.parse_multipart_checksum(head)


def test_composite_is_the_digest_of_digests_with_the_count() -> None:
    parts = [hashlib.sha256(piece).digest() for piece in (b"a", b"b")]
    expected = base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()
    assert checksums.composite("sha256", [checksums.encode(part) for part in parts]) == (
        f"{expected}-2"
    )


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_full_object_equals_the_checksum_of_the_whole(pieces: list[bytes]) -> None:
    def crc(data: bytes) -> str:
        return checksums.encode(zlib.crc32(data).to_bytes(4, "big"))

    parts = [(crc(piece), len(piece)) for piece in pieces]
    assert checksums.full_object("crc32", parts) == crc(b"".join(pieces))


def test_multipart_etag_is_the_md5_of_md5s_with_the_count() -> None:
    parts = [hashlib.md5(piece).digest() for piece in (b"a", b"b", b"c")]
    expected = hashlib.md5(b"".join(parts)).hexdigest()
    assert checksums.multipart_etag([part.hex() for part in parts]) == f"{expected}-3"
