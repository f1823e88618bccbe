"""Two tenants with equal names of buckets, over the wire: keys, host names, and being disabled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.gateways import REGION, Gateway, client

pytestmark = pytest.mark.slow
READ_ALL = {
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::photos/*",
    }
}


class Person:
    """A user of a tenant, with a bucket `photos` that anybody may read, its CORS and website."""

    def __init__(self, gateway: Gateway, tenant: str) -> None:
        self.tenant = tenant
        self._gateway = gateway
        made = gateway.run("key", "create", "--user", "alice", "--tenant", tenant, "--json")
        key = json.loads(made.stdout)
        self.access_key, self.secret_key = key["access_key"], key["secret_key"]
        self.s3 = client(gateway.url, self.access_key, self.secret_key)
        self.s3.create_bucket(Bucket="photos")
        self.s3.put_object(Bucket="photos", Key="k", Body=tenant.encode(), ContentType="text/html")
        self.s3.delete_public_access_block(Bucket="photos")
        self.s3.put_bucket_policy(Bucket="photos", Policy=json.dumps(READ_ALL))
        self.s3.put_bucket_website(
            Bucket="photos", WebsiteConfiguration={"IndexDocument": {"Suffix": "k"}}
        )
        rule = {"AllowedOrigins": [f"https://{tenant}.example"], "AllowedMethods": ["GET"]}
        self.s3.put_bucket_cors(Bucket="photos", CORSConfiguration={"CORSRules": [rule]})

    def signed(self, method: str, host: str, path: str) -> httpx.Response:
        """A request with a signature, on a host name."""
        request = AWSRequest(method, f"http://{host}{path}")
        credentials = Credentials(self.access_key, self.secret_key)
        S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
        headers = {**request.headers, "Host": host}
        return httpx.request(method, f"{self._gateway.url}{path}", headers=headers)

    def url(self, path: str) -> str:
        """The path and query of a presigned GET."""
        host = self._gateway.url.removeprefix("http://")
        request = AWSRequest("GET", f"http://{host}{path}")
        credentials = Credentials(self.access_key, self.secret_key)
        S3SigV4QueryAuth(credentials, "s3", REGION, expires=60).add_auth(request)
        return str(request.url).removeprefix(f"http://{host}")


class World:
    """A gateway with the tenants main, acme and other."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        for tenant in ("acme", "other"):
            assert gateway.run("tenant", "create", tenant).returncode == 0
        self.main, self.acme = Person(gateway, "main"), Person(gateway, "acme")

    def get(self, host: str, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.request(method, f"{self.gateway.url}{path}", headers={**headers, "Host": host})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    environ = {"S3PROXY_SERVER__DOMAIN": "s3.test", "S3PROXY_SERVER__WEBSITE_DOMAIN": "web.test"}
    with Gateway(tmp_path_factory.mktemp("tenants"), **environ) as gateway:
        yield World(gateway)


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code >= 400
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_equal_names_of_two_tenants_are_two_buckets(world: World) -> None:
    for person in (world.main, world.acme):
        assert person.s3.get_object(Bucket="photos", Key="k")["Body"].read().decode() == (
            person.tenant
        )
        assert [bucket["Name"] for bucket in person.s3.list_buckets()["Buckets"]] == ["photos"]


@pytest.mark.parametrize(
    ("host", "path", "found"),
    [
        ("s3.test", "/photos/k", "main"),
        ("127.0.0.1", "/photos/k", "main"),
        ("photos.s3.test", "/k", "main"),
        ("photos.main.s3.test", "/k", "main"),
        ("photos.acme.s3.test", "/k", "acme"),
        ("acme.s3.test", "/photos/k", "acme"),
        ("photos.web.test", "/", "main"),
        ("photos.acme.web.test", "/", "acme"),
    ],
)
def test_host_name_tells_whose_bucket_anybody_reads(
    world: World, host: str, path: str, found: str
) -> None:
    answer = world.get(host, path)
    assert (answer.status_code, answer.text) == (200, found)


@pytest.mark.parametrize("host", ["photos.other.s3.test", "photos.nobody.s3.test"])
def test_host_name_of_no_such_bucket_is_not_found(world: World, host: str) -> None:
    assert code_of(world.get(host, "/k")) == "NoSuchBucket"


def test_signed_request_is_its_keys_tenants_on_any_host(world: World) -> None:
    signed = world.acme.signed
    for host, path in [
        ("s3.test", "/photos/k"),
        ("photos.s3.test", "/k"),
        ("photos.acme.s3.test", "/k"),
        ("acme.s3.test", "/photos/k"),
    ]:
        assert signed("GET", host, path).text == "acme"
    assert "<Name>photos</Name>" in signed("GET", "acme.s3.test", "/").text


def test_signed_request_on_another_tenants_host_is_as_if_there_were_none(world: World) -> None:
    signed = world.main.signed
    asked = [("photos.{}.s3.test", "/k"), ("{}.s3.test", "/photos/k"), ("{}.s3.test", "/")]
    for host, path in asked:
        acme, nobody = (signed("GET", host.format(name), path) for name in ("acme", "nobody"))
        assert code_of(acme) == code_of(nobody) == "NoSuchBucket"
    # The names are the sender's to use.
    assert signed("PUT", "photos.acme.s3.test", "/").status_code == 200
    assert signed("PUT", "photos.acme.s3.test", "/k").status_code == 200
    assert signed("GET", "s3.test", "/photos.acme/k").status_code == 200
    assert world.get("photos.acme.s3.test", "/k").text == "acme"
    assert signed("DELETE", "photos.acme.s3.test", "/k").status_code == 204
    assert signed("DELETE", "photos.acme.s3.test", "/").status_code == 204


def test_cors_is_that_of_the_tenants_bucket(world: World) -> None:
    for host, path, tenant in [
        ("photos.s3.test", "/k", "main"),
        ("photos.acme.s3.test", "/k", "acme"),
        ("acme.s3.test", "/photos/k", "acme"),
        ("s3.test", world.acme.url("/photos/k"), "acme"),
        ("s3.test", world.main.url("/photos/k"), "main"),
    ]:
        asked = {"Origin": f"https://{tenant}.example", "Access_Control_Request_Method": "GET"}
        answer = world.get(host, path, "OPTIONS", **asked)
        assert answer.status_code == 200, (host, path)
        shared = world.get(host, path, Origin=f"https://{tenant}.example")
        assert shared.headers["access-control-allow-origin"] == f"https://{tenant}.example"
        other = {"main": "acme", "acme": "main"}[tenant]
        refused = world.get(
            host, path, "OPTIONS", Origin=f"https://{other}.example",
            Access_Control_Request_Method="GET",
        )  # fmt: skip
        assert refused.status_code == 403


def test_form_of_anybody_goes_to_the_tenant_of_the_host(world: World) -> None:
    policy = {**READ_ALL["Statement"], "Action": "s3:PutObject"}
    document = json.dumps({"Statement": [READ_ALL["Statement"], policy]})
    world.acme.s3.put_bucket_policy(Bucket="photos", Policy=document)
    url, form = f"{world.gateway.url}/", {"key": "posted"}
    answer = httpx.post(
        url, data=form, files={"file": b"form"}, headers={"Host": "photos.acme.s3.test"}
    )
    assert answer.status_code == 204
    got = world.acme.s3.get_object(Bucket="photos", Key="posted")["Body"].read()
    assert got == b"form"
    with pytest.raises(ClientError, match="NoSuchKey"):
        world.main.s3.get_object(Bucket="photos", Key="posted")
    world.acme.s3.put_bucket_policy(Bucket="photos", Policy=json.dumps(READ_ALL))
    world.acme.s3.delete_object(Bucket="photos", Key="posted")


def test_policy_that_names_a_user_of_another_tenant_lets_nobody_in(world: World) -> None:
    made = world.gateway.run("key", "create", "--user", "bob", "--json")
    key = json.loads(made.stdout)
    bob = client(world.gateway.url, key["access_key"], key["secret_key"])
    world.main.s3.create_bucket(Bucket="private")
    world.main.s3.put_object(Bucket="private", Key="k", Body=b"secret")
    for account, allowed in (("acme", False), ("main", True), ("123456789012", True)):
        policy = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:user/bob"},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::private/*",
        }
        document = json.dumps({"Statement": policy})
        world.main.s3.put_bucket_policy(Bucket="private", Policy=document)
        if allowed:
            assert bob.get_object(Bucket="private", Key="k")["Body"].read() == b"secret"
            continue
        with pytest.raises(ClientError, match="AccessDenied"):
            bob.get_object(Bucket="private", Key="k")


