"""PUT, GET, HEAD and DELETE of objects, on a managed bucket and an attached directory alike."""

import base64
import hashlib

import pytest

from s3proxy._fast.checksum import digest
from s3proxy.http.errors import DeadlineExceeded, Disconnected
from tests.ops.lab import FakeBody, Lab, md5
from tests.s3.chunked import frame
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
SIZES = pytest.mark.parametrize("size", [0, 1, 1000, 1001, 300_000, 1_200_000])


def some(size: int) -> bytes:
    return bytes(range(251)) * (size // 251 + 1) if size < 251 else (b"0123456789" * size)[:size]


@BUCKETS
@SIZES
async def test_get_object_put_before_gives_its_bytes_and_headers(
    lab: Lab, bucket: str, size: int
) -> None:
    data = some(size)[:size]
    put = await lab.put(
        f"/{bucket}/a%20b/c",
        data,
        content_type="text/plain",
        cache_control="no-store",
        x_amz_meta_owner="Ünal",
    )
    assert (put.status, put.etag) == (200, md5(data))
    got = await lab.get(f"/{bucket}/a%20b/c")
    assert (got.status, got.body) == (200, data)
    assert got.etag == md5(data)
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-amz-meta-owner"] == "Ünal"
    assert got.headers["accept-ranges"] == "bytes"
    head = await lab.ask("HEAD", f"/{bucket}/a%20b/c")
    assert (head.status, head.length, head.body) == (200, size, b"")
    assert head.headers == got.headers


@BUCKETS
async def test_put_object_again_replaces(lab: Lab, bucket: str) -> None:
    for data in (b"first" * 500, b"second", b"third" * 400):
        await lab.put(f"/{bucket}/k", data, x_amz_meta_size=str(len(data)))
        got = await lab.get(f"/{bucket}/k")
        assert got.body == data
        assert got.headers["x-amz-meta-size"] == str(len(data))


async def test_put_object_replacing_a_blob_makes_it_garbage(lab: Lab) -> None:
    await lab.put("/www/k", b"x" * 5000)
    (blob,) = lab.blobs()
    await lab.put("/www/k", b"y" * 5000)
    assert lab.garbage() == [blob]
    assert lab.catalog.open_intents() == []


async def test_put_object_small_on_a_local_backend_makes_no_blob(lab: Lab) -> None:
    await lab.put("/www/k", b"x" * 1000)
    assert lab.blobs() == []
    await lab.put("/www/k", b"x" * 1001)
    assert len(lab.blobs()) == 1


async def test_put_object_small_ones_lie_in_the_catalog_in_the_order_of_writing(lab: Lab) -> None:
    ids = []
    for number in range(3):
        await lab.put(f"/www/{number}", b"x" * 10)
        ids.append(lab.record(str(number)).blobs[0].id)
        lab.clock.ns += 1_000_000  # times are kept in whole milliseconds
    assert ids == sorted(set(ids))
    assert all(len(name) == 32 for name in ids)


@BUCKETS
async def test_get_object_missing_is_no_such_key(lab: Lab, bucket: str) -> None:
    for method in ("GET", "HEAD"):
        with raises_s3("NoSuchKey") as refused:
            await lab.ask(method, f"/{bucket}/absent")
        assert refused.value.fields == {"Key": "absent"}


@BUCKETS
@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=10-", 206, 10, 2999),
        ("bytes=-7", 206, 2993, 2999),
        ("bytes=2000-9000", 206, 2000, 2999),
        ("bytes=0-1,5-6", 200, 0, 2999),
        ("lines=1-2", 200, 0, 2999),
    ],
)
async def test_get_object_range_gives_that_part(
    lab: Lab, bucket: str, wanted: str, status: int, first: int, last: int
) -> None:
    data = some(3000)
    await lab.put(f"/{bucket}/k", data)
    got = await lab.get(f"/{bucket}/k", range=wanted)
    assert (got.status, got.body) == (status, data[first : last + 1])
    head = await lab.ask("HEAD", f"/{bucket}/k", range=wanted)
    assert (head.status, head.length) == (status, last - first + 1)
    if status == 206:
        assert got.headers["content-range"] == f"bytes {first}-{last}/3000"


