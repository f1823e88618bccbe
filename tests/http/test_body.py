"""Outgoing bodies: bytes, files, segments; read and sent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from s3proxy.http.body import (
    Body,
    BytesBody,
    FileBody,
    GeneratedBody,
    SegmentsBody,
    send_by_buffer,
)
from s3proxy.http.buffers import BUFFER_BYTES, BufferPool
from s3proxy.http.errors import BodyCutShort, DeadlineExceeded, Disconnected
from s3proxy.http.readiness import Readiness
from s3proxy.http.transport import Transport
from tests.http.sockets import stream_pair, tcp_pair

DATA = bytes(range(256)) * 8192  # 2 MiB: more than a socket's buffers


class Indirect(Transport):
    """A plain transport that says it is not: bodies must not go around its sends."""

    __slots__ = ()
    plain = False


@contextmanager
def connected(
    readiness: Readiness, kind: type[Transport] = Transport
) -> Iterator[tuple[Transport, Transport]]:
    one, two = tcp_pair()
    transports = kind(readiness, one), Transport(readiness, two)
    try:
        yield transports
    finally:
        for transport in transports:
            transport.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def sent(body: Body, readiness: Readiness, kind: type[Transport] = Transport) -> bytes:
    """What arrives when `body` is sent, up to the end of the stream."""
    data = bytearray()
    with connected(readiness, kind) as (one, two):

        async def send() -> None:
            await body.send_to(one, timeout_s=60)
            one.shutdown_write()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            buffer = bytearray(100_000)
            while count := await two.receive_into(buffer, timeout_s=60):
                data += buffer[:count]
        assert one.bytes_sent == len(data)
    return bytes(data)


async def read(body: Body, size: int) -> bytes:
    """What reading `size` bytes at a time gives."""
    data = bytearray()
    buffer = memoryview(bytearray(size))
    while count := await body.read_into(buffer):
        data += buffer[:count]
    return bytes(data)


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_bytes_body_read_in_pieces_gives_all(size: int):
    body = BytesBody(b"0123456789")
    assert body.length == 10
    assert await read(body, size) == b"0123456789"
    assert await body.read_into(memoryview(bytearray(1))) == 0
    await body.aclose()


async def test_bytes_body_sent_after_a_read_sends_the_rest(readiness: Readiness):
    body = BytesBody(memoryview(b"0123456789"))
    await body.read_into(memoryview(bytearray(4)))
    assert await sent(body, readiness) == b"456789"
    assert await read(body, 4) == b""


@pytest.mark.parametrize("kind", [Transport, Indirect])
async def test_file_body_sent_arrives_exactly(
    path: Path, readiness: Readiness, kind: type[Transport]
):
    descriptor = opened(path)
    body = FileBody(descriptor, 100, len(DATA) - 200)
    assert await sent(body, readiness, kind) == DATA[100:-100]
    await body.aclose()
    await body.aclose()
    assert not is_open(descriptor)


@pytest.mark.parametrize("kind", [Transport, Indirect])
async def test_file_body_sent_after_a_read_sends_the_rest(
    path: Path, readiness: Readiness, kind: type[Transport]
):
    body = FileBody(opened(path), 0, 1000)
    buffer = memoryview(bytearray(300))
    assert await body.read_into(buffer) == 300
    assert await sent(body, readiness, kind) == DATA[300:1000]
    await body.aclose()


async def test_file_body_shared_descriptor_stays_open_and_unmoved(path: Path):
    descriptor = opened(path)
    first = FileBody(descriptor, 0, 10, close=False)
    second = FileBody(descriptor, 5, 10, close=False)
    assert await read(first, 3) == DATA[:10]
    assert await read(second, 3) == DATA[5:15]
    await first.aclose()
    await second.aclose()
    assert is_open(descriptor)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    os.close(descriptor)


async def test_file_body_empty_sends_nothing(path: Path, readiness: Readiness):
    body = FileBody(opened(path), 50, 0)
    assert await sent(body, readiness) == b""
    assert await read(body, 10) == b""
    await body.aclose()


@pytest.mark.parametrize("kind", [Transport, Indirect])
async def test_file_body_file_shorter_than_promised_raises_body_cut_short(
    path: Path, readiness: Readiness, kind: type[Transport]
):
    body = FileBody(opened(path), len(DATA) - 100, 101)
    with connected(readiness, kind) as (one, _two):
        with pytest.raises(BodyCutShort):
            await body.send_to(one, timeout_s=60)
        with pytest.raises(BodyCutShort):
            await body.read_into(memoryview(bytearray(10)))
    await body.aclose()


async def test_file_body_client_does_not_read_raises_deadline_exceeded(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, readiness: Readiness
):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 26)
    body = FileBody(opened(path), 0, 1 << 26)
    with connected(readiness) as (one, _two), pytest.raises(DeadlineExceeded):
        await body.send_to(one, timeout_s=30)
    await body.aclose()


async def test_file_body_client_gone_raises_disconnected(path: Path, readiness: Readiness):
    body = FileBody(opened(path), 0, len(DATA))
    with connected(readiness) as (one, two):
        two.abort()
        with pytest.raises(Disconnected):
            await body.send_to(one, timeout_s=60)
    await body.aclose()


async def test_file_body_sink_closed_here_raises_closed_resource_error(
    path: Path, readiness: Readiness
):
    body = FileBody(opened(path), 0, len(DATA))
    with connected(readiness) as (one, _two):
        one.close()
        with pytest.raises(trio.ClosedResourceError):
            await body.send_to(one, timeout_s=60)
    await body.aclose()


async def test_file_body_cancelled_while_sending_can_be_closed(
    tmp_path: Path, readiness: Readiness
):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 26)
    descriptor = opened(path)
    body = FileBody(descriptor, 0, 1 << 26)
    with connected(readiness) as (one, _two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: body.send_to(one, timeout_s=60))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    await body.aclose()
    assert not is_open(descriptor)


class Segment(BytesBody):
    """Bytes that remember being opened and closed."""

    __slots__ = ("log", "name")

    def __init__(self, data: bytes, name: str, log: list[str]) -> None:
        super().__init__(data)
        self.name = name
        self.log = log

    async def aclose(self) -> None:
        self.log.append(f"close {self.name}")


def segments(log: list[str], *datas: bytes) -> SegmentsBody:
    def opener(data: bytes, name: str) -> "object":
        async def open_segment() -> Body:
            log.append(f"open {name}")
            return Segment(data, name, log)

        return open_segment

    openers = [opener(data, str(number)) for number, data in enumerate(datas)]
    first = Segment(datas[0], "0", log)
    return SegmentsBody(first, openers[1:], sum(map(len, datas)))  # type: ignore[arg-type]


WALK = ["close 0", "open 1", "close 1", "open 2", "close 2"]


async def test_segments_body_sent_opens_each_in_its_turn(readiness: Readiness):
    log: list[str] = []
    body = segments(log, b"one", b"", b"three")
    assert body.length == 8
    assert await sent(body, readiness) == b"onethree"
    assert log == WALK


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_segments_body_read_opens_each_in_its_turn(size: int):
    log: list[str] = []
    assert await read(segments(log, b"one", b"", b"three"), size) == b"onethree"
    assert log == WALK


async def test_segments_body_closed_half_way_closes_the_open_segment_only():
    log: list[str] = []
    body = segments(log, b"one", b"two")
    await body.read_into(memoryview(bytearray(2)))
    await body.aclose()
    await body.aclose()
    assert log == ["close 0"]


async def test_segments_body_opener_fails_raises_its_error(readiness: Readiness):
    async def fail() -> Body:
        raise BodyCutShort("gone")

    body = SegmentsBody(BytesBody(b"one"), [fail], 6)
    with connected(readiness) as (one, _two), pytest.raises(BodyCutShort, match="gone"):
        await body.send_to(one, timeout_s=60)
    await body.aclose()


async def test_send_by_buffer_more_than_one_buffer_arrives(readiness: Readiness):
    data = os.urandom(2 * BUFFER_BYTES + 77)
    body = BytesBody(data)
    with connected(readiness) as (one, two):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: send_by_buffer(body, one, timeout_s=60))
            received = bytearray()
            buffer = bytearray(65536)
            while len(received) < len(data):
                count = await two.receive_into(buffer, timeout_s=60)
                received += buffer[:count]
    assert received == data


async def test_generated_body_has_no_length_and_closes():
    async def write(send: object) -> None: ...

    body = GeneratedBody(write)
    assert body.length == -1
    await body.aclose()


def test_buffer_pool_gives_back_what_was_returned_up_to_its_bound():
    pool = BufferPool(size_bytes=16, kept_max=2)
    taken = [pool.take() for _ in range(3)]
    assert {len(buffer) for buffer in taken} == {16}
    for buffer in taken:
        pool.give(buffer)
    again = [pool.take() for _ in range(3)]
    assert sum(any(buffer is old for old in taken) for buffer in again) == 2


def test_stream_pair_is_nonblocking():
    one, two = stream_pair()
    with one, two:
        assert one.getblocking() is two.getblocking() is False
