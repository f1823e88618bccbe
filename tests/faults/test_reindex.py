"""The catalog is deleted and rebuilt from what lies at providers, which are real servers."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.faults.placed import PLACES, placed_gateway, settled
from tests.faults.providers import Provider
from tests.faults.wire import wait_until
from tests.gateways import Gateway

PART = b"p" * (5 << 20)
LONG = "long/" + "k" * 1015
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example"]}]}

pytestmark = pytest.mark.slow


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
    for key in ("a", "a/b", "a~b", "ключ", " sp ace", ".s3gw/bucket", ".s3gw/versions/x", LONG):
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
        assert first["counts"]["places"] > 0, first
        again = reindex(gateway)
        assert "added" not in again["counts"], again
        gateway.start()
        s3 = gateway.client()
        assert state(s3) == before
        done = gateway.run("scrub", "--deep", "--json")
        assert done.returncode == 0, done.stdout
        s3.put_object(Bucket="versions", Key="key", Body=b"after")
        assert s3.get_object(Bucket="versions", Key="key")["Body"].read() == b"after"


def told_of(provider: Provider) -> int:
    """How many manifests of versions a provider has."""
    return sum(
        ".s3gw/versions/" in stored.name and "~" not in stored.name for stored in provider.objects()
    )


def test_catalog_of_buckets_without_rules_is_rebuilt_with_all_versions(tmp_path: Path) -> None:
    facts = 'bucket_mode = "prefix"\nphysical_bucket = "one-for-all"\n'
    environ = {"S3PROXY_DATA__MANIFESTS": "all"}
    with placed_gateway(tmp_path, "", facts, **environ) as (gateway, (fi, *_)):
        s3 = gateway.client()
        fill(s3)
        before = state(s3)
        # Those of both buckets: 5 of one; tagged, sealed and parts of the other.
        wait_until(lambda: told_of(fi) >= 8 and settled(gateway), 60)
        gateway.stop()
        lose_catalog(gateway)
        first = reindex(gateway)
        assert first["counts"]["added"] == len(before) - 3 + 1, first
        assert first["problems"] == [], first
        gateway.start()
        assert [bucket["Name"] for bucket in fi.client().list_buckets()["Buckets"]] == [
            "one-for-all"
        ]
        assert state(gateway.client()) == before


def test_reindex_that_is_killed_goes_on(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, _):
        s3 = gateway.client()
        fill(s3)
        before = state(s3)
        wait_until(lambda: settled(gateway), 60)
        gateway.stop()
        lose_catalog(gateway)
        names = [word for name, _ in PLACES for word in ("--backend", name)]
        for seconds in (0.05, 0.1, 0.15, 0.2, 0.3):
            gateway.run_killed(seconds, "reindex", *names)
        reindex(gateway)
        gateway.start()
        assert state(gateway.client()) == before


def test_reindex_takes_no_providers_word_for_what_cannot_be(tmp_path: Path) -> None:
    with placed_gateway(tmp_path) as (gateway, places):
        s3 = gateway.client()
        fill(s3)
        before = state(s3)
        wait_until(lambda: settled(gateway), 60)
        gateway.stop()
        lose_catalog(gateway)
        planted = sum(plant(one) for one in places)
        names = [word for name, _ in PLACES for word in ("--backend", name)]
        done = gateway.run("reindex", *names, "--json")
        assert done.returncode == 1
        found = msgspec.json.decode(done.stdout)
        assert found["problems_count"] >= planted, found
        assert found["counts"]["added"] == len(before) - 3 + 1, found
        gateway.start()
        assert state(gateway.client()) == before


def plant(provider: Provider) -> int:
    """Put lies into each container at a provider; how many have to be told of."""
    s3 = provider.client()
    planted = 0
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        listed = s3.list_objects_v2(Bucket=name)["Contents"]
        versions = [one["Key"] for one in listed if one["Key"].startswith(".s3gw/versions/")]
        lies = [b"", b"{}", b"[" * 10_000, b'{"format": 2}', b"\xff" * 100]
        for number, lie in enumerate(lies):
            s3.put_object(Bucket=name, Key=f".s3gw/versions/lie/{number}", Body=lie)
            planted += 1
        for key in versions[:1]:
            # The manifest of one version as that of another.
            body = s3.get_object(Bucket=name, Key=key)["Body"].read()
            s3.put_object(Bucket=name, Key=key + "0", Body=body)
            planted += 1
        for about in ("f=1&t=other&b=bucket&w=1", "f=1&t=main&b=nobody&w=1"):
            blob = f"lie~{secrets.token_hex(16)}"
            s3.put_object(Bucket=name, Key=blob, Body=b"x", Metadata={"s3gw-blob": about})
            planted += 1
        s3.put_object(Bucket=name, Key="README", Body=b"no name of ours")
        s3.put_object(Bucket=name, Key=f"~{secrets.token_hex(16)}", Body=b"no key")
        planted += 1
    return planted


def test_reindex_without_rules_brings_back_current_objects(tmp_path: Path) -> None:
    with placed_gateway(tmp_path, rules="") as (gateway, _):
        s3 = gateway.client()
        s3.create_bucket(Bucket="plain")
        s3.put_object(Bucket="plain", Key="key", Body=b"before")
        wanted = s3.put_object(
            Bucket="plain", Key="key", Body=b"now", Metadata={"m": "1"}, ContentType="text/x"
        )
        upload = s3.create_multipart_upload(Bucket="plain", Key="parts")
        named = {"Bucket": "plain", "Key": "parts", "UploadId": upload["UploadId"]}
        etag = s3.upload_part(**named, PartNumber=1, Body=PART)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        whole = s3.complete_multipart_upload(**named, MultipartUpload=parts)
        gateway.stop()
        lose_catalog(gateway)
        assert reindex(gateway)["counts"]["added"] >= 2
        gateway.start()
        s3 = gateway.client()
        found = s3.get_object(Bucket="plain", Key="key")
        assert (found["Body"].read(), found["ETag"]) == (b"now", wanted["ETag"])
        assert (found["Metadata"], found["ContentType"]) == ({"m": "1"}, "text/x")
        again = s3.get_object(Bucket="plain", Key="parts")
        assert (again["Body"].read(), again["ETag"]) == (PART, whole["ETag"])
