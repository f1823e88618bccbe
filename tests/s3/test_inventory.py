"""Inventory configurations and reports: what is read, refused and written."""

import csv
import io
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.inventory import (
    FIELDS,
    Inventory,
    check_id,
    inventory_configuration,
    list_inventories,
    read_inventory,
)
from s3proxy.s3.inventory_report import (
    Line,
    ReportFile,
    csv_line,
    data_key,
    manifest,
    manifest_prefix,
    report_prefix,
    schema,
    symlink_key,
    symlinks,
)
from s3proxy.s3.lifecycle import DAY_NS
from tests.s3.documents import parse
from tests.s3.heads import raises_s3

PLAIN = Inventory(id="daily", enabled=True, target="reports")
DOCUMENT = inventory_configuration(PLAIN).decode()
NOON_NS = 1_478_467_920_000_000_000  # 2016-11-06T21:32Z, a Sunday
LINE = Line(
    bucket="b",
    key="k",
    version_id="v",
    latest=True,
    marker=False,
    size=5,
    modified_ns=NOON_NS,
    etag="e",
    storage_class="STANDARD",
    multipart=False,
    encryption="NOT-SSE",
    owner="o",
)
TEXT = st.text("ab/<&é ", max_size=4)


@given(
    st.builds(
        Inventory,
        id=st.text("aZ0-_.", min_size=1, max_size=64),
        enabled=st.booleans(),
        target=st.text("ab", min_size=3, max_size=9),
        account=st.sampled_from(["", "main"]),
        prefix=st.none() | TEXT,
        encrypted=st.booleans(),
        all_versions=st.booleans(),
        scope=st.none() | TEXT,
        fields=st.lists(st.sampled_from(FIELDS), unique=True).map(tuple),
        weekly=st.booleans(),
    )
)
def test_document_that_is_written_reads_the_same(inventory: Inventory) -> None:
    body = inventory_configuration(inventory)
    assert read_inventory(body) == inventory
    seen = parse("GetBucketInventoryConfiguration", body)["InventoryConfiguration"]
    assert seen["Id"] == inventory.id
    assert (
        seen["Destination"]["S3BucketDestination"]["Bucket"] == f"arn:aws:s3:::{inventory.target}"
    )
    assert seen.get("OptionalFields", []) == list(inventory.fields)
    listed: Any = parse("ListBucketInventoryConfigurations", list_inventories([inventory], "", "t"))
    assert listed["InventoryConfigurationList"] == [seen]
    assert (listed["IsTruncated"], listed["NextContinuationToken"]) == (True, "t")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<Format>CSV", "<Format>ORC", "NotImplemented"),
        ("<Format>CSV", "<Format>Parquet", "NotImplemented"),
        ("<Format>CSV", "<Format>XLS", "MalformedXML"),
        ("arn:aws:s3:::reports", "reports", "MalformedXML"),
        ("arn:aws:s3:::reports", "arn:aws:s3:::", "MalformedXML"),
        ("<IsEnabled>true", "<IsEnabled>yes", "MalformedXML"),
        ("Daily", "Hourly", "MalformedXML"),
        ("Current", "Some", "MalformedXML"),
        ("<Id>daily</Id>", "", "MalformedXML"),
        ("<Id>", "<Moon/><Id>", "MalformedXML"),
        (
            "<Schedule>",
            "<OptionalFields><Field>Moon</Field></OptionalFields><Schedule>",
            "MalformedXML",
        ),
        (
            "<Schedule>",
            "<OptionalFields><Field>Size</Field><Field>Size</Field></OptionalFields><Schedule>",
            "MalformedXML",
        ),
        (
            "<Schedule>",
            "<OptionalFields><Field>ObjectAccessControlList</Field></OptionalFields><Schedule>",
            "NotImplemented",
        ),
        (
            "<Format>",
            "<Encryption><SSE-KMS><KeyId>k</KeyId></SSE-KMS></Encryption><Format>",
            "NotImplemented",
        ),
        ("<Format>", "<Encryption><Other/></Encryption><Format>", "MalformedXML"),
    ],
)
def test_read_document_that_is_refused(old: str, new: str, code: str) -> None:
    assert old in DOCUMENT
    with raises_s3(code):
        read_inventory(DOCUMENT.replace(old, new).encode())


