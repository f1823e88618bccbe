import pytest

from s3proxy.s3.names import (
    check_bucket_name,
    check_key,
    check_version_id,
    is_addressable_bucket,
    no_such_version,
)
from tests.s3.heads import raises_s3


@pytest.mark.parametrize("name", ["abc", "a-b", "1.2", "my.bucket-1", "a" * 63, "a1b2c3"])
def test_check_bucket_name_of_a_good_one_passes(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "a" * 64, "Abc", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b", "a.-b", "a-.b"),
        *("192.168.0.1", "xn--abc", "sthree-abc", "abc-s3alias", "abc--ol-s3", "abc.mrap"),
        *("abc--x-s3", "a b", "ä-bucket", "abc\n", "a/b"),
    ],
)
def test_check_bucket_name_of_a_bad_one_is_invalid_bucket_name(name: str) -> None:
    with raises_s3("InvalidBucketName") as caught:
        check_bucket_name(name)
    assert caught.value.fields == {"BucketName": name}


@pytest.mark.parametrize(
    ("name", "addressable"),
    [("abc", True), ("Old_Bucket", True), ("ab", False), ("a" * 256, False), ("a b", False)],
)
def test_is_addressable_bucket_is_wider_than_creatable(name: str, addressable: bool) -> None:
    assert is_addressable_bucket(name) is addressable


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "/",
        "a//b",
        "../..",
        "a/",
        "\x01",
        "\x00",
        "ä" * 512,
        "😀" * 256,
        "k" * 1024,
        " ",
        "a/b",
    ],
)
def test_check_key_of_up_to_1024_bytes_passes(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    ("key", "size"), [("k" * 1025, 1025), ("ä" * 513, 1026), ("😀" * 257, 1028)]
)
def test_check_key_of_more_bytes_is_too_long(key: str, size: int) -> None:
    with raises_s3("KeyTooLongError") as caught:
        check_key(key)
    assert caught.value.fields == {"Size": str(size), "MaxSizeAllowed": "1024"}


def test_check_key_of_an_empty_one_must_be_specified() -> None:
    with raises_s3("UserKeyMustBeSpecified"):
        check_key("")


def test_check_version_id_null_is_the_object_itself() -> None:
    check_version_id("null")


@pytest.mark.parametrize("version_id", ["", "a b", "\xe9", "a\n", "a" * 1025])
def test_check_version_id_of_another_form_is_invalid(version_id: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        check_version_id(version_id)
    assert caught.value.fields == {"ArgumentName": "versionId", "ArgumentValue": version_id}


@pytest.mark.parametrize("version_id", ["3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH", "null"])
def test_no_such_version_of_the_right_form(version_id: str) -> None:
    error = no_such_version("k", version_id)
    assert (error.code, error.fields) == ("NoSuchVersion", {"Key": "k", "VersionId": version_id})


@pytest.mark.parametrize("version_id", ["1", "NULL", "a" * 31, "a" * 33, "!" * 32])
def test_no_such_version_of_another_form_is_an_invalid_argument(version_id: str) -> None:
    assert no_such_version("k", version_id).code == "InvalidArgument"
