"""From options to targets."""

from __future__ import annotations

from collections.abc import Iterable

from s3proxy.delivery.aws import AwsTarget
from s3proxy.delivery.options import AwsOptions, TargetOptions
from s3proxy.delivery.target import Target
from s3proxy.delivery.webhook import Webhook
from s3proxy.http.client import Client


def open_targets(
    options: Iterable[TargetOptions], client: Client, *, timeout_s: float
) -> dict[str, Target]:
    """The targets by their ARNs.

    Args:
        timeout_s: for one message.
    """
    targets: dict[str, Target] = {}
    for option in options:
        target: Target
        if isinstance(option, AwsOptions):
            target = AwsTarget(option, client, timeout_s=timeout_s)
        else:
            target = Webhook(option, client, timeout_s=timeout_s)
        targets[target.arn] = target
    return targets
