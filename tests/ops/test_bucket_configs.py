"""Bucket configurations: kept as put, gone with their bucket, the same for every kind of bucket."""

from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.faults.wire import ask, exchange
from tests.gateways import Gateway, local_backend

PAGE = "https://app.example"
RULE = {
    "AllowedOrigins": ["https://*.example"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedHeaders": ["x-amz-*", "authorization"],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 60,
}


def options(gateway: Gateway, target: str, **headers: str) -> tuple[int, dict[str, str], str]:
    lines = [f"OPTIONS {target} HTTP/1.1", f"Host: 127.0.0.1:{gateway.port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = exchange(gateway, ["\r\n".join([*lines, "", ""]).encode()], "OPTIONS")
    return answer.status, answer.headers, answer.code


def code_of(call: object) -> str:
    with pytest.raises(ClientError) as caught:
        call()  # type: ignore[operator]
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(params=["managed", "attached"])
def place(request: pytest.FixtureRequest, tmp_path: Path):
    config = local_backend("disk", tmp_path / "blobs")
    if request.param == "attached":
        (tmp_path / "files" / "www").mkdir(parents=True)
        config += local_backend("files", tmp_path / "files")
        config += '[[bucket]]\nname = "www"\nbackend = "files"\n'
    with Gateway(tmp_path / "gateway", config) as gateway:
        client = gateway.client()
        if request.param == "managed":
            client.create_bucket(Bucket="www")
        client.put_object(Bucket="www", Key="k", Body=b"1")
        yield gateway, client


def test_cors_is_told_to_pages_of_allowed_origins_only(place: tuple[Gateway, boto3.client]) -> None:
    gateway, client = place
    preflight = {"Access_Control_Request_Method": "PUT"}
    assert options(gateway, "/www/k", Origin=PAGE, **preflight)[::2] == (403, "AccessForbidden")
    assert code_of(lambda: client.get_bucket_cors(Bucket="www")) == "NoSuchCORSConfiguration"
    client.put_bucket_cors(Bucket="www", CORSConfiguration={"CORSRules": [RULE]})
    assert client.get_bucket_cors(Bucket="www")["CORSRules"] == [RULE]

    status, headers, _ = options(
        gateway, "/www/k", Origin=PAGE, Access_Control_Request_Headers="X-Amz-Date", **preflight
    )
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-headers"] == "x-amz-date"
    assert headers["access-control-max-age"] == "60"
    assert options(gateway, "/www/k", Origin="https://evil.test", **preflight)[0] == 403
    other = {"Access_Control_Request_Headers": "X-Other", **preflight}
    status, headers, _ = options(gateway, "/www/k", Origin=PAGE, **other)
    assert (status, "access-control-allow-origin" in headers) == (403, False)
    assert options(gateway, "/absent/k", Origin=PAGE, **preflight)[0] == 403
    assert options(gateway, "/www/k")[::2] == (400, "BadRequest")

    shared = ask(gateway, "GET", "/www/k", {"Origin": PAGE})
    assert (shared.status, shared.body) == (200, b"1")
    assert shared.headers["access-control-allow-origin"] == PAGE
    assert shared.headers["access-control-expose-headers"] == "ETag"
    absent = ask(gateway, "GET", "/www/absent", {"Origin": PAGE})
    assert (absent.status, absent.headers["access-control-allow-origin"]) == (404, PAGE)
    for headers in ({}, {"Origin": "https://evil.test"}):
        kept = ask(gateway, "GET", "/www/k", headers)
        assert kept.status == 200
        assert "access-control-allow-origin" not in kept.headers

    client.delete_bucket_cors(Bucket="www")
    client.delete_bucket_cors(Bucket="www")
    assert code_of(lambda: client.get_bucket_cors(Bucket="www")) == "NoSuchCORSConfiguration"
    assert "vary" not in ask(gateway, "GET", "/www/k", {"Origin": PAGE}).headers


def test_tags_of_a_bucket_are_kept_and_checked(place: tuple[Gateway, boto3.client]) -> None:
    gateway, client = place
    tags = [{"Key": f"key {number}", "Value": "ä + ö"} for number in range(50)]
    assert code_of(lambda: client.get_bucket_tagging(Bucket="www")) == "NoSuchTagSet"
    client.put_bucket_tagging(Bucket="www", Tagging={"TagSet": tags})
    assert client.get_bucket_tagging(Bucket="www")["TagSet"] == tags
    tags.append({"Key": "one more", "Value": ""})
    put = {"Bucket": "www", "Tagging": {"TagSet": tags}}
    assert code_of(lambda: client.put_bucket_tagging(**put)) == "InvalidTag"
    assert len(client.get_bucket_tagging(Bucket="www")["TagSet"]) == 50
    client.delete_bucket_tagging(Bucket="www")
    assert code_of(lambda: client.get_bucket_tagging(Bucket="www")) == "NoSuchTagSet"
    for method in ("GET", "PUT", "DELETE"):
        assert ask(gateway, method, "/absent?tagging").code in ("NoSuchBucket", "MalformedXML")


def test_configurations_go_with_their_bucket_and_outlast_a_restart(tmp_path: Path) -> None:
    config = local_backend("disk", tmp_path / "blobs")
    with Gateway(tmp_path / "gateway", config) as gateway:
        client = gateway.client()
        for name in ("kept", "gone"):
            client.create_bucket(Bucket=name)
            client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [RULE]})
        client.delete_bucket(Bucket="gone")
        client.create_bucket(Bucket="gone")
    with Gateway(tmp_path / "gateway", config) as gateway:
        client = gateway.client()
        assert client.get_bucket_cors(Bucket="kept")["CORSRules"] == [RULE]
        assert code_of(lambda: client.get_bucket_cors(Bucket="gone")) == "NoSuchCORSConfiguration"
