"""boto3: encrypted objects in managed buckets, over the wire and over TLS rules."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.faults.wire import ask
from tests.gateways import Gateway, local_backend

KEY, OTHER = os.urandom(32), os.urandom(32)
WITH_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
SOURCE_KEY = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": KEY}
LARGE = os.urandom(300_000)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("encryption")
    extra = local_backend("disk", folder / "blobs") + "[s3]\nsse_c_over_http = true\n"
    with Gateway(folder / "gateway", extra) as gateway:
        gateway.client().create_bucket(Bucket="www")
        yield gateway


@pytest.fixture
def s3(gateway: Gateway) -> Any:
    return gateway.client()


def refused(call: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize("body", [b"", b"small", LARGE], ids=len)
def test_boto3_customer_key(s3: Any, body: bytes) -> None:
    named = {"Bucket": "www", "Key": "customer"}
    put = s3.put_object(**named, Body=body, **WITH_KEY)
    got = s3.get_object(**named, **WITH_KEY)
    assert got["Body"].read() == body
    assert got["SSECustomerAlgorithm"] == put["SSECustomerAlgorithm"] == "AES256"
    assert got["SSECustomerKeyMD5"] == put["SSECustomerKeyMD5"]
    assert s3.head_object(**named, **WITH_KEY)["ContentLength"] == len(body)
    assert refused(s3.get_object, **named) == (400, "InvalidRequest")
    assert refused(s3.head_object, **named) == (400, "400")
    other = WITH_KEY | {"SSECustomerKey": OTHER}
    assert refused(s3.get_object, **named, **other) == (400, "InvalidRequest")
    assert refused(s3.head_object, **named, **other) == (400, "400")


def test_boto3_multipart_ranges_and_copies(s3: Any) -> None:
    named = {"Bucket": "www", "Key": "parts"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named, **WITH_KEY)["UploadId"]}
    pieces = [os.urandom(5 << 20), os.urandom(70_000)]
    parts = []
    for number, piece in enumerate(pieces, 1):
        sent = s3.upload_part(**upload, PartNumber=number, Body=piece, **WITH_KEY)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **WITH_KEY)
    whole = b"".join(pieces)
    span = (5 << 20) - 10
    got = s3.get_object(**named, Range=f"bytes={span}-{span + 100_000}", **WITH_KEY)
    assert got["Body"].read() == whole[span:]
    source = {"CopySource": named, "Bucket": "www"}
    s3.copy_object(**source, Key="copy", ServerSideEncryption="AES256", **SOURCE_KEY)
    got = s3.get_object(Bucket="www", Key="copy")
    assert (got["ServerSideEncryption"], got["Body"].read()) == ("AES256", whole)


def test_boto3_bucket_default(s3: Any) -> None:
    s3.create_bucket(Bucket="default")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket="default", ServerSideEncryptionConfiguration={"Rules": [rule]})
    (told,) = s3.get_bucket_encryption(Bucket="default")["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert told == rule | {"BucketKeyEnabled": False}
    put = s3.put_object(Bucket="default", Key="k", Body=LARGE)
    assert put["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket="default", Key="k")["Body"].read() == LARGE
    rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] = "aws:kms"
    found = refused(
        s3.put_bucket_encryption,
        Bucket="default",
        ServerSideEncryptionConfiguration={"Rules": [rule]},
    )
    assert found == (501, "NotImplemented")


def test_boto3_key_management_service_is_refused(s3: Any) -> None:
    found = refused(
        s3.put_object, Bucket="www", Key="kms", Body=b"x", ServerSideEncryption="aws:kms"
    )
    assert found == (501, "NotImplemented")
    assert refused(s3.get_object, Bucket="www", Key="kms") == (404, "NoSuchKey")


@pytest.mark.parametrize("body", [b"small", LARGE * 2], ids=len)
@pytest.mark.parametrize("kind", ["SSE-S3", "SSE-C"])
def test_browser_form_encrypts_what_it_uploads(
    gateway: Gateway, s3: Any, kind: str, body: bytes
) -> None:
    digest = hashlib.md5(KEY, usedforsecurity=False).digest()
    prefix = "x-amz-server-side-encryption"
    fields = {prefix: "AES256"}
    if kind == "SSE-C":
        prefix += "-customer-"
        fields = {prefix + "algorithm": "AES256", prefix + "key": b64encode(KEY).decode()}
        fields[prefix + "key-MD5"] = b64encode(digest).decode()
    signed = gateway.client(signature_version="s3v4").generate_presigned_post(
        "www", "form", Fields=fields, Conditions=[{name: fields[name]} for name in fields]
    )
    answer = httpx.post(signed["url"], data=signed["fields"], files={"file": ("a", body)})
    assert answer.status_code == 204, answer.text
    got = s3.get_object(Bucket="www", Key="form", **(WITH_KEY if kind == "SSE-C" else {}))
    assert got["Body"].read() == body
    assert got["ServerSideEncryption" if kind == "SSE-S3" else "SSECustomerAlgorithm"] == "AES256"


def test_damage_far_into_an_object_ends_the_connection(gateway: Gateway, s3: Any) -> None:
    body = os.urandom(3_000_000)
    s3.create_bucket(Bucket="damaged")
    blobs = gateway.folder.parent / "blobs"
    before = set(blobs.rglob("*"))
    s3.put_object(Bucket="damaged", Key="k", Body=body, ServerSideEncryption="AES256")
    (blob,) = (path for path in set(blobs.rglob("*")) - before if path.is_file())
    flip(blob, 2_500_000)
    got = s3.get_object(Bucket="damaged", Key="k", Range="bytes=0-2000000")
    assert got["Body"].read() == body[:2_000_001]
    with pytest.raises(Exception, match=r"(?i)broken|incomplete|reset"):
        s3.get_object(Bucket="damaged", Key="k")["Body"].read()
    flip(blob, 10)
    answer = ask(gateway, "GET", "/damaged/k")
    assert (answer.status, answer.code) == (500, "InternalError")


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))
