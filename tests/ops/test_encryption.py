"""Encrypted objects of managed buckets, asked as clients do."""

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from s3proxy.s3.errors import S3Error
from tests.ops.keys import AES256, customer
from tests.ops.lab import Lab, md5, open_lab
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

SMALL = b"no plain text of this lies anywhere" * 3
LARGE = b"no plain text of this lies anywhere" * 100
KINDS = {"SSE-S3": AES256, "SSE-C": customer()}
RULE = (
    b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    b"<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
    b"</ServerSideEncryptionConfiguration>"
)
SETTINGS = Settings(
    inline_bytes_max=1000, part_bytes_min=10, sse_c_over_http=True, encrypted_chunk_bytes=64
)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, settings=SETTINGS) as lab:
        yield lab


def read_keys(kind: str) -> dict[str, str]:
    return customer() if kind == "SSE-C" else {}


def told(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if "encryption" in name}


def expected(kind: str) -> dict[str, str]:
    if kind == "SSE-S3":
        return {"x-amz-server-side-encryption": "AES256"}
    return {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key-md5": customer()[
            "x_amz_server_side_encryption_customer_key_MD5"
        ],
    }


def stored_bytes(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def assert_nothing_plain(lab: Lab, data: bytes) -> None:
    stored = stored_bytes(lab.root.parent)
    runs = {data[start : start + 12] for start in range(0, len(data) - 12, 5)}
    assert not [run for run in runs if run in stored]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["inline", "blob"])
async def test_object_comes_back_and_nothing_plain_is_stored(
    lab: Lab, kind: str, data: bytes
) -> None:
    answer = await lab.put("/www/k", data, **KINDS[kind])
    assert told(answer.headers) == expected(kind)
    assert (answer.etag == md5(data)) == (kind == "SSE-S3")
    found = await lab.get("/www/k", **read_keys(kind))
    assert (found.body, found.etag) == (data, answer.etag)
    assert told(found.headers) == expected(kind)
    head = await lab.ask("HEAD", "/www/k", **read_keys(kind))
    assert (head.length, head.etag) == (len(data), answer.etag)
    assert told(head.headers) == expected(kind)
    listed = await lab.get("/www?list-type=2")
    assert (listed.text("Size"), listed.text("ETag")) == (str(len(data)), f'"{answer.etag}"')
    assert_nothing_plain(lab, data)


