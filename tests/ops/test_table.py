"""The table of operations, the fixed answers and the attributes of objects."""

import pytest

from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.subresources import IMPLEMENTED
from tests.ops.lab import Lab
from tests.ops.uploads import put_parts
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])


def test_operations_are_those_that_routing_can_name() -> None:
    assert set(OPERATIONS) == set(IMPLEMENTED)


def test_operations_all_need_an_action() -> None:
    for operation in OPERATIONS.values():
        assert operation.action.startswith("s3:")
        assert operation.action[3:].isalpha()


def test_operation_that_is_unknown_is_not_implemented() -> None:
    with raises_s3("NotImplemented"):
        OPERATIONS["get_moon"]


@BUCKETS
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cors", "NoSuchCORSConfiguration"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("policy", "NoSuchBucketPolicy"),
        ("policyStatus", "NoSuchBucketPolicy"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("tagging", "NoSuchTagSet"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ],
)
async def test_configuration_that_is_never_there_is_not_found(
    lab: Lab, bucket: str, query: str, code: str
) -> None:
    with raises_s3(code):
        await lab.get(f"/{bucket}?{query}")


@BUCKETS
@pytest.mark.parametrize("query", ["versioning", "logging", "notification", "requestPayment"])
async def test_configuration_that_is_always_the_same_is_told(
    lab: Lab, bucket: str, query: str
) -> None:
    found = await lab.get(f"/{bucket}?{query}")
    assert found.status == 200
    assert found.texts("Status") == []


@BUCKETS
async def test_acl_and_tags_of_an_object_that_is_there(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"1")
    assert (await lab.get(f"/{bucket}?acl")).text("Permission") == "FULL_CONTROL"
    assert (await lab.get(f"/{bucket}/k?acl")).text("Permission") == "FULL_CONTROL"
    assert (await lab.get(f"/{bucket}/k?tagging")).texts("Tag") == []
    for query in ("acl", "tagging"):
        with raises_s3("NoSuchKey"):
            await lab.get(f"/{bucket}/absent?{query}")


@BUCKETS
async def test_get_object_attributes_gives_what_is_asked_for(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"12345", x_amz_checksum_crc32="y/U6HA==")
    found = await lab.get(
        f"/{bucket}/k?attributes", x_amz_object_attributes="ETag,Checksum,ObjectSize,ObjectParts"
    )
    assert found.text("ObjectSize") == "5"
    assert found.text("ETag") == "827ccb0eea8a706c4c34a16891f84e7b"
    assert (found.text("ChecksumCRC32"), found.text("ChecksumType")) == ("y/U6HA==", "FULL_OBJECT")
    assert found.texts("ObjectParts") == []
    assert "last-modified" in found.headers
    less = await lab.get(f"/{bucket}/k?attributes", x_amz_object_attributes="StorageClass")
    assert less.text("StorageClass") == "STANDARD"
    assert less.texts("ETag") == []


@BUCKETS
async def test_get_object_attributes_pages_parts_with_checksums(lab: Lab, bucket: str) -> None:
    pieces = [b"x" * 20] * 3
    await put_parts(lab, f"/{bucket}/k", *pieces, x_amz_checksum_algorithm="CRC64NVME")
    wanted = {"x_amz_object_attributes": "ObjectParts"}
    page = await lab.get(f"/{bucket}/k?attributes", x_amz_max_parts="2", **wanted)
    assert page.texts("PartNumber") == ["1", "2"]
    assert (page.text("PartsCount"), page.text("IsTruncated")) == ("3", "true")
    rest = await lab.get(f"/{bucket}/k?attributes", x_amz_part_number_marker="2", **wanted)
    assert rest.texts("PartNumber") == ["3"]
    assert len(rest.texts("ChecksumCRC64NVME")) == 1


@BUCKETS
async def test_get_object_attributes_bad_lists_are_refused(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"1")
    with raises_s3("InvalidRequest"):
        await lab.get(f"/{bucket}/k?attributes")
    with raises_s3("InvalidArgument"):
        await lab.get(f"/{bucket}/k?attributes", x_amz_object_attributes="ETag,Colour")
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/absent?attributes", x_amz_object_attributes="ETag")


async def test_sub_resource_that_is_not_implemented_touches_no_object(lab: Lab) -> None:
    await lab.put("/www/k", b"kept")
    for query in ("annotation", "encryption", "renameObject"):
        with raises_s3("NotImplemented"):
            await lab.put(f"/www/k?{query}", b"overwritten")
    assert (await lab.get("/www/k")).body == b"kept"
