"""Queues and topics: the requests as botocore would sign them, and real ones to moto."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3proxy.delivery.aws import AwsTarget
from s3proxy.delivery.options import AwsOptions
from s3proxy.delivery.registry import open_targets
from s3proxy.delivery.target import Unavailable
from tests.delivery.clients import open_client
from tests.delivery.receivers import Receiver
from tests.servers import moto_server

KEYS = {"access_key": "AKIDEXAMPLE", "secret_key": "wJalrXUtnFEMI"}
MESSAGE = '{"Records":[{"key":"a+b/%C3%BC"}],"text":"ü & = %"}'.encode()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


def client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


@asynccontextmanager
async def open_target(**fields: str) -> AsyncIterator[AwsTarget]:
    options: Any = {"name": "orders", "region": "eu-west-1", **KEYS, **fields}
    async with open_client() as client:
        target = open_targets([AwsOptions(**options)], client, timeout_s=10.0)[fields["arn"]]
        assert isinstance(target, AwsTarget)
        yield target


async def test_queue_gets_the_message_as_it_is(moto: str) -> None:
    sqs = client("sqs", moto)
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = "arn:aws:sqs:eu-west-1:123456789012:orders"
    async with open_target(service="sqs", arn=arn, url=url) as target:
        assert target.kind == "QueueConfiguration"
        await target.send(MESSAGE)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"].encode() == MESSAGE


async def test_queue_that_is_not_there_is_unavailable(moto: str) -> None:
    arn = "arn:aws:sqs:eu-west-1:123456789012:absent"
    async with open_target(service="sqs", arn=arn, url=f"{moto}/123456789012/absent") as target:
        with pytest.raises(Unavailable, match="answered"):
            await target.send(MESSAGE)


async def test_topic_passes_the_message_on_to_its_subscribers(moto: str) -> None:
    sns, sqs = client("sns", moto), client("sqs", moto)
    arn = sns.create_topic(Name="news")["TopicArn"]
    url = sqs.create_queue(QueueName="readers")["QueueUrl"]
    queue_arn = "arn:aws:sqs:eu-west-1:123456789012:readers"
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    async with open_target(service="sns", arn=arn, url=moto) as target:
        assert target.kind == "TopicConfiguration"
        await target.send(MESSAGE)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    envelope = json.loads(message["Body"])
    assert (envelope["TopicArn"], envelope["Message"].encode()) == (arn, MESSAGE)
    assert envelope["Subject"] == "Amazon S3 Notification"


@pytest.mark.parametrize("service", ["sqs", "sns"])
async def test_target_signs_as_botocore_does(service: str) -> None:
    arn = f"arn:aws:{service}:eu-west-1:123456789012:orders"
    with Receiver() as receiver:
        url = receiver.url.partition("?")[0]
        async with open_target(service=service, arn=arn, url=url) as target:
            await target.send(MESSAGE)
    (post,) = receiver.posts
    names = ("host", "content-type", "x-amz-content-sha256", "x-amz-date")
    request = AWSRequest("POST", url, {name: post.headers[name] for name in names}, post.body)
    request.context["timestamp"] = post.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(KEYS["access_key"], KEYS["secret_key"]), service, "eu-west-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    scope = f"AKIDEXAMPLE/{post.headers['x-amz-date'][:8]}/eu-west-1/{service}/aws4_request"
    assert f"Credential={scope}" in post.headers["authorization"]
    assert post.headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")
