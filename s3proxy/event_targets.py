"""From the configuration to whom events are delivered, and the workers that do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from s3proxy.catalog.catalog import Catalog
from s3proxy.config import Config, EventTargetConfig, SnsTargetConfig, SqsTargetConfig
from s3proxy.delivery.options import AwsOptions, TargetOptions, WebhookOptions
from s3proxy.delivery.registry import open_targets
from s3proxy.delivery.target import Target
from s3proxy.http.client import Client
from s3proxy.workers.deliver import Deliverer, DeliveryLimits, UnclaimedEvents

_REGION_OF_ARN = 3


def targets_of(config: Config, client: Client) -> dict[str, Target]:
    """The configured targets, by ARN."""
    options = [_options(target) for target in config.event_target]
    return open_targets(options, client, timeout_s=config.events.timeout_s)


def delivery_workers(
    catalog: Catalog, targets: Mapping[str, Target], config: Config
) -> tuple[list[Deliverer], UnclaimedEvents]:
    """One worker for each target, and one for the events of targets that were configured once."""
    events = config.events
    limits = DeliveryLimits(
        age_s_max=events.age_s_max,
        tries_max=events.tries_max,
        pending_max=events.pending_max,
        dead_letters_max=events.dead_letters_max,
    )
    deliverers = [Deliverer(catalog, target, limits) for target in targets.values()]
    return deliverers, UnclaimedEvents(catalog, targets, limits)


def _options(target: EventTargetConfig) -> TargetOptions:
    if isinstance(target, SqsTargetConfig):
        return _aws_options(target, "sqs", target.queue_url)
    if isinstance(target, SnsTargetConfig):
        return _aws_options(target, "sns", target.endpoint.rstrip("/") + "/")
    return WebhookOptions(name=target.name, url=target.url, secret=target.secret)


def _aws_options(
    target: SqsTargetConfig | SnsTargetConfig, service: Literal["sqs", "sns"], url: str
) -> AwsOptions:
    return AwsOptions(
        name=target.name,
        service=service,
        arn=target.arn,
        url=url,
        region=target.region or target.arn.split(":")[_REGION_OF_ARN],
        access_key=target.access_key,
        secret_key=target.secret_key,
    )
