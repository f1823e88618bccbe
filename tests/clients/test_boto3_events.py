"""Events through SQS and SNS (moto) and a webhook, set up and caused by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.delivery.receivers import Receiver
from tests.faults.wire import wait_until
from tests.gateways import REGION, Gateway
from tests.servers import moto_server

ACCOUNT = "123456789012"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
GONE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:gone"
HOOK = "arn:s3proxy:webhook:::hook"
WAIT_S = 20.0
KEYS = 'access_key = "AK"\nsecret_key = "SK"\n'


class Queue:
    """What a queue of moto has got, as long as it is asked for nothing else."""

    def __init__(self, sqs: Any, name: str) -> None:
        self._sqs = sqs
        self._url = sqs.create_queue(QueueName=name)["QueueUrl"]
        self.bodies: list[Any] = []

    def wait_for(self, count: int) -> list[Any]:
        wait_until(lambda: self._received() >= count, WAIT_S)
        assert self._received() == count
        taken, self.bodies = self.bodies, []
        return taken

    def _received(self) -> int:
        found = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        for message in found.get("Messages", []):
            self.bodies.append(json.loads(message["Body"]))
            handle = message["ReceiptHandle"]
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
        return len(self.bodies)


class Setup:
    """A gateway whose targets are moto's, and a webhook."""

    def __init__(self, gateway: Gateway, moto: str, receiver: Receiver) -> None:
        self.gateway = gateway
        self.receiver = receiver
        self.s3 = gateway.client()
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
        sqs = boto3.client("sqs", endpoint_url=moto, **keys)
        sns = boto3.client("sns", endpoint_url=moto, **keys)
        self.orders = Queue(sqs, "orders")
        self.readers = Queue(sqs, "readers")
        sns.create_topic(Name="news")
        readers = f"arn:aws:sqs:{REGION}:{ACCOUNT}:readers"
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=readers)

    def configure(self, bucket: str, **configurations: Any) -> None:
        self.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configurations
        )


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("events")
    with moto_server() as moto, Receiver() as receiver:
        extra = "".join(
            f'[[event_target]]\nname = "{name}"\ntype = "sqs"\narn = "{arn}"\n'
            f'queue_url = "{moto}/{ACCOUNT}/{name}"\n{KEYS}'
            for name, arn in (("orders", QUEUE), ("gone", GONE))
        )
        extra += (
            f'[[event_target]]\nname = "news"\ntype = "sns"\narn = "{TOPIC}"\n'
            f'endpoint = "{moto}"\n{KEYS}'
            f'[[event_target]]\nname = "hook"\ntype = "webhook"\nurl = "{receiver.url}"\n'
            'secret = "s"\n'
        )
        with Gateway(folder, extra) as gateway:
            yield Setup(gateway, moto, receiver)


def made(setup: Setup, name: str) -> str:
    setup.s3.create_bucket(Bucket=name)
    return name


def test_queue_is_told_of_what_its_rule_asks_for(setup: Setup) -> None:
    bucket = made(setup, "to-queue")
    rule: dict[str, Any] = {
        "Id": "images",
        "QueueArn": QUEUE,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
        "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}]}},
    }
    setup.configure(bucket, QueueConfigurations=[rule])
    (test,) = setup.orders.wait_for(1)
    assert (test["Service"], test["Event"], test["Bucket"]) == (
        *("Amazon S3", "s3:TestEvent", bucket),
    )
    found = setup.s3.get_bucket_notification_configuration(Bucket=bucket)
    assert found["QueueConfigurations"] == [rule]

    etag = setup.s3.put_object(Bucket=bucket, Key="in/a b+ü", Body=b"123")["ETag"]
    setup.s3.put_object(Bucket=bucket, Key="out/a", Body=b"123")
    (message,) = setup.orders.wait_for(1)
    (record,) = message["Records"]
    about = record["s3"]["object"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == REGION
    assert record["requestParameters"]["sourceIPAddress"] == "127.0.0.1"
    assert record["s3"]["configurationId"] == "images"
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    assert unquote_plus(about["key"]) == "in/a b+ü"
    assert (about["size"], about["eTag"]) == (3, etag.strip('"'))
    assert "versionId" not in about

    setup.s3.delete_object(Bucket=bucket, Key="in/a b+ü")
    (message,) = setup.orders.wait_for(1)
    (removed,) = message["Records"]
    assert removed["eventName"] == "ObjectRemoved:Delete"
    assert removed["s3"]["object"]["sequencer"] > about["sequencer"]


def test_topic_passes_events_on(setup: Setup) -> None:
    bucket = made(setup, "to-topic")
    rule = {"TopicArn": TOPIC, "Events": ["s3:ObjectTagging:*"]}
    setup.configure(bucket, TopicConfigurations=[rule])
    setup.s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    setup.s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags)
    test, tagged = setup.readers.wait_for(2)
    assert json.loads(test["Message"])["Event"] == "s3:TestEvent"
    (record,) = json.loads(tagged["Message"])["Records"]
    assert (record["eventName"], record["eventVersion"]) == ("ObjectTagging:Put", "2.3")


def test_webhook_is_told_of_versions(setup: Setup) -> None:
    bucket = made(setup, "to-hook")
    rule = {"QueueArn": HOOK, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    setup.configure(bucket, QueueConfigurations=[rule])
    enabled = {"Status": "Enabled"}
    setup.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    version_id = setup.s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    marker = setup.s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    wait_until(lambda: len(setup.receiver.posts) == 3, WAIT_S)
    put, marked = (post.record for post in setup.receiver.posts[1:])
    assert put["s3"]["object"]["versionId"] == version_id
    assert marked["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert marked["s3"]["object"]["versionId"] == marker


@pytest.mark.parametrize("arn", [GONE, f"{QUEUE}-nobody-configured"])
def test_destination_that_takes_no_test_is_refused(setup: Setup, arn: str) -> None:
    bucket = made(setup, f"refused-{arn[-3:]}")
    rule = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(ClientError) as caught:
        setup.configure(bucket, QueueConfigurations=[rule])
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidArgument"
    assert error["Message"] == "Unable to validate the following destination configurations"
    found = setup.s3.get_bucket_notification_configuration(Bucket=bucket)
    assert "QueueConfigurations" not in found


def test_functions_are_refused_by_name(setup: Setup) -> None:
    bucket = made(setup, "functions")
    function = {
        "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f",
        "Events": ["s3:ObjectCreated:*"],
    }
    with pytest.raises(ClientError) as caught:
        setup.configure(bucket, LambdaFunctionConfigurations=[function])
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
