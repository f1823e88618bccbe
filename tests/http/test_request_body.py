"""Request bodies: length and chunked framing, 100-continue, bounds, what follows them."""

from collections.abc import Iterator
from contextlib import contextmanager

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy._fast.http1 import parse_request
from s3proxy.http.buffers import BUFFER_BYTES
from s3proxy.http.errors import BodyTooLarge, DeadlineExceeded, Disconnected, ProtocolError
from s3proxy.http.readiness import Readiness
from s3proxy.http.request_body import CONTINUE, RequestBody
from s3proxy.http.transport import Transport
from tests.http.sockets import stream_pair

NEXT = b"GET /next HTTP/1.1\r\n"


class Client:
    """A request's body on the server's side, and the socket its bytes come from."""

    def __init__(self, readiness: Readiness, head: bytes, ahead: bytes) -> None:
        near, self.socket = stream_pair()
        self.transport = Transport(readiness, near)
        data = b"PUT /k HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n"
        parsed = parse_request(data, len(data))
        assert parsed is not None
        self.body = RequestBody.of(parsed, self.transport, ahead, timeout_s=30)


@contextmanager
def client(readiness: Readiness, head: bytes, ahead: bytes = b"") -> Iterator[Client]:
    client = Client(readiness, head, ahead)
    with client.socket:
        yield client
        client.transport.close()


async def read(body: RequestBody, size: int) -> bytes:
    data = bytearray()
    buffer = memoryview(bytearray(size))
    while count := await body.read_into(buffer):
        data += buffer[:count]
    assert body.consumed
    return bytes(data)


async def test_no_body_is_consumed_from_the_start(readiness: Readiness):
    with client(readiness, b"", NEXT) as it:
        assert it.body.consumed
        assert it.body.length == 0
        assert await read(it.body, 10) == b""
        assert await it.body.read_all(0) == b""
        assert it.body.take_ahead() == NEXT


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("split", range(11))
async def test_length_any_split_between_head_and_socket_reads_exactly(
    epoll_readiness: Readiness, size: int, split: int
):
    content = b"0123456789"
    ahead, later = content[:split], content[split:]
    with client(epoll_readiness, b"Content-Length: 10\r\n", ahead) as it:
        it.socket.send(later + NEXT)
        assert it.body.length == 10
        assert not it.body.consumed
        assert await read(it.body, size) == content
        assert it.body.take_ahead() == b""
        assert it.transport.receive_nowait(bytearray(100)) == len(NEXT)


async def test_length_all_ahead_keeps_the_next_request(readiness: Readiness):
    with client(readiness, b"Content-Length: 4\r\n", b"body" + NEXT) as it:
        assert await read(it.body, 10) == b"body"
        assert it.body.take_ahead() == NEXT
        assert it.body.take_ahead() == b""


CHUNKED = b"4\r\nWiki\r\n6;ext=1\r\npedia \r\nC\r\nin \r\nchunks.\r\n0\r\nTrailer: x\r\n\r\n"
PLAIN = b"Wikipedia in \r\nchunks."


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
async def test_chunked_from_the_socket_is_decoded(epoll_readiness: Readiness, size: int):
    with client(epoll_readiness, b"Transfer-Encoding: chunked\r\n") as it:
        it.socket.send(CHUNKED + NEXT)
        assert it.body.length is None
        assert await read(it.body, size) == PLAIN
        rest = bytearray(100)
        ahead = it.body.take_ahead()
        count = max(it.transport.receive_nowait(rest), 0)
        assert ahead + rest[:count] == NEXT


@pytest.mark.parametrize("split", range(0, len(CHUNKED), 5))
async def test_chunked_split_between_head_and_socket_is_decoded(
    epoll_readiness: Readiness, split: int
):
    with client(epoll_readiness, b"Transfer-Encoding: chunked\r\n", CHUNKED[:split]) as it:
        it.socket.send(CHUNKED[split:])
        assert await it.body.read_all(100) == PLAIN


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 64), st.integers(0, 400))
def test_chunked_as_h11_frames_it_is_decoded(pieces: list[bytes], size: int, split: int):
    peer = h11.Connection(h11.CLIENT)
    headers = [("Host", "h"), ("Transfer-Encoding", "chunked")]
    peer.send(h11.Request(method="PUT", target="/k", headers=headers))
    framed = b"".join(peer.send(h11.Data(data=piece)) or b"" for piece in pieces)
    framed += peer.send(h11.EndOfMessage()) or b""

    async def main() -> None:
        readiness = Readiness()
        ahead, later = framed[:split], framed[split:]
        async with trio.open_nursery() as nursery:
            await nursery.start(readiness.run)
            with client(readiness, b"Transfer-Encoding: chunked\r\n", ahead) as it:
                it.socket.send(later)
                assert await read(it.body, size) == b"".join(pieces)
            nursery.cancel_scope.cancel()
        readiness.close()

    trio.run(main)


