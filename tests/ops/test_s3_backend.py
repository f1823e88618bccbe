"""Buckets on another S3 endpoint: `far` is managed there, `near` is attached to a bucket there."""

import base64
import itertools

import pytest

from s3proxy._fast.checksum import digest
from s3proxy.backends.errors import NoSuchContainer
from s3proxy.backends.store import PutOptions
from s3proxy.catalog.records import BucketRecord
from s3proxy.ops.about import read, without_ours
from s3proxy.ops.call import Settings
from tests.ops.lab import Lab, md5
from tests.ops.uploads import completion, put_parts
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["far", "near"])
MIB = 1024 * 1024


async def blob_names(lab: Lab) -> list[str]:
    bucket = lab.catalog.get_bucket("far")
    assert isinstance(bucket, BucketRecord)
    store = lab.services.backend("moto").blobs(bucket.container)
    page = await store.list("", delimiter="", after="", limit=1000)
    return [entry.key for entry in page.objects]


@BUCKETS
@pytest.mark.parametrize("size", [0, 10, 300_000])
async def test_object_goes_there_and_comes_back(s3_lab: Lab, bucket: str, size: int) -> None:
    data = (b"0123456789" * size)[:size]
    put = await s3_lab.put(f"/{bucket}/a/b%20c", data, content_type="text/x", x_amz_meta_a="1")
    assert put.etag == md5(data)
    got = await s3_lab.get(f"/{bucket}/a/b%20c")
    assert (got.body, got.etag) == (data, md5(data))
    assert (got.headers["content-type"], got.headers["x-amz-meta-a"]) == ("text/x", "1")
    head = await s3_lab.ask("HEAD", f"/{bucket}/a/b%20c")
    assert (head.length, head.etag) == (size, md5(data))
    if size:
        part = await s3_lab.get(f"/{bucket}/a/b%20c", range="bytes=2-5")
        assert (part.status, part.body) == (206, data[2:6])
    assert (await s3_lab.ask("DELETE", f"/{bucket}/a/b%20c")).status == 204
    with raises_s3("NoSuchKey"):
        await s3_lab.get(f"/{bucket}/a/b%20c")


async def test_managed_blobs_there_are_named_by_key_and_carry_metadata(s3_lab: Lab) -> None:
    await s3_lab.put("/far/a/b", b"x" * 2000, x_amz_meta_a="1")
    (name,) = await blob_names(s3_lab)
    key, _, blob_id = name.rpartition("~")
    assert (key, len(blob_id)) == ("a/b", 32)
    bucket = s3_lab.bucket("far")
    stat = await s3_lab.services.backend("moto").blobs(bucket.container).head(name)
    about = read(stat.user)
    assert without_ours(stat.user) == {"a": "1"}
    assert about is not None and (about.tenant, about.bucket) == ("main", "far")
    await s3_lab.put("/far/a/b", b"y" * 2000)
    assert s3_lab.garbage() == [blob_id]
    assert s3_lab.catalog.open_intents() == []


async def test_managed_bad_body_leaves_nothing_there(s3_lab: Lab) -> None:
    with raises_s3("XAmzContentSHA256Mismatch"):
        await s3_lab.put("/far/k", b"x" * 300_000, payload_hash="0" * 64)
    assert await blob_names(s3_lab) == []
    assert s3_lab.catalog.open_intents() == []


