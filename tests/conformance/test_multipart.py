"""Multipart uploads: the order, sizes and numbers of parts, repeated and contradictory requests."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from tests.conformance.asking import Asker, error, field, fields

BAD_ARGUMENT = (400, "InvalidArgument")
NO_SUCH_UPLOAD = (404, "NoSuchUpload")
INVALID_PART = (400, "InvalidPart")
MALFORMED = (400, "MalformedXML")
PART_BYTES_MIN = 5 * 1024 * 1024
Parts = list[tuple[int, str]]


def start(s3: Asker, key: str = "mp", **headers: str) -> str:
    """A new upload's id."""
    return field(s3.post(f"{key}?uploads", **headers), "UploadId")


def send(s3: Asker, upload_id: str, number: int, body: bytes, key: str = "mp") -> str:
    """The ETag of a new part."""
    return s3.put(f"{key}?partNumber={number}&uploadId={upload_id}", body).headers["etag"]


def document(parts: Parts) -> bytes:
    inner = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()


def complete(s3: Asker, upload_id: str, parts: Parts, key: str = "mp") -> tuple[int, str]:
    return error(s3.post(f"{key}?uploadId={upload_id}", document(parts)))


def test_complete_checks_order_size_and_tags_and_changes_nothing_until_right(s3: Asker) -> None:
    upload_id = start(s3)
    first, second = send(s3, upload_id, 1, b"one"), send(s3, upload_id, 2, b"two")
    wrong = '"' + "0" * 32 + '"'
    for parts, code in (
        ([(1, first), (2, second)], (400, "EntityTooSmall")),
        ([(2, second), (1, first)], (400, "InvalidPartOrder")),
        ([(1, first), (1, first)], (400, "InvalidPartOrder")),
        ([(3, first)], INVALID_PART),
        ([(1, wrong)], INVALID_PART),
        ([(1, second)], INVALID_PART),
        ([(0, first)], BAD_ARGUMENT),
        ([(10001, first)], BAD_ARGUMENT),
        ([], MALFORMED),
    ):
        assert complete(s3, upload_id, parts) == code, parts
    assert s3.head("mp").status == 404
    assert complete(s3, upload_id, [(2, second)]) == (200, "")
    assert s3.get("mp").body == b"two"


def test_complete_of_a_small_part_says_which(s3: Asker) -> None:
    upload_id = start(s3)
    parts = [(number, send(s3, upload_id, number, b"x")) for number in (3, 7)]
    answer = s3.post(f"mp?uploadId={upload_id}", document(parts))
    assert field(answer, "PartNumber") == "3"
    assert field(answer, "ProposedSize") == "1"
    assert field(answer, "MinSizeAllowed") == str(PART_BYTES_MIN)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", MALFORMED),
        (b"nonsense", MALFORMED),
        (b"<Other/>", MALFORMED),
        (b"<CompleteMultipartUpload/>", MALFORMED),
        (b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", MALFORMED),
        (document([(1, "&amp;")])[:-5], MALFORMED),
    ],
)
def test_complete_of_a_bad_document_is_refused(
    s3: Asker, body: bytes, code: tuple[int, str]
) -> None:
    upload_id = start(s3)
    send(s3, upload_id, 1, b"one")
    assert error(s3.post(f"mp?uploadId={upload_id}", body)) == code


