"""The PROXY protocol: its headers, and connections that begin with one."""

import ssl
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.limits import ServerLimits
from s3proxy.http.proxy_protocol import (
    HEADER_BYTES_MAX,
    ProxyHeader,
    ProxyHeaderError,
    parse_proxy_header,
)
from s3proxy.http.readiness import Readiness
from s3proxy.http.tls import TlsContext, client_context
from s3proxy.s3.proxies import Networks
from tests.http.serving import Client, serving
from tests.http.sockets import write_certificate

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
LOOPBACK = Networks(["127.0.0.0/8"])
ELSEWHERE = Networks(["10.0.0.0/8"])


def v2(family: int, addresses: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(addresses).to_bytes(2, "big") + addresses


V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (56324).to_bytes(2, "big") + b"\x01\xbb"
V6 = bytes.fromhex("20010db8" + "00" * 11 + "07") + bytes(16) + (7).to_bytes(2, "big") + b"\0\0"


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (V1, "192.0.2.7:56324"),
        (b"PROXY TCP6 2001:db8::7 ::1 0 443\r\n", "[2001:db8::7]:0"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", ""),
        (v2(0x11, V4), "192.0.2.7:56324"),
        (v2(0x21, V6), "[2001:db8::7]:7"),
        (v2(0x11, V4 + b"\x04\0\x03abc"), "192.0.2.7:56324"),
        (v2(0x00, b""), ""),
        (v2(0x31, bytes(216)), ""),
        (v2(0x00, b"", 0x20), ""),
        (v2(0x11, V4, 0x20), ""),
    ],
)
def test_header_whole_byte_by_byte_and_with_what_follows(header: bytes, peer: str) -> None:
    wanted = ProxyHeader(len(header), peer)
    assert parse_proxy_header(header) == wanted
    assert parse_proxy_header(header + b"GET / HTTP/1.1\r\n") == wanted
    for stop in range(len(header)):
        assert parse_proxy_header(header[:stop]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PUT / HTTP/1.1\r\n",
        b"proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
        b"PROXY TCP6 fe80::1%a\nb ::1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY " + b"x" * 107,
        b"\r\n\r\n\0\r\nQUIT\r",
        SIGNATURE + b"\x11\x11\0\x0c" + V4,
        SIGNATURE + b"\x22\x11\0\x0c" + V4,
        v2(0x11, V4[:8]),
        SIGNATURE + b"\x21\x11" + HEADER_BYTES_MAX.to_bytes(2, "big"),
    ],
)
def test_header_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        parse_proxy_header(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY TCP4 ", SIGNATURE + b"\x21"]))
def test_header_of_any_bytes_is_refused_or_within_them(data: bytes, start: bytes) -> None:
    try:
        found = parse_proxy_header(start + data)
    except ProxyHeaderError:
        return
    assert found is None or 0 < found.length <= len(start + data)


@pytest.mark.parametrize("header", [V1, v2(0x11, V4)])
async def test_connection_of_a_proxy_has_the_clients_address(
    readiness: Readiness, header: bytes
) -> None:
    async with serving(readiness, proxies=LOOPBACK) as served, served.client() as client:
        for piece in (header[:5], header[5:]):
            await client.send(piece)
            await wait_all_tasks_blocked()
        for _ in range(2):
            assert (await client.ask()).status == 200
        assert [request.peer for request in served.handler.requests] == ["192.0.2.7:56324"] * 2


async def test_connection_of_a_proxy_may_carry_header_and_request_at_once(
    readiness: Readiness,
) -> None:
    async with serving(readiness, proxies=LOOPBACK) as served, served.client() as client:
        await client.send(
            b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert (await client.rest()).startswith(b"HTTP/1.1 200")
        assert served.handler.requests[0].peer.startswith("127.0.0.1:")


async def test_connection_of_a_proxy_speaks_tls_behind_the_header(
    readiness: Readiness, tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path)
    tls = TlsContext(str(certificate), str(key))
    trust: ssl.SSLContext = client_context(str(certificate))
    async with serving(readiness, tls=tls, proxies=LOOPBACK) as served, served.client() as raw:
        await raw.send(V1)
        stream = trio.SSLStream(trio.SocketStream(raw.sock), trust, server_hostname="localhost")
        assert (await Client(stream, raw.sock).ask()).status == 200
        assert served.handler.requests[0].secure
        assert served.handler.requests[0].peer == "192.0.2.7:56324"


async def test_connection_of_a_proxy_without_a_header_is_closed(readiness: Readiness) -> None:
    async with serving(readiness, proxies=LOOPBACK) as served, served.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        try:
            assert await client.rest() == b""
        except trio.BrokenResourceError:
            pass  # a reset says the same
        assert served.handler.requests == []
        assert served.handler.failures == []
        assert served.server.stats.proxy_headers_refused == 1


async def test_connection_of_a_proxy_that_ends_at_once_is_forgotten(readiness: Readiness) -> None:
    async with serving(readiness, proxies=LOOPBACK) as served:
        async with served.client() as client:
            await client.send(V1[:4])
        await wait_all_tasks_blocked()
        assert served.handler.failures == []


async def test_connection_of_a_proxy_with_a_slow_header_is_closed(
    readiness: Readiness, autojump_clock: MockClock
) -> None:
    limits = ServerLimits(head_timeout_s=10)
    async with serving(readiness, limits=limits, proxies=LOOPBACK) as served:
        async with served.client() as client:
            await client.send(V1[:10])
            assert await client.is_closed()
        assert served.server.stats.proxy_headers_refused == 1


@pytest.mark.parametrize("header", [V1, v2(0x11, V4)])
async def test_connection_of_anybody_else_with_a_header_is_a_bad_request(
    readiness: Readiness, header: bytes
) -> None:
    async with serving(readiness, proxies=ELSEWHERE) as served, served.client() as client:
        await client.send(header + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400")
        assert served.handler.requests == []


async def test_connection_of_a_proxy_that_says_nothing_ends_when_the_server_drains(
    readiness: Readiness,
) -> None:
    async with serving(readiness, proxies=LOOPBACK) as served, served.client() as client:
        await wait_all_tasks_blocked()
        with trio.fail_after(60):
            await served.server.drain(60)
            assert await client.is_closed()
        assert served.handler.failures == []


async def test_connection_of_a_proxy_that_says_nothing_makes_room_for_another(
    readiness: Readiness, autojump_clock: MockClock
) -> None:
    limits = ServerLimits(connections_max=1)
    async with serving(readiness, limits=limits, proxies=LOOPBACK) as served:
        async with served.client() as silent, served.client() as client:
            await client.send(V1)
            assert (await client.ask()).status == 200
            assert await silent.is_closed()
        assert served.server.stats.evicted == 1
