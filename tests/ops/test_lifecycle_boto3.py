"""Lifecycle rules, storage classes, inventory and settled configurations, as boto3 sees them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.faults.wire import wait_until
from tests.gateways import Gateway, local_backend

RULES: list[dict[str, Any]] = [
    {
        "ID": "everything",
        "Status": "Enabled",
        "Filter": {
            "And": {
                "Prefix": "logs/",
                "Tags": [{"Key": "k", "Value": "v"}],
                "ObjectSizeGreaterThan": 1,
                "ObjectSizeLessThan": 100,
            }
        },
        "Expiration": {"Days": 60},
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER_IR"}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9, "NewerNoncurrentVersions": 3},
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 2, "StorageClass": "GLACIER_IR"}],
    },
    {
        "ID": "uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    {
        "ID": "short",
        "Status": "Enabled",
        "Filter": {"Prefix": "short/"},
        "Expiration": {"Days": 1},
    },
]
PAST = [
    {
        "ID": "past",
        "Status": "Enabled",
        "Filter": {"Prefix": "past/"},
        "Expiration": {"Date": datetime(2020, 1, 1, tzinfo=UTC)},
    }
]


def config(directory: Path) -> str:
    return (
        local_backend("disk", directory / "blobs")
        + local_backend("cold", directory / "cold")
        + '[[storage_class]]\nname = "GLACIER_IR"\nbackend = "cold"\n'
    )


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.client]:
    directory = tmp_path_factory.mktemp("gateway")
    with Gateway(directory / "gateway", config(directory)) as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www")
        yield client


def test_rules_come_back_as_they_were_put(s3: boto3.client) -> None:
    put = {"Bucket": "www", "LifecycleConfiguration": {"Rules": RULES}}
    answer = s3.put_bucket_lifecycle_configuration(
        TransitionDefaultMinimumObjectSize="varies_by_storage_class", **put
    )
    assert answer["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    found = s3.get_bucket_lifecycle_configuration(Bucket="www")
    assert found["Rules"] == RULES
    assert found["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"

    written = s3.put_object(Bucket="www", Key="short/k", Body=b"1")
    assert 'rule-id="short"' in written["Expiration"]
    assert s3.head_object(Bucket="www", Key="short/k")["Expiration"] == written["Expiration"]
    upload = s3.create_multipart_upload(Bucket="www", Key="k")
    assert upload["AbortRuleId"] == "uploads"
    now = datetime.now(UTC)
    assert timedelta(days=7) <= upload["AbortDate"] - now <= timedelta(days=8)
    named = {"Bucket": "www", "Key": "k", "UploadId": upload["UploadId"]}
    assert s3.list_parts(**named)["AbortDate"] == upload["AbortDate"]
    s3.abort_multipart_upload(**named)

    s3.delete_bucket_lifecycle(Bucket="www")
    get = s3.get_bucket_lifecycle_configuration
    assert code_of(lambda: get(Bucket="www")) == "NoSuchLifecycleConfiguration"
    bad = [{**RULES[2], "Expiration": {"Days": 0}}]
    put = {"Bucket": "www", "LifecycleConfiguration": {"Rules": bad}}
    assert code_of(lambda: s3.put_bucket_lifecycle_configuration(**put)) == "InvalidArgument"


def test_storage_class_is_kept_and_told(s3: boto3.client) -> None:
    s3.put_object(Bucket="www", Key="cold", Body=b"1" * 50_000, StorageClass="GLACIER_IR")
    assert s3.head_object(Bucket="www", Key="cold")["StorageClass"] == "GLACIER_IR"
    assert s3.get_object(Bucket="www", Key="cold")["Body"].read() == b"1" * 50_000
    attributes = s3.get_object_attributes(
        Bucket="www", Key="cold", ObjectAttributes=["StorageClass"]
    )
    assert attributes["StorageClass"] == "GLACIER_IR"
    put = {"Bucket": "www", "Key": "deep", "Body": b"1", "StorageClass": "DEEP_ARCHIVE"}
    assert code_of(lambda: s3.put_object(**put)) == "InvalidStorageClass"


def test_inventory_configurations_come_back_as_they_were_put(s3: boto3.client) -> None:
    wanted = {
        "Destination": {
            "S3BucketDestination": {
                "Bucket": "arn:aws:s3:::www",
                "Format": "CSV",
                "Prefix": "inventory",
                "Encryption": {"SSES3": {}},
            }
        },
        "IsEnabled": False,
        "Filter": {"Prefix": "logs/"},
        "Id": "weekly",
        "IncludedObjectVersions": "All",
        "OptionalFields": ["Size", "ETag", "StorageClass"],
        "Schedule": {"Frequency": "Weekly"},
    }
    named = {"Bucket": "www", "Id": "weekly"}
    s3.put_bucket_inventory_configuration(InventoryConfiguration=wanted, **named)
    found = s3.get_bucket_inventory_configuration(**named)
    assert found["InventoryConfiguration"] == wanted
    listed = s3.list_bucket_inventory_configurations(Bucket="www")
    assert (listed["InventoryConfigurationList"], listed["IsTruncated"]) == ([wanted], False)
    s3.delete_bucket_inventory_configuration(**named)
    get = s3.get_bucket_inventory_configuration
    assert code_of(lambda: get(**named)) == "NoSuchConfiguration"


def test_settled_configurations_are_told(s3: boto3.client) -> None:
    assert s3.get_bucket_request_payment(Bucket="www")["Payer"] == "BucketOwner"
    payer = {"Payer": "BucketOwner"}
    s3.put_bucket_request_payment(Bucket="www", RequestPaymentConfiguration=payer)
    put = {"Bucket": "www", "RequestPaymentConfiguration": {"Payer": "Requester"}}
    assert code_of(lambda: s3.put_bucket_request_payment(**put)) == "NotImplemented"
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket="www")
    suspended = {"Status": "Suspended"}
    s3.put_bucket_accelerate_configuration(Bucket="www", AccelerateConfiguration=suspended)
    assert s3.get_bucket_accelerate_configuration(Bucket="www")["Status"] == "Suspended"
    for kind in ("analytics", "metrics", "intelligent_tiering"):
        listed = getattr(s3, f"list_bucket_{kind}_configurations")(Bucket="www")
        assert listed["IsTruncated"] is False
        get = getattr(s3, f"get_bucket_{kind}_configuration")
        absent = {"Bucket": "www", "Id": "1"}
        assert code_of(lambda get=get, absent=absent: get(**absent)) == "NoSuchConfiguration"
    get = s3.get_bucket_replication
    assert code_of(lambda: get(Bucket="www")) == "ReplicationConfigurationNotFoundError"


def test_a_gateway_that_starts_carries_out_rules_and_writes_reports(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway", config(tmp_path)) as gateway:
        s3 = gateway.client()
        for bucket in ("www", "reports"):
            s3.create_bucket(Bucket=bucket)
        for key in ("past/1", "kept"):
            s3.put_object(Bucket="www", Key=key, Body=b"1")
        s3.put_bucket_lifecycle_configuration(Bucket="www", LifecycleConfiguration={"Rules": PAST})
        report = {
            "Destination": {
                "S3BucketDestination": {"Bucket": "arn:aws:s3:::reports", "Format": "CSV"}
            },
            "IsEnabled": True,
            "Id": "daily",
            "IncludedObjectVersions": "Current",
            "Schedule": {"Frequency": "Daily"},
        }
        s3.put_bucket_inventory_configuration(
            Bucket="www", Id="daily", InventoryConfiguration=report
        )
    with Gateway(tmp_path / "gateway", config(tmp_path)) as gateway:
        s3 = gateway.client()

        def keys(bucket: str) -> list[str]:
            return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

        wait_until(lambda: keys("www") == ["kept"])
        wait_until(lambda: any(key.endswith("manifest.checksum") for key in keys("reports")))
        (name,) = (key for key in keys("reports") if key.endswith("manifest.json"))
        manifest = json.loads(s3.get_object(Bucket="reports", Key=name)["Body"].read())
        assert manifest["sourceBucket"] == "www"
        assert len(manifest["files"]) == 1
