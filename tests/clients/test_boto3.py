"""boto3: checksums, multipart of 200 MB, presigned URLs, ranges, conditions, listings, copies."""

import hashlib
import io
import os
from typing import Any

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.clients.conftest import Bucket

pytestmark = pytest.mark.slow
MIB = 1 << 20


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_boto3_round_trip_keeps_metadata_and_checksum(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    key = f"{bucket.prefix}round trip/ü+%"
    put = s3.put_object(
        Bucket=bucket.name, Key=key, Body=b"hello", ContentType="text/x-test",
        CacheControl="no-store", Metadata={"colour": "blue"},
    )  # fmt: skip
    got = s3.get_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert got["ETag"] == put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert got["ContentType"] == "text/x-test"
    assert got["CacheControl"] == "no-store"
    assert got["Metadata"] == {"colour": "blue"}
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_boto3_each_checksum_is_verified_stored_and_returned(
    bucket: Bucket, algorithm: str
) -> None:
    s3 = bucket.gateway.client()
    key = f"{bucket.prefix}sum-{algorithm}"
    body = os.urandom(300_000)
    put = s3.put_object(Bucket=bucket.name, Key=key, Body=body, ChecksumAlgorithm=algorithm)
    field = f"Checksum{algorithm}"
    head = s3.head_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
    assert head[field] == put[field]
    assert s3.get_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")["Body"].read() == body


def test_boto3_multipart_of_200_mb_reads_back(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    key = f"{bucket.prefix}big"
    block = os.urandom(MIB)
    body = _Repeated(block, 200)
    s3.upload_fileobj(body, bucket.name, key, Config=TransferConfig(multipart_chunksize=8 * MIB))
    head = s3.head_object(Bucket=bucket.name, Key=key)
    assert head["ContentLength"] == 200 * MIB
    assert head["ETag"].endswith('-25"')
    digest = hashlib.sha256()
    for chunk in s3.get_object(Bucket=bucket.name, Key=key)["Body"].iter_chunks(MIB):
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(block * 200).digest()
    across = s3.get_object(Bucket=bucket.name, Key=key, Range=f"bytes={8 * MIB - 5}-{8 * MIB + 4}")
    assert across["Body"].read() == (block + block)[MIB - 5 : MIB + 5]
    assert across["ContentRange"] == f"bytes {8 * MIB - 5}-{8 * MIB + 4}/{200 * MIB}"


class _Repeated(io.RawIOBase):
    """`block`, `times` times over, without holding it all."""

    def __init__(self, block: bytes, times: int) -> None:
        self._block, self._left = block, times

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, max(size // len(self._block), 1) if size >= 0 else self._left)
        self._left -= count
        return self._block * count


def test_boto3_presigned_put_and_get(bucket: Bucket) -> None:
    s3 = bucket.gateway.client(signature_version="s3v4")
    where = {"Bucket": bucket.name, "Key": f"{bucket.prefix}presigned"}
    put = httpx.put(
        s3.generate_presigned_url("put_object", Params=where), content=b"from a browser"
    )
    assert put.status_code == 200, put.text
    got = httpx.get(s3.generate_presigned_url("get_object", Params=where))
    assert (got.status_code, got.content) == (200, b"from a browser")


def test_boto3_ranges_and_conditions(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    where: dict[str, Any] = {"Bucket": bucket.name, "Key": f"{bucket.prefix}ranges"}
    etag = s3.put_object(**where, Body=b"0123456789")["ETag"]
    assert s3.get_object(**where, Range="bytes=2-4")["Body"].read() == b"234"
    assert s3.get_object(**where, Range="bytes=-3")["Body"].read() == b"789"
    assert s3.get_object(**where, Range="bytes=7-")["Body"].read() == b"789"
    with pytest.raises(ClientError) as beyond:
        s3.get_object(**where, Range="bytes=10-")
    assert code(beyond) == "InvalidRange"
    with pytest.raises(ClientError) as unchanged:
        s3.get_object(**where, IfNoneMatch=etag)
    assert code(unchanged) == "304"
    with pytest.raises(ClientError) as other:
        s3.get_object(**where, IfMatch='"0123"')
    assert code(other) == "PreconditionFailed"
    with pytest.raises(ClientError) as exists:
        s3.put_object(**where, Body=b"x", IfNoneMatch="*")
    assert code(exists) == "PreconditionFailed"


def test_boto3_missing_key_and_bucket(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    with pytest.raises(ClientError) as key:
        s3.get_object(Bucket=bucket.name, Key=f"{bucket.prefix}absent")
    assert code(key) == "NoSuchKey"
    with pytest.raises(ClientError) as no_bucket:
        s3.get_object(Bucket=f"absent-{bucket.name}", Key="x")
    assert code(no_bucket) == "NoSuchBucket"


def test_boto3_listing_pages_and_delimits(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    names = [f"list/{letter}/{number}" for letter in "abc" for number in range(3)] + ["list/top"]
    for name in names:
        s3.put_object(Bucket=bucket.name, Key=bucket.prefix + name, Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket.name, Prefix=f"{bucket.prefix}list/", PaginationConfig={"PageSize": 4}
    )
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    assert keys == sorted(bucket.prefix + name for name in names)
    top = s3.list_objects(Bucket=bucket.name, Prefix=f"{bucket.prefix}list/", Delimiter="/")
    prefixes = [p["Prefix"] for p in top["CommonPrefixes"]]
    assert prefixes == [f"{bucket.prefix}list/{letter}/" for letter in "abc"]
    assert [item["Key"] for item in top["Contents"]] == [f"{bucket.prefix}list/top"]


def test_boto3_copy_and_batch_delete(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    source, target = f"{bucket.prefix}source", f"{bucket.prefix}target"
    s3.put_object(Bucket=bucket.name, Key=source, Body=b"copied", Metadata={"a": "1"})
    s3.copy_object(
        Bucket=bucket.name, Key=target, CopySource={"Bucket": bucket.name, "Key": source}
    )
    got = s3.get_object(Bucket=bucket.name, Key=target)
    assert got["Body"].read() == b"copied"
    assert got["Metadata"] == {"a": "1"}
    done = s3.delete_objects(
        Bucket=bucket.name,
        Delete={"Objects": [{"Key": source}, {"Key": target}, {"Key": "absent"}]},
    )
    assert len(done["Deleted"]) == 3
    assert "Errors" not in done
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket.name, Key=target)


def test_boto3_copy_across_places(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    s3.put_object(Bucket=bucket.name, Key=f"{bucket.prefix}source", Body=b"far" * 10_000)
    source = {"Bucket": bucket.name, "Key": f"{bucket.prefix}source"}
    for target in ("attached-disk", "attached-moto", "attached-inner"):
        key = f"{bucket.prefix or bucket.name + '/'}copy"
        s3.copy_object(Bucket=target, Key=key, CopySource=source)
        assert s3.get_object(Bucket=target, Key=key)["Body"].read() == b"far" * 10_000