@BUCKETS
async def test_get_object_range_behind_the_end_is_refused(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"12345")
    with raises_s3("InvalidRange") as refused:
        await lab.get(f"/{bucket}/k", range="bytes=5-")
    assert refused.value.fields["ActualObjectSize"] == "5"


@BUCKETS
async def test_get_object_if_range_of_another_etag_gives_the_whole(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"12345")
    assert (await lab.get(f"/{bucket}/k", range="bytes=1-2", if_range='"no"')).status == 200
    etag = f'"{md5(b"12345")}"'
    assert (await lab.get(f"/{bucket}/k", range="bytes=1-2", if_range=etag)).body == b"23"


@BUCKETS
async def test_get_object_conditions_answer_304_and_412(lab: Lab, bucket: str) -> None:
    etag = (await lab.put(f"/{bucket}/k", b"data", cache_control="max-age=1")).etag
    unchanged = await lab.get(f"/{bucket}/k", if_none_match=f'"{etag}"')
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert (unchanged.etag, unchanged.headers["cache-control"]) == (etag, "max-age=1")
    modified = (await lab.get(f"/{bucket}/k")).headers["last-modified"]
    assert (await lab.ask("HEAD", f"/{bucket}/k", if_modified_since=modified)).status == 304
    assert (await lab.get(f"/{bucket}/k", if_match=f'"{etag}"')).status == 200
    with raises_s3("PreconditionFailed"):
        await lab.get(f"/{bucket}/k", if_match='"other"')


@BUCKETS
async def test_get_object_response_parameters_override_headers(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"data", content_type="text/plain")
    query = "response-content-type=image%2Fpng&response-content-disposition=attachment"
    got = await lab.get(f"/{bucket}/k?{query}")
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"] == "attachment"


@BUCKETS
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
async def test_put_object_checksum_is_verified_stored_and_returned(
    lab: Lab, bucket: str, algorithm: str
) -> None:
    data = some(5000)
    value = base64.b64encode(digest(algorithm, data)).decode()
    name = f"x-amz-checksum-{algorithm}"
    put = await lab.put(f"/{bucket}/k", data, **{name: value})
    assert put.headers[name] == value
    got = await lab.get(f"/{bucket}/k", x_amz_checksum_mode="ENABLED")
    assert (got.headers[name], got.headers["x-amz-checksum-type"]) == (value, "FULL_OBJECT")
    assert name not in (await lab.get(f"/{bucket}/k")).headers
    part = await lab.get(f"/{bucket}/k", x_amz_checksum_mode="ENABLED", range="bytes=0-9")
    assert name not in part.headers
    wrong = base64.b64encode(digest(algorithm, b"other")).decode()
    with raises_s3("BadDigest"):
        await lab.put(f"/{bucket}/k", data, **{name: wrong})
    assert (await lab.get(f"/{bucket}/k")).body == data


@BUCKETS
@pytest.mark.parametrize("size", [10, 5000, 400_000])
async def test_put_object_bad_body_leaves_no_object(lab: Lab, bucket: str, size: int) -> None:
    data = b"z" * size
    wrong_md5 = base64.b64encode(hashlib.md5(b"", usedforsecurity=False).digest()).decode()
    with raises_s3("BadDigest"):
        await lab.put(f"/{bucket}/k", data, content_md5=wrong_md5)
    with raises_s3("XAmzContentSHA256Mismatch"):
        await lab.put(f"/{bucket}/k", data, payload_hash=hashlib.sha256(b"").hexdigest())
    for error, code in (
        (Disconnected("gone"), "IncompleteBody"),
        (DeadlineExceeded("receive"), "RequestTimeout"),
    ):
        body = FakeBody(data, error=error)
        body.length = size + 1
        with raises_s3(code):
            await lab.ask("PUT", f"/{bucket}/k", body=body)
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/k")
    assert lab.catalog.open_intents() == []
    assert lab.blobs() == []
    assert [path for path in lab.files.rglob("*") if path.is_file()] == []


