"""Targets as the configuration names them."""

from s3proxy.config import Config, EventsConfig, SnsTargetConfig, SqsTargetConfig
from s3proxy.config import WebhookTargetConfig as Hook
from s3proxy.delivery.aws import AwsTarget
from s3proxy.delivery.webhook import Webhook
from s3proxy.event_targets import targets_of
from tests.delivery.clients import open_client

QUEUE = "arn:aws:sqs:eu-north-1:123456789012:orders"
TOPIC = "arn:aws:sns:eu-north-1:123456789012:news"
KEYS = {"access_key": "AK", "secret_key": "SK"}


async def test_targets_of_every_type_by_their_arns() -> None:
    config = Config(
        events=EventsConfig(timeout_s=3),
        event_target=(
            Hook(name="hook", url="http://h/x", secret="s"),
            SqsTargetConfig(name="orders", arn=QUEUE, queue_url="http://h/1/orders", **KEYS),
            SnsTargetConfig(name="news", arn=TOPIC, endpoint="http://h", region="r", **KEYS),
        ),
    )
    async with open_client() as client:
        targets = targets_of(config, client)
    assert list(targets) == ["arn:s3proxy:webhook:::hook", QUEUE, TOPIC]
    hook, orders, news = targets.values()
    assert isinstance(hook, Webhook)
    assert isinstance(orders, AwsTarget)
    assert isinstance(news, AwsTarget)
    assert (orders.kind, news.kind) == ("QueueConfiguration", "TopicConfiguration")
    assert (orders.region, news.region) == ("eu-north-1", "r")
