"""What a gateway owes, and what is left at its providers once it owes nothing."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
import trio

from s3proxy.bootstrap import open_catalog
from s3proxy.config import DataConfig
from tests.faults.providers import Provider
from tests.faults.traces import open_intents
from tests.faults.wire import wait_until
from tests.gateways import Gateway

HEALED_S_MAX = 60.0
GONE_S_MAX = 60.0


def reported_debts(gateway: Gateway) -> list[dict[str, Any]]:
    """The backends that wait for copies, or that copies to were given up, as the command says."""
    done = gateway.run("replication", "status", "--json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return [row for row in rows if row["objects"] or row["dead"]]


def gauges(gateway: Gateway, name: str) -> list[float]:
    """The values of a metric, over all its labels."""
    text = httpx.get(f"{gateway.control_url}/metrics", timeout=5).text
    return [float(n) for n in re.findall(rf"^s3proxy_{name}\{{[^}}]*\}} ([0-9.e+]+)", text, re.M)]


def wait_until_healed(gateway: Gateway) -> float:
    """Wait until nothing is owed; the seconds that took."""
    started = time.monotonic()

    def owed() -> float:
        missing = gauges(gateway, "replication_owed_objects")
        return sum(missing) + sum(gauges(gateway, "replication_dead_letters"))

    while count := owed():
        assert time.monotonic() - started < HEALED_S_MAX, (count, reported_debts(gateway))
        time.sleep(0.1)
    return time.monotonic() - started


@dataclass(frozen=True)
class Placed:
    """One place of a blob: its backend, and the Unix time at which it was begun."""

    backend: str
    begun_s: float


def places_of(gateway: Gateway, bucket: str, key: str) -> list[list[Placed]]:
    """The places of each blob of an object, read from the catalog beside the running gateway."""

    async def read() -> list[list[Placed]]:
        async with open_catalog(DataConfig(dir=str(gateway.folder / "data"))) as (catalog, _):
            found = catalog.get_bucket(bucket)
            record = None if found is None else catalog.get_object(found, key)
            return [
                [Placed(one.backend, int(one.id[:16], 16) / 1e9) for one in catalog.places_of(blob)]
                for blob in (record.blobs if record else ())
            ]

    return trio.run(read)


def wait_until_well(gateway: Gateway) -> None:
    """Wait until no backend counts as down."""
    wait_until(lambda: set(gauges(gateway, "backend_up")) == {1.0})


def check_nothing_is_left(gateway: Gateway, bucket: str, providers: list[Provider]) -> None:
    """Emptied, the bucket leaves no byte at a provider and no intent in the catalog."""
    s3 = gateway.client()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
        assert not keys or "Errors" not in s3.delete_objects(
            Bucket=bucket, Delete={"Objects": keys}
        )
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", ()):
            where = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            s3.abort_multipart_upload(**where)
    s3.close()
    for provider in providers:
        wait_until_empty(provider)
    # A copy of what was deleted meanwhile may still be on its way.
    wait_until(lambda: open_intents(gateway) == 0)


def wait_until_empty(provider: Provider) -> None:
    """Wait for as long as the collector gets on with it."""
    left, deadline = -1, 0.0
    while found := provider.objects():
        if len(found) != left:
            left, deadline = len(found), time.monotonic() + GONE_S_MAX
        assert time.monotonic() < deadline, (provider.name, left, found[:10])
        time.sleep(0.2)