@pytest.mark.parametrize("identifier", ["", "a" * 65, "a b", "a\0", "é"])
def test_id_that_cannot_be_one(identifier: str) -> None:
    with raises_s3("InvalidArgument"):
        check_id({"id": identifier})


def test_rounds_are_days_and_weeks_from_sunday() -> None:
    weekly = Inventory(id="w", enabled=True, target="t", weekly=True)
    assert PLAIN.round_of(NOON_NS) == NOON_NS // DAY_NS
    week = weekly.round_of(NOON_NS)
    assert weekly.round_of(NOON_NS - DAY_NS) == week - 1
    assert [weekly.round_of(NOON_NS + day * DAY_NS) for day in (6, 7)] == [week, week + 1]


def test_places_are_those_of_aws() -> None:
    inventory = Inventory(id="conf", enabled=True, target="t", prefix="inv/")
    assert report_prefix(inventory, "src") == "inv/src/conf/"
    assert report_prefix(PLAIN, "src") == "src/daily/"
    assert manifest_prefix(inventory, "src", NOON_NS) == "inv/src/conf/2016-11-06T21-32Z/"
    assert symlink_key(inventory, "src", NOON_NS) == (
        "inv/src/conf/hive/dt=2016-11-06-21-32/symlink.txt"
    )
    key = data_key(inventory, "src", "seed", 0)
    assert re.fullmatch(r"inv/src/conf/data/[0-9a-f-]{36}\.csv\.gz", key)
    assert key == data_key(inventory, "src", "seed", 0)
    assert key != data_key(inventory, "src", "seed", 1)


def test_manifest_and_symlinks_name_the_files() -> None:
    files = [ReportFile("a/data/1.csv.gz", 7, "0f"), ReportFile("a/data/2.csv.gz", 9, "1f")]
    inventory = Inventory(
        id="i", enabled=True, target="t", all_versions=True, fields=("ETag", "Size")
    )
    assert json.loads(manifest(inventory, "src", NOON_NS, files)) == {
        "sourceBucket": "src",
        "destinationBucket": "arn:aws:s3:::t",
        "version": "2016-11-30",
        "creationTimestamp": "1478467920000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag",
        "files": [
            {"key": "a/data/1.csv.gz", "size": 7, "MD5checksum": "0f"},
            {"key": "a/data/2.csv.gz", "size": 9, "MD5checksum": "1f"},
        ],
    }
    assert symlinks(inventory, files) == b"s3://t/a/data/1.csv.gz\ns3://t/a/data/2.csv.gz"


def test_line_has_every_column() -> None:
    inventory = Inventory(id="i", enabled=True, target="t", all_versions=True, fields=FIELDS)
    line = msgspec.structs.replace(
        LINE,
        key='a "b",\n/ü',
        multipart=True,
        encryption="SSE-S3",
        lock_mode="COMPLIANCE",
        retain_until_ns=NOON_NS,
        legal_hold="ON",
        checksums=("crc32", "sha256"),
        expires_ns=NOON_NS,
    )
    columns = schema(inventory)
    (values,) = csv.reader(io.StringIO(csv_line(line, columns)))
    date = "2016-11-06T21:32:00.000Z"
    assert dict(zip(columns, values, strict=True)) == {
        "Bucket": "b",
        "Key": "a%20%22b%22%2C%0A/%C3%BC",
        "VersionId": "v",
        "IsLatest": "true",
        "IsDeleteMarker": "false",
        "Size": "5",
        "LastModifiedDate": date,
        "ETag": "e",
        "StorageClass": "STANDARD",
        "IsMultipartUploaded": "true",
        "ReplicationStatus": "",
        "EncryptionStatus": "SSE-S3",
        "ObjectLockRetainUntilDate": date,
        "ObjectLockMode": "COMPLIANCE",
        "ObjectLockLegalHoldStatus": "ON",
        "IntelligentTieringAccessTier": "",
        "BucketKeyStatus": "DISABLED",
        "ChecksumAlgorithm": "CRC32 SHA256",
        "ObjectOwner": "o",
        "LifecycleExpirationDate": date,
    }


def test_line_of_a_marker_has_no_data() -> None:
    marker = msgspec.structs.replace(LINE, marker=True, size=0, etag="")
    inventory = Inventory(id="i", enabled=True, target="t", fields=("Size", "ETag", "StorageClass"))
    assert csv_line(marker, schema(inventory)) == '"b","k","","",""\n'
