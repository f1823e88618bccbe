"""What a start does, as an operator sees it: credentials, ports, locks, certificates."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.gateways import (
    ROOT,
    SECRET_KEY,
    STOP_S_MAX,
    CommandGateway,
    Gateway,
    client,
    local_backend,
)
from tests.http.sockets import write_certificate

WAIT_S_MAX = 20.0
UNSET_ROOT = {"S3PROXY_ROOT_ACCESS_KEY": "", "S3PROXY_ROOT_SECRET_KEY": ""}


def printed_keys(gateway: Gateway) -> list[tuple[str, str]]:
    """Every pair of root credentials that the gateway has printed so far."""
    return re.findall(r"access key  (\S+)\n  secret key  (\S+)\n", gateway.log.read_text())


def wait_for_log(gateway: Gateway, text: str) -> None:
    deadline_s = time.monotonic() + WAIT_S_MAX
    while text not in gateway.log.read_text():
        assert time.monotonic() < deadline_s, gateway.log.read_text()[-2000:]
        time.sleep(0.02)


def refused_start(gateway: Gateway) -> str:
    """Run `serve` a second time with the configuration of `gateway`; the line that refuses."""
    command = [sys.executable, "-m", "s3proxy", "serve", "--config", str(gateway.config)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=gateway.environ(),
        check=False, timeout=STOP_S_MAX,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_first_start_prints_root_credentials_that_work(tmp_path: Path) -> None:
    with CommandGateway(tmp_path, **UNSET_ROOT) as gateway:
        wait_for_log(gateway, "Paste this")
        ((access_key, secret_key),) = printed_keys(gateway)
        assert f"AWS_ENDPOINT_URL={gateway.url}" in gateway.log.read_text()
        s3 = client(gateway.url, access_key, secret_key)
        s3.create_bucket(Bucket="first")
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["first"]


def test_later_starts_print_no_credentials(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, **UNSET_ROOT)
    with gateway:
        wait_for_log(gateway, "Paste this")
        (first,) = printed_keys(gateway)
    with gateway:
        client(gateway.url, *first).list_buckets()
    assert printed_keys(gateway) == [first]


def test_credentials_are_printed_by_the_first_start_that_succeeds(tmp_path: Path) -> None:
    tmp_path.joinpath("occupied").write_text("no directory")
    gateway = Gateway(tmp_path, local_backend("disk", tmp_path / "occupied"), **UNSET_ROOT)
    with pytest.raises(AssertionError, match="backend: "):
        gateway.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = Gateway(tmp_path, S3PROXY_CONTROL__LISTEN=address, **UNSET_ROOT)
        with pytest.raises(AssertionError, match="already in use"):
            refused.start()
    with Gateway(tmp_path, **UNSET_ROOT) as gateway:
        wait_for_log(gateway, "Paste this")
        ((access_key, secret_key),) = printed_keys(gateway)
        client(gateway.url, access_key, secret_key).list_buckets()


def test_preset_root_key_is_not_printed_and_a_changed_secret_takes_effect(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.client().list_buckets()
        assert printed_keys(gateway) == []
        assert SECRET_KEY not in gateway.log.read_text()
    changed = "another/secret/of/forty/characters/00000"
    with Gateway(tmp_path, S3PROXY_ROOT_SECRET_KEY=changed) as gateway:
        client(gateway.url, secret_key=changed).list_buckets()
        with pytest.raises(Exception, match="SignatureDoesNotMatch"):
            gateway.client().list_buckets()


def test_control_port_answers_on_a_running_gateway(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.client().list_buckets()
        assert httpx.get(f"{gateway.control_url}/healthz").json() == {"status": "ok"}
        ready = httpx.get(f"{gateway.control_url}/readyz")
        parts = {"server": "ok", "catalog": "ok", "backend disk": "ok"}
        assert (ready.status_code, ready.json()) == (200, parts)
        metrics = httpx.get(f"{gateway.control_url}/metrics").text
        assert re.search(r'operation="list_buckets"', metrics)


def test_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        line = refused_start(gateway)
        assert "in use by another s3proxy" in line
        gateway.client().list_buckets()


@pytest.mark.parametrize("name", ["server", "control"])
def test_start_on_a_taken_port_is_refused(tmp_path: Path, name: str) -> None:
    gateway = Gateway(tmp_path)
    with gateway:
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = Gateway(tmp_path, **{f"S3PROXY_{name.upper()}__LISTEN": address})
        assert refused_start(other) == f"s3proxy: {name}.listen {address}: Address already in use"


def test_key_made_and_disabled_beside_a_running_gateway_counts_at_once(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        made = gateway.run("key", "create", "--user", "alice").stdout
        access_key = re.search(r"access key  (\S+)", made)
        secret_key = re.search(r"secret key  (\S+)", made)
        assert access_key and secret_key
        alice = client(gateway.url, access_key[1], secret_key[1])
        alice.list_buckets()
        assert gateway.run("key", "disable", access_key[1]).returncode == 0
        with pytest.raises(Exception, match="InvalidAccessKeyId"):
            alice.list_buckets()


class TlsGateway(CommandGateway):
    """A gateway whose S3 port speaks TLS with the certificate in its folder."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = write_certificate(folder)
        super().__init__(
            folder,
            S3PROXY_SERVER__TLS_CERT=str(self.certificate),
            S3PROXY_SERVER__TLS_KEY=str(self.key),
        )

    def served(self) -> str:
        """The certificate that a new connection is shown, as PEM."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))


def test_tls_start_serves_the_certificate_and_sighup_takes_the_next(tmp_path: Path) -> None:
    with TlsGateway(tmp_path) as gateway:
        before = gateway.certificate.read_text()
        assert gateway.served() == before
        url = gateway.url.replace("http:", "https:")
        client_side = httpx.Client(verify=ssl.create_default_context(cadata=before))
        with client_side:
            assert client_side.get(url).status_code == 403
            write_certificate(tmp_path)
            os.kill(gateway.pid, signal.SIGHUP)
            wait_for_log(gateway, "certificate loaded again")
            assert gateway.served() == gateway.certificate.read_text() != before
            assert client_side.get(url).status_code == 403  # the open connection stays


def test_sighup_with_a_broken_certificate_keeps_the_old_one(tmp_path: Path) -> None:
    with TlsGateway(tmp_path) as gateway:
        before = gateway.served()
        gateway.certificate.write_text("no certificate")
        os.kill(gateway.pid, signal.SIGHUP)
        wait_for_log(gateway, "certificate not loaded, the old one stays")
        assert gateway.served() == before
