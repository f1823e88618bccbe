"""Queues of SQS and topics of SNS, by the query protocol that both speak.

Source: Amazon SQS API Reference, "SendMessage"; Amazon SNS API Reference, "Publish".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlencode

from s3proxy._fast.sigv4 import derive_signing_key, sign
from s3proxy.delivery.options import TIMEOUT_S, AwsOptions
from s3proxy.delivery.sender import Headers, Sender
from s3proxy.http.client import Client

_SUBJECT = "Amazon S3 Notification"


class AwsTarget:
    """A `Target` (delivery/target.py) whose requests are signed with SigV4."""

    def __init__(
        self,
        options: AwsOptions,
        client: Client,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = options.name
        self.arn = options.arn
        self.region = options.region
        self.kind = "QueueConfiguration" if options.service == "sqs" else "TopicConfiguration"
        self._options = options
        self._clock = clock
        self._sender = Sender(options.url, client, timeout_s)

    async def send(self, message: bytes) -> None:
        """Send one message to the queue, or publish it to the topic."""
        body = urlencode(self._parameters(message.decode())).encode()
        headers = [
            ("Host", self._sender.host),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ]
        await self._sender.post(headers, body, self._signature(headers, body))

    def _parameters(self, message: str) -> dict[str, str]:
        if self._options.service == "sqs":
            return {
                "Action": "SendMessage",
                "Version": "2012-11-05",
                "QueueUrl": self._options.url,
                "MessageBody": message,
            }
        return {
            "Action": "Publish",
            "Version": "2010-03-31",
            "TopicArn": self.arn,
            "Subject": _SUBJECT,
            "Message": message,
        }

    def _signature(self, headers: Headers, body: bytes) -> bytes:
        options, now_s = self._options, int(self._clock())
        date = time.strftime("%Y%m%d", time.gmtime(now_s))
        return sign(
            "POST",
            self._sender.path,
            b"",
            headers,
            sha256(body).hexdigest(),
            key=derive_signing_key(options.secret_key, date, options.region, options.service),
            access_key=options.access_key,
            region=options.region,
            timestamp_s=now_s,
            service=options.service,
        )
