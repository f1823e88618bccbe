"""boto3 behind proxies that change requests, and a gateway that trusts them, or does not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway, client

pytestmark = pytest.mark.slow
PROXY = {"X-Forwarded-Host": "files.example.org", "X-Forwarded-Proto": "https"}
PREFIX = {"X-Forwarded-Prefix": "/store"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proxies")


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Gateway]:
    environ = {
        "S3PROXY_SERVER__TRUSTED_PROXIES": "127.0.0.0/8",
        "S3PROXY_SERVER__DOMAIN": "example.org",
        "S3PROXY_SERVER__TOLERATE_ACCEPT_ENCODING": "true",
    }
    with Gateway(folder, **environ) as running:
        running.client().create_bucket(Bucket="files")
        running.client().create_bucket(Bucket="plain")
        yield running


def through(gateway: Gateway, url: str, **headers: str) -> httpx.Response:
    """A request for `url` as a proxy passes it on that takes the prefix off."""
    path = url.split("example.org", 1)[1].removeprefix("/store")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(gateway.url + path, headers=named)


def presigned(endpoint: str, **config: object) -> str:
    s3 = client(endpoint, signature_version="s3v4", **config)
    url: str = s3.generate_presigned_url("get_object", Params={"Bucket": "plain", "Key": "a b"})
    return url


def test_signature_over_the_proxys_host_and_prefix_holds(gateway: Gateway) -> None:
    gateway.client().put_object(Bucket="plain", Key="a b", Body=b"hello")
    host = {"X-Forwarded-Host": "example.org"}
    url = presigned("https://example.org/store")
    assert through(gateway, url, **host, **PREFIX).content == b"hello"
    assert through(gateway, url, **host).status_code == 403
    assert through(gateway, url, **PREFIX).status_code == 403


def test_host_of_the_proxy_names_the_bucket(gateway: Gateway) -> None:
    gateway.client().put_object(Bucket="plain", Key="a b", Body=b"hello")
    url = presigned("https://example.org", s3={"addressing_style": "virtual"})
    path = url.split(".example.org", 1)[1]
    headers = {"X-Forwarded-Host": "plain.example.org"}
    assert httpx.get(gateway.url + path, headers=headers).content == b"hello"


def test_address_of_the_client_is_in_the_log(folder: Path) -> None:
    inner = folder / "logging"
    with Gateway(inner, S3PROXY_SERVER__TRUSTED_PROXIES="127.0.0.0/8") as gateway:
        headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.77, 127.0.0.5"}
        httpx.get(f"{gateway.url}/plain/logged", headers=headers)
    lines = [json.loads(line) for line in (inner / "access.log").read_text().splitlines()]
    assert [line["remote"] for line in lines if line["path"] == "/plain/logged"] == ["192.0.2.77:0"]


def test_location_of_a_form_has_the_outer_scheme_and_host(gateway: Gateway) -> None:
    s3 = gateway.client(signature_version="s3v4")
    fields = s3.generate_presigned_post("plain", "form")["fields"]
    answer = httpx.post(
        f"{gateway.url}/plain",
        data=fields,
        files={"file": b"x"},
        headers={"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"},
    )
    assert answer.headers["Location"] == "https://example.org/plain/form"


def test_headers_of_anybody_else_are_not_believed(folder: Path) -> None:
    inner = folder / "untrusting"
    with Gateway(inner, S3PROXY_SERVER__TRUSTED_PROXIES="192.0.2.0/24") as gateway:
        gateway.client().create_bucket(Bucket="plain")
        headers = {"X-Forwarded-For": "192.0.2.77", **PROXY}
        httpx.get(f"{gateway.url}/plain/logged", headers=headers)
        url = presigned("https://example.org")
        assert through(gateway, url, X_Forwarded_Host="example.org").status_code == 403
        gateway.client().list_buckets()
    lines = [json.loads(line) for line in (inner / "access.log").read_text().splitlines()]
    assert all(line["remote"].startswith("127.0.0.1:") for line in lines)


def test_proxy_protocol_gives_the_clients_address(folder: Path) -> None:
    inner = folder / "balanced"
    text = '{"S3PROXY_SERVER__TRUSTED_PROXIES":"127.0.0.1","S3PROXY_SERVER__PROXY_PROTOCOL":"true"}'
    with Gateway(inner, **json.loads(text)) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 9000\r\n")
            sock.sendall(b"GET /logged HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 404")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{gateway.url}/unlogged")
    lines = [json.loads(line) for line in (inner / "access.log").read_text().splitlines()]
    assert [(line["path"], line["remote"]) for line in lines] == [("/logged", "192.0.2.9:4711")]


def test_accept_encoding_that_a_network_replaced_is_tolerated(gateway: Gateway) -> None:
    s3 = gateway.client(signature_version="s3v4")
    sent: dict[str, str] = {}

    def signed(request: object, **_: object) -> None:
        request.headers["Accept-Encoding"] = "identity"  # type: ignore[attr-defined]

    def replaced(request: object, **_: object) -> None:
        del request.headers["Accept-Encoding"]  # type: ignore[attr-defined]
        request.headers["Accept-Encoding"] = "gzip, br"  # type: ignore[attr-defined]
        sent.update(request.headers)  # type: ignore[attr-defined]

    s3.meta.events.register("before-sign.s3.*", signed)
    s3.meta.events.register("before-send.s3.*", replaced)
    assert [entry["Name"] for entry in s3.list_buckets()["Buckets"]] == ["files", "plain"]
    assert sent["Accept-Encoding"] == "gzip, br"
    assert "accept-encoding" in str(sent["Authorization"])
    assert ACCESS_KEY in str(sent["Authorization"])
    assert SECRET_KEY not in str(sent)
