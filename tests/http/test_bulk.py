"""Sockets that are woken later because much goes through them."""

import array
import fcntl
import os
import socket
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from s3proxy.http.body import FileBody
from s3proxy.http.bulk import BULK_BYTES_MIN, send_buffer_bytes_max, send_in_bulk
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import Transport
from tests.http.sockets import stream_pair, tcp_pair

KIB = 1024
LOW_WATER_BYTES = 128 * KIB
_SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes that were not sent yet
_UNLIMITED = 2**32 - 1


def mark(transport: Transport) -> int:
    """TCP_NOTSENT_LOWAT, of which the low water is half."""
    with socket.socket(fileno=os.dup(transport.fileno())) as duplicate:
        found = duplicate.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        return found & _UNLIMITED


def unsent_bytes(transport: Transport) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(transport.fileno(), _SIOCOUTQNSD, count)
    return count[0]


async def read_all(sock: socket.socket) -> int:
    """Bytes up to the end of the stream; closes the socket."""
    total = 0
    with trio.socket.from_stdlib_socket(sock) as reader:
        while count := len(await reader.recv(1 << 20)):
            total += count
    return total


async def test_transport_with_an_unsent_low_water_wakes_the_writer_below_it(
    epoll_readiness: Readiness, nursery: trio.Nursery
) -> None:
    one, two = tcp_pair(receive_buffer_bytes=64 * KIB)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * KIB)
    sink = Transport(epoll_readiness, one)
    sink.set_unsent_low_water(LOW_WATER_BYTES)
    while sink.send_nowait(bytes(16 * KIB)) > 0:
        pass
    assert LOW_WATER_BYTES < unsent_bytes(sink) <= 2 * LOW_WATER_BYTES + 16 * KIB
    unsent_at_wake = []

    async def wait() -> None:
        await sink.wait_to_send(60)
        unsent_at_wake.append(unsent_bytes(sink))

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    reader = trio.socket.from_stdlib_socket(two)
    while not unsent_at_wake:
        await reader.recv(8 * KIB)
        await wait_all_tasks_blocked(0.005)
    assert unsent_at_wake[0] < LOW_WATER_BYTES
    sink.close()
    reader.close()


@pytest.mark.parametrize(("count", "marked"), [(BULK_BYTES_MIN, True), (BULK_BYTES_MIN - 1, False)])
async def test_file_body_marks_the_socket_only_where_much_is_sent(
    readiness: Readiness, tmp_path: Path, count: int, marked: bool
) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, count)
    one, two = tcp_pair()
    sink = Transport(readiness, one)
    body = FileBody(os.open(path, os.O_RDONLY), 0, count)
    before = mark(sink)
    async with trio.open_nursery() as reading:
        reading.start_soon(read_all, two)
        await body.send_to(sink, timeout_s=60)
        assert sink.bytes_sent == count
        assert mark(sink) == (send_buffer_bytes_max() if marked else before)
        sink.close()
    await body.aclose()


async def test_send_in_bulk_leaves_other_sockets_alone(readiness: Readiness) -> None:
    one, two = stream_pair()
    with two:
        sink = Transport(readiness, one)
        send_in_bulk(sink, BULK_BYTES_MIN)
        sink.close()
        send_in_bulk(sink, BULK_BYTES_MIN)


@pytest.mark.parametrize(
    ("text", "bytes_max"), [("4096\t16384\t4194304\n", 4 << 20), ("", 0), ("a b c", 0)]
)
def test_send_buffer_bytes_max_is_read_from_the_kernel(
    tmp_path: Path, text: str, bytes_max: int
) -> None:
    setting = tmp_path / "tcp_wmem"
    assert send_buffer_bytes_max(setting) == 0
    other = tmp_path / "other"
    other.write_text(text)
    assert send_buffer_bytes_max(other) == bytes_max
