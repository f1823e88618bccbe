"""Plain transports over real sockets: the TLS ones are in test_tls.py."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.errors import DeadlineExceeded, Disconnected
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import (
    BURST_OPERATIONS_MAX,
    PARTS_PER_SEND_MAX,
    WOULD_BLOCK,
    Transport,
)
from tests.http.sockets import stream_pair, tcp_pair

MEBIBYTE = 1 << 20


@contextmanager
def connected(readiness: Readiness, *, tcp: bool = False) -> Iterator[tuple[Transport, Transport]]:
    one, two = tcp_pair() if tcp else stream_pair()
    transports = Transport(readiness, one, "one"), Transport(readiness, two, "two")
    try:
        yield transports
    finally:
        for transport in transports:
            transport.close()


async def receive_exactly(transport: Transport, count: int) -> bytes:
    data = bytearray()
    buffer = bytearray(65536)
    while len(data) < count:
        received = await transport.receive_into(buffer, timeout_s=60)
        assert received, f"ended after {len(data)} of {count}"
        data += buffer[:received]
    return bytes(data)


async def test_receive_into_what_was_sent_arrives(readiness: Readiness):
    with connected(readiness) as (one, two):
        await one.send_all(b"hello", timeout_s=60)
        buffer = bytearray(100)
        assert await two.receive_into(buffer, timeout_s=60) == 5
        assert buffer[:5] == b"hello"
        assert one.bytes_sent == 5
        assert one.plain


async def test_receive_into_peer_closed_returns_zero(readiness: Readiness):
    with connected(readiness) as (one, two):
        one.close()
        assert await two.receive_into(bytearray(10), timeout_s=60) == 0


async def test_receive_into_write_side_shut_returns_zero_and_the_other_way_works(
    readiness: Readiness,
):
    with connected(readiness, tcp=True) as (one, two):
        one.shutdown_write()
        assert await two.receive_into(bytearray(10), timeout_s=60) == 0
        await two.send_all(b"answer", timeout_s=60)
        assert await receive_exactly(one, 6) == b"answer"


async def test_receive_into_peer_reset_raises_disconnected(readiness: Readiness):
    with connected(readiness, tcp=True) as (one, two):
        one.abort()
        one.abort()
        with pytest.raises(Disconnected):
            await two.receive_into(bytearray(10), timeout_s=60)


async def test_receive_nowait_nothing_there_says_would_block(readiness: Readiness):
    with connected(readiness) as (one, _two):
        assert one.receive_nowait(bytearray(10)) == WOULD_BLOCK


async def test_receive_into_nothing_comes_raises_deadline_exceeded(
    autojump_clock: MockClock, readiness: Readiness
):
    with connected(readiness) as (one, _two), pytest.raises(DeadlineExceeded, match="receive"):
        await one.receive_into(bytearray(10), timeout_s=30)


async def test_receive_into_cancelled_loses_nothing(readiness: Readiness):
    with connected(readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: two.receive_into(bytearray(10), timeout_s=60))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await one.send_all(b"whole", timeout_s=60)
        assert await receive_exactly(two, 5) == b"whole"


async def test_receive_into_closed_meanwhile_raises_closed_resource_error(readiness: Readiness):
    with connected(readiness) as (one, _two):

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await one.receive_into(bytearray(10), timeout_s=60)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            one.close()
            one.close()


async def test_operations_after_close_raise_closed_resource_error(readiness: Readiness):
    with connected(readiness) as (one, _two):
        one.close()
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_into(bytearray(10), timeout_s=60)
        with pytest.raises(trio.ClosedResourceError):
            await one.send_all(b"a", timeout_s=60)
        with pytest.raises(trio.ClosedResourceError):
            await one.send_parts([b"a"], timeout_s=60)
        one.shutdown_write()


async def test_send_all_more_than_the_buffers_hold_arrives_whole(readiness: Readiness):
    data = bytes(range(256)) * (8 * MEBIBYTE // 256)
    with connected(readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.send_all(data, timeout_s=60))
            assert await receive_exactly(two, len(data)) == data
        assert one.bytes_sent == len(data)


async def test_send_all_memoryview_and_nothing_are_taken(readiness: Readiness):
    with connected(readiness) as (one, two):
        await one.send_all(b"", timeout_s=60)
        await one.send_all(memoryview(b"abc"), timeout_s=60, more=True)
        await one.send_all(bytearray(b"def"), timeout_s=60)
        assert await receive_exactly(two, 6) == b"abcdef"


async def test_send_all_peer_does_not_read_raises_deadline_exceeded(
    autojump_clock: MockClock, readiness: Readiness
):
    with connected(readiness) as (one, _two):
        start = trio.current_time()
        with pytest.raises(DeadlineExceeded, match="send"):
            await one.send_all(bytes(8 * MEBIBYTE), timeout_s=30)
        assert 30 <= trio.current_time() - start <= 31.1


async def test_send_all_slow_but_steady_peer_is_not_cut(
    autojump_clock: MockClock, epoll_readiness: Readiness
):
    data = bytes(MEBIBYTE)
    with connected(epoll_readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.send_all(data, timeout_s=5))
            left = len(data)
            while left:
                await trio.sleep(4)
                left -= await two.receive_into(bytearray(65536), timeout_s=60)
        assert trio.current_time() > 60


async def test_send_all_peer_gone_raises_disconnected(readiness: Readiness):
    with connected(readiness) as (one, two):
        two.close()
        with pytest.raises(Disconnected):
            await one.send_all(bytes(MEBIBYTE), timeout_s=60)


async def test_send_all_peer_goes_while_parked_raises_disconnected(readiness: Readiness):
    with connected(readiness, tcp=True) as (one, two):

        async def send() -> None:
            with pytest.raises(Disconnected):
                await one.send_all(bytes(32 * MEBIBYTE), timeout_s=60)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            two.abort()


async def test_send_all_cancelled_while_parked_can_be_closed(readiness: Readiness):
    with connected(readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.send_all(bytes(8 * MEBIBYTE), timeout_s=60))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        one.close()
        data = await receive_to_end(two)
        assert len(data) == one.bytes_sent


async def receive_to_end(transport: Transport) -> bytes:
    data = bytearray()
    buffer = bytearray(65536)
    while count := await transport.receive_into(buffer, timeout_s=60):
        data += buffer[:count]
    return bytes(data)


async def test_send_parts_more_than_one_call_takes_arrive_in_order(readiness: Readiness):
    parts = [b"%05d" % number * 200 for number in range(PARTS_PER_SEND_MAX + 500)]
    parts[7] = b""
    with connected(readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: one.send_parts(parts, timeout_s=60))
            whole = b"".join(parts)
            assert await receive_exactly(two, len(whole)) == whole


async def test_send_parts_nothing_sends_nothing(readiness: Readiness):
    with connected(readiness) as (one, _two):
        await one.send_parts([], timeout_s=60)
        await one.send_parts([b"", b""], timeout_s=60)
        assert one.bytes_sent == 0


async def test_send_parts_peer_does_not_read_raises_deadline_exceeded(
    autojump_clock: MockClock, readiness: Readiness
):
    with connected(readiness) as (one, _two), pytest.raises(DeadlineExceeded):
        await one.send_parts([bytes(MEBIBYTE)] * 8, timeout_s=30)


async def test_operations_that_never_park_let_the_others_run(readiness: Readiness):
    with connected(readiness) as (one, two):
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        buffer = bytearray(10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(5 * BURST_OPERATIONS_MAX):
                await one.send_all(b"a", timeout_s=60)
                await two.receive_into(buffer, timeout_s=60)
                await two.count_operation()
            nursery.cancel_scope.cancel()
        assert turns >= 10


async def test_take_turn_comes_before_the_receive_so_the_buffer_is_the_callers(
    readiness: Readiness,
):
    """Two transports share one buffer; what each receives is read before any other task ran."""
    shared = bytearray(8)

    async def receive(transport: Transport, expected: bytes) -> None:
        for _ in range(4 * BURST_OPERATIONS_MAX):
            assert await transport.receive_into(shared, timeout_s=60) == 8
            assert shared == expected

    with connected(readiness) as (one, two), connected(readiness) as (three, four):
        for _ in range(4 * BURST_OPERATIONS_MAX):
            await one.send_all(b"11111111", timeout_s=60)
            await three.send_all(b"33333333", timeout_s=60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive, two, b"11111111")
            nursery.start_soon(receive, four, b"33333333")


async def test_release_hands_the_open_socket_over(readiness: Readiness):
    with connected(readiness) as (one, two):
        sock = one.release()
        assert one.closed
        assert sock.fileno() >= 0
        again = Transport(readiness, sock)
        await again.send_all(b"a", timeout_s=60)
        assert await receive_exactly(two, 1) == b"a"
        again.close()


async def test_transport_of_tcp_sends_small_segments_at_once(readiness: Readiness):
    with connected(readiness, tcp=True) as (one, _two):
        sock = one.release()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


async def test_abort_resets_with_data_on_its_way(readiness: Readiness):
    with connected(readiness, tcp=True) as (one, two):
        await one.send_all(b"half", timeout_s=60)
        one.abort()
        with pytest.raises(Disconnected):
            await receive_to_end(two)


def test_reset_option_is_the_kernels_struct_linger():
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)


@pytest.mark.parametrize(
    ("peer", "chosen"), [("127.0.0.1:9", True), ("[::1]:9", True), ("192.0.2.1:9", False)]
)
async def test_transport_to_this_machine_paces_nothing(
    readiness: Readiness, peer: str, chosen: bool
) -> None:
    sock, other = tcp_pair()
    with other:
        before = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        transport = Transport(readiness, sock, peer)
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        assert found.rstrip(b"\0") == (b"reno" if chosen else before.rstrip(b"\0"))
        transport.close()