def refused(s3: Any) -> str:
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="photos", Key="k")
    return str(caught.value.response["Error"]["Code"])


def test_disabled_tenant_user_and_key_are_refused_until_they_are_enabled(world: World) -> None:
    run, acme = world.gateway.run, world.acme
    for name in (
        ("tenant", "acme"),
        ("user", "alice", "--tenant", "acme"),
        ("key", acme.access_key),
    ):
        assert run(name[0], "disable", *name[1:]).returncode == 0
        assert refused(acme.s3) == "InvalidAccessKeyId", name
        anonymous = world.get("photos.acme.s3.test", "/k")
        website = world.get("photos.acme.web.test", "/")
        if name[0] == "tenant":
            assert code_of(anonymous) == "AllAccessDisabled"
            assert (website.status_code, "AllAccessDisabled" in website.text) == (403, True)
        else:
            assert (anonymous.text, website.text) == ("acme", "acme")
        assert world.main.s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"main"
        assert run(name[0], "enable", *name[1:]).returncode == 0
        assert acme.s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"acme"


def test_key_rotates_beside_a_running_gateway(world: World) -> None:
    made = world.gateway.run("key", "create", "--user", "alice", "--tenant", "acme", "--json")
    key = json.loads(made.stdout)
    new = client(world.gateway.url, key["access_key"], key["secret_key"])
    assert new.get_object(Bucket="photos", Key="k")["Body"].read() == b"acme"
    third = world.gateway.run("key", "create", "--user", "alice", "--tenant", "acme")
    assert (third.returncode, "2 active keys" in third.stderr) == (1, True)
    assert world.gateway.run("key", "delete", key["access_key"], "--yes").returncode == 0
    assert refused(new) == "InvalidAccessKeyId"
    assert world.acme.s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"acme"


def test_access_log_names_the_tenant(world: World) -> None:
    world.acme.s3.head_object(Bucket="photos", Key="k")
    world.gateway.run("key", "list")  # as long as the log takes to be written
    log = (world.gateway.folder / "access.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line.get("tenant") for line in lines if line.get("user") == "alice"} >= {"main", "acme"}


def test_default_tenant_is_that_of_requests_that_name_none(tmp_path: Path) -> None:
    with Gateway(tmp_path / "g", S3PROXY_SERVER__DEFAULT_TENANT="acme") as gateway:
        nobody = boto3.client(
            "s3",
            endpoint_url=gateway.url,
            region_name=REGION,
            config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}),
        )
        with pytest.raises(ClientError, match="NoSuchBucket"):
            nobody.get_object(Bucket="photos", Key="k")
        assert gateway.run("tenant", "create", "acme").returncode == 0
        Person(gateway, "acme")
        assert nobody.get_object(Bucket="photos", Key="k")["Body"].read() == b"acme"