def test_complete_repeated_gets_the_same_answer_and_another_none(s3: Asker) -> None:
    upload_id = start(s3)
    first, second = send(s3, upload_id, 1, b"one"), send(s3, upload_id, 2, b"two")
    answers = [s3.post(f"mp?uploadId={upload_id}", document([(1, first)])) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert complete(s3, upload_id, [(2, second)]) == NO_SUCH_UPLOAD
    assert error(s3.delete(f"mp?uploadId={upload_id}")) == NO_SUCH_UPLOAD
    assert s3.get("mp").body == b"one"


def test_upload_belongs_to_its_key(s3: Asker) -> None:
    upload_id = start(s3)
    etag = send(s3, upload_id, 1, b"one")
    assert complete(s3, upload_id, [(1, etag)], key="other") == NO_SUCH_UPLOAD
    assert error(s3.put(f"other?partNumber=1&uploadId={upload_id}", b"x")) == NO_SUCH_UPLOAD
    assert error(s3.get(f"other?uploadId={upload_id}")) == NO_SUCH_UPLOAD
    assert error(s3.delete(f"other?uploadId={upload_id}")) == NO_SUCH_UPLOAD


def test_abort_ends_an_upload_once(s3: Asker) -> None:
    upload_id = start(s3)
    etag = send(s3, upload_id, 1, b"one")
    assert s3.delete(f"mp?uploadId={upload_id}").status == 204
    assert error(s3.delete(f"mp?uploadId={upload_id}")) == NO_SUCH_UPLOAD
    assert complete(s3, upload_id, [(1, etag)]) == NO_SUCH_UPLOAD
    assert error(s3.put(f"mp?partNumber=1&uploadId={upload_id}", b"x")) == NO_SUCH_UPLOAD


def test_upload_goes_with_its_bucket(s3: Asker) -> None:
    s3.delete("digits")
    upload_id = start(s3)
    send(s3, upload_id, 1, b"one")
    assert s3.delete().status == 204
    assert s3.put("").status == 200
    assert error(s3.get(f"mp?uploadId={upload_id}")) == NO_SUCH_UPLOAD


@pytest.mark.parametrize("number", ["0", "10001", "-1", "one", "", "1.0"])
def test_part_of_a_bad_number_is_refused(s3: Asker, number: str) -> None:
    answer = s3.put(f"mp?partNumber={number}&uploadId={start(s3)}", b"x")
    assert error(answer) == BAD_ARGUMENT
    assert field(answer, "ArgumentName") == "partNumber"


def test_list_parts_pages_and_checks_its_parameters(s3: Asker) -> None:
    upload_id = start(s3)
    for number in (1, 5, 9):
        send(s3, upload_id, number, b"x")
    page = s3.get(f"mp?uploadId={upload_id}&max-parts=2")
    assert fields(page, "PartNumber") == ["1", "5"]
    assert (field(page, "IsTruncated"), field(page, "NextPartNumberMarker")) == ("true", "5")
    rest = s3.get(f"mp?uploadId={upload_id}&max-parts=2&part-number-marker=5")
    assert (fields(rest, "PartNumber"), field(rest, "IsTruncated")) == (["9"], "false")
    for query in ("max-parts=x", "max-parts=-1", "part-number-marker=x"):
        assert error(s3.get(f"mp?uploadId={upload_id}&{query}")) == BAD_ARGUMENT


@pytest.mark.parametrize(
    ("algorithm", "checksum_type", "status"),
    [
        ("CRC32", "", 200),
        ("CRC32", "FULL_OBJECT", 200),
        ("CRC64NVME", "FULL_OBJECT", 200),
        ("CRC64NVME", "COMPOSITE", 400),
        ("SHA256", "FULL_OBJECT", 400),
        ("SHA3", "", 400),
        ("", "FULL_OBJECT", 400),
    ],
)
def test_upload_has_only_checksums_that_go_together(
    s3: Asker, algorithm: str, checksum_type: str, status: int
) -> None:
    headers = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": checksum_type}
    sent = {name: value for name, value in headers.items() if value}
    answer = s3.ask("POST", s3.path("mp?uploads"), sent)
    assert error(answer) == (status, "" if status == 200 else "InvalidRequest")


def test_composite_upload_compares_the_checksums_of_its_parts(s3: Asker) -> None:
    upload_id = start(s3, x_amz_checksum_algorithm="CRC32")
    etag = send(s3, upload_id, 1, b"one")
    wrong = document([(1, f"{etag}</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ETag>")])
    answer = s3.post(f"mp?uploadId={upload_id}", wrong.replace(b"<ETag></ETag>", b""))
    assert error(answer) == (400, "InvalidPart")
    crc = base64.b64encode(zlib.crc32(b"one").to_bytes(4, "big")).decode()
    body = document([(1, f"{etag}</ETag><ChecksumCRC32>{crc}</ChecksumCRC32><ETag>")])
    answer = s3.post(f"mp?uploadId={upload_id}", body.replace(b"<ETag></ETag>", b""))
    assert (answer.status, field(answer, "ChecksumType")) == (200, "COMPOSITE")


def test_part_of_another_checksum_than_its_upload_is_refused(s3: Asker) -> None:
    upload_id = start(s3, x_amz_checksum_algorithm="CRC32")
    value = base64.b64encode(hashlib.sha256(b"one").digest()).decode()
    target = f"mp?partNumber=1&uploadId={upload_id}"
    assert error(s3.put(target, b"one", x_amz_checksum_sha256=value)) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("bytes=0-3", (200, "")),
        ("bytes=0-99", (416, "InvalidRange")),
        ("bytes=10-12", (416, "InvalidRange")),
        ("bytes=3-2", BAD_ARGUMENT),
        ("bytes=0-", BAD_ARGUMENT),
        ("bytes=-3", BAD_ARGUMENT),
        ("0-3", BAD_ARGUMENT),
    ],
)
def test_part_copy_takes_whole_ranges_only(s3: Asker, value: str, code: tuple[int, str]) -> None:
    source = {"x-amz-copy-source": s3.path("digits"), "x-amz-copy-source-range": value}
    target = s3.path(f"mp?partNumber=1&uploadId={start(s3)}")
    assert error(s3.ask("PUT", target, source)) == code


