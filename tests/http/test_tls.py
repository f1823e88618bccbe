"""TLS: contexts, handshakes, transfers, and the server over it."""

import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.body import FileBody
from s3proxy.http.errors import DeadlineExceeded, Disconnected, TlsConfigError
from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from s3proxy.http.tls import TlsContext, client_context
from s3proxy.http.transport import TlsTransport, Transport
from tests.http.serving import serving
from tests.http.sockets import tcp_pair, write_certificate


class Files:
    """A certificate, its key, and contexts made of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate, self.key = write_certificate(directory)
        self.server = TlsContext(str(self.certificate), str(self.key))
        self.client = client_context(str(self.certificate))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def wrapped_client(context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    return context.wrap_socket(
        sock,
        server_hostname="localhost",
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )


@asynccontextmanager
async def connected(
    readiness: Readiness, files: Files
) -> AsyncIterator[tuple[TlsTransport, TlsTransport]]:
    """Server side and client side, hands shaken."""
    near, far = tcp_pair()
    server = TlsTransport(readiness, files.server.wrap(near))
    client = TlsTransport(readiness, wrapped_client(files.client, far))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: server.handshake(timeout_s=10))
            await client.handshake(timeout_s=10)
        yield server, client
    finally:
        server.close()
        client.close()


async def receive_exactly(transport: Transport, count: int) -> bytes:
    data = bytearray()
    buffer = bytearray(100_000)
    while len(data) < count:
        received = await transport.receive_into(buffer, timeout_s=60)
        assert received
        data += buffer[:received]
    return bytes(data)


async def test_transport_both_directions_at_once_carry_all(readiness: Readiness, files: Files):
    one, two = os.urandom(1 << 22), os.urandom(1 << 22)
    async with connected(readiness, files) as (server, client):
        assert not server.plain

        async def receive(transport: Transport, expected: bytes) -> None:
            assert await receive_exactly(transport, len(expected)) == expected

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, server, two)
            nursery.start_soon(receive, client, one)
            nursery.start_soon(lambda: client.send_all(two, timeout_s=60))
            await server.send_parts([one[:5], one[5:]], timeout_s=60)


async def test_transport_close_is_seen_as_the_end(readiness: Readiness, files: Files):
    async with connected(readiness, files) as (server, client):
        await server.send_all(b"last", timeout_s=60)
        server.close()
        assert await receive_exactly(client, 4) == b"last"
        assert await client.receive_into(bytearray(10), timeout_s=60) == 0


async def test_transport_end_without_close_notify_raises_disconnected(
    readiness: Readiness, files: Files
):
    async with connected(readiness, files) as (server, client):
        Transport.shutdown_write(server)
        with pytest.raises(Disconnected):
            await client.receive_into(bytearray(10), timeout_s=60)


async def test_transport_closed_here_raises_closed_resource_error(
    readiness: Readiness, files: Files
):
    async with connected(readiness, files) as (server, _client):
        server.close()
        server.close()
        with pytest.raises(trio.ClosedResourceError):
            await server.receive_into(bytearray(10), timeout_s=60)
        with pytest.raises(trio.ClosedResourceError):
            await server.send_all(b"a", timeout_s=60)
        with pytest.raises(trio.ClosedResourceError):
            await server.handshake(timeout_s=60)


async def test_transport_peer_does_not_read_raises_deadline_exceeded(
    patient_clock: MockClock, readiness: Readiness, files: Files
):
    async with connected(readiness, files) as (server, _client):
        with pytest.raises(DeadlineExceeded):
            await server.send_all(bytes(1 << 26), timeout_s=30)


async def test_file_body_over_tls_arrives(readiness: Readiness, files: Files, tmp_path: Path):
    data = os.urandom(1 << 21)
    path = tmp_path / "file"
    path.write_bytes(data)
    body = FileBody(os.open(path, os.O_RDONLY), 0, len(data))
    async with connected(readiness, files) as (server, client), trio.open_nursery() as nursery:
        nursery.start_soon(lambda: body.send_to(server, timeout_s=60))
        assert await receive_exactly(client, len(data)) == data
    await body.aclose()


async def test_handshake_peer_speaks_no_tls_raises_disconnected(readiness: Readiness, files: Files):
    near, far = tcp_pair()
    server = TlsTransport(readiness, files.server.wrap(near))
    with far:
        far.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(Disconnected):
            await server.handshake(timeout_s=10)
    server.close()


async def test_handshake_silent_peer_raises_deadline_exceeded(
    patient_clock: MockClock, readiness: Readiness, files: Files
):
    near, far = tcp_pair()
    server = TlsTransport(readiness, files.server.wrap(near))
    with far, pytest.raises(DeadlineExceeded):
        await server.handshake(timeout_s=10)
    server.close()


async def test_handshake_untrusted_certificate_raises_disconnected(
    readiness: Readiness, files: Files, tmp_path: Path
):
    other, _ = write_certificate(tmp_path, "other")
    near, far = tcp_pair()
    server = TlsTransport(readiness, files.server.wrap(near))
    client = TlsTransport(readiness, wrapped_client(client_context(str(other)), far))

    async def serve() -> None:
        with pytest.raises(Disconnected):
            await server.handshake(timeout_s=10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(Disconnected, match="certificate"):
            await client.handshake(timeout_s=10)
        client.close()
    server.close()


async def test_handshake_version_before_1_2_is_refused(readiness: Readiness, files: Files):
    near, far = tcp_pair()
    server = TlsTransport(readiness, files.server.wrap(near))
    with far:
        # A ClientHello of TLS 1.0 with one cipher suite, in a record of its own.
        hello = bytes.fromhex("0301") + bytes(32) + bytes.fromhex("000002002f0100")
        message = b"\x01" + len(hello).to_bytes(3, "big") + hello
        far.send(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
        with pytest.raises(Disconnected, match=r"(?i)version|protocol"):
            await server.handshake(timeout_s=10)
    server.close()


async def test_handshake_offers_http_1_1_only(readiness: Readiness, files: Files):
    files.client.set_alpn_protocols(["h2", "http/1.1"])
    async with connected(readiness, files) as (_server, client):
        sock = client.release()
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.selected_alpn_protocol() == "http/1.1"
        assert sock.version() == "TLSv1.3"
        sock.close()


def test_context_missing_or_mismatched_files_raise_tls_config_error(files: Files, tmp_path: Path):
    _, other_key = write_certificate(tmp_path, "other")
    for certificate, key in (
        (tmp_path / "missing", files.key),
        (files.certificate, tmp_path / "missing"),
        (files.certificate, other_key),
        (files.key, files.certificate),
    ):
        with pytest.raises(TlsConfigError, match=certificate.name):
            TlsContext(str(certificate), str(key))


def test_context_encrypted_key_raises_without_asking_anybody(files: Files):
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    encrypted = files.directory / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsConfigError, match="passphrase"):
        TlsContext(str(files.certificate), str(encrypted))


def test_client_context_bad_trust_file_raises_tls_config_error(tmp_path: Path):
    with pytest.raises(TlsConfigError, match="missing"):
        client_context(str(tmp_path / "missing"))
    assert client_context().verify_mode is ssl.CERT_REQUIRED


async def test_reload_new_certificate_is_served_to_new_connections(
    readiness: Readiness, files: Files
):
    async with serving(readiness, tls=files.server) as served:
        async with served.client(files.client) as old:
            assert (await old.ask()).status == 200
            files.certificate.unlink()
            write_certificate(files.directory)
            files.server.reload()
            async with served.client(client_context(str(files.certificate))) as new:
                assert (await new.ask()).status == 200
            assert (await old.ask()).status == 200
        async with served.client(files.client) as stale:
            with pytest.raises(trio.BrokenResourceError):
                await stale.ask()


async def test_reload_bad_files_raises_and_keeps_the_old(readiness: Readiness, files: Files):
    async with serving(readiness, tls=files.server) as served:
        files.key.write_text("nonsense")
        with pytest.raises(TlsConfigError, match=files.key.name):
            files.server.reload()
        async with served.client(files.client) as client:
            assert (await client.ask()).status == 200


async def test_server_over_tls_answers_many_and_says_secure(readiness: Readiness, files: Files):
    body = os.urandom(1 << 20)
    async with serving(readiness, tls=files.server) as served:
        async with served.client(files.client) as client:
            for _ in range(5):
                assert (await client.ask("PUT", body=body)).body == body
            assert (await client.ask("HEAD")).body == b""
        assert all(request.secure for request in served.handler.requests)
        assert {request.tls_version for request in served.handler.requests} == {"1.3"}


async def test_server_over_tls_client_speaks_plain_http_is_cut_and_counted(
    readiness: Readiness, files: Files
):
    async with serving(readiness, tls=files.server) as served:
        async with served.client() as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            try:
                await client.rest()
            except trio.BrokenResourceError:
                pass
        assert served.server.stats.tls_handshake_failures == 1
        assert served.handler.failures == []


async def test_server_over_tls_handshake_that_stalls_is_cut(
    patient_clock: MockClock, readiness: Readiness, files: Files
):
    limits = ServerLimits(head_timeout_s=10)
    async with (
        serving(readiness, tls=files.server, limits=limits) as served,
        served.client() as client,
    ):
        start = trio.current_time()
        await client.rest()
        assert 10 <= trio.current_time() - start <= 12


async def test_server_over_tls_drain_ends_idle_connections_cleanly(
    readiness: Readiness, files: Files
):
    async with (
        serving(readiness, tls=files.server) as served,
        served.client(files.client) as client,
    ):
        await client.ask()
        await wait_all_tasks_blocked()
        await served.server.drain(60)
        assert await client.is_closed()


async def test_server_over_tls_body_cut_short_is_no_clean_end(readiness: Readiness, files: Files):
    async def answer(request: Request) -> Response:
        raise RuntimeError("a bug")

    async with (
        serving(readiness, answer, tls=files.server) as served,
        served.client(files.client) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
