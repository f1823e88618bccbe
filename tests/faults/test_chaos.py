"""Providers die, freeze and come back, the gateway is killed, and nobody loses a byte.

Three providers, in Finland, Germany and the United States; a bucket for `fi,de` with two copies and
residency in the EU. At every moment one of the two allowed ones is in order.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.faults.chaos_clients import BUCKET, Client, Failure, Record
from tests.faults.chaos_model import State, Truth
from tests.faults.chaos_monkey import Monkey, Plan
from tests.faults.healing import (
    GONE_S_MAX,
    check_nothing_is_left,
    reported_debts,
    wait_until_healed,
)
from tests.faults.providers import KINDS, Provider, providers, watched
from tests.faults.traces import logged_bugs, open_files
from tests.gateways import Gateway

SHORT = Plan(
    seconds=12, gateway_kills=1, clients=6, keys=60,
    fault_s=(0.5, 2.5), gap_s=(0.0, 1.0), pause_s=0.02,
)  # fmt: skip
LONG = Plan(
    seconds=600, gateway_kills=5, clients=10, keys=2000,
    fault_s=(1.0, 15.0), gap_s=(0.0, 8.0), pause_s=0.1, first=1000,
)  # fmt: skip
# Pooled connections and pipes come and go; what leaks with each request is more.
DESCRIPTORS_MAX = 150
FILLED_S_MAX = 900.0
# From the name of a copy to its place in the catalog, as a rule.
COPIED_S_MAX = 10.0
FACTS = {
    "us": 'country = "US"\njurisdiction = "US"\n',
    "fi": 'country = "FI"\njurisdiction = "EU"\n',
    "de": 'country = "DE"\njurisdiction = "EU"\n',
}
# Whoever probes a provider carries nothing there.
PROBES = {"GET /", "HEAD /"}


@dataclass
class World:
    """The gateway and what is behind it."""

    gateway: Gateway
    us: Provider
    allowed: list[Provider]


@contextmanager
def world(folder: Path, kind: str) -> Iterator[World]:
    with ExitStack() as stack:
        us, *allowed = stack.enter_context(providers(folder, FACTS.items(), kind))
        extra = (
            '[placement]\nreplicas = 2\njurisdictions = "EU"\n'
            + "".join(provider.toml() for provider in (us, *allowed))
        )  # fmt: skip
        gateway = Gateway(folder / "gateway", extra, S3PROXY_DATA__GARBAGE_GRACE_S="3")
        watched(us.watcher, gateway)
        stack.callback(gateway.stop)
        s3 = gateway.client()
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "fi,de"})
        s3.close()
        yield World(gateway, us, allowed)
        assert logged_bugs(gateway) == []


def chaos(folder: Path, kind: str, plan: Plan, seed: str) -> None:
    print(f"seed {seed}")  # shown where the test fails; S3PROXY_CHAOS_SEED repeats it
    with world(folder, kind) as lab:
        truth, record = Truth(), Record()
        monkey = Monkey(lab.gateway, lab.us.watcher, lab.allowed, seed)
        with writing(lab, truth, record, plan, seed):
            monkey.run(plan)
        healed_s = wait_until_healed(lab.gateway)
        assert reported_debts(lab.gateway) == []
        print(report(record, monkey, healed_s))
        assert record.wrong == []
        judge(lab, record, monkey)
        check_everything_is_there(lab, truth)
        check_copies(lab, truth)
        check_nothing_in_us(lab.us)
        assert open_files(lab.gateway.pid) < DESCRIPTORS_MAX
        check_nothing_is_left(lab.gateway, BUCKET, lab.allowed)


@contextmanager
def writing(lab: World, truth: Truth, record: Record, plan: Plan, seed: str) -> Iterator[None]:
    """Have clients at work for the length of a block."""
    clients = [
        Client(lab.gateway, number, truth=truth, record=record, seed=seed, keys=plan.keys)
        for number in range(plan.clients)
    ]
    for client in clients:
        client.pause_s, client.first = plan.pause_s, plan.first
        client.start()
    try:
        for client in clients:
            assert client.filled.wait(FILLED_S_MAX), client.name
        yield
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(120)
            assert not client.is_alive(), client.name


def report(record: Record, monkey: Monkey, healed_s: float) -> str:
    done = ", ".join(f"{action} {count}" for action, count in sorted(record.done.items()))
    faults = ", ".join(f"{fault} {count}" for fault, count in sorted(monkey.done.items()))
    return (
        f"requests: {done}\nfaults: {faults}\nhealed after {healed_s:.1f} s\n"
        f"failed: {len(record.failures)}; wrong: {len(record.wrong)}"
    )


def judge(lab: World, record: Record, monkey: Monkey) -> None:
    """No request failed that could have been answered."""
    gateway_gone, nowhere, inexcusable = [], [], []
    for failure in record.failures:
        if is_of_the_kill(failure, monkey.gateway_down):
            gateway_gone.append(failure)
        elif failure.places is not None and not was_readable(lab, failure):
            nowhere.append(failure)
        else:
            inexcusable.append(str(failure))
    print(
        f"failed while the gateway was gone: {len(gateway_gone)}; reads of what lay only at a"
        f" provider that was gone: {len(nowhere)}; all others: {len(inexcusable)}"
    )
    assert not inexcusable, "\n".join(inexcusable)


def is_of_the_kill(failure: Failure, gateway_down: list[tuple[float, float]]) -> bool:
    """Whether there was no gateway to answer; an S3 error is always somebody's answer."""
    if isinstance(failure.error, ClientError):
        return False
    return any(start <= failure.ended and failure.started <= stop for start, stop in gateway_down)


