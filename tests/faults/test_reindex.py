"""The catalog is deleted and rebuilt from what lies at providers, which are real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.faults.providers import Provider, Watcher, providers, watched
from tests.faults.wire import wait_until
from tests.gateways import Gateway

PLACES = [
    ("fi", 'country = "fi"\nregion = "fi"\nsigning_region = "us-east-1"\n'),
    ("de", 'country = "de"\nregion = "de"\nsigning_region = "us-east-1"\n'),
    ("us", 'country = "us"\nregion = "us"\nsigning_region = "us-east-1"\n'),
]
RULES = '[placement]\nregions = ["fi", "de", "us"]\nreplicas = 2\n'
PART = b"p" * (5 << 20)
LONG = "long/" + "k" * 1015
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}]}

pytestmark = pytest.mark.slow


@contextmanager
def placed_gateway(folder: Path, rules: str = RULES) -> Iterator[tuple[Gateway, list[Provider]]]:
    with Watcher() as watcher, providers(folder, PLACES) as found:
        extra = "".join(one.toml() for one in found) + rules
        gateway = watched(watcher, Gateway(folder / "gateway", extra))
        try:
            yield gateway, found
        finally:
            gateway.kill()


def settled(gateway: Gateway) -> bool:
    """Whether nothing is to be told to providers, and nothing is owed."""
    text = httpx.get(f"{gateway.control_url}/metrics", timeout=10).text
    rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in ("", "#"))
    waiting = [value for name, value in rows.items() if "manifests_due" in name or "_owed" in name]
    return all(float(value) == 0 for value in waiting)


def lose_catalog(gateway: Gateway) -> None:
    """Remove it; the master key beside it is kept."""
    for path in (gateway.folder / "data").glob("catalog.lmdb*"):
        path.unlink()


def reindex(gateway: Gateway, *more: str) -> dict[str, Any]:
    names = [word for name, _ in PLACES for word in ("--backend", name)]
    done = gateway.run("reindex", *names, "--json", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


def fill(s3: Any) -> None:
    s3.create_bucket(Bucket="plain")
    s3.put_bucket_cors(Bucket="plain", CORSConfiguration=CORS)
    for key in ("a", "a/b", "a~b", "ключ", " sp ace", ".s3gw/bucket", LONG):
        s3.put_object(
            Bucket="plain", Key=key, Body=key.encode(), ContentType="text/x", Metadata={"m": "1"}
        )
    s3.put_object(Bucket="plain", Key="a", Body=b"again")
    s3.put_object(Bucket="plain", Key="empty", Body=b"")
    s3.put_object(Bucket="plain", Key="tagged", Body=b"t", Tagging="a=b")
    s3.put_object(Bucket="plain", Key="sealed", Body=b"s" * 70_000, ServerSideEncryption="AES256")
    upload = s3.create_multipart_upload(Bucket="plain", Key="parts", Metadata={"m": "2"})
    named = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(
                Bucket="plain",
                Key="parts",
                UploadId=upload["UploadId"],
                PartNumber=number,
                Body=body,
            )["ETag"],
        }
        for number, body in ((1, PART), (2, b"end"))
    ]
    s3.complete_multipart_upload(
        Bucket="plain", Key="parts", UploadId=upload["UploadId"], MultipartUpload={"Parts": named}
    )
    s3.create_bucket(Bucket="versions")
    s3.put_object(Bucket="versions", Key="key", Body=b"before")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket="versions", Key="key", Body=f"version {number}".encode())
    s3.put_object(Bucket="versions", Key="gone", Body=b"gone")
    s3.delete_object(Bucket="versions", Key="gone")


def state(s3: Any) -> dict[str, Any]:
    """All that a client can see."""
    found: dict[str, Any] = {"cors": s3.get_bucket_cors(Bucket="plain")["CORSRules"]}
    for bucket in ("plain", "versions"):
        listed = s3.list_object_versions(Bucket=bucket)
        found[f"markers {bucket}"] = [
            (one["Key"], one["VersionId"], one["IsLatest"])
            for one in listed.get("DeleteMarkers", ())
        ]
        for one in listed.get("Versions", ()):
            found[f"{bucket} {one['Key']} {one['VersionId']}"] = one_state(s3, bucket, one)
    return found


def one_state(s3: Any, bucket: str, one: dict[str, Any]) -> Any:
    named = {"Bucket": bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
    answer = s3.get_object(**named)
    tags = s3.get_object_tagging(**named)["TagSet"]
    body = answer["Body"].read()
    metadata = {name: answer.get(name) for name in ("ETag", "ContentType", "Metadata")}
    sealed = answer.get("ServerSideEncryption")
    return (one["IsLatest"], body, metadata, sealed, tags, answer["LastModified"])


def test_catalog_that_was_deleted_is_rebuilt_from_providers(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, _):
        s3 = gateway.client()
        fill(s3)
        before = state(s3)
        wait_until(lambda: settled(gateway), 60)
        assert gateway.run("reindex", "--backend", "fi").returncode == 1  # it runs
        gateway.stop()
        lose_catalog(gateway)
        dry = reindex(gateway, "--dry-run")
        assert dry["counts"]["added"] > 0
        first = reindex(gateway)
        assert first["counts"]["added"] == len(before) - 3 + 1, first
        again = reindex(gateway)
        assert "added" not in again["counts"], again
        gateway.start()
        s3 = gateway.client()
        assert state(s3) == before
        s3.put_object(Bucket="versions", Key="key", Body=b"after")
        assert s3.get_object(Bucket="versions", Key="key")["Body"].read() == b"after"
