"""kill -9 of the gateway amid replication: all that is owed arrives once, nothing is left over."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.providers import Provider, providers, watched
from tests.gateways import Gateway

OBJECTS = 400
ROUNDS = 5
SETTLE_S_MAX = 60.0
MIB = 1 << 20
LARGE_BYTES = 80 * MIB


@contextmanager
def two_countries(folder: Path, more: str = "") -> Iterator[tuple[Gateway, list[Provider]]]:
    """A gateway before a provider in Finland and one in Germany."""
    places = [(name, f'country = "{name}"\n{more}') for name in ("fi", "de")]
    with providers(folder, places) as found:
        extra = "".join(provider.toml() for provider in found)
        gateway = Gateway(folder / "gateway", extra)
        watched(found[0].watcher, gateway)
        try:
            yield gateway, found
        finally:
            gateway.stop()


def in_finland(gateway: Gateway) -> Any:
    """A client, and the bucket `data` whose objects lie in Finland alone."""
    s3 = gateway.client()
    location = {"LocationConstraint": "fi"}
    s3.create_bucket(Bucket="data", CreateBucketConfiguration=location)
    return s3


def want_two_copies(gateway: Gateway) -> None:
    rules = ["--regions", "fi,de", "--replicas", "2"]
    done = gateway.run("bucket", "placement", "set", "data", *rules)
    assert done.returncode == 0, done.stderr


def kill_and_start(gateway: Gateway, provider: Provider) -> None:
    gateway.kill()
    watched(provider.watcher, gateway)


def wait_until_settled(gateway: Gateway) -> None:
    deadline = time.monotonic() + SETTLE_S_MAX
    while time.monotonic() < deadline:
        text = httpx.get(f"{gateway.control_url}/metrics", timeout=10).text
        owed = re.findall(r"^s3proxy_replication_(?:owed_objects|dead\w+)\{.*\} (\S+)", text, re.M)
        if owed and not any(map(float, owed)):
            return
        time.sleep(0.2)
    raise AssertionError(f"still owed: {owed}\n{gateway.log.read_text()[-4000:]}")


def blobs(provider: Provider) -> list[str]:
    """ETags of the blobs at a provider, sorted."""
    return sorted(stored.etag for stored in provider.objects() if "~" in stored.name)


def wait_for_blobs(provider: Provider, count: int) -> list[str]:
    """Garbage goes by itself."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while len(found := blobs(provider)) != count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_gateway_killed_amid_replication_copies_all_once(tmp_path: Path) -> None:
    dice = random.Random(4)
    with two_countries(tmp_path) as (gateway, (fi, de)):
        s3 = in_finland(gateway)
        for number in range(OBJECTS):
            s3.put_object(Bucket="data", Key=f"k{number}", Body=b"%d" % number)
        assert len(blobs(fi)) == OBJECTS
        want_two_copies(gateway)
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.05, 0.3))
            kill_and_start(gateway, fi)
        wait_until_settled(gateway)
        assert wait_for_blobs(de, OBJECTS) == wait_for_blobs(fi, OBJECTS)
        for number in dice.sample(range(OBJECTS), OBJECTS // 2):
            s3.delete_object(Bucket="data", Key=f"k{number}")
        kill_and_start(gateway, fi)
        assert wait_for_blobs(de, OBJECTS // 2) == wait_for_blobs(fi, OBJECTS // 2)


@pytest.mark.slow
def test_gateway_killed_amid_a_large_copy_goes_on_with_its_parts(tmp_path: Path) -> None:
    slow = f"replication_bytes_per_s = {16 * MIB}\n"
    with two_countries(tmp_path, slow) as (gateway, (fi, de)):
        s3 = in_finland(gateway)
        body = random.Random(5).randbytes(LARGE_BYTES)
        s3.put_object(Bucket="data", Key="large", Body=body)
        want_two_copies(gateway)
        wait_for_parts(de, 3)
        time.sleep(0.3)  # they are noted; the others take a second more
        kill_and_start(gateway, fi)
        wait_until_settled(gateway)
        (copy,) = (stored for stored in de.objects() if "~" in stored.name)
        assert copy.size == LARGE_BYTES
        # One of each, and those under way or not yet noted when the gateway was killed; all over
        # again would be eight.
        assert 5 <= parts_stored(de) < 8
        fi.kill()
        got = s3.get_object(Bucket="data", Key="large")["Body"].read()
        assert got == body


def parts_stored(provider: Provider) -> int:
    """UploadParts that a provider has answered with 200."""
    lines = (provider.server.log.parent / "access.log").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return sum(row["operation"] == "upload_part" and row.get("status") == 200 for row in rows)


def wait_for_parts(provider: Provider, count: int) -> None:
    deadline = time.monotonic() + SETTLE_S_MAX
    while parts_stored(provider) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
