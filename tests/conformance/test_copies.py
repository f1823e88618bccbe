"""CopyObject: sources that are wrong, directives, conditions, and an object onto itself."""

from __future__ import annotations

import pytest

from tests.conformance.asking import Asker, error, field
from tests.faults.wire import Answer

BAD_ARGUMENT = (400, "InvalidArgument")
FAILED = (412, "PreconditionFailed")


def copy(s3: Asker, target: str, source: str, **headers: str) -> Answer:
    return s3.put(target, x_amz_copy_source=source, **headers)


def test_copy_onto_itself_needs_a_change(s3: Asker) -> None:
    source = s3.path("digits")
    assert error(copy(s3, "digits", source)) == (400, "InvalidRequest")
    changed = {"x_amz_metadata_directive": "REPLACE", "x_amz_meta_color": "red"}
    assert copy(s3, "digits", source, **changed).status == 200
    answer = s3.get("digits")
    assert (answer.body, answer.headers["x-amz-meta-color"]) == (b"0123456789", "red")


def test_copy_takes_metadata_along_unless_told_otherwise(s3: Asker) -> None:
    s3.put("source", b"x", x_amz_meta_color="red", content_type="text/plain")
    copy(s3, "kept", s3.path("source"), x_amz_meta_color="blue")
    copy(s3, "new", s3.path("source"), x_amz_metadata_directive="REPLACE", x_amz_meta_size="1")
    kept, new = s3.head("kept").headers, s3.head("new").headers
    assert (kept["x-amz-meta-color"], kept["content-type"]) == ("red", "text/plain")
    assert "x-amz-meta-color" not in new
    assert (new["x-amz-meta-size"], new["content-type"]) == ("1", "binary/octet-stream")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("/no-such-bucket/key", (404, "NoSuchBucket")),
        ("BUCKET/no-such-key", (404, "NoSuchKey")),
        ("BUCKET", BAD_ARGUMENT),
        ("BUCKET/", BAD_ARGUMENT),
        ("", BAD_ARGUMENT),
        ("/", BAD_ARGUMENT),
        ("BUCKET/%zz", BAD_ARGUMENT),
        ("BUCKET/%FF", BAD_ARGUMENT),
        ("BUCKET/digits?versionId=nonsense", BAD_ARGUMENT),
        ("BUCKET/digits?versionId=null", (200, "")),
        ("BUCKET/digits", (200, "")),
        ("/BUCKET/digits", (200, "")),
        ("BUCKET%2Fdigits", (200, "")),
    ],
)
def test_copy_source_is_checked(s3: Asker, source: str, code: tuple[int, str]) -> None:
    assert error(copy(s3, "target", source.replace("BUCKET", s3.bucket))) == code
    assert s3.head("target").status == (200 if code[0] == 200 else 404)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_amz_metadata_directive": "MERGE"}, BAD_ARGUMENT),
        ({"x_amz_metadata_directive": "replace"}, BAD_ARGUMENT),
        ({"x_amz_storage_class": "NONSENSE"}, (400, "InvalidStorageClass")),
        ({"x_amz_checksum_algorithm": "SHA3"}, (400, "InvalidRequest")),
        ({"x_amz_copy_source_if_match": '"x"'}, FAILED),
        ({"x_amz_copy_source_if_none_match": "*"}, FAILED),
        ({"x_amz_copy_source_if_modified_since": "Sat, 01 Jan 2050 00:00:00 GMT"}, FAILED),
        ({"x_amz_copy_source_if_unmodified_since": "Sat, 01 Jan 2000 00:00:00 GMT"}, FAILED),
        ({"if_match": "*"}, (404, "NoSuchKey")),
        ({"if_none_match": "*"}, (200, "")),
        ({"x_amz_copy_source_if_match": "*"}, (200, "")),
    ],
)
def test_copy_headers_are_checked(
    s3: Asker, headers: dict[str, str], code: tuple[int, str]
) -> None:
    assert error(copy(s3, "target", s3.path("digits"), **headers)) == code
    assert s3.head("target").status == (200 if code[0] == 200 else 404)


def test_copy_answers_etag_time_and_the_checksum_asked_for(s3: Asker) -> None:
    answer = copy(s3, "target", s3.path("digits"), x_amz_checksum_algorithm="CRC32")
    assert field(answer, "ETag") == s3.head("digits").headers["etag"]
    assert field(answer, "LastModified").endswith("Z")
    assert field(answer, "ChecksumCRC32") == "poTHxg=="
