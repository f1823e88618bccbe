"""kill -9 of a scrub: the next one goes on where it was, and nothing that is good is removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from s3proxy.bootstrap import open_catalog
from s3proxy.config import DataConfig
from s3proxy.ops.containers import containers_of
from tests.faults.placed import placed_gateway
from tests.faults.providers import Provider
from tests.faults.wire import wait_until
from tests.gateways import ROOT, Gateway

OBJECTS = 100
LOST_EVERY = 16
# It notes how far it is after 5 s, with most of the way before it.
SLOW = {"S3PROXY_SCRUB__OBJECTS_PER_S": "5"}
FAST = {"S3PROXY_SCRUB__OBJECTS_PER_S": "10000"}

pytestmark = pytest.mark.slow


def scrub(gateway: Gateway, environ: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "s3proxy", "scrub", *words, "--config", str(gateway.config)],
        cwd=ROOT,
        env={**gateway.environ(), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def is_under_way(gateway: Gateway) -> bool:
    """Whether a scrub has noted how far it is in a container, and has not done all of it."""

    async def read() -> bool:
        async with open_catalog(DataConfig(dir=str(gateway.folder / "data"))) as (catalog, _):
            bucket = catalog.get_bucket("data")
            assert bucket is not None
            tasks = ["\0".join(("scrub", "", *home)) for home in containers_of(bucket)]
            found = [catalog.get_progress(bucket, task) for task in tasks]
            return any(one is not None and bool(one.cursor) for one in found)

    return trio.run(read)


def ids(provider: Provider) -> set[str]:
    return {stored.name for stored in provider.blobs()}


def test_scrub_that_is_killed_goes_on_and_removes_nothing_good(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, (fi, de, _)):
        s3 = gateway.client()
        s3.create_bucket(Bucket="data")
        for number in range(OBJECTS):
            s3.put_object(Bucket="data", Key=f"k{number:03}", Body=b"%d" % number)
        wait_until(lambda: [len(ids(one)) for one in (fi, de)] == [OBJECTS, OBJECTS], 60)
        good = {provider.name: ids(provider) for provider in (fi, de)}
        lost = lose_some(fi)
        # It looks at `de` first, where nothing is wrong.
        killed = scrub(gateway, SLOW, "--remove-unknown")
        wait_until(lambda: is_under_way(gateway), 60)
        killed.kill()
        killed.communicate()
        report = finished(scrub(gateway, FAST, "--remove-unknown", "--json"))
        assert 0 < report["counts"]["checked"] < 2 * OBJECTS
        assert report["counts"]["healed"] == lost
        wait_until(lambda: len(ids(fi)) == OBJECTS, 60)
        assert ids(de) == good["de"]
        assert len(ids(fi) & good["fi"]) == OBJECTS - lost
        sound = finished(scrub(gateway, FAST, "--deep", "--json"))
        assert sound["problems_count"] == 0, sound
        for number in range(OBJECTS):
            body = s3.get_object(Bucket="data", Key=f"k{number:03}")["Body"].read()
            assert body == b"%d" % number


def lose_some(provider: Provider) -> int:
    """Some of the blobs at a provider are gone; how many."""
    s3 = provider.client()
    gone = sorted(provider.blobs(), key=lambda stored: stored.name)[::LOST_EVERY]
    for stored in gone:
        s3.delete_object(Bucket=stored.bucket, Key=stored.name)
    return len(gone)


def finished(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    found: dict[str, Any] = msgspec.json.decode(out)
    return found
