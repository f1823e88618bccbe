"""Exchanges over TLS: who is trusted, and truncation."""

import ssl
from pathlib import Path

import pytest
import trio

from s3proxy.http.client import Client
from s3proxy.http.errors import ConnectFailed, Disconnected
from s3proxy.http.origin import Origin
from s3proxy.http.readiness import Readiness
from s3proxy.http.tls import client_context
from tests.http.sockets import write_certificate
from tests.http.upstreams import GET, OK, Peer, answering, counts, start


def server_context(directory: Path) -> tuple[ssl.SSLContext, Path]:
    certificate, key = write_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


async def test_exchange_with_a_trusted_authority_is_answered_and_reused(
    readiness: Readiness, nursery: trio.Nursery, tmp_path: Path
) -> None:
    context, certificate = server_context(tmp_path)
    upstream = await start(nursery, answering(OK), ssl_context=context)
    client = Client(readiness, ssl_context=client_context(str(certificate)))
    for _ in range(3):
        exchange = await client.exchange(upstream.origin, "GET", GET, replayable=True)
        assert await exchange.read_all(5) == b"hello"
    assert upstream.connections == 1
    assert counts(client.pools[upstream.origin]) == (1, 0, 0)
    await client.aclose()


async def test_exchange_with_an_unknown_certificate_is_refused(
    readiness: Readiness, nursery: trio.Nursery, tmp_path: Path
) -> None:
    context, _ = server_context(tmp_path)
    upstream = await start(nursery, answering(OK), ssl_context=context)
    client = Client(readiness)
    with pytest.raises(ConnectFailed, match="certificate verify failed"):
        await client.exchange(upstream.origin, "GET", GET, replayable=True)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)


async def test_exchange_with_a_certificate_for_another_name_is_refused(
    readiness: Readiness, nursery: trio.Nursery, tmp_path: Path
) -> None:
    context, certificate = server_context(tmp_path)
    upstream = await start(nursery, answering(OK), ssl_context=context)
    client = Client(readiness, ssl_context=client_context(str(certificate)))
    origin = Origin("https", "127.0.0.2", upstream.origin.port)
    with pytest.raises(ConnectFailed):
        await client.exchange(origin, "GET", GET, replayable=True)


async def test_exchange_with_a_plain_server_fails_the_handshake(
    readiness: Readiness, nursery: trio.Nursery
) -> None:
    async def script(peer: Peer) -> None:
        await peer.stream.receive_some(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    upstream = await start(nursery, script)
    client = Client(readiness)
    origin = Origin("https", "127.0.0.1", upstream.origin.port)
    with pytest.raises(ConnectFailed, match="TLS handshake"):
        await client.exchange(origin, "GET", GET, replayable=True)


async def test_exchange_unframed_and_cut_without_notice_is_told(
    readiness: Readiness, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        assert isinstance(peer.stream, trio.SSLStream)
        await peer.stream.transport_stream.aclose()

    context, certificate = server_context(tmp_path)
    upstream = await start(nursery, script, ssl_context=context)
    client = Client(readiness, ssl_context=client_context(str(certificate)))
    exchange = await client.exchange(upstream.origin, "GET", GET, replayable=True)
    with pytest.raises(Disconnected):
        await exchange.read_all(100)
    assert counts(client.pools[upstream.origin]) == (0, 0, 0)
