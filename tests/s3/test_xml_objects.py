from datetime import UTC, datetime

from s3proxy.s3 import xml_objects
from s3proxy.s3.xml_objects import (
    Attributes,
    AttributesPart,
    AttributesParts,
    Deleted,
    NotDeleted,
)
from tests.s3.documents import parse

WHEN_NS = 1_700_000_000_123_000_000
WHEN = datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
CHECKSUMS = {"crc32": "AAAAAA==", "sha256": "c2hh"}


def test_copy_object_reads_back() -> None:
    body = xml_objects.copy_object("e", WHEN_NS, {"crc64nvme": "AAAAAAAAAAA="}, "FULL_OBJECT")
    assert parse("CopyObject", body)["CopyObjectResult"] == {
        "ETag": '"e"',
        "LastModified": WHEN,
        "ChecksumType": "FULL_OBJECT",
        "ChecksumCRC64NVME": "AAAAAAAAAAA=",
    }


def test_copy_part_reads_back() -> None:
    found = parse("UploadPartCopy", xml_objects.copy_part("e", WHEN_NS, CHECKSUMS))
    assert found["CopyPartResult"] == {
        "ETag": '"e"',
        "LastModified": WHEN,
        "ChecksumCRC32": "AAAAAA==",
        "ChecksumSHA256": "c2hh",
    }


def test_create_multipart_upload_reads_back() -> None:
    body = xml_objects.create_multipart_upload("bucket", "a&b", "u1")
    expected = {"Bucket": "bucket", "Key": "a&b", "UploadId": "u1"}
    assert parse("CreateMultipartUpload", body) == expected


def test_complete_multipart_upload_reads_back() -> None:
    body = xml_objects.complete_multipart_upload(
        "http://h/bucket/a&b",
        "bucket",
        "a&b",
        "e-2",
        checksums={"crc32": "AAAAAA==-2"},
        checksum_type="COMPOSITE",
    )
    assert parse("CompleteMultipartUpload", body) == {
        "Location": "http://h/bucket/a&b",
        "Bucket": "bucket",
        "Key": "a&b",
        "ETag": '"e-2"',
        "ChecksumCRC32": "AAAAAA==-2",
        "ChecksumType": "COMPOSITE",
    }


def test_complete_multipart_upload_without_declaration_follows_one_sent_before() -> None:
    body = xml_objects.complete_multipart_upload(
        "l", "b", "k", "e", checksums={}, declaration=False
    )
    assert body.startswith(b"<CompleteMultipartUploadResult xmlns=")
    sent = b'<?xml version="1.0" encoding="UTF-8"?>\n' + b" " * 10 + body
    assert parse("CompleteMultipartUpload", sent)["ETag"] == '"e"'


def test_delete_objects_reads_back() -> None:
    body = xml_objects.delete_objects(
        [Deleted("a&b"), Deleted("c", "null")], [NotDeleted("d", "AccessDenied", "Access Denied")]
    )
    assert parse("DeleteObjects", body) == {
        "Deleted": [{"Key": "a&b"}, {"Key": "c", "VersionId": "null"}],
        "Errors": [{"Key": "d", "Code": "AccessDenied", "Message": "Access Denied"}],
    }


def test_delete_objects_quiet_without_failures_is_empty() -> None:
    assert parse("DeleteObjects", xml_objects.delete_objects([], [])) == {}


def test_object_attributes_of_all_reads_back() -> None:
    parts = AttributesParts(2, 0, 1, 1, True, (AttributesPart(1, 5, {"crc32": "AAAAAA=="}),))
    attributes = Attributes("e-2", {"crc32": "AAAAAA==-2"}, "COMPOSITE", parts, "STANDARD", 10)
    found = parse("GetObjectAttributes", xml_objects.object_attributes(attributes))
    assert found == {
        "ETag": "e-2",
        "Checksum": {"ChecksumCRC32": "AAAAAA==-2", "ChecksumType": "COMPOSITE"},
        "ObjectParts": {
            "TotalPartsCount": 2,
            "PartNumberMarker": 0,
            "NextPartNumberMarker": 1,
            "MaxParts": 1,
            "IsTruncated": True,
            "Parts": [{"PartNumber": 1, "Size": 5, "ChecksumCRC32": "AAAAAA=="}],
        },
        "StorageClass": "STANDARD",
        "ObjectSize": 10,
    }


def test_object_attributes_of_some_holds_only_these() -> None:
    body = xml_objects.object_attributes(Attributes(size=0))
    assert parse("GetObjectAttributes", body) == {"ObjectSize": 0}


def test_object_attributes_of_parts_without_checksums_is_the_count() -> None:
    body = xml_objects.object_attributes(Attributes(parts=AttributesParts(3)))
    found = parse("GetObjectAttributes", body)
    assert found == {"ObjectParts": {"TotalPartsCount": 3}}
