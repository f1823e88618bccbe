"""The end of a gateway: what has begun is finished, and only one gateway has the data at a time."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.traces import leftovers, logged_bugs, open_connections
from tests.faults.wire import Wire, ask, signed_head, wait_until
from tests.gateways import Gateway, attached, local_backend, s3_backend

MIB = 1 << 20
LARGE = 16 * MIB

pytestmark = pytest.mark.slow


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "inner") as gateway:
        gateway.client().create_bucket(Bucket="far")
        yield gateway


def gateway_over(inner: Gateway, folder: Path) -> Gateway:
    extra = (
        local_backend("disk", folder / "blobs")
        + s3_backend("inner", inner.url)
        + attached("far", "inner")
    )
    return Gateway(folder, extra)


class Stopping(threading.Thread):
    """SIGTERM, and the exit status as soon as the gateway is gone."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway
        self.status: int | None = None
        self.start()

    def run(self) -> None:
        self.status = self._gateway.stop()

    def result(self) -> int | None:
        self.join(60)
        return self.status


def refuses(port: int) -> bool:
    """Whether nobody accepts connections any more."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_sigterm_lets_what_has_begun_finish(tmp_path: Path, inner: Gateway) -> None:
    """Uploads and downloads of both backends, one whose body has not begun, and pipelined ones."""
    gateway = gateway_over(inner, tmp_path / "outer").start()
    body = os.urandom(MIB) * (LARGE // MIB)
    s3 = gateway.client()
    s3.create_bucket(Bucket="near")
    for bucket in ("near", "far"):
        s3.put_object(Bucket=bucket, Key="large", Body=body)
    s3.close()
    with ExitStack() as stack:

        def begun(method: str, target: str, *pieces: bytes, **headers: str) -> Wire:
            wire = stack.enter_context(Wire(gateway.port, receive_bytes=64 << 10))
            wire.send(signed_head(gateway.port, method, target, headers).data, *pieces)
            return wire

        length = {"Content-Length": str(LARGE)}
        uploads = {
            target: begun("PUT", target, body[: LARGE // 2], **length)
            for target in ("/near/new", "/far/new")
        }
        waiting = begun("PUT", "/near/waiting", **length)
        downloads = [begun("GET", target) for target in ("/near/large", "/far/large")]
        for wire in downloads:
            assert wire.socket.recv(100, socket.MSG_PEEK)
        wait_until(lambda: open_connections(gateway) == 5)
        stopping = Stopping(gateway)
        wait_until(lambda: refuses(gateway.port))
        assert stopping.is_alive()
        for wire in downloads:
            answer = wire.read_answer()
            assert answer.whole
            assert answer.body == body
        for wire in uploads.values():
            wire.send(body[LARGE // 2 :])
        waiting.send(body)
        for wire in (*uploads.values(), waiting):
            answer = wire.read_answer()
            assert (answer.status, answer.keeps_open) == (200, False), answer
            assert wire.at_end()
        assert stopping.result() == 0
    gateway.start()
    try:
        for target in ("/near/new", "/far/new", "/near/waiting"):
            assert ask(gateway, "GET", target).body == body
    finally:
        assert gateway.stop() == 0
    assert logged_bugs(gateway) == []


def test_sigterm_closes_idle_connections_at_once(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path).start()
    with Wire(gateway.port) as used, Wire(gateway.port) as fresh:
        used.send(signed_head(gateway.port, "GET", "/").data)
        assert used.read_answer().status == 200
        stopping = Stopping(gateway)
        assert used.at_end()
        assert fresh.at_end()
        assert stopping.result() == 0
    assert logged_bugs(gateway) == []


def test_sigterm_cuts_what_outlasts_the_grace(tmp_path: Path) -> None:
    """An upload that never ends holds up the exit no longer than was configured."""
    gateway = Gateway(tmp_path, S3PROXY_SERVER__GRACE_S="1").start()
    gateway.client().create_bucket(Bucket="near")
    headers = {"Content-Length": str(LARGE)}
    with Wire(gateway.port) as wire:
        wire.send(signed_head(gateway.port, "PUT", "/near/endless", headers).data, bytes(MIB))
        wait_until(lambda: leftovers(tmp_path / "data" / "blobs"))
        assert Stopping(gateway).result() == 0
        assert wire.read_to_end() == b""
    assert leftovers(tmp_path / "data" / "blobs") == []
    gateway.start()
    assert ask(gateway, "GET", "/near/endless").code == "NoSuchKey"
    assert gateway.stop() == 0
    assert logged_bugs(gateway) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_gateway_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    gateway = Gateway(tmp_path).start()
    os.kill(gateway.pid, number)
    assert gateway.stop() == 0
    assert logged_bugs(gateway) == []


def test_sigterm_again_and_again_to_the_very_end_leaves_status_0(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path).start()
    stopping = Stopping(gateway)
    while stopping.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(gateway.pid, signal.SIGTERM)
        # Not at once: handlers that interrupt each other without end are a RecursionError.
        stopping.join(0.001)
    assert stopping.result() == 0


def test_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """In one clear line; the first one goes on, and its data is free once it has gone."""
    with Gateway(tmp_path / "one") as first:
        first.client().create_bucket(Bucket="near")
        second = Gateway(tmp_path / "two", S3PROXY_DATA__DIR=str(tmp_path / "one" / "data"))
        with pytest.raises(AssertionError, match="is in use by another s3proxy"):
            second.start()
        assert second.stop() == 1
        lines = second.log.read_text().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("s3proxy: data.dir ")
        assert ask(first, "PUT", "/near/key", body=b"body").status == 200
    with second:
        assert ask(second, "GET", "/near/key").body == b"body"


def test_second_gateway_on_the_same_port_is_refused(tmp_path: Path) -> None:
    with Gateway(tmp_path / "one") as first:
        listen = f"127.0.0.1:{first.port}"
        second = Gateway(tmp_path / "two", S3PROXY_SERVER__LISTEN=listen)
        with pytest.raises(AssertionError, match="s3proxy: server"):
            second.start()
        assert second.stop() == 1
        assert len(second.log.read_text().splitlines()) == 1


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost with that common name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "tls.crt", folder / "tls.key"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_path, key_path


def connected(gateway: Gateway) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    return context.wrap_socket(plain)


def served_name(gateway: Gateway) -> str:
    """The common name of the certificate that a new connection is given."""
    with connected(gateway) as tls:
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        (attribute,) = x509.load_der_x509_certificate(der).subject
        return str(attribute.value)


def test_sighup_serves_the_new_certificate_and_cuts_nobody(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    tls = {"S3PROXY_SERVER__TLS_CERT": str(cert), "S3PROXY_SERVER__TLS_KEY": str(key)}
    with Gateway(tmp_path, **tls) as gateway:
        assert served_name(gateway) == "first"
        with connected(gateway) as before:
            certificate(tmp_path, "second")
            os.kill(gateway.pid, signal.SIGHUP)
            wait_until(lambda: served_name(gateway) == "second")
            before.sendall(signed_head(gateway.port, "GET", "/").data)
            assert before.recv(100).startswith(b"HTTP/1.1 200 ")
        cert.write_text("no certificate")
        os.kill(gateway.pid, signal.SIGHUP)
        wait_until(lambda: "the old one stays" in gateway.log.read_text())
        assert served_name(gateway) == "second"
        assert logged_bugs(gateway) == []


def test_sighup_without_tls_is_no_end(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        os.kill(gateway.pid, signal.SIGHUP)
        assert ask(gateway, "GET", "/").status == 200
