"""Rules of placement as a user meets them: boto3 and the commands, on a running gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway, client, local_backend, s3_backend
from tests.servers import moto_server

pytestmark = pytest.mark.slow

BODY = bytes(100_000)
WAIT_S_MAX = 60.0


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway with a backend in Finland, one in Germany and one in the United States."""
    places = (("hel", "fi", "eu"), ("nbg", "de", "eu"), ("iad", "us", "us"))
    extra = "".join(
        f'{local_backend(name, tmp_path / name)}country = "{country}"\njurisdiction = "{law}"\n'
        for name, country, law in places
    )
    with Gateway(tmp_path / "gateway", extra) as gateway:
        yield gateway


def make(s3: Any, bucket: str, location: str) -> None:
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": location})


def stored(gateway: Gateway) -> set[str]:
    """The backends that have blobs."""
    roots = gateway.folder.parent
    return {
        name
        for name in ("hel", "nbg", "iad")
        if any(path.is_file() for path in (roots / name).glob("??/??/*"))
    }


def test_bucket_in_regions_lies_there_and_says_so(gateway: Gateway) -> None:
    s3 = gateway.client()
    make(s3, "photos", "de,fi")
    assert s3.get_bucket_location(Bucket="photos")["LocationConstraint"] == "de,fi"
    s3.put_object(Bucket="photos", Key="k", Body=BODY)
    assert stored(gateway) == {"nbg"}
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == BODY
    with pytest.raises(ClientError, match="InvalidLocationConstraint"):
        make(s3, "nowhere", "mars")


def test_requests_signed_for_the_place_of_a_bucket_are_accepted(gateway: Gateway) -> None:
    make(gateway.client(), "photos", "fi")
    there = boto3.client(
        "s3",
        endpoint_url=gateway.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="fi",
    )
    assert there.list_objects_v2(Bucket="photos")["KeyCount"] == 0


def test_rules_set_beside_the_gateway_are_obeyed_by_it(gateway: Gateway) -> None:
    s3 = gateway.client()
    make(s3, "photos", "nbg")
    done = gateway.run("bucket", "placement", "set", "photos", "--jurisdictions", "us")
    assert done.returncode == 0, done.stderr
    with pytest.raises(ClientError, match=r"The placement rule .*jurisdictions.* cannot be kept"):
        s3.put_object(Bucket="photos", Key="k", Body=b"x", Tagging="replica-count=2")
    done = gateway.run("bucket", "placement", "set", "photos", "--replicas", "4")
    assert "The placement rule replicas cannot be kept" in done.stderr
    done = gateway.run("placement", "explain", "photos", "--json")
    verdicts = {row["backend"]: row["rule"] for row in json.loads(done.stdout)["backends"]}
    assert verdicts == {"iad": "", "hel": "jurisdictions", "nbg": "jurisdictions"}


def test_objects_move_when_rules_change(gateway: Gateway) -> None:
    s3 = gateway.client()
    make(s3, "photos", "iad")
    for key, body in (("small", b"x"), ("large", BODY)):
        s3.put_object(Bucket="photos", Key=key, Body=body)
    rules = ("--regions", "fi,de", "--replicas", "2", "--jurisdictions", "eu")
    done = gateway.run("bucket", "placement", "set", "photos", *rules)
    assert done.returncode == 0, done.stderr
    for key, body in (("small", b"x"), ("large", BODY)):
        _wait_until(lambda key=key: places(gateway, key) == [["hel", "nbg"]])
        assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
    _wait_until(lambda: stored(gateway) == {"hel", "nbg"})
    s3.put_object_tagging(
        Bucket="photos",
        Key="large",
        Tagging={"TagSet": [{"Key": "replica-count", "Value": "1"}]},
    )
    _wait_until(lambda: places(gateway, "large") == [["hel"]])
    assert s3.get_object(Bucket="photos", Key="large")["Body"].read() == BODY


def places(gateway: Gateway, key: str) -> list[list[str]]:
    """Where each blob of an object is."""
    done = gateway.run("placement", "explain", "photos", key, "--json")
    return [sorted(piece["backends"]) for piece in json.loads(done.stdout)["pieces"]]


def _wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_tenant_rules_set_by_the_api_refuse_a_bucket_elsewhere(gateway: Gateway) -> None:
    token = json.loads(gateway.run("token", "create", "--role", "admin", "--json").stdout)["token"]
    answer = httpx.put(
        f"{gateway.control_url}/api/v1/tenants/main/placement",
        json={"jurisdictions": ["eu"], "replicas": 2},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200
    s3 = gateway.client()
    for location in ("us", "fi", "iad"):
        with pytest.raises(ClientError, match="cannot be kept"):
            make(s3, "photos", location)
    make(s3, "photos", "fi,de")


def test_buckets_in_one_physical_bucket_keep_to_their_prefixes(tmp_path: Path) -> None:
    with moto_server() as url:
        mode = 'bucket_mode = "prefix"\nphysical_bucket = "all-in-one"\n'
        extra = s3_backend("far", url, "AKIATEST", "secret") + mode
        with Gateway(tmp_path / "gateway", extra) as gateway:
            s3, provider = gateway.client(), client(url, "AKIATEST", "secret")
            for bucket in ("first", "second"):
                s3.create_bucket(Bucket=bucket)
                s3.put_object(Bucket=bucket, Key="a/k", Body=bucket.encode())
            provider.put_object(Bucket="all-in-one", Key="other", Body=b"beside")
            assert [b["Name"] for b in provider.list_buckets()["Buckets"]] == ["all-in-one"]
            keys = [o["Key"] for o in provider.list_objects_v2(Bucket="all-in-one")["Contents"]]
            assert sum(key.startswith("s3gw-") and "-far/a/k~" in key for key in keys) == 2
            for bucket in ("first", "second"):
                found = s3.get_object(Bucket=bucket, Key="a/k")["Body"].read()
                assert found == bucket.encode()
            upload = s3.create_multipart_upload(Bucket="first", Key="m")["UploadId"]
            part = {"Bucket": "first", "Key": "m", "UploadId": upload}
            etag = s3.upload_part(**part, PartNumber=1, Body=BODY)["ETag"]
            parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
            s3.complete_multipart_upload(**part, MultipartUpload=parts)
            s3.copy_object(Bucket="first", Key="c", CopySource="first/m")
            assert s3.get_object(Bucket="first", Key="c")["Body"].read() == BODY
            for key in ("a/k", "m", "c"):
                s3.delete_object(Bucket="first", Key=key)
            s3.delete_bucket(Bucket="first")
            assert s3.get_object(Bucket="second", Key="a/k")["Body"].read() == b"second"
            assert provider.get_object(Bucket="all-in-one", Key="other")["Body"].read() == b"beside"