async def test_chunked_bad_framing_raises_protocol_error_and_breaks(readiness: Readiness):
    with client(readiness, b"Transfer-Encoding: chunked\r\n", b"xyz\r\n") as it:
        with pytest.raises(ProtocolError) as caught:
            await it.body.read_into(memoryview(bytearray(100)))
        assert caught.value.status == 400
        assert it.body.broken


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_client_ends_early_raises_disconnected(readiness: Readiness, framing: bytes):
    with client(readiness, framing, b"5\r\n") as it:
        it.socket.close()
        with pytest.raises(Disconnected):
            await read(it.body, 100)
        assert it.body.broken
        assert not it.body.consumed


@pytest.mark.parametrize("framing", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_client_stalls_raises_deadline_exceeded(
    autojump_clock: MockClock, readiness: Readiness, framing: bytes
):
    with client(readiness, framing, b"5\r\n") as it:
        start = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await read(it.body, 100)
        assert 30 <= trio.current_time() - start <= 31.1
        assert it.body.broken


EXPECTS = b"Expect: 100-continue\r\nContent-Length: 4\r\n"


async def test_expect_continue_is_answered_at_the_first_read_only(readiness: Readiness):
    with client(readiness, EXPECTS) as it:
        assert it.body.awaits_continue
        received: list[bytes] = []

        async def send_when_invited() -> None:
            await wait_all_tasks_blocked()
            received.append(it.socket.recv(100))
            it.socket.send(b"bo")
            await wait_all_tasks_blocked()
            it.socket.send(b"dy")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_when_invited)
            assert await read(it.body, 100) == b"body"
        assert received == [CONTINUE]
        assert not it.body.awaits_continue
        with pytest.raises(BlockingIOError):
            it.socket.recv(100)


async def test_expect_continue_body_already_there_is_not_answered(readiness: Readiness):
    with client(readiness, EXPECTS, b"body") as it:
        assert not it.body.awaits_continue
        assert await read(it.body, 100) == b"body"
        with pytest.raises(BlockingIOError):
            it.socket.recv(100)


async def test_start_sends_continue_once(readiness: Readiness):
    with client(readiness, EXPECTS) as it:
        await it.body.start()
        await it.body.start()
        assert it.socket.recv(100) == CONTINUE


async def test_read_all_longer_than_the_limit_raises_body_too_large(readiness: Readiness):
    with client(readiness, b"Content-Length: 10\r\n", b"0123456789") as it:
        with pytest.raises(BodyTooLarge) as caught:
            await it.body.read_all(9)
        assert caught.value.limit_bytes == 9
        assert await it.body.read_all(10) == b"0123456789"


async def test_read_all_chunked_longer_than_the_limit_raises_body_too_large(readiness: Readiness):
    framing = b"Transfer-Encoding: chunked\r\n"
    with client(readiness, framing, CHUNKED) as it, pytest.raises(BodyTooLarge):
        await it.body.read_all(len(PLAIN) - 1)


async def test_read_cancelled_goes_on_later(readiness: Readiness):
    with client(readiness, b"Content-Length: 8\r\n", b"0123") as it:
        buffer = memoryview(bytearray(4))
        assert await it.body.read_into(buffer) == 4
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: it.body.read_into(buffer))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        it.socket.send(b"4567")
        assert await it.body.read_all(100) == b"4567"
        assert not it.body.broken


async def test_buffered_and_advance_account_for_bytes_moved_elsewhere(readiness: Readiness):
    with client(readiness, b"Content-Length: 10\r\n", b"0123") as it:
        assert it.body.buffered() == b"0123"
        assert it.body.buffered() == b""
        assert it.body.remaining == 6
        it.body.advance(6)
        assert it.body.consumed


async def test_buffered_does_not_take_the_next_request(readiness: Readiness):
    with client(readiness, b"Content-Length: 4\r\n", b"body" + NEXT) as it:
        assert it.body.buffered() == b"body"
        assert it.body.take_ahead() == NEXT


async def test_discard_within_the_bound_consumes(readiness: Readiness):
    with client(readiness, b"Content-Length: 10\r\n", b"0123456789" + NEXT) as it:
        assert await it.body.discard(10)
        assert it.body.take_ahead() == NEXT


async def test_discard_longer_than_the_bound_gives_up(readiness: Readiness):
    size = 3 * BUFFER_BYTES
    with client(readiness, b"Content-Length: %d\r\n" % size, bytes(size)) as it:
        assert not await it.body.discard(100)
        assert it.body.remaining == size - BUFFER_BYTES