def was_readable(lab: World, failure: Failure) -> bool:
    """Whether providers that were in order all the while had all that was asked for.

    Of what was replaced or deleted since nobody knows where it was.
    """
    served = {one.name for one in lab.allowed if one.served(failure.started, failure.ended)}
    started_s = time.time() - (time.monotonic() - failure.started)
    return bool(failure.places) and all(
        any(one.backend in served and one.begun_s < started_s - COPIED_S_MAX for one in places)
        for places in failure.places or ()
    )


def check_everything_is_there(lab: World, truth: Truth) -> None:
    """Read through the gateway."""
    s3 = lab.gateway.client()
    for key in truth.known_keys():
        try:
            found = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            found = None
        allowed = truth.allowed(key)
        assert any(found == (state.body if state else None) for state in allowed), (key, allowed)
    s3.close()


def check_copies(lab: World, truth: Truth) -> None:
    """Both providers hold the pieces of every object, and after the grace nothing else."""
    s3 = lab.gateway.client()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    etags = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page["Contents"]}
    s3.close()
    print(f"objects at the end: {len(etags)}")
    wanted = Counter(
        digest
        for key, etag in etags.items()
        for digest in state_with(etag, truth.allowed(key)).digests
    )
    for provider in lab.allowed:
        wait_until_holds(provider, wanted)
    a, b = lab.allowed
    assert bodies_at(a, 20) == bodies_at(b, 20)


def wait_until_holds(provider: Provider, wanted: Counter[str]) -> None:
    """Wait until the digests of what a provider has are those, each so many times."""
    deadline = time.monotonic() + GONE_S_MAX
    while (found := digests_at(provider)) != wanted:
        if time.monotonic() > deadline:
            surplus = [item for item in provider.blobs() if item.etag in found - wanted]
            raise AssertionError(f"{provider.name}: missing {wanted - found}, too much: {surplus}")
        time.sleep(0.2)


def digests_at(provider: Provider) -> Counter[str]:
    """MD5 of each blob; read where the provider got it in parts and knows no such digest."""
    found: Counter[str] = Counter()
    s3 = provider.client()
    for item in provider.blobs():
        digest = item.etag
        if "-" in digest:
            body = s3.get_object(Bucket=item.bucket, Key=item.name)["Body"].read()
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        found[digest] += 1
    s3.close()
    return found


def state_with(etag: str, allowed: list[State | None]) -> State:
    return next(state for state in allowed if state and state.etag == etag)


def bodies_at(provider: Provider, count: int) -> list[bytes]:
    """The smallest digests' bodies, of which every provider has the same."""
    s3 = provider.client()
    items = sorted(provider.blobs(), key=lambda item: (item.etag, item.name))[:count]
    found = [s3.get_object(Bucket=item.bucket, Key=item.name)["Body"].read() for item in items]
    s3.close()
    return found


def check_nothing_in_us(us: Provider) -> None:
    """No bucket, no object; and, where it keeps a log of requests, none that could make one."""
    s3 = us.client()
    assert s3.list_buckets()["Buckets"] == []
    s3.close()
    log = us.server.log.parent / "access.log"
    if log.exists():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        asked = {f"{line['method']} {re.sub('[?].*', '', line['path'])}" for line in lines}
        assert asked <= PROBES, asked


def chosen_seed() -> str:
    """A new one for each run, unless one is to be repeated."""
    return os.environ.get("S3PROXY_CHAOS_SEED") or f"{random.SystemRandom().randrange(1 << 32):x}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_chaos_loses_nothing_and_keeps_residency(tmp_path: Path, kind: str) -> None:
    chaos(tmp_path, kind, SHORT, chosen_seed())


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_chaos_of_ten_minutes_loses_nothing_and_keeps_residency(tmp_path: Path, kind: str) -> None:
    chaos(tmp_path, kind, LONG, chosen_seed())
