"""boto3: tags of objects, wherever the bytes of a bucket are."""

import pytest
from botocore.exceptions import ClientError

from tests.clients.conftest import Bucket

pytestmark = pytest.mark.slow
TagSet = list[dict[str, str]]


def tag_set(**tags: str) -> TagSet:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(bucket: Bucket, key: str) -> TagSet:
    found = bucket.gateway.client().get_object_tagging(Bucket=bucket.name, Key=key)
    return sorted(found["TagSet"], key=lambda tag: str(tag["Key"]))


def test_boto3_tags_are_put_read_and_deleted(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    named = {"Bucket": bucket.name, "Key": f"{bucket.prefix}tagged"}
    s3.put_object(**named, Body=b"hello", Tagging="colour=dark%20blue&empty=")
    assert tags_of(bucket, named["Key"]) == tag_set(colour="dark blue", empty="")
    before = s3.head_object(**named)
    s3.put_object_tagging(**named, Tagging={"TagSet": tag_set(ünï="a/b+c=d")})
    assert tags_of(bucket, named["Key"]) == tag_set(ünï="a/b+c=d")
    got = s3.get_object(**named)
    assert (got["TagCount"], got["Body"].read()) == (1, b"hello")
    assert (got["ETag"], got["LastModified"]) == (before["ETag"], before["LastModified"])
    s3.delete_object_tagging(**named)
    assert tags_of(bucket, named["Key"]) == []
    assert "TagCount" not in s3.get_object(**named)


def test_boto3_tags_go_along_with_uploads_and_copies(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    source = {"Bucket": bucket.name, "Key": f"{bucket.prefix}source"}
    started = s3.create_multipart_upload(**source, Tagging="a=1&b=2")
    upload = {**source, "UploadId": started["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x" * 1000)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert tags_of(bucket, source["Key"]) == tag_set(a="1", b="2")
    copy = {"Bucket": bucket.name, "Key": f"{bucket.prefix}copy", "CopySource": source}
    s3.copy_object(**copy)
    assert tags_of(bucket, str(copy["Key"])) == tag_set(a="1", b="2")
    s3.copy_object(**copy, TaggingDirective="REPLACE", Tagging="c=3")
    assert tags_of(bucket, str(copy["Key"])) == tag_set(c="3")


def test_boto3_tags_of_no_object_are_refused(bucket: Bucket) -> None:
    s3 = bucket.gateway.client()
    named = {"Bucket": bucket.name, "Key": f"{bucket.prefix}absent"}
    with pytest.raises(ClientError) as caught:
        s3.put_object_tagging(**named, Tagging={"TagSet": tag_set(a="1")})
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