@BUCKETS
@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_put_object_aws_chunked_stores_the_payload_alone(
    lab: Lab, bucket: str, piece: int
) -> None:
    chunks = [b"a" * 8192, b"b" * 8192, b"c" * 10]
    data = b"".join(chunks)
    value = base64.b64encode(digest("crc32", data)).decode()
    body = frame(chunks, trailer=("x-amz-checksum-crc32", value))
    headers = {
        "x_amz_decoded_content_length": str(len(data)),
        "x_amz_trailer": "x-amz-checksum-crc32",
        "content_encoding": "aws-chunked,gzip",
        "payload_hash": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    put = await lab.ask("PUT", f"/{bucket}/k", body=FakeBody(body, piece), **headers)
    assert (put.etag, put.headers["x-amz-checksum-crc32"]) == (md5(data), value)
    got = await lab.get(f"/{bucket}/k")
    assert (got.body, got.headers["content-encoding"]) == (data, "gzip")
    bad = body.replace(value.encode(), base64.b64encode(b"\0\0\0\0"))
    with raises_s3("BadDigest"):
        await lab.ask("PUT", f"/{bucket}/other", body=FakeBody(bad, piece), **headers)
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/other")


@BUCKETS
async def test_put_object_conditions_look_at_the_current_object(lab: Lab, bucket: str) -> None:
    with raises_s3("NoSuchKey"):
        await lab.put(f"/{bucket}/k", b"1", if_match='"x"')
    etag = (await lab.put(f"/{bucket}/k", b"1", if_none_match="*")).etag
    with raises_s3("PreconditionFailed"):
        await lab.put(f"/{bucket}/k", b"2", if_none_match="*")
    with raises_s3("PreconditionFailed"):
        await lab.put(f"/{bucket}/k", b"2", if_match='"other"')
    assert (await lab.get(f"/{bucket}/k")).body == b"1"
    await lab.put(f"/{bucket}/k", b"2" * 2000, if_match=f'"{etag}"')
    assert (await lab.get(f"/{bucket}/k")).body == b"2" * 2000


@BUCKETS
async def test_put_object_condition_that_fails_is_refused_before_the_body(
    lab: Lab, bucket: str
) -> None:
    await lab.put(f"/{bucket}/k", b"1")
    body = FakeBody(b"2" * 5000)
    with raises_s3("PreconditionFailed"):
        await lab.ask("PUT", f"/{bucket}/k", body=body, if_none_match="*")
    assert body.reads == 0


@BUCKETS
async def test_delete_object_is_idempotent(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"1")
    for _ in range(2):
        assert (await lab.ask("DELETE", f"/{bucket}/k")).status == 204
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/k")


@BUCKETS
async def test_delete_object_if_match_spares_another_object(lab: Lab, bucket: str) -> None:
    etag = (await lab.put(f"/{bucket}/k", b"1")).etag
    with raises_s3("PreconditionFailed"):
        await lab.ask("DELETE", f"/{bucket}/k", if_match='"other"')
    await lab.ask("DELETE", f"/{bucket}/k", if_match=f'"{etag}"')
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/k")


@BUCKETS
async def test_put_object_over_the_bound_is_too_large(lab: Lab, bucket: str) -> None:
    body = FakeBody(b"")
    body.length = 5 * 2**30 + 1
    with raises_s3("EntityTooLarge"):
        await lab.ask("PUT", f"/{bucket}/k", body=body)


async def test_object_part_number_one_of_a_whole_object_is_all_of_it(lab: Lab) -> None:
    await lab.put("/www/k", b"12345")
    got = await lab.get("/www/k?partNumber=1")
    assert (got.status, got.body) == (206, b"12345")
    assert "x-amz-mp-parts-count" not in got.headers
    with raises_s3("InvalidPartNumber"):
        await lab.get("/www/k?partNumber=2")
    with raises_s3("InvalidRequest"):
        await lab.get("/www/k?partNumber=1", range="bytes=0-1")
