"""The control API of a running gateway: what it makes works at once, hostile input is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.gateways import Gateway, client

pytestmark = pytest.mark.slow


class Api:
    """A gateway, and its API with an administrator's token."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.token = gateway.run("token", "create", "--role", "admin").stdout.strip()

    def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        url = f"{self.gateway.control_url}/api/v1{path}"
        return httpx.request(method, url, headers=headers, timeout=60, **more)

    def made(self, path: str, **document: str) -> Any:
        answer = self.ask("POST", path, json=document)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Gateway(tmp_path_factory.mktemp("control")) as gateway:
        yield Api(gateway)


def refused(s3: Any) -> str:
    with pytest.raises(ClientError) as caught:
        s3.list_buckets()
    return str(caught.value.response["Error"]["Code"])


def test_tenant_user_and_key_made_by_the_api_work_until_they_are_disabled(api: Api) -> None:
    api.made("/tenants", name="acme")
    api.made("/tenants/acme/users", name="alice")
    key = api.made("/tenants/acme/keys", user="alice")
    s3 = client(api.gateway.url, key["access_key"], key["secret_key"])
    s3.create_bucket(Bucket="photos")
    for path in (
        "/tenants/acme",
        "/tenants/acme/users/alice",
        f"/tenants/acme/keys/{key['access_key']}",
    ):
        assert api.ask("POST", f"{path}/disable").status_code == 200
        assert refused(s3) == "InvalidAccessKeyId"
        assert api.ask("POST", f"{path}/enable").status_code == 200
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["photos"]
    assert api.ask("DELETE", "/tenants/acme").json()["code"] == "DeleteConflict"
    s3.delete_bucket(Bucket="photos")
    assert api.ask("DELETE", "/tenants/acme").status_code == 204
    assert refused(s3) == "InvalidAccessKeyId"


def test_policy_set_by_the_api_decides_at_once(api: Api) -> None:
    api.made("/tenants/main/users", name="reader")
    key = api.made("/tenants/main/keys", user="reader")
    s3 = client(api.gateway.url, key["access_key"], key["secret_key"])
    s3.list_buckets()
    policy = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
    path = "/tenants/main/users/reader/policy"
    assert api.ask("PUT", path, json=policy).status_code == 200
    assert refused(s3) == "AccessDenied"
    assert api.ask("DELETE", path).status_code == 204
    s3.list_buckets()


def test_token_made_and_deleted_beside_the_gateway_counts_at_once(api: Api) -> None:
    run = api.gateway.run
    token = run("token", "create", "--role", "tenant-admin", "--tenant", "main").stdout.strip()
    assert api.ask("GET", "/tenants", token).json()["items"][0]["name"] == "main"
    assert api.ask("POST", "/tenants", token, json={"name": "x"}).status_code == 403
    assert run("token", "delete", "--yes", token.split("_")[1]).returncode == 0
    assert api.ask("GET", "/tenants", token).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"name": 1}', 400),
        (b'{"name": "a", "more": 1}', 400),
        (b'{"name": "\xff"}', 400),
        (b'{"name": "' + b"a" * 100_000 + b'"}', 400),
        (b"x" * (2 << 20), 413),
    ],
)
def test_hostile_document_is_refused_as_a_problem(api: Api, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api.token}"}
    url = f"{api.gateway.control_url}/api/v1/tenants"
    answer = httpx.post(url, content=body, headers=headers, timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    "path",
    [
        "/tenants/%00",
        "/tenants/..%2F..%2Fetc",
        "/tenants/main/users/%00%01",
        "/tenants/main/users/" + "x" * 5000,
        "/tenants/main/keys/%ED%A0%80",
        "/tenants/main/keys?user=%00",
        "/tenants/%F0%9F%92%A9",
    ],
)
def test_hostile_path_is_not_found(api: Api, path: str) -> None:
    assert api.ask("GET", path).status_code == 404
    assert api.ask("GET", "/tenants?after=%00%ff").status_code == 200


def test_many_wrong_secrets_at_once_cost_few_hashes_and_nobody_else(api: Api) -> None:
    made = api.gateway.run("token", "create", "--role", "admin").stdout.strip()
    assert api.ask("GET", "/tenants").status_code == 200
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        wrong = [f"{made}{number}" for number in range(100)]
        codes = [
            answer.status_code
            for answer in pool.map(lambda t: api.ask("GET", "/tenants", t), wrong)
        ]
    assert set(codes) == {401, 429}
    # One more for every ten seconds that it took.
    assert codes.count(401) <= 6 + (time.monotonic() - started) / 10
    assert api.ask("GET", "/tenants").status_code == 200
    refused_now = api.ask("GET", "/tenants", made)
    assert (refused_now.status_code, int(refused_now.headers["retry-after"]) > 0) == (429, True)


def test_schema_has_every_route(api: Api) -> None:
    paths = httpx.get(f"{api.gateway.control_url}/schema").json()["paths"]
    for path in ("/tenants", "/tenants/{tenant}/users/{user}/policy", "/tenants/{tenant}/keys"):
        assert f"/api/v1{path}" in paths
