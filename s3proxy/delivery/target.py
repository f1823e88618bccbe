"""What a target of events is, and what can go wrong with one.

DeliveryError
  Refused         the target has read the message and does not want this one
  Unavailable     no answer, or one that is not about the message: the same may go well later
"""

# ruff: noqa: N818 - named for what happened

from typing import Protocol


class DeliveryError(Exception):
    """A message was not delivered; `hint` says why, for an operator."""

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


class Refused(DeliveryError):
    """The target does not want this message."""


class Unavailable(DeliveryError):
    """The target cannot be reached, does not answer in time, or takes nothing at present."""


class Target(Protocol):
    """One queue, topic or webhook.

    Attributes:
        name: the operator's.
        arn: how buckets' configurations name it.
        kind: of configuration that may name it, QueueConfiguration or TopicConfiguration.
    """

    name: str
    arn: str
    kind: str

    async def send(self, message: bytes) -> None:
        """Deliver one JSON document; when it returns, the target has it.

        Cancelled: the target may have it or not.

        Raises:
            DeliveryError: it may all the same have it, where its answer was lost.
        """
