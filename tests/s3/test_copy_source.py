import pytest

from s3proxy.s3.copy_source import CopySource, parse_copy_source
from tests.s3.heads import head_of, raises_s3


def parse(value: str) -> CopySource:
    headers = [("Host", "h"), ("x-amz-copy-source", value)]
    return parse_copy_source(head_of("PUT", "/b/k", headers))


@pytest.mark.parametrize(
    ("value", "bucket", "key"),
    [
        ("bucket/key", "bucket", "key"),
        ("/bucket/key", "bucket", "key"),
        ("bucket/a/b//c", "bucket", "a/b//c"),
        ("bucket%2Fkey", "bucket", "key"),
        ("/bucket/a%20b%2Bc+d", "bucket", "a b+c+d"),
        ("/bucket/%C3%A4", "bucket", "ä"),
        ("bucket/ä".encode().decode("latin-1"), "bucket", "ä"),
        ("bucket/a%3Fb", "bucket", "a?b"),
        ("bucket//key", "bucket", "/key"),
    ],
)
def test_parse_copy_source_finds_bucket_and_key(value: str, bucket: str, key: str) -> None:
    assert parse(value) == CopySource(bucket, key)


@pytest.mark.parametrize(
    "value", ["", "/", "bucket", "bucket/", "/bucket/", "b/k", "bu cket/k", "bucket/%ff", "b%zz/k"]
)
def test_parse_copy_source_otherwise_is_invalid(value: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        parse(value)
    assert caught.value.fields == {"ArgumentName": "x-amz-copy-source", "ArgumentValue": value}


@pytest.mark.parametrize("version_id", ["null", "v" * 32, "of-another-form"])
def test_parse_copy_source_may_name_a_version(version_id: str) -> None:
    assert parse(f"bucket/key?versionId={version_id}") == CopySource("bucket", "key", version_id)


def test_parse_copy_source_of_an_empty_version_is_invalid() -> None:
    with raises_s3("InvalidArgument"):
        parse("bucket/key?versionId=")


def test_parse_copy_source_by_arn_is_not_implemented() -> None:
    with raises_s3("NotImplemented"):
        parse("arn:aws:s3:us-west-2:123456789012:accesspoint/my-access-point/object/key")


def test_parse_copy_source_of_a_long_key_is_too_long() -> None:
    with raises_s3("KeyTooLongError"):
        parse("bucket/" + "k" * 1025)
