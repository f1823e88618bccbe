"""boto3 with Signature Version 2, which old clients still know alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY, Gateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("v2"), "[s3]\nsigv2 = true\n") as running:
        yield running


def client(gateway: Gateway, secret_key: str = SECRET_KEY) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=gateway.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=secret_key,
        config=Config(signature_version="s3", s3={"addressing_style": "path"}),
    )


def test_boto3_with_version_two_writes_reads_and_lists(gateway: Gateway) -> None:
    s3 = client(gateway)
    s3.create_bucket(Bucket="old")
    s3.put_object(Bucket="old", Key="a b+c/ä", Body=b"hello", Metadata={"k": "v"})
    got = s3.get_object(Bucket="old", Key="a b+c/ä", ResponseContentType="text/plain; x=1")
    assert (got["Body"].read(), got["ContentType"]) == (b"hello", "text/plain; x=1")
    upload = s3.create_multipart_upload(Bucket="old", Key="parts")["UploadId"]
    named = {"Bucket": "old", "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x" * 100_000)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="old")["Contents"]]
    assert keys == ["a b+c/ä", "parts"]
    gone = s3.delete_objects(Bucket="old", Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == 2


def test_boto3_urls_with_version_two_are_taken_until_they_expire(gateway: Gateway) -> None:
    s3 = client(gateway)
    s3.create_bucket(Bucket="urls")
    named = {"Bucket": "urls", "Key": "k"}
    put = s3.generate_presigned_url("put_object", Params={**named, "ContentType": "text/x"})
    assert httpx.put(put, content=b"body", headers={"Content-Type": "text/x"}).status_code == 200
    assert httpx.get(s3.generate_presigned_url("get_object", Params=named)).content == b"body"
    late = s3.generate_presigned_url("get_object", Params=named, ExpiresIn=-10)
    assert httpx.get(late).status_code == 403
    assert httpx.get(put).status_code == 403


def test_boto3_with_version_two_and_another_secret_is_refused(gateway: Gateway) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(gateway, "another").list_buckets()
