"""Events while receivers and the gateway die: all arrive, and none before an earlier of its key."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest
import trio
from botocore.exceptions import BotoCoreError, ClientError

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.outbox import Announcer
from s3proxy.delivery.options import WebhookOptions
from s3proxy.delivery.webhook import Webhook
from s3proxy.s3.events import Cause
from s3proxy.s3.notification import Notification, Rule
from s3proxy.workers.deliver import Deliverer, DeliveryLimits
from s3proxy.workers.worker import Supervised
from tests.catalog.catalogs import bucket_record, object_record, open_catalog
from tests.delivery.clients import open_client
from tests.delivery.receivers import Received, Receiver
from tests.faults.wire import wait_until
from tests.gateways import Gateway

ARN = "arn:s3proxy:webhook:::hook"
SECRET = "of-the-webhook"
WRITERS = 64
CLIENTS = 4
DOWN_S = 0.3
EVERY_S_MAX = 1200.0


def about(post: Received) -> tuple[str, str, str]:
    """Key, sequencer and ETag of an event."""
    found = post.record["s3"]["object"]
    return unquote_plus(found["key"]), found["sequencer"], found["eTag"]


def in_order_of_arrival(posts: list[Received]) -> dict[str, list[tuple[str, str]]]:
    """(sequencer, ETag) by key, each once, as they came first."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    seen = set()
    for post in posts:
        key, sequencer, etag = about(post)
        if (key, sequencer) not in seen:
            seen.add((key, sequencer))
            found[key].append((sequencer, etag))
    return found


class Puts:
    """Objects put into a catalog as fast as it takes them."""

    def __init__(self, catalog: Catalog, count: int) -> None:
        self.catalog = catalog
        self.count = count
        self.done = 0

    async def run(self) -> None:
        bucket = await self.catalog.create_bucket(bucket_record())
        rule = Rule("QueueConfiguration", "all", ARN, ("s3:ObjectCreated:*",))
        announcer = Announcer(
            bucket,
            Notification([rule]),
            Cause("AWS:user", "192.0.2.7"),
            time_ns=time.time_ns(),
            name="ObjectCreated:Put",
        )

        async def write(number: int) -> None:
            # A key has one writer, whose puts follow each other.
            for turn in range(number, self.count, WRITERS):
                key = f"{number}/{turn % 5}"
                record = object_record(etag=str(turn))
                await self.catalog.put_object(bucket, key, record, announcer=announcer)
                self.done += 1

        async with trio.open_nursery() as nursery:
            for number in range(WRITERS):
                nursery.start_soon(write, number)


async def die_twice(receiver: Receiver, count: int) -> None:
    """Kill the receiver when a third, and two thirds, have arrived; each time for a moment."""
    for share in (1, 2):
        while len(receiver.posts) < count * share // 3:  # noqa: ASYNC110 - it fills from threads
            await trio.sleep(0.01)
        await trio.to_thread.run_sync(receiver.kill)
        await trio.sleep(DOWN_S)
        await trio.to_thread.run_sync(receiver.start)


async def deliver_all(folder: Path, receiver: Receiver, count: int) -> None:
    limits = DeliveryLimits(age_s_max=EVERY_S_MAX)
    options = WebhookOptions(name="hook", url=receiver.url, secret=SECRET)
    async with open_catalog(folder) as catalog, open_client() as client:
        worker = Deliverer(catalog, Webhook(options, client), limits)
        puts = Puts(catalog, count)
        empty = trio.Event()

        def look() -> None:
            if puts.done == count and not catalog.pending_events(ARN, 0, 1):
                empty.set()

        catalog.engine.on_change(look)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Supervised(worker).run)
            nursery.start_soon(puts.run)
            nursery.start_soon(die_twice, receiver, count)
            with trio.fail_after(EVERY_S_MAX):
                await empty.wait()
            nursery.cancel_scope.cancel()
        assert catalog.dead_events(ARN) == []


def check_all_arrived_in_order(posts: list[Received], count: int) -> None:
    last: dict[str, str] = {}
    for post in posts:
        key, sequencer, _ = about(post)
        # An event whose answer was lost may come twice, but never after its successor.
        assert sequencer >= last.get(key, "")
        last[key] = sequencer
    found = in_order_of_arrival(posts)
    assert sum(len(events) for events in found.values()) == count
    for events in found.values():
        turns = [int(etag) for _, etag in events]
        assert turns == sorted(turns)


