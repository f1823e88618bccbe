"""Webhooks against a real receiver: what it gets, and what each of its answers means."""

import hashlib
import hmac
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from s3proxy.delivery.options import WebhookOptions
from s3proxy.delivery.target import Refused, Unavailable
from s3proxy.delivery.webhook import Webhook
from tests.delivery.clients import open_client
from tests.delivery.receivers import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@asynccontextmanager
async def open_webhook(url: str, timeout_s: float = 5.0) -> AsyncIterator[Webhook]:
    options = WebhookOptions(name="hook", url=url, secret="s3cret")
    async with open_client() as client:
        yield Webhook(options, client, timeout_s=timeout_s, clock=lambda: 1_700_000_000.9)


async def test_webhook_send_posts_signed_json(receiver: Receiver) -> None:
    async with open_webhook(receiver.url) as webhook:
        assert webhook.arn == "arn:s3proxy:webhook:::hook"
        await webhook.send(b'{"a":1}')
        await webhook.send(b'{"a":2}')
    first, second = receiver.posts
    assert (first.body, second.body) == (b'{"a":1}', b'{"a":2}')
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-s3proxy-timestamp"] == "1700000000"
    expected = hmac.new(b"s3cret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert first.headers["x-s3proxy-signature"] == f"v1={expected}"
    assert first.headers["x-s3proxy-signature"] != second.headers["x-s3proxy-signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_webhook_any_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.answering = lambda body: status
    async with open_webhook(receiver.url) as webhook:
        await webhook.send(b"{}")
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_webhook_refusal_of_the_message_is_told(receiver: Receiver, status: int) -> None:
    receiver.answering = lambda body: status
    async with open_webhook(receiver.url) as webhook:
        with pytest.raises(Refused, match=f"answered {status}: ok"):
            await webhook.send(b"{}")


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 429, 500, 502, 503, 504, None])
async def test_webhook_answer_about_anything_else_may_pass(
    receiver: Receiver, status: int | None
) -> None:
    receiver.answering = lambda body: status
    async with open_webhook(receiver.url) as webhook:
        with pytest.raises(Unavailable):
            await webhook.send(b"{}")


async def test_webhook_that_does_not_answer_is_given_up_in_time(receiver: Receiver) -> None:
    wait = threading.Event()

    def answering(body: bytes) -> int:
        wait.wait(10)
        return 200

    receiver.answering = answering
    async with open_webhook(receiver.url, timeout_s=0.05) as webhook:
        with pytest.raises(Unavailable, match="no answer within"):
            await webhook.send(b"{}")
    wait.set()


async def test_webhook_nobody_listens_is_unavailable(receiver: Receiver) -> None:
    receiver.kill()
    async with open_webhook(receiver.url) as webhook:
        with pytest.raises(Unavailable):
            await webhook.send(b"{}")


async def test_webhook_endless_answer_is_cut() -> None:
    async def pour(stream: trio.SocketStream) -> None:
        head = b"HTTP/1.1 500 Broken\r\nContent-Length: 99999999999\r\n\r\n"
        try:
            await stream.send_all(head)
            while True:
                await stream.send_all(b"x" * 65536)
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, pour, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        async with open_webhook(f"http://127.0.0.1:{port}/") as webhook:
            with pytest.raises(Unavailable) as caught:
                await webhook.send(b"{}")
        assert len(caught.value.hint) < 400
        nursery.cancel_scope.cancel()
