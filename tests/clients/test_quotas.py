"""Quotas and rates over the wire: boto3, raw sockets, commands beside the running gateway."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.gateways import Gateway, client, local_backend

pytestmark = pytest.mark.slow
MIB = 1 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("quotas")
    with Gateway(folder, local_backend("disk", folder / "blobs")) as running:
        yield running


def run(gateway: Gateway, *arguments: str) -> str:
    done = gateway.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def held(gateway: Gateway, *arguments: str) -> dict[str, Any]:
    usage: dict[str, Any] = json.loads(run(gateway, "quota", "show", *arguments, "--json"))["usage"]
    return usage


def code_of(call: Any, **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def metric(gateway: Gateway, name: str) -> float:
    text = httpx.get(f"{gateway.control_url}/metrics", timeout=5).text
    found = re.search(rf"^s3proxy_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_quota_of_a_full_bucket_refuses_every_way_in(gateway: Gateway) -> None:
    s3 = gateway.client()
    s3.create_bucket(Bucket="full")
    s3.put_object(Bucket="full", Key="old", Body=bytes(MIB))
    run(gateway, "quota", "set", "--bucket", "full", "--bytes", "2MiB", "--objects", "2")
    refused = ("QuotaExceeded", 403)
    assert code_of(s3.put_object, Bucket="full", Key="new", Body=bytes(MIB + 1)) == refused
    source = {"Bucket": "full", "Key": "old"}
    s3.copy_object(Bucket="full", Key="copy", CopySource=source)
    assert code_of(s3.copy_object, Bucket="full", Key="again", CopySource=source) == refused
    assert code_of(s3.put_object, Bucket="full", Key="empty", Body=b"") == refused
    upload = s3.create_multipart_upload(Bucket="full", Key="parts")["UploadId"]
    part = {"Bucket": "full", "Key": "parts", "UploadId": upload, "PartNumber": 1}
    assert code_of(s3.upload_part, **part, Body=b"x") == refused
    assert code_of(s3.upload_part_copy, **part, CopySource=source) == refused
    s3.put_object(Bucket="full", Key="old", Body=b"smaller")
    s3.upload_part(**part, Body=b"x")
    assert held(gateway, "--bucket", "full") == {"bytes": MIB + 8, "objects": 2, "counting": False}
    s3.delete_object(Bucket="full", Key="old")
    s3.delete_object(Bucket="full", Key="copy")
    s3.abort_multipart_upload(Bucket="full", Key="parts", UploadId=upload)
    assert held(gateway, "--bucket", "full") == {"bytes": 0, "objects": 0, "counting": False}
    assert metric(gateway, 'limited_requests_total{limit="bucket-bytes"}') >= 1
    labels = '{bucket="full",tenant="main"}'
    assert metric(gateway, f"bucket_quota_bytes{labels}") == 2 * MIB


def test_quota_refuses_before_a_client_that_expects_continue_sends(gateway: Gateway) -> None:
    s3 = gateway.client(signature_version="s3v4")
    s3.create_bucket(Bucket="small")
    run(gateway, "quota", "set", "--bucket", "small", "--bytes", "10")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "small", "Key": "k"})
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        path = url.removeprefix(gateway.url)
        connection.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
            "Expect: 100-continue\r\nContent-Length: 1048576\r\n\r\n".encode()
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"<Code>QuotaExceeded</Code>" in answer


def test_quota_of_a_tenant_with_racing_writers_is_never_exceeded(gateway: Gateway) -> None:
    run(gateway, "tenant", "create", "acme")
    key = json.loads(run(gateway, "key", "create", "--user", "a", "--tenant", "acme", "--json"))
    run(gateway, "quota", "set", "--tenant", "acme", "--bytes", "1000000")
    codes: list[str] = []

    def write(bucket: str) -> None:
        s3 = client(gateway.url, key["access_key"], key["secret_key"])
        for number in range(20):
            try:
                s3.put_object(Bucket=bucket, Key=f"k{number}", Body=bytes(60_000))
            except ClientError as error:
                codes.append(error.response["Error"]["Code"])

    first = client(gateway.url, key["access_key"], key["secret_key"])
    for bucket in ("one", "two"):
        first.create_bucket(Bucket=bucket)
    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["QuotaExceeded"] * 24
    usage = {"bytes": 960_000, "objects": 16, "counting": False}
    assert held(gateway, "--tenant", "acme") == usage
    stored = [
        entry["Size"]
        for bucket in ("one", "two")
        for entry in first.list_objects_v2(Bucket=bucket).get("Contents", [])
    ]
    assert (sum(stored), len(stored)) == (960_000, 16)


def test_key_above_its_rate_is_told_when_to_come_back(gateway: Gateway) -> None:
    key = json.loads(run(gateway, "key", "create", "--user", "hasty", "--json"))
    limits = ("--requests-per-s", "0.001", "--requests-burst", "3")
    run(gateway, "key", "limit", key["access_key"], *limits)
    s3 = client(gateway.url, key["access_key"], key["secret_key"])
    for _ in range(3):
        s3.list_buckets()
    with pytest.raises(ClientError) as caught:
        s3.list_buckets()
    answer = caught.value.response
    assert answer["Error"]["Code"] == "SlowDown"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    # Less what came back since: a slow machine may take minutes.
    assert 500 <= int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 1000
    gateway.client().list_buckets()
    assert metric(gateway, 'limited_requests_total{limit="requests-per-s"}') >= 1
    run(gateway, "key", "limit", key["access_key"], "--unlimited")
    s3.list_buckets()


def test_key_above_its_bytes_waits_for_what_it_has_moved(gateway: Gateway) -> None:
    key = json.loads(run(gateway, "key", "create", "--user", "heavy", "--json"))
    s3 = client(gateway.url, key["access_key"], key["secret_key"])
    s3.create_bucket(Bucket="heavy")
    run(gateway, "key", "limit", key["access_key"], "--bytes-per-s", "1KiB")
    s3.put_object(Bucket="heavy", Key="k", Body=bytes(MIB))
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="heavy", Key="k")
    wait_s = int(caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"])
    assert 500 <= wait_s <= 1024
    assert metric(gateway, 'limited_requests_total{limit="bytes-per-s"}') >= 1


def test_limits_of_the_server_are_those_of_every_key(tmp_path: Path) -> None:
    with Gateway(tmp_path, "[limits]\nrequests_per_s = 0.001\nrequests_burst = 2\n") as running:
        s3 = running.client()
        s3.list_buckets()
        s3.list_buckets()
        assert code_of(s3.list_buckets) == ("SlowDown", 503)
        assert httpx.get(running.url, timeout=5).status_code != 503