@pytest.mark.parametrize("kind", KINDS)
async def test_empty_object_is_encrypted_too(lab: Lab, kind: str) -> None:
    await lab.put("/www/k", b"", **KINDS[kind])
    found = await lab.get("/www/k", **read_keys(kind))
    assert (found.body, told(found.headers)) == (b"", expected(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["inline", "blob"])
async def test_range_of_an_encrypted_object(lab: Lab, kind: str, data: bytes) -> None:
    await lab.put("/www/k", data, **KINDS[kind])
    for first, last in [(0, 0), (47, 48), (10, 100), (50, len(data) - 1)]:
        found = await lab.get("/www/k", Range=f"bytes={first}-{last}", **read_keys(kind))
        assert (found.status, found.body) == (206, data[first : last + 1])
        assert found.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_read_with_another_key_or_none_is_refused(lab: Lab, method: str) -> None:
    await lab.put("/www/k", SMALL, **customer())
    with raises_s3("InvalidRequest"):
        await lab.ask(method, "/www/k")
    with raises_s3("InvalidRequest"):
        await lab.ask(method, "/www/k", **customer(2))
    with raises_s3("InvalidRequest"):
        await lab.ask(method, "/www/k", If_None_Match="*")
    attributes = {"x_amz_object_attributes": "ObjectSize"}
    with raises_s3("InvalidRequest"):
        await lab.get("/www/k?attributes", **attributes)
    found = await lab.get("/www/k?attributes", **attributes, **customer())
    assert found.text("ObjectSize") == str(len(SMALL))


@pytest.mark.parametrize("target", ["/www/plain", "/www/sealed", "/files/plain"])
async def test_read_with_a_key_that_the_object_has_not_got_is_refused(
    lab: Lab, target: str
) -> None:
    await lab.put(target, SMALL, **(AES256 if "sealed" in target else {}))
    with raises_s3("InvalidRequest"):
        await lab.get(target, **customer())


async def test_customer_key_over_plain_http_is_refused(tmp_path: Path) -> None:
    async with open_lab(tmp_path) as lab:
        await lab.put("/www/k", SMALL)
        for method, headers in (
            ("PUT", customer()),
            ("GET", customer()),
            ("HEAD", customer()),
            ("PUT", customer(source=True) | {"x_amz_copy_source": "/www/k"}),
        ):
            with raises_s3("InvalidRequest") as caught:
                await lab.ask(method, "/www/k", **headers)
            assert "secure connection" in caught.value.message


@pytest.mark.parametrize(
    "headers", [AES256, customer(), {"x_amz_server_side_encryption": "aws:kms"}]
)
async def test_encryption_of_a_file_in_a_directory_is_refused(
    lab: Lab, headers: dict[str, str]
) -> None:
    with raises_s3("NotImplemented") as caught:
        await lab.put("/files/k", SMALL, **headers)
    assert caught.value.fields["Header"].startswith("x-amz-server-side-encryption")
    with raises_s3("NotImplemented"):
        await lab.ask("POST", "/files/k?uploads", **headers)
    with raises_s3("NoSuchKey"):
        await lab.get("/files/k")


async def test_bucket_default_encrypts_what_says_nothing(lab: Lab) -> None:
    with raises_s3("ServerSideEncryptionConfigurationNotFoundError"):
        await lab.get("/www?encryption")
    await lab.put("/www?encryption", RULE)
    found = await lab.get("/www?encryption")
    assert (found.text("SSEAlgorithm"), found.text("BucketKeyEnabled")) == ("AES256", "false")
    assert told((await lab.put("/www/k", SMALL)).headers) == expected("SSE-S3")
    assert told((await lab.put("/www/c", SMALL, **customer())).headers) == expected("SSE-C")
    assert_nothing_plain(lab, SMALL)
    assert (await lab.ask("DELETE", "/www?encryption")).status == 204
    assert told((await lab.put("/www/k", SMALL)).headers) == {}


async def test_bucket_default_of_a_directory_is_refused(lab: Lab) -> None:
    with raises_s3("InvalidBucketState"):
        await lab.put("/files?encryption", RULE)
    with raises_s3("ServerSideEncryptionConfigurationNotFoundError"):
        await lab.get("/files?encryption")


async def test_bucket_that_blocks_customer_keys_takes_none(lab: Lab) -> None:
    blocked = (
        b"<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
    )
    await lab.put("/www?encryption", RULE.replace(b"</Rule>", blocked + b"</Rule>"))
    with raises_s3("AccessDenied"):
        await lab.put("/www/k", SMALL, **customer())
    await lab.put("/www/k", SMALL)


@pytest.mark.parametrize("kind", KINDS)
async def test_multipart_upload_is_encrypted_part_by_part(lab: Lab, kind: str) -> None:
    parts = [LARGE, SMALL, b"", LARGE[:1500]]
    answer = await lab.ask("POST", "/www/k?uploads", **KINDS[kind])
    assert told(answer.headers) == expected(kind)
    upload = answer.text("UploadId")
    etags = []
    for number, data in enumerate(parts[:2] + parts[3:], 1):
        target = f"/www/k?uploadId={upload}&partNumber={number}"
        await lab.put(target, b"sent before" * 3, **read_keys(kind))
        part = await lab.put(target, data, **read_keys(kind))
        assert told(part.headers) == expected(kind)
        etags.append(part.etag)
    await complete(lab, upload, etags)
    whole = b"".join(parts)
    found = await lab.get("/www/k", **read_keys(kind))
    assert (found.body, told(found.headers)) == (whole, expected(kind))
    for first, last in [(0, 0), (len(LARGE) - 1, len(LARGE)), (3400, 3700)]:
        found = await lab.get("/www/k", Range=f"bytes={first}-{last}", **read_keys(kind))
        assert found.body == whole[first : last + 1]
    assert (await lab.get("/www/k?partNumber=2", **read_keys(kind))).body == SMALL
    assert_nothing_plain(lab, whole)


async def complete(lab: Lab, upload: str, etags: list[str], **headers: str) -> None:
    await lab.ask("POST", f"/www/k?uploadId={upload}", completion(*etags), **headers)


async def test_part_with_another_key_or_none_is_refused(lab: Lab) -> None:
    upload = (await lab.ask("POST", "/www/k?uploads", **customer())).text("UploadId")
    target = f"/www/k?uploadId={upload}&partNumber=1"
    for headers in ({}, customer(2)):
        with raises_s3("InvalidRequest"):
            await lab.put(target, SMALL, **headers)
    part = await lab.put(target, SMALL, **customer())
    with raises_s3("InvalidRequest"):
        await complete(lab, upload, [part.etag], **customer(2))
    await complete(lab, upload, [part.etag], **customer())
    plain = (await lab.ask("POST", "/www/k?uploads")).text("UploadId")
    with raises_s3("InvalidRequest"):
        await lab.put(f"/www/k?uploadId={plain}&partNumber=1", SMALL, **customer())


async def test_complete_of_parts_with_checksums_needs_the_key(lab: Lab) -> None:
    upload = (await lab.ask("POST", "/www/k?uploads", **customer())).text("UploadId")
    target = f"/www/k?uploadId={upload}&partNumber=1"
    crc = zlib.crc32(SMALL).to_bytes(4, "big")
    crc32 = {"x_amz_checksum_crc32": b64encode(crc).decode()}
    part = await lab.put(target, SMALL, **customer(), **crc32)
    for headers in ({}, customer(2)):
        with raises_s3("InvalidRequest"):
            await complete(lab, upload, [part.etag], **headers)
    await complete(lab, upload, [part.etag], **customer())


SOURCES = {"plain": {}, "SSE-S3": AES256, "SSE-C": customer(3)}
TARGETS = {"plain": {}, "SSE-S3": AES256, "SSE-C": customer()}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["inline", "blob"])
@pytest.mark.parametrize("name", ["copy", "source"])
async def test_copy_between_all_ways_to_encrypt(
    lab: Lab, source: str, target: str, data: bytes, name: str
) -> None:
    put = await lab.put("/www/source", data, **SOURCES[source])
    headers = dict(TARGETS[target], x_amz_copy_source="/www/source")
    if source == "SSE-C":
        with raises_s3("InvalidRequest"):
            await lab.put(f"/www/{name}", b"", **headers)
        with raises_s3("InvalidRequest"):
            await lab.put(f"/www/{name}", b"", **headers, **customer(2, source=True))
        headers |= customer(3, source=True)
    if (name, target) == ("source", "plain"):
        with raises_s3("InvalidRequest"):
            await lab.put("/www/source", b"", **headers)
        headers["x_amz_metadata_directive"] = "REPLACE"
    copied = await lab.put(f"/www/{name}", b"", **headers)
    assert told(copied.headers) == ({} if target == "plain" else expected(target))
    found = await lab.get(f"/www/{name}", **read_keys(target))
    assert found.body == data
    assert told(found.headers) == ({} if target == "plain" else expected(target))
    assert (found.etag == md5(data)) == (target != "SSE-C")
    if name == "copy" and "plain" not in (source, target):
        await lab.ask("DELETE", "/www/source")
        assert (await lab.get("/www/copy", **read_keys(target))).body == data
        assert_nothing_plain(lab, data)
    assert put.etag