def put_and_deliver(folder: Path, count: int) -> None:
    with Receiver() as receiver:
        trio.run(deliver_all, folder, receiver, count)
        check_all_arrived_in_order(receiver.posts, count)


@pytest.mark.slow
def test_events_of_3000_puts_arrive_though_the_receiver_dies_twice(tmp_path: Path) -> None:
    put_and_deliver(tmp_path, 3000)


@pytest.mark.soak
def test_events_of_100000_puts_arrive_though_the_receiver_dies_twice(tmp_path: Path) -> None:
    put_and_deliver(tmp_path, 100_000)


class Client(threading.Thread):
    """Puts objects over HTTP, again where it got no answer.

    Attributes:
        acknowledged: ETags by key, in order.
    """

    def __init__(self, gateway: Gateway, number: int, count: int) -> None:
        super().__init__()
        self._s3: Any = gateway.client(retries={"max_attempts": 0})
        self._number = number
        self._count = count
        self.acknowledged: dict[str, list[str]] = defaultdict(list)

    @property
    def done(self) -> int:
        return sum(len(etags) for etags in self.acknowledged.values())

    def run(self) -> None:
        turn = 0
        while self.done < self._count:
            turn += 1
            key = f"{self._number} ü/{turn % 3}"
            body = f"{self._number} {turn}".encode()
            try:
                self._s3.put_object(Bucket="www", Key=key, Body=body)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
                continue
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            self.acknowledged[key].append(etag)
        self._s3.close()


def webhook(receiver: Receiver) -> str:
    return (
        f'[[event_target]]\nname = "hook"\ntype = "webhook"\nurl = "{receiver.url}"\n'
        f'secret = "{SECRET}"\n'
    )


def configure(gateway: Gateway) -> None:
    s3 = gateway.client()
    s3.create_bucket(Bucket="www")
    rule = {"Id": "all", "QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="www", NotificationConfiguration={"QueueConfigurations": [rule]}
    )
    assert s3.get_bucket_notification_configuration(Bucket="www")["QueueConfigurations"] == [rule]
    s3.close()


@contextlib.contextmanager
def clients_of(gateway: Gateway, count: int) -> Iterator[list[Client]]:
    clients = [Client(gateway, number, count // CLIENTS) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.join(EVERY_S_MAX)
            assert not client.is_alive()


def die_over_http(folder: Path, count: int) -> None:
    """Put over HTTP while the receiver dies twice and the gateway is killed in between."""
    chance = random.Random(count)
    with Receiver() as receiver, contextlib.ExitStack() as stack:
        gateway = Gateway(folder, webhook(receiver)).start()
        stack.callback(gateway.stop)
        configure(gateway)
        (test,) = receiver.posts
        assert b"s3:TestEvent" in test.body
        with clients_of(gateway, count) as clients:

            def written() -> int:
                return sum(client.done for client in clients)

            wait_until(lambda: written() > count // 5, EVERY_S_MAX)
            receiver.kill()
            time.sleep(DOWN_S)
            receiver.start()
            wait_until(lambda: written() > count // 2, EVERY_S_MAX)
            time.sleep(chance.uniform(0, 0.05))
            gateway.kill()
            gateway.start()
            wait_until(lambda: written() > count * 4 // 5, EVERY_S_MAX)
            receiver.kill()
            time.sleep(DOWN_S)
            receiver.start()
        wait_until(lambda: 'events_pending{target="hook"} 0.0' in metrics(gateway), EVERY_S_MAX)
        check_acknowledged(receiver.posts[1:], clients)
        (row,) = listed(gateway)
        assert (row["arn"], row["pending"], row["dead"]) == (ARN, 0, 0)


def check_acknowledged(posts: list[Received], clients: list[Client]) -> None:
    found = in_order_of_arrival(posts)
    for events in found.values():
        assert events == sorted(events)
    for client in clients:
        for key, etags in client.acknowledged.items():
            arrived = iter(etag for _, etag in found[key])
            # What was not acknowledged may have happened all the same, and then has its event.
            assert all(etag in arrived for etag in etags), key


def metrics(gateway: Gateway) -> str:

    return httpx.get(f"{gateway.control_url}/metrics", timeout=5).text


def listed(gateway: Gateway) -> list[dict[str, Any]]:

    done = gateway.run("events", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@pytest.mark.slow
def test_events_of_puts_over_http_survive_every_death(tmp_path: Path) -> None:
    die_over_http(tmp_path, 400)


@pytest.mark.soak
def test_events_of_20000_puts_over_http_survive_every_death(tmp_path: Path) -> None:
    die_over_http(tmp_path, 20_000)
