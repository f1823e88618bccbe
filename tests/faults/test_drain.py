"""A backend is emptied while the gateway is killed; scrubs heal what a provider has lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.faults.placed import placed_gateway, settled
from tests.faults.providers import Provider
from tests.faults.wire import wait_until
from tests.gateways import Gateway

COUNT = 60

pytestmark = pytest.mark.slow


def fill(s3: Any) -> None:
    s3.create_bucket(Bucket="bucket")
    for number in range(COUNT):
        s3.put_object(Bucket="bucket", Key=f"key-{number}", Body=b"data %d" % number)


def check(s3: Any) -> None:
    for number in range(COUNT):
        body = s3.get_object(Bucket="bucket", Key=f"key-{number}")["Body"].read()
        assert body == b"data %d" % number


def blobs(provider: Provider) -> list[str]:
    found = provider.objects()
    return [one.name for one in found if "~" in one.name]


def json_of(gateway: Gateway, *words: str, status: int = 0) -> dict[str, Any]:
    done = gateway.run(*words, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


def test_drain_goes_on_after_the_gateway_was_killed(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, (fi, de, us)):
        fill(gateway.client())
        wait_until(lambda: settled(gateway), 60)
        assert len(blobs(fi)) == COUNT
        left = json_of(gateway, "backend", "drain", "fi")
        assert left["blobs"] > 0
        gateway.kill()
        gateway.start()
        wait_until(lambda: json_of(gateway, "backend", "drain", "fi")["done"], 180)
        assert fi.client().list_buckets()["Buckets"] == []
        assert len(blobs(de)) == len(blobs(us)) == COUNT
        fi.kill()
        check(gateway.client())


def test_scrub_heals_what_a_provider_has_lost(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, places):
        fill(gateway.client())
        rules = ["bucket", "placement", "set", "bucket", "--replicas", "3"]
        assert gateway.run(*rules).returncode == 0
        wait_until(lambda: all(len(blobs(one)) == COUNT for one in places), 60)
        wait_until(lambda: settled(gateway), 60)
        fi = places[0]
        s3 = fi.client()
        (container,) = [one["Name"] for one in s3.list_buckets()["Buckets"]]
        names = blobs(fi)
        for name in names[:5]:
            s3.delete_object(Bucket=container, Key=name)
        for name in names[5:10]:
            s3.put_object(Bucket=container, Key=name, Body=b"DATA")
        dry = json_of(gateway, "scrub", "--dry-run", status=1)
        assert dry["counts"]["missing"] == 5
        assert dry["counts"].get("wrong_size", 0) + dry["counts"].get("wrong_hash", 0) == 5
        healed = json_of(gateway, "scrub", status=1)
        assert healed["counts"]["healed"] == 10
        wait_until(lambda: settled(gateway), 60)
        assert json_of(gateway, "scrub", "--deep")["problems_count"] == 0
        check(gateway.client())


def test_deleted_bucket_leaves_nothing_at_its_providers(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, places):
        s3 = gateway.client()
        fill(s3)
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="bucket", Key="key-0", Body=b"again", Tagging="a=b")
        s3.delete_object(Bucket="bucket", Key="key-1")
        wait_until(lambda: settled(gateway), 60)
        listed = s3.list_object_versions(Bucket="bucket")
        for one in (*listed["Versions"], *listed["DeleteMarkers"]):
            s3.delete_object(Bucket="bucket", Key=one["Key"], VersionId=one["VersionId"])
        s3.delete_bucket(Bucket="bucket")
        wait_until(lambda: not any(place.objects() for place in places), 60)
        # Buckets are looked after now and then, and at a start.
        gateway.kill()
        gateway.start()
        wait_until(
            lambda: not any(place.client().list_buckets()["Buckets"] for place in places), 90
        )
