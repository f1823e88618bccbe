"""Encrypted objects whose bytes are at another S3 endpoint."""

import os

import pytest

from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import PutOptions
from s3proxy.catalog.records import BucketRecord
from s3proxy.http.body import BytesBody
from s3proxy.ops.chunk_cipher import CHUNK_BYTES, stored_size
from tests.ops.keys import AES256, customer
from tests.ops.lab import Lab, md5
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

KINDS = {"SSE-S3": AES256, "SSE-C": customer()}
MIB = 1024 * 1024


def read_keys(kind: str) -> dict[str, str]:
    return customer() if kind == "SSE-C" else {}


def store_of(lab: Lab) -> S3Store:
    bucket = lab.catalog.get_bucket("far")
    assert isinstance(bucket, BucketRecord)
    store = lab.services.backend("moto").blobs(bucket.container)
    assert isinstance(store, S3Store)
    return store


async def stored(lab: Lab) -> tuple[str, bytes]:
    """Name and bytes of the one blob there."""
    store = store_of(lab)
    (entry,) = (await store.list("", delimiter="", after="", limit=10)).objects
    reading = await store.open(entry.key)
    data = bytearray()
    buffer = memoryview(bytearray(MIB))
    while count := await reading.body.read_into(buffer):
        data += buffer[:count]
    await reading.body.aclose()
    return entry.key, bytes(data)


def assert_nothing_plain(blob: bytes, data: bytes) -> None:
    starts = range(0, len(data) - 16, len(data) // 20 + 1)
    assert not [start for start in starts if data[start : start + 16] in blob]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 10, 300_000])
async def test_object_there_is_encrypted(s3_lab: Lab, kind: str, size: int) -> None:
    data = os.urandom(size)
    put = await s3_lab.put("/far/k", data, **KINDS[kind])
    assert (put.etag == md5(data)) == (kind == "SSE-S3")
    got = await s3_lab.get("/far/k", **read_keys(kind))
    assert (got.body, got.etag) == (data, put.etag)
    if size == 300_000:
        part = await s3_lab.get("/far/k", range="bytes=65000-200000", **read_keys(kind))
        assert part.body == data[65_000:200_001]
    _, blob = await stored(s3_lab)
    assert len(blob) == stored_size(size, CHUNK_BYTES)
    assert_nothing_plain(blob, data)


async def upload(lab: Lab, kind: str, pieces: list[bytes]) -> list[str]:
    started = await lab.ask("POST", "/far/k?uploads", **KINDS[kind])
    target = f"/far/k?uploadId={started.text('UploadId')}"
    etags = []
    for number, data in enumerate(pieces, 1):
        await lab.put(f"{target}&partNumber={number}", b"sent before", **read_keys(kind))
        sent = await lab.put(f"{target}&partNumber={number}", data, **read_keys(kind))
        etags.append(sent.etag)
    await lab.ask("POST", target, completion(*etags))
    return etags


@pytest.mark.parametrize("kind", KINDS)
async def test_native_multipart_is_one_blob_of_encrypted_parts(s3_lab: Lab, kind: str) -> None:
    pieces = [os.urandom(5 * MIB + 1), os.urandom(5 * MIB), os.urandom(1000)]
    etags = await upload(s3_lab, kind, pieces)
    whole = b"".join(pieces)
    assert (etags == [md5(piece) for piece in pieces]) == (kind == "SSE-S3")
    got = await s3_lab.get("/far/k", **read_keys(kind))
    assert got.body == whole
    assert got.etag.endswith("-3")
    span = (5 * MIB - 10, 10 * MIB + 20)
    part = await s3_lab.get("/far/k", range=f"bytes={span[0]}-{span[1]}", **read_keys(kind))
    assert part.body == whole[span[0] : span[1] + 1]
    assert (await s3_lab.get("/far/k?partNumber=3", **read_keys(kind))).body == pieces[2]
    head = await s3_lab.ask("HEAD", "/far/k", **read_keys(kind))
    assert head.length == len(whole)
    _, blob = await stored(s3_lab)
    assert len(blob) == sum(stored_size(len(piece), CHUNK_BYTES) for piece in pieces)
    assert_nothing_plain(blob, whole)


async def test_blob_changed_there_is_never_served(s3_lab: Lab) -> None:
    await s3_lab.put("/far/k", os.urandom(200_000), **AES256)
    name, blob = await stored(s3_lab)
    for changed in (blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), os.urandom(len(blob))):
        await store_of(s3_lab).delete(name)
        options = PutOptions(length=len(changed))
        await store_of(s3_lab).put(name, BytesBody(changed), options)
        with raises_s3("InternalError"):
            await s3_lab.get("/far/k")
        with raises_s3("InternalError"):
            await s3_lab.put("/www/copy", b"", x_amz_copy_source="/far/k")
        with raises_s3("NoSuchKey"):
            await s3_lab.get("/www/copy")


@pytest.mark.parametrize(("source", "target"), [("far", "www"), ("www", "far"), ("far", "far")])
async def test_copy_across_backends_stays_encrypted(s3_lab: Lab, source: str, target: str) -> None:
    data = os.urandom(100_000)
    await s3_lab.put(f"/{source}/k", data, **AES256)
    headers = {"x_amz_copy_source": f"/{source}/k"}
    copied = await s3_lab.put(f"/{target}/copy", b"", **AES256, **headers)
    assert copied.headers["x-amz-server-side-encryption"] == "AES256"
    await s3_lab.ask("DELETE", f"/{source}/k")
    assert (await s3_lab.get(f"/{target}/copy")).body == data
    record = s3_lab.record("copy", target)
    assert record.encryption is not None
    assert record.blobs[0].size == stored_size(len(data), CHUNK_BYTES)


async def test_copy_of_an_encrypted_object_into_a_provider_bucket(s3_lab: Lab) -> None:
    await s3_lab.put("/www/k", b"data" * 1000, **customer(3))
    headers = {"x_amz_copy_source": "/www/k"} | customer(3, source=True)
    with raises_s3("NotImplemented"):
        await s3_lab.put("/near/copy", b"", **AES256, **headers)
    await s3_lab.put("/near/copy", b"", **headers)
    assert (await s3_lab.get("/near/copy")).body == b"data" * 1000
