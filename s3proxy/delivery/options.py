"""What the targets of events need to know."""

from typing import Literal

from msgspec import Struct

TIMEOUT_S = 10.0


class WebhookOptions(Struct, frozen=True, kw_only=True):
    """An HTTP endpoint that takes JSON; `secret` signs it."""

    name: str
    url: str
    secret: str

    @property
    def arn(self) -> str:
        """How buckets name it."""
        return webhook_arn(self.name)


class AwsOptions(Struct, frozen=True, kw_only=True):
    """A queue of SQS or a topic of SNS, or of what speaks their query protocol.

    Attributes:
        url: where requests go; for a queue, its own URL.
    """

    name: str
    service: Literal["sqs", "sns"]
    arn: str
    url: str
    region: str
    access_key: str
    secret_key: str


TargetOptions = WebhookOptions | AwsOptions


def webhook_arn(name: str) -> str:
    """The ARN of a webhook, in a partition of our own: it has neither region nor account."""
    return f"arn:s3proxy:webhook:::{name}"
