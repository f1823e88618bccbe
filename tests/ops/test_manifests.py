"""What lies at providers is data: what the gateway wrote comes back, all else is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.catalog.records import BlobRef, BucketRecord, Encryption, ObjectRecord, PartSize
from s3proxy.ops import about
from s3proxy.ops.about import About
from s3proxy.ops.manifests import (
    Found,
    FoundBucket,
    NotSound,
    decode_bucket,
    decode_version,
    encode_bucket,
    encode_version,
    version_name,
)
from s3proxy.s3.object_lock import ObjectLock
from tests.catalog.catalogs import bucket_record

ID = "0123456789abcdef" * 2
PLACE = BlobRef(ID, "fi", "s3gw-x", f"key~{ID}", 7)
RECORD = ObjectRecord(
    size=5,
    etag="0" * 32 + "-1",
    modified_ns=1,
    checksum_type="COMPOSITE",
    checksums={"crc32": "AAAAAA==-1"},
    system={"content-type": "text/plain"},
    user={"a": "1"},
    blobs=(PLACE,),
    parts=(PartSize(1, 5),),
    tags={"a": "b"},
    version_id=f"{(1 << 64) - 1 - 9:016x}{'0' * 16}",
    sequence=9,
    encryption=Encryption("AES256", b"i" * 16, b"sealed"),
    lock=ObjectLock("GOVERNANCE", 5),
)
NAME = version_name("key", 9)
FOUND = Found("main", "bucket", "key", RECORD, {ID: (PLACE,)}, 3)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_manifest_of_a_version_comes_back() -> None:
    assert decode_version(encode_version(FOUND), NAME) == FOUND


def test_manifest_of_a_bucket_comes_back() -> None:
    found = FoundBucket(bucket_record(), {"cors": b"<x/>", "inventory\0a": b""}, 3)
    assert decode_bucket(encode_bucket(found)) == found


def test_manifest_with_fields_of_a_later_version_is_read() -> None:
    told = msgspec.json.decode(encode_version(FOUND))
    told["version"]["later"] = [1]
    told["later"] = 1
    assert decode_version(msgspec.json.encode(told), NAME) == FOUND


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", -1),
        ("size", 8),
        ("etag", 'a"\r\n'),
        ("sequence", 10),
        ("version_id", "f" * 32),
        ("version_id", "../x"),
        ("user", {"a": "1\r\nSet-Cookie: x"}),
        ("user", {"a b": "1"}),
        ("user", {"a": "1" * 3000}),
        ("system", {"location": "x"}),
        ("checksums", {"md6": "AA=="}),
        ("owner", "a b"),
        ("acl", "AAAA"),
        ("lock", ["FOREVER", 1, ""]),
        ("tags", {str(n): "" for n in range(11)}),
        ("blobs", []),
        ("blobs", [[ID, "fi", "s3gw-x", "another", 7]]),
        ("delete_marker", True),
        ("modified_ns", 1 << 70),
        ("parts", "x"),
    ],
)
def test_manifest_with_what_cannot_be_is_refused(field: str, value: object) -> None:
    told = msgspec.json.decode(encode_version(FOUND))
    told["version"][field] = value
    with pytest.raises(NotSound):
        decode_version(msgspec.json.encode(told), NAME)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("tenant", "A"),
        ("bucket", "../x"),
        ("key", "other"),
        ("key", ""),
        ("key", "k" * 1025),
        ("places", {}),
        ("places", {ID: [[ID, "fi", "s3gw-x", f"key~{ID}", 8]]}),
        ("revision", -1),
    ],
)
def test_manifest_of_what_cannot_be_is_refused(field: str, value: object) -> None:
    told = {**msgspec.json.decode(encode_version(FOUND)), field: value}
    with pytest.raises(NotSound):
        decode_version(msgspec.json.encode(told), NAME)


@given(
    field=st.sampled_from([field.name for field in msgspec.structs.fields(ObjectRecord)]),
    value=json_values,
)
def test_manifest_with_any_value_is_read_or_refused(field: str, value: Any) -> None:
    told = msgspec.json.decode(encode_version(FOUND))
    told["version"][field] = value
    try:
        decode_version(msgspec.json.encode(told), NAME)
    except NotSound:
        return


@given(
    field=st.sampled_from([field.name for field in msgspec.structs.fields(BucketRecord)]),
    value=json_values,
)
def test_manifest_of_a_bucket_with_any_value_is_read_or_refused(field: str, value: Any) -> None:
    told = msgspec.json.decode(encode_bucket(FoundBucket(bucket_record(), {}, 1)))
    told["bucket"][field] = value
    try:
        decode_bucket(msgspec.json.encode(told))
    except NotSound:
        return


@given(data=st.binary(max_size=200))
def test_manifest_of_any_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(NotSound):
        decode_version(data, NAME)
    with pytest.raises(NotSound):
        decode_bucket(data)


ABOUT = About(
    tenant="main",
    bucket="bucket",
    key="a key/ключ&=~",
    blob_id=ID,
    written_ns=5,
    etag="0" * 32,
    checksum=("crc32", "AAAAAA=="),
    flags="vl",
)


def test_metadata_of_a_blob_come_back_beside_the_clients() -> None:
    kept = about.beside({"a": "1", about.NAME: "forged"}, ABOUT)
    assert about.read(kept) == ABOUT
    assert about.without_ours(kept) == {"a": "1"}


def test_metadata_that_leave_no_room_are_kept_alone() -> None:
    client = {"a": "1" * 2000}
    assert about.beside(client, ABOUT) == client


@given(value=st.text(max_size=300))
def test_metadata_of_any_text_are_read_or_nothing(value: str) -> None:
    about.read({about.NAME: value})


@pytest.mark.parametrize(
    "value",
    ["f=2&t=main&b=bucket&w=1", "f=1&t=main&b=B&w=1", "f=1&t=main&b=bucket&w=1&s=z", "f=1&f=1"],
)
def test_metadata_that_cannot_be_ours_are_nothing(value: str) -> None:
    assert about.read({about.NAME: value}) is None