@BUCKETS
async def test_multipart_upload_is_the_endpoints_own(s3_lab: Lab, bucket: str) -> None:
    pieces = (b"a" * (5 * MIB), b"b" * 1000)
    path = f"/{bucket}/k"
    done = await put_parts(s3_lab, path, *pieces, x_amz_meta_a="1")
    assert done.text("Bucket") == bucket
    assert done.text("ETag").strip('"').endswith("-2")
    got = await s3_lab.get(path)
    assert got.body == b"".join(pieces)
    assert got.headers["x-amz-meta-a"] == "1"
    edge = await s3_lab.get(path, range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert edge.body == b"aabb"
    if bucket == "far":
        assert len(await blob_names(s3_lab)) == 1
        part = await s3_lab.get(f"{path}?partNumber=2")
        assert (part.status, part.body) == (206, pieces[1])


async def test_managed_complete_cut_off_before_its_commit_goes_on(s3_lab: Lab) -> None:
    upload_id = (await s3_lab.ask("POST", "/far/k?uploads")).text("UploadId")
    put = await s3_lab.put(f"/far/k?partNumber=1&uploadId={upload_id}", b"data" * 500)
    bucket = s3_lab.bucket("far")
    upload = s3_lab.catalog.get_upload(bucket, "k", upload_id)
    assert upload is not None
    assert upload.blob is not None
    store = s3_lab.services.backend("moto").blobs(bucket.container)
    await store.complete_upload(
        upload.blob.name, upload.backend_upload_id, [(1, put.etag)], PutOptions()
    )
    await s3_lab.ask("POST", f"/far/k?uploadId={upload_id}", completion(put.etag))
    assert (await s3_lab.get("/far/k")).body == b"data" * 500


async def test_managed_abort_makes_the_endpoints_upload_garbage(s3_lab: Lab) -> None:
    upload = (await s3_lab.ask("POST", "/far/k?uploads")).text("UploadId")
    await s3_lab.put(f"/far/k?partNumber=1&uploadId={upload}", b"data")
    await s3_lab.ask("DELETE", f"/far/k?uploadId={upload}")
    (record,) = s3_lab.catalog.due_garbage(2**62, 10)
    assert record.backend_upload_id


@BUCKETS
async def test_lists_give_the_keys(s3_lab: Lab, bucket: str) -> None:
    for key in ("a", "b/1", "b/2"):
        await s3_lab.put(f"/{bucket}/{key}", key.encode() * 500)
    page = await s3_lab.get(f"/{bucket}?list-type=2&delimiter=/")
    assert page.texts("Name") == [bucket]
    assert page.texts("Key") == ["a"]
    assert "b/" in page.texts("Prefix")
    old = await s3_lab.get(f"/{bucket}?prefix=b/")
    assert old.texts("Key") == ["b/1", "b/2"]
    document = b"<Delete><Object><Key>a</Key></Object><Object><Key>b/1</Key></Object></Delete>"
    sha256 = digest("sha256", document).hex()
    await s3_lab.ask("POST", f"/{bucket}?delete", document, payload_hash=sha256)
    assert (await s3_lab.get(f"/{bucket}?list-type=2")).texts("Key") == ["b/2"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pair
        for pair in itertools.product(("www", "files", "far", "near"), repeat=2)
        if {"far", "near"} & set(pair)
    ],
)
async def test_copies_cross_every_border(s3_lab: Lab, source: str, target: str) -> None:
    data = b"data" * 1000
    await s3_lab.put(f"/{source}/from", data, content_type="text/x", x_amz_meta_a="1")
    copied = await s3_lab.ask("PUT", f"/{target}/to", x_amz_copy_source=f"{source}/from")
    assert copied.text("ETag") == f'"{md5(data)}"'
    got = await s3_lab.get(f"/{target}/to")
    assert (got.body, got.headers["x-amz-meta-a"]) == (data, "1")
    assert got.headers["content-type"] == "text/x"
    upload = (await s3_lab.ask("POST", f"/{target}/part?uploads")).text("UploadId")
    part = await s3_lab.ask(
        "PUT",
        f"/{target}/part?partNumber=1&uploadId={upload}",
        x_amz_copy_source=f"{source}/from",
        x_amz_copy_source_range="bytes=2-9",
    )
    assert part.text("ETag") == f'"{md5(data[2:10])}"'


async def test_attached_checksum_is_kept_there(s3_lab: Lab) -> None:
    data = b"x" * 1000
    value = base64.b64encode(digest("crc32", data)).decode()
    await s3_lab.put(
        "/near/k", data, x_amz_checksum_crc32=value, x_amz_sdk_checksum_algorithm="CRC32"
    )
    got = await s3_lab.get("/near/k", x_amz_checksum_mode="ENABLED")
    assert got.headers["x-amz-checksum-crc32"] == value


async def test_delete_bucket_managed_removes_the_bucket_there(s3_lab: Lab) -> None:
    bucket = s3_lab.bucket("far")
    store = s3_lab.services.backend("moto").blobs(bucket.container)
    await s3_lab.ask("DELETE", "/far")
    with pytest.raises(NoSuchContainer):
        await store.list("", delimiter="", after="", limit=1)


def test_settings_bounds_are_those_of_s3() -> None:
    settings = Settings()
    assert settings.part_bytes_min == 5 * MIB
    assert settings.put_bytes_max == 5 * 1024 * MIB
