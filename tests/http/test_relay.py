"""Bytes from connection to connection: spliced, copied, cut, late."""

import fcntl
import os
import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from s3proxy.http.errors import DeadlineExceeded, Disconnected
from s3proxy.http.pipes import PIPES
from s3proxy.http.readiness import Readiness
from s3proxy.http.relay import SPLICE_BYTES_MIN, relay
from s3proxy.http.splice import LOW_WATER_BYTES
from s3proxy.http.transport import Transport
from tests.http.sockets import tcp_pair

MIB = 1 << 20
BODY = bytes(range(256)) * 4096 * 5


class Line:
    """A writer, a transport that hears it, a transport that a reader hears, and the reader."""

    def __init__(self, readiness: Readiness) -> None:
        self.writer, source = tcp_pair()
        sink, self.reader = tcp_pair(receive_buffer_bytes=65536)
        self.source = Transport(readiness, source)
        self.sink = Transport(readiness, sink)
        self._peers = [trio.socket.from_stdlib_socket(s) for s in (self.writer, self.reader)]

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await self._peers[0].send(view) :]

    async def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count and (piece := await self._peers[1].recv(min(count, MIB))):
            data += piece
        return bytes(data)

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
        self.source.close()
        self.sink.close()


@pytest.fixture
def line(readiness: Readiness) -> Iterator[Line]:
    line = Line(readiness)
    yield line
    line.close()
    assert PIPES.busy == 0


def low_water(transport: Transport) -> int:
    duplicate = socket.socket(fileno=os.dup(transport.fileno()))
    with duplicate:
        return duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


@pytest.mark.parametrize(
    "count", [1, SPLICE_BYTES_MIN - 1, SPLICE_BYTES_MIN, LOW_WATER_BYTES + 1, len(BODY) - 5]
)
async def test_relay_moves_exactly_what_is_asked(
    line: Line, nursery: trio.Nursery, count: int
) -> None:
    nursery.start_soon(line.write, BODY)
    received = bytearray()

    async def read() -> None:
        received.extend(await line.read(count))

    async with trio.open_nursery() as moving:
        moving.start_soon(read)
        await relay(line.source, line.sink, count, timeout_s=10)
    assert received == BODY[:count]
    assert line.sink.bytes_sent == count
    assert low_water(line.source) == 1
    after = bytearray(4)
    assert await line.source.receive_into(after, timeout_s=10) > 0
    assert after == BODY[count : count + 4]
    nursery.cancel_scope.cancel()


async def test_relay_through_a_buffer_where_a_side_is_not_plain(
    line: Line, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transport, "plain", False)
    nursery.start_soon(line.write, BODY)
    nursery.start_soon(relay_whole, line)
    assert await line.read(len(BODY)) == BODY


async def relay_whole(line: Line) -> None:
    await relay(line.source, line.sink, len(BODY), timeout_s=10)


async def test_relay_without_descriptors_for_a_pipe_copies(
    line: Line, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIPES.close()

    def refuse(_flags: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe2", refuse)
    nursery.start_soon(line.write, BODY)
    nursery.start_soon(relay_whole, line)
    assert await line.read(len(BODY)) == BODY


async def test_relay_through_a_small_pipe_where_a_large_one_is_refused(
    line: Line, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIPES.close()
    fcntl_now = fcntl.fcntl

    def refuse(descriptor: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError(1, "Operation not permitted")
        return fcntl_now(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    nursery.start_soon(line.write, BODY)
    nursery.start_soon(relay_whole, line)
    assert await line.read(len(BODY)) == BODY
    await trio.testing.wait_all_tasks_blocked()
    PIPES.close()


@pytest.mark.parametrize("sent", [10, SPLICE_BYTES_MIN + 10, 2 * MIB])
@pytest.mark.parametrize("plain", [True, False])
async def test_relay_of_a_source_that_ends_early_tells_how_far_it_got(
    line: Line, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, sent: int, plain: bool
) -> None:
    monkeypatch.setattr(Transport, "plain", plain)

    async def write() -> None:
        await line.write(BODY[:sent])
        line.writer.shutdown(socket.SHUT_WR)

    nursery.start_soon(write)
    nursery.start_soon(line.read, sent)
    with pytest.raises(Disconnected, match=f"relayed {sent} of {len(BODY)} bytes"):
        await relay(line.source, line.sink, len(BODY), timeout_s=10)


async def test_relay_to_a_sink_that_breaks_throws_its_pipe_away(
    line: Line, nursery: trio.Nursery
) -> None:
    PIPES.close()
    nursery.start_soon(line.write, BODY)

    async def hang_up() -> None:
        await line.read(1)
        line._peers[1].close()

    nursery.start_soon(hang_up)
    with pytest.raises(Disconnected, match="relayed"):
        await relay(line.source, line.sink, len(BODY), timeout_s=10)
    assert PIPES.kept == 0
    nursery.cancel_scope.cancel()


async def test_relay_cancelled_gives_the_pipe_up_and_restores_the_source(line: Line) -> None:
    PIPES.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.write, BODY)
        nursery.start_soon(relay_whole, line)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert (PIPES.kept, PIPES.busy) == (0, 0)
    assert low_water(line.source) == 1


async def test_relay_closed_meanwhile_ends(line: Line) -> None:
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay_whole, line)
            await trio.testing.wait_all_tasks_blocked()
            line.source.close()


async def test_relay_of_a_silent_source_exceeds_the_deadline(
    line: Line, autojump_clock: trio.testing.MockClock
) -> None:
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await relay(line.source, line.sink, len(BODY), timeout_s=30)
    assert 30 <= trio.current_time() - began_s <= 34


@pytest.mark.parametrize("count", [100, len(BODY)])
async def test_relay_waits_for_a_source_as_long_as_its_own_deadline_says(
    line: Line, autojump_clock: trio.testing.MockClock, count: int
) -> None:
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await relay(line.source, line.sink, count, timeout_s=300, source_timeout_s=30)
    assert 30 <= trio.current_time() - began_s <= 34


async def test_relay_to_a_sink_that_stops_reading_exceeds_the_deadline(
    line: Line, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(line.write, BODY)
    began_s = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await relay(line.source, line.sink, len(BODY), timeout_s=30)
    # The kernel may make a little more room while the clock is ahead of it.
    assert trio.current_time() - began_s >= 30
    nursery.cancel_scope.cancel()


async def test_relay_of_a_slow_source_passes_its_bytes_on_as_they_come(
    line: Line, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    nursery.start_soon(relay_whole, line)
    await line.write(b"a" * 100)
    began_s = trio.current_time()
    assert await line.read(100) == b"a" * 100
    assert trio.current_time() - began_s <= 3
    await trio.sleep(5)
    await line.write(b"b" * 100)
    began_s = trio.current_time()
    assert await line.read(100) == b"b" * 100
    assert trio.current_time() - began_s == 0
    nursery.cancel_scope.cancel()