async def test_part_copied_from_an_encrypted_object(lab: Lab) -> None:
    await lab.put("/www/source", LARGE, **customer(3))
    upload = (await lab.ask("POST", "/www/k?uploads", **customer())).text("UploadId")
    headers = dict(
        customer(), x_amz_copy_source="/www/source", x_amz_copy_source_range="bytes=7-99"
    )
    target = f"/www/k?uploadId={upload}&partNumber=1"
    with raises_s3("InvalidRequest"):
        await lab.put(target, b"", **headers)
    answer = await lab.put(target, b"", **headers, **customer(3, source=True))
    assert told(answer.headers) == expected("SSE-C")
    await complete(lab, upload, [answer.text("ETag").strip('"')])
    assert (await lab.get("/www/k", **customer())).body == LARGE[7:100]


async def test_copy_from_a_directory_with_a_key_is_refused(lab: Lab) -> None:
    await lab.put("/files/source", SMALL)
    with raises_s3("NotImplemented"):
        await lab.put("/www/k", b"", x_amz_copy_source="/files/source", **customer(source=True))


async def test_wrong_body_never_becomes_an_object(lab: Lab) -> None:
    for data in (SMALL, LARGE):
        with raises_s3("BadDigest"):
            await lab.put("/www/k", data, Content_MD5="AAAAAAAAAAAAAAAAAAAAAA==", **AES256)
    with raises_s3("NoSuchKey"):
        await lab.get("/www/k")


async def test_key_of_another_deployment_is_told_as_the_gateways_fault(lab: Lab) -> None:
    await lab.put("/www/k", SMALL, **AES256)
    record = lab.record("k")
    assert record.encryption is not None
    assert len(record.encryption.sealed_key) == 65
    with pytest.raises(S3Error) as caught:
        moved = lab.catalog.unseal_data_key
        lab.catalog.unseal_data_key = lambda sealed, row: moved(sealed, bytes(16))
        await lab.get("/www/k")
    assert caught.value.code == "InternalError"
