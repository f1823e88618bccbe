"""Webhooks: events as signed HTTP posts.

The signature is HMAC-SHA256, keyed with the secret, over the time in seconds, a dot and the body:

    X-S3proxy-Timestamp: 1700000000
    X-S3proxy-Signature: v1=<64 hex digits>

A receiver computes it anew over the body as it came, compares in constant time, and refuses a time
that is minutes away from its own.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from s3proxy.delivery.options import TIMEOUT_S, WebhookOptions
from s3proxy.delivery.sender import Sender
from s3proxy.http.client import Client


class Webhook:
    """A `Target` (delivery/target.py) that takes posts of JSON."""

    kind = "QueueConfiguration"

    def __init__(
        self,
        options: WebhookOptions,
        client: Client,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = options.name
        self.arn = options.arn
        self._secret = options.secret.encode()
        self._clock = clock
        self._sender = Sender(options.url, client, timeout_s)

    async def send(self, message: bytes) -> None:
        """Post one document; any 2xx means that it was taken."""
        timestamp = str(int(self._clock()))
        headers = [
            ("Host", self._sender.host),
            ("Content-Type", "application/json"),
            ("User-Agent", "s3proxy"),
            ("X-S3proxy-Timestamp", timestamp),
            ("X-S3proxy-Signature", "v1=" + signature(self._secret, timestamp, message)),
        ]
        await self._sender.post(headers, message)


def signature(secret: bytes, timestamp: str, message: bytes) -> str:
    """What proves to a receiver that a message comes from who has the secret, and when."""
    return hmac.digest(secret, timestamp.encode() + b"." + message, "sha256").hex()
