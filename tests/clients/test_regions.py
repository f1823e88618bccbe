"""Buckets in the region of another gateway, as clients meet them: three gateways."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import httpx
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY, Gateway, client

pytestmark = pytest.mark.slow

NORTH = "eu-north-1"
LARGE = 9 << 20
AWS = str(Path(sys.executable).parent / "aws")


def region(name: str, url: str, mode: str, addressing: str = "path") -> str:
    keys = f'access_key = "{ACCESS_KEY}"\nsecret_key = "{SECRET_KEY}"\n'
    return (
        f'[[region]]\nname = "{name}"\nendpoint = "{url}"\nmode = "{mode}"\n'
        f'addressing = "{addressing}"\n{keys if mode == "forward" else ""}'
    )


@pytest.fixture(scope="module")
def north(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(
        tmp_path_factory.mktemp("north"),
        S3PROXY_SERVER__REGION=NORTH,
        S3PROXY_SERVER__DOMAIN="north.test",
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory, north: Gateway) -> Iterator[Gateway]:
    """A gateway that sends clients to the north."""
    folder = tmp_path_factory.mktemp("sending")
    extra = region(NORTH, north.url, "redirect")
    extra += region("virtual-1", "http://north.test:8000", "redirect", "virtual")
    with Gateway(folder, extra, S3PROXY_SERVER__DOMAIN="here.test") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory, north: Gateway) -> Iterator[Gateway]:
    """A gateway that asks the north for its clients."""
    extra = region(NORTH, north.url, "forward")
    with Gateway(tmp_path_factory.mktemp("relaying"), extra) as gateway:
        yield gateway


def made_in(location: str) -> dict[str, Any]:
    return {"CreateBucketConfiguration": {"LocationConstraint": location}}


def signed(url: str, method: str = "GET", region: str = REGION, host: str = "") -> httpx.Response:
    """One request, which nobody follows anywhere."""
    parts = urlsplit(url)
    request = botocore.awsrequest.AWSRequest(method=method, url=url)
    if host:
        request.headers["host"] = host
    credentials = botocore.credentials.Credentials(ACCESS_KEY, SECRET_KEY)
    botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    assert parts.netloc
    return httpx.request(method, url, headers=dict(request.headers), follow_redirects=False)


def in_north(north: Gateway) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=north.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=NORTH,
        config=BotoConfig(s3={"addressing_style": "path"}),
    )


def set_region(gateway: Gateway, bucket: str, name: str = NORTH) -> None:
    done = gateway.run("bucket", "region", "set", bucket, name)
    assert done.returncode == 0, done.stderr


def test_create_in_another_region_sends_the_client_there(sending: Gateway, north: Gateway) -> None:
    with pytest.raises(ClientError) as raised:
        sending.client().create_bucket(Bucket="sent", **made_in(NORTH))
    assert raised.value.response["Error"]["Code"] == "TemporaryRedirect"
    answer = signed(f"{sending.url}/sent/a%20key/%C3%A4?versionId=null")
    assert answer.status_code == 307
    assert answer.headers["x-amz-bucket-region"] == NORTH
    location = answer.headers["location"]
    assert location == (
        f"{north.url}/sent/a%20key/%C3%A4?versionId=null&x-s3proxy-redirected={REGION}"
    )
    document = ET.fromstring(answer.text)
    assert document.findtext("Code") == "TemporaryRedirect"
    assert document.findtext("Endpoint") == urlsplit(north.url).netloc
    assert document.findtext("Bucket") == "sent"


def test_client_that_follows_finds_its_object(sending: Gateway, north: Gateway) -> None:
    set_region(sending, "followed")
    in_north(north).create_bucket(Bucket="followed", **made_in(NORTH))
    in_north(north).put_object(Bucket="followed", Key="a/b", Body=b"north")
    for method in ("GET", "HEAD"):
        location = signed(f"{sending.url}/followed/a/b", method).headers["location"]
        found = signed(location, method, NORTH)
        assert found.status_code == 200, found.text
    assert signed(location, "GET", NORTH).content == b"north"
    listed = signed(f"{sending.url}/followed?list-type=2&prefix=a")
    found = signed(listed.headers["location"], "GET", NORTH)
    assert "<Key>a/b</Key>" in found.text


def test_virtual_hosted_requests_are_sent_to_virtual_hosts(sending: Gateway) -> None:
    set_region(sending, "hosted", "virtual-1")
    url = f"{sending.url}/key"
    answer = signed(url, host=f"hosted.here.test:{sending.port}")
    assert answer.headers["location"].startswith("http://hosted.north.test:8000/key?")
    set_region(sending, "hosted-there")
    answer = signed(url, host=f"hosted-there.here.test:{sending.port}")
    assert "/hosted-there/key?" in answer.headers["location"]


def test_boto3_follows_no_redirect_and_says_so(sending: Gateway) -> None:
    """It asks the same endpoint again, signed for the region it was told."""
    set_region(sending, "boto")
    for call in (
        lambda c: c.get_object(Bucket="boto", Key="k"),
        lambda c: c.put_object(Bucket="boto", Key="k", Body=b"b"),
        lambda c: c.list_objects_v2(Bucket="boto"),
        lambda c: c.delete_object(Bucket="boto", Key="k"),
    ):
        with pytest.raises(ClientError) as raised:
            call(sending.client())
        error = raised.value.response["Error"]
        assert (error["Code"], error["Bucket"]) == ("TemporaryRedirect", "boto")
    with pytest.raises(ClientError) as raised:
        sending.client().head_bucket(Bucket="boto")
    headers = raised.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == NORTH


def test_buckets_elsewhere_are_listed_with_their_region(sending: Gateway) -> None:
    set_region(sending, "listed")
    here = sending.client()
    here.create_bucket(Bucket="local")
    found = here.list_buckets(BucketRegion=NORTH, MaxBuckets=1000)["Buckets"]
    regions = {bucket["Name"]: bucket["BucketRegion"] for bucket in found}
    assert regions["listed"] == NORTH
    assert "local" not in regions
    assert here.list_buckets(BucketRegion=REGION)["Buckets"][0]["Name"] == "local"


def test_name_of_a_bucket_elsewhere_is_taken(sending: Gateway) -> None:
    set_region(sending, "taken")
    for location in ({}, made_in("disk")):
        with pytest.raises(ClientError) as raised:
            sending.client().create_bucket(Bucket="taken", **location)
        assert raised.value.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
    done = sending.run("bucket", "region", "unset", "taken")
    assert done.returncode == 0
    sending.client().create_bucket(Bucket="taken")
    done = sending.run("bucket", "region", "set", "taken", NORTH)
    assert "holds data here" in done.stderr


def test_copy_out_of_a_bucket_that_is_elsewhere_names_its_region(sending: Gateway) -> None:
    set_region(sending, "source")
    here = sending.client()
    here.create_bucket(Bucket="target")
    with pytest.raises(ClientError) as raised:
        here.copy_object(Bucket="target", Key="k", CopySource="source/k")
    error = raised.value.response["Error"]
    assert (error["Code"], error["Region"]) == ("InvalidRequest", NORTH)


def test_forwarded_bucket_is_used_as_any_other(relaying: Gateway, north: Gateway) -> None:
    here, there = relaying.client(), in_north(north)
    here.create_bucket(Bucket="relayed", **made_in(NORTH))
    assert here.head_bucket(Bucket="relayed")["BucketRegion"] == NORTH
    assert here.get_bucket_location(Bucket="relayed")["LocationConstraint"] == NORTH
    assert there.get_bucket_location(Bucket="relayed")["LocationConstraint"] == NORTH
    body = os.urandom(LARGE)
    here.put_object(Bucket="relayed", Key="large", Body=body, Metadata={"a": "b"})
    found = there.get_object(Bucket="relayed", Key="large")
    assert (found["Body"].read(), found["Metadata"]) == (body, {"a": "b"})
    assert (
        here.get_object(Bucket="relayed", Key="large", Range="bytes=5-9")["Body"].read()
        == (body[5:10])
    )
    here.upload_file(__file__, "relayed", "file")
    assert [e["Key"] for e in here.list_objects_v2(Bucket="relayed")["Contents"]] == [
        "file",
        "large",
    ]
    here.create_bucket(Bucket="beside")
    here.copy_object(Bucket="beside", Key="copy", CopySource="relayed/large")
    assert here.get_object(Bucket="beside", Key="copy")["Body"].read() == body
    here.delete_objects(Bucket="relayed", Delete={"Objects": [{"Key": "file"}, {"Key": "large"}]})
    here.delete_bucket(Bucket="relayed")
    with pytest.raises(ClientError):
        there.head_bucket(Bucket="relayed")
    here.create_bucket(Bucket="relayed")  # the name is free, here too


def test_forwarding_takes_signatures_for_the_region_it_tells(
    relaying: Gateway, north: Gateway
) -> None:
    """SDKs that have looked the region up sign for it."""
    relaying.client().create_bucket(Bucket="looked-up", **made_in(NORTH))
    elsewhere = boto3.client(
        "s3",
        endpoint_url=relaying.url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name=NORTH,
        config=BotoConfig(s3={"addressing_style": "path"}),
    )
    elsewhere.put_object(Bucket="looked-up", Key="k", Body=b"b" * 100_000)
    assert in_north(north).head_object(Bucket="looked-up", Key="k")["ContentLength"] == 100_000


def test_bucket_that_is_there_already_is_not_made_but_set(
    relaying: Gateway, north: Gateway
) -> None:
    in_north(north).create_bucket(Bucket="there", **made_in(NORTH))
    with pytest.raises(ClientError) as raised:
        relaying.client().create_bucket(Bucket="there", **made_in(NORTH))
    assert raised.value.response["Error"]["Code"] == "BucketAlreadyExists"
    set_region(relaying, "there")
    relaying.client().put_object(Bucket="there", Key="k", Body=b"b")
    assert in_north(north).head_object(Bucket="there", Key="k")["ContentLength"] == 1


@pytest.mark.parametrize("mode", ["redirect", "forward"])
def test_gateways_that_contradict_each_other_say_so(tmp_path: Path, mode: str) -> None:
    """Each takes the other for the one that serves the bucket."""
    one, two = Gateway(tmp_path / "one"), Gateway(tmp_path / "two")
    one._extra = region("two", two.url, mode)
    two._extra = region("one", one.url, mode)
    two._environ["S3PROXY_SERVER__REGION"] = "two"
    one._environ["S3PROXY_SERVER__REGION"] = "one"
    with one, two:
        set_region(one, "bucket", "two")
        set_region(two, "bucket", "one")
        url, seen = f"{one.url}/bucket/key", 0
        answer = signed(url, "GET", "one")
        while answer.status_code == 307:
            seen += 1
            assert seen < 3
            answer = signed(answer.headers["location"], "GET", "two")
        assert answer.status_code == 409, answer.text
        document = ET.fromstring(answer.text)
        assert document.findtext("Code") == "InvalidBucketState"
        assert "contradict each other" in str(document.findtext("Message"))


def test_region_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    dead = Gateway(tmp_path / "dead")
    with Gateway(tmp_path / "one", region("gone", dead.url, "forward")) as gateway:
        set_region(gateway, "bucket", "gone")
        with pytest.raises(ClientError) as raised:
            gateway.client().get_object(Bucket="bucket", Key="k")
        assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"


def test_bucket_of_the_configuration_follows_it(tmp_path: Path, north: Gateway) -> None:
    table = region(NORTH, north.url, "redirect")
    gateway = Gateway(
        tmp_path / "gateway", f'{table}[[bucket]]\nname = "named"\nregion = "{NORTH}"\n'
    )
    with gateway:
        assert signed(f"{gateway.url}/named").status_code == 307
    gateway._extra = table
    with gateway:
        assert signed(f"{gateway.url}/named").status_code == 404


def test_aws_cli_forwards_and_names_the_redirect(
    sending: Gateway, relaying: Gateway, tmp_path: Path
) -> None:
    set_region(sending, "cli")
    environ = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }

    def aws(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [AWS, "--endpoint-url", url, *arguments],
            capture_output=True,
            text=True,
            env=environ,
            check=False,
        )

    said = aws(sending.url, "s3", "ls", "s3://cli")
    assert "TemporaryRedirect" in said.stderr
    location = json.dumps({"LocationConstraint": NORTH})
    made = aws(
        relaying.url, "s3api", "create-bucket", "--bucket", "by-cli",
        "--create-bucket-configuration", location,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert aws(relaying.url, "s3", "cp", __file__, "s3://by-cli/file").returncode == 0
    assert "file" in aws(relaying.url, "s3", "ls", "s3://by-cli").stdout


def test_client_of_the_region_itself_needs_no_detour(north: Gateway) -> None:
    with pytest.raises(ClientError) as raised:
        client(north.url).list_buckets()  # signed for another region
    assert raised.value.response["Error"]["Code"] == "AuthorizationHeaderMalformed"
