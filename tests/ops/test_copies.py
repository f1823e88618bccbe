"""CopyObject and UploadPartCopy between buckets of every kind."""

import itertools

import pytest

from tests.ops.lab import Lab, md5
from tests.ops.uploads import completion, put_parts
from tests.s3.heads import raises_s3

PAIRS = pytest.mark.parametrize(
    ("source", "target"), list(itertools.product(("www", "files"), repeat=2))
)
BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])


@PAIRS
@pytest.mark.parametrize("size", [0, 500, 200_000])
async def test_copy_object_keeps_bytes_and_metadata(
    lab: Lab, source: str, target: str, size: int
) -> None:
    data = b"d" * size
    await lab.put(f"/{source}/from", data, content_type="text/x", x_amz_meta_a="1")
    copied = await lab.ask("PUT", f"/{target}/to", x_amz_copy_source=f"/{source}/from")
    assert copied.text("ETag") == f'"{md5(data)}"'
    got = await lab.get(f"/{target}/to")
    assert (got.body, got.etag) == (data, md5(data))
    assert (got.headers["content-type"], got.headers["x-amz-meta-a"]) == ("text/x", "1")
    assert (await lab.get(f"/{source}/from")).body == data


@PAIRS
async def test_copy_object_replace_takes_the_metadata_of_the_request(
    lab: Lab, source: str, target: str
) -> None:
    await lab.put(f"/{source}/from", b"d" * 2000, content_type="text/x", x_amz_meta_a="1")
    await lab.ask(
        "PUT",
        f"/{target}/to",
        x_amz_copy_source=f"{source}/from",
        x_amz_metadata_directive="REPLACE",
        content_type="text/y",
    )
    got = await lab.get(f"/{target}/to")
    assert got.body == b"d" * 2000
    assert got.headers["content-type"] == "text/y"
    assert "x-amz-meta-a" not in got.headers


@BUCKETS
@pytest.mark.parametrize("size", [100, 2000])
async def test_copy_object_onto_itself_changes_metadata_only(
    lab: Lab, bucket: str, size: int
) -> None:
    await lab.put(f"/{bucket}/k", b"d" * size, x_amz_meta_a="1")
    blobs = lab.blobs()
    with raises_s3("InvalidRequest"):
        await lab.ask("PUT", f"/{bucket}/k", x_amz_copy_source=f"{bucket}/k")
    await lab.ask(
        "PUT",
        f"/{bucket}/k",
        x_amz_copy_source=f"{bucket}/k",
        x_amz_metadata_directive="REPLACE",
        x_amz_meta_b="2",
    )
    got = await lab.get(f"/{bucket}/k")
    assert (got.body, got.headers["x-amz-meta-b"]) == (b"d" * size, "2")
    assert "x-amz-meta-a" not in got.headers
    assert (lab.blobs(), lab.garbage()) == (blobs, [])


@BUCKETS
async def test_copy_object_conditions_on_source_and_target(lab: Lab, bucket: str) -> None:
    etag = (await lab.put(f"/{bucket}/from", b"d")).etag
    copy = {"x_amz_copy_source": f"{bucket}/from"}
    with raises_s3("PreconditionFailed"):
        await lab.ask("PUT", f"/{bucket}/to", x_amz_copy_source_if_match='"no"', **copy)
    with raises_s3("PreconditionFailed"):
        await lab.ask("PUT", f"/{bucket}/to", x_amz_copy_source_if_none_match=f'"{etag}"', **copy)
    await lab.ask("PUT", f"/{bucket}/to", if_none_match="*", **copy)
    with raises_s3("PreconditionFailed"):
        await lab.ask("PUT", f"/{bucket}/to", if_none_match="*", **copy)


@BUCKETS
async def test_copy_object_of_nothing_is_refused(lab: Lab, bucket: str) -> None:
    with raises_s3("NoSuchKey"):
        await lab.ask("PUT", f"/{bucket}/to", x_amz_copy_source=f"{bucket}/absent")
    with raises_s3("NoSuchBucket"):
        await lab.ask("PUT", f"/{bucket}/to", x_amz_copy_source="absent/k")
    with raises_s3("AccessDenied"):
        await lab.ask(
            "PUT",
            f"/{bucket}/to",
            x_amz_copy_source=f"{bucket}/k",
            x_amz_source_expected_bucket_owner="123",
        )


@BUCKETS
async def test_copy_object_with_a_checksum_computes_it(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/from", b"d" * 3000)
    copied = await lab.ask(
        "PUT",
        f"/{bucket}/to",
        x_amz_copy_source=f"{bucket}/from",
        x_amz_checksum_algorithm="CRC32C",
    )
    got = await lab.get(f"/{bucket}/to", x_amz_checksum_mode="ENABLED")
    assert got.headers["x-amz-checksum-crc32c"] == copied.text("ChecksumCRC32C")


@PAIRS
async def test_copy_object_of_a_multipart_object_is_one_piece(
    lab: Lab, source: str, target: str
) -> None:
    await put_parts(lab, f"/{source}/from", b"a" * 2000, b"b" * 2000)
    await lab.ask("PUT", f"/{target}/to", x_amz_copy_source=f"{source}/from")
    got = await lab.get(f"/{target}/to")
    assert got.body == b"a" * 2000 + b"b" * 2000
    if (source, target) != ("files", "files"):
        assert got.etag == md5(got.body)


@PAIRS
async def test_upload_part_copy_takes_a_range(lab: Lab, source: str, target: str) -> None:
    data = bytes(range(256)) * 20
    await lab.put(f"/{source}/from", data)
    upload = (await lab.ask("POST", f"/{target}/to?uploads")).text("UploadId")
    path = f"/{target}/to?uploadId={upload}&partNumber="
    first = await lab.ask(
        "PUT",
        path + "1",
        x_amz_copy_source=f"{source}/from",
        x_amz_copy_source_range="bytes=100-3099",
    )
    second = await lab.ask("PUT", path + "2", x_amz_copy_source=f"{source}/from")
    body = completion(first.text("ETag"), second.text("ETag"))
    await lab.ask("POST", f"/{target}/to?uploadId={upload}", body)
    assert (await lab.get(f"/{target}/to")).body == data[100:3100] + data


@BUCKETS
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("bytes=0-", "InvalidArgument"),
        ("bytes=3-2", "InvalidArgument"),
        ("0-1", "InvalidArgument"),
        ("bytes=0-5", "InvalidRange"),
    ],
)
async def test_upload_part_copy_range_outside_the_source_is_refused(
    lab: Lab, bucket: str, wanted: str, code: str
) -> None:
    await lab.put(f"/{bucket}/from", b"12345")
    upload = (await lab.ask("POST", f"/{bucket}/to?uploads")).text("UploadId")
    with raises_s3(code):
        await lab.ask(
            "PUT",
            f"/{bucket}/to?uploadId={upload}&partNumber=1",
            x_amz_copy_source=f"{bucket}/from",
            x_amz_copy_source_range=wanted,
        )


async def test_copy_object_over_the_bound_is_refused(lab: Lab) -> None:
    await lab.put("/www/k", b"small")
    bucket, record = lab.bucket(), lab.record("k")
    huge = type(record)(size=5 * 2**30 + 1, etag="e", modified_ns=1, blobs=record.blobs)
    await lab.catalog.put_object(bucket, "huge", huge)
    with raises_s3("InvalidRequest"):
        await lab.ask("PUT", "/www/to", x_amz_copy_source="www/huge")