def test_attributes_page_over_the_parts(s3: Asker) -> None:
    upload_id = start(s3, x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
    bodies = (bytes(PART_BYTES_MIN), bytes(PART_BYTES_MIN), b"last")
    parts = [(n, send(s3, upload_id, n, body)) for n, body in enumerate(bodies, 1)]
    assert complete(s3, upload_id, parts) == (200, "")

    def attributes(**headers: str) -> list[str]:
        answer = s3.get(
            "mp?attributes", x_amz_object_attributes="ObjectParts,ObjectSize", **headers
        )
        names = ("PartsCount", "IsTruncated", "NextPartNumberMarker")
        assert field(answer, "ObjectSize") == str(2 * PART_BYTES_MIN + 4)
        return [*fields(answer, "PartNumber"), *(field(answer, name) for name in names)]

    assert attributes() == ["1", "2", "3", "3", "false", "3"]
    assert attributes(x_amz_max_parts="2") == ["1", "2", "3", "true", "2"]
    assert attributes(x_amz_max_parts="2", x_amz_part_number_marker="2") == ["3", "3", "false", "3"]
    assert attributes(x_amz_part_number_marker="3")[:2] == ["3", "false"]
    part = s3.head("mp?partNumber=3", x_amz_checksum_mode="ENABLED").headers
    assert (part["content-length"], part["x-amz-mp-parts-count"]) == ("4", "3")
    assert error(s3.get("mp?partNumber=4")) == (416, "InvalidPartNumber")
    assert error(s3.get("mp?partNumber=1", range="bytes=0-1")) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, (400, "InvalidRequest")),
        ({"x-amz-object-attributes": ""}, (400, "InvalidRequest")),
        ({"x-amz-object-attributes": "Color"}, BAD_ARGUMENT),
        ({"x-amz-object-attributes": "ETag,Checksum"}, (200, "")),
    ],
)
def test_attributes_have_to_be_named(
    s3: Asker, headers: dict[str, str], code: tuple[int, str]
) -> None:
    assert error(s3.ask("GET", s3.path("digits?attributes"), headers)) == code
