"""The document of a bucket's default encryption."""

import pytest

from s3proxy.s3.bucket_encryption import (
    BucketEncryption,
    bucket_encryption,
    read_bucket_encryption,
)
from tests.s3.heads import raises_s3

DEFAULT = (
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>{}</SSEAlgorithm>{}"
    "</ApplyServerSideEncryptionByDefault>"
)
AES256 = DEFAULT.format("AES256", "")
BLOCKED = "<BlockedEncryptionTypes><EncryptionType>{}</EncryptionType></BlockedEncryptionTypes>"


def document(*rules: str) -> bytes:
    content = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    root = "ServerSideEncryptionConfiguration"
    return f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{root}>'.encode()


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (AES256, BucketEncryption("AES256")),
        (AES256 + "<BucketKeyEnabled>false</BucketKeyEnabled>", BucketEncryption("AES256")),
        (BLOCKED.format("SSE-C"), BucketEncryption("", True)),
        (AES256 + BLOCKED.format("NONE"), BucketEncryption("AES256", False)),
    ],
)
def test_rule_is_read_and_told_again(rule: str, found: BucketEncryption) -> None:
    assert read_bucket_encryption(document(rule)) == found
    assert read_bucket_encryption(bucket_encryption(found)) == found


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"])
def test_key_management_services_are_refused_by_name(algorithm: str) -> None:
    key = "<KMSMasterKeyID>k</KMSMasterKeyID>"
    with raises_s3("NotImplemented") as caught:
        read_bucket_encryption(document(DEFAULT.format(algorithm, key)))
    assert algorithm in caught.value.message


def test_bucket_keys_are_refused_by_name() -> None:
    with raises_s3("NotImplemented") as caught:
        read_bucket_encryption(document(AES256 + "<BucketKeyEnabled>true</BucketKeyEnabled>"))
    assert "BucketKeyEnabled" in caught.value.message


def test_key_id_of_no_service_is_refused() -> None:
    with raises_s3("InvalidArgument"):
        read_bucket_encryption(
            document(DEFAULT.format("AES256", "<KMSMasterKeyID>k</KMSMasterKeyID>"))
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Other/>",
        document(),
        document(""),
        document(AES256, AES256),
        document(AES256 + AES256),
        document(AES256 + "<Unknown/>"),
        document("<ApplyServerSideEncryptionByDefault/>"),
        document(DEFAULT.format("", "")),
        document(DEFAULT.format("aes256", "")),
        document(DEFAULT.format("AES256", "<Unknown/>")),
        document(AES256 + "<BucketKeyEnabled>maybe</BucketKeyEnabled>"),
        document(BLOCKED.format("SSE-S3")),
        document("<BlockedEncryptionTypes/>"),
        document("<BlockedEncryptionTypes><Other>SSE-C</Other></BlockedEncryptionTypes>"),
        b"<ServerSideEncryptionConfiguration><Other/></ServerSideEncryptionConfiguration>",
    ],
)
def test_another_document_is_malformed(body: bytes) -> None:
    with raises_s3("MalformedXML"):
        read_bucket_encryption(body)
