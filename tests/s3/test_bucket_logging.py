import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.bucket_logging import (
    PREFIX_BYTES_MAX,
    BucketLogging,
    Source,
    log_key,
    logging_status,
    read_logging,
)
from tests.s3.documents import parse as as_botocore_reads
from tests.s3.heads import raises_s3

OWNER = "user-1"
SOURCE = Source("user-1", "us-east-1", "www")
NOW_S = 1_700_000_000
DAY = NOW_S // 86_400 - 1
UNIQUE = "E568B2907131C0C0"


def owner_of(bucket: str) -> str:
    return OWNER if bucket == "logs" else "another"


def body(content: str) -> bytes:
    return f"<BucketLoggingStatus>{content}</BucketLoggingStatus>".encode()


def enabled(more: str = "", *, target: str = "logs", prefix: str = "a/") -> bytes:
    return body(
        f"<LoggingEnabled><TargetBucket>{target}</TargetBucket>"
        f"<TargetPrefix>{prefix}</TargetPrefix>{more}</LoggingEnabled>"
    )


def keys(content: str) -> str:
    return f"<TargetObjectKeyFormat>{content}</TargetObjectKeyFormat>"


def partitioned(source: str) -> str:
    inner = f"<PartitionDateSource>{source}</PartitionDateSource>"
    return keys(f"<PartitionedPrefix>{inner}</PartitionedPrefix>")


def grants(permission: str, grantee: str) -> str:
    return (
        f"<TargetGrants><Grant><Grantee><ID>{grantee}</ID></Grantee>"
        f"<Permission>{permission}</Permission></Grant></TargetGrants>"
    )


def test_read_logging_of_the_empty_document_turns_it_off() -> None:
    assert read_logging(body(""), owner_of) is None
    assert as_botocore_reads("GetBucketLogging", logging_status(None)) == {}


@pytest.mark.parametrize(
    ("more", "partition"),
    [
        ("", ""),
        (keys("<SimplePrefix/>"), ""),
        (partitioned("EventTime"), "EventTime"),
        (partitioned("DeliveryTime"), "DeliveryTime"),
        (grants("FULL_CONTROL", OWNER), ""),
    ],
)
def test_read_logging_keeps_target_prefix_and_keys(more: str, partition: str) -> None:
    logging = read_logging(enabled(more), owner_of)
    assert logging == BucketLogging("logs", "a/", partition)  # type: ignore[arg-type]
    assert read_logging(logging_status(logging), owner_of) == logging
    found = as_botocore_reads("GetBucketLogging", logging_status(logging))["LoggingEnabled"]
    assert (found["TargetBucket"], found["TargetPrefix"]) == ("logs", "a/")
    assert list(found["TargetObjectKeyFormat"]) == [
        "PartitionedPrefix" if partition else "SimplePrefix"
    ]


@pytest.mark.parametrize(
    "document",
    [
        body("<Other/>"),
        body("<LoggingEnabled/>"),
        body("<LoggingEnabled><TargetBucket>b</TargetBucket></LoggingEnabled>"),
        enabled("<LoggingType>Journal</LoggingType>"),
        enabled(target=""),
        enabled(partitioned("kaboom")),
        enabled(keys("")),
        enabled(keys("<SimplePrefix/><SimplePrefix/>")),
        enabled("<TargetBucket>b</TargetBucket>"),
        enabled("<TargetGrants><Grant/></TargetGrants>"),
    ],
)
def test_read_logging_of_another_shape_is_refused(document: bytes) -> None:
    with raises_s3("MalformedXML"):
        read_logging(document, owner_of)


def test_read_logging_of_a_long_prefix_is_refused() -> None:
    with raises_s3("InvalidArgument"):
        read_logging(enabled(prefix="a" * (PREFIX_BYTES_MAX + 1)), owner_of)


@pytest.mark.parametrize("more", [grants("READ", OWNER), grants("FULL_CONTROL", "user-2")])
def test_read_logging_of_grants_to_others_is_refused_by_name(more: str) -> None:
    with raises_s3("NotImplemented") as caught:
        read_logging(enabled(more), owner_of)
    assert "TargetGrants" in caught.value.message


@pytest.mark.parametrize(
    ("partition", "key"),
    [
        ("", "a/2023-11-14-22-13-20-E568B2907131C0C0"),
        (
            "DeliveryTime",
            "a/user-1/us-east-1/www/2023/11/14/2023-11-14-22-13-20-E568B2907131C0C0",
        ),
        (
            "EventTime",
            "a/user-1/us-east-1/www/2023/11/13/2023-11-13-00-00-00-E568B2907131C0C0",
        ),
    ],
)
def test_log_key_has_the_form_that_was_chosen(partition: str, key: str) -> None:
    logging = BucketLogging("logs", "a/", partition)  # type: ignore[arg-type]
    assert log_key(logging, SOURCE, DAY, NOW_S, UNIQUE) == key


@given(st.text("ab/ü&<", max_size=9), st.sampled_from(["", "EventTime", "DeliveryTime"]))
def test_logging_status_read_again_is_the_same(prefix: str, partition: str) -> None:
    logging = BucketLogging("logs", prefix, partition)  # type: ignore[arg-type]
    assert read_logging(logging_status(logging), owner_of) == logging
