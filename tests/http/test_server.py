"""The server's exchanges: framing, keep-alive, pipelining, 100-continue, what ends a connection."""

import os
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from s3proxy._fast.errors import HeadError
from s3proxy.http.body import BytesBody, FileBody, GeneratedBody, SegmentsBody
from s3proxy.http.errors import BodyCutShort, Disconnected
from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from tests.http.serving import FakeHandler, echo, serving

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_get_keep_alive_answers_many_on_one_connection(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        for number in range(20):
            answer = await client.ask(target=f"/{number}")
            assert answer.status == 200
            assert answer.headers["x-target"] == f"/{number}"
        assert served.server.stats.accepted == 1
        assert served.server.stats.requests == 20
        assert served.handler.sent_log == [(200, 0, "")] * 20


async def test_put_body_is_read_and_answered(readiness: Readiness):
    body = os.urandom(1 << 20)
    async with serving(readiness) as served, served.client() as client:
        for _ in range(3):
            answer = await client.ask("PUT", body=body)
            assert answer.body == body
        assert served.handler.sent_log == [(200, len(body), "")] * 3


async def test_request_carries_peer_id_and_time(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        answers = [await client.ask() for _ in range(50)]
        peer = f"127.0.0.1:{client.sock.getsockname()[1]}"
        for request, answer in zip(served.handler.requests, answers, strict=True):
            assert request.peer == peer
            assert not request.secure
            assert request.tls_version == ""
            assert request.id == answer.headers["x-amz-request-id"]
            assert request.received_s > 0
        ids = {request.id for request in served.handler.requests}
        assert len(ids) == 50
        assert all(len(text) == 16 and set(text) <= set("0123456789ABCDEF") for text in ids)


async def test_pipelined_requests_are_answered_in_order(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        await client.send(b"".join(GET % number for number in range(100)))
        data = b""
        while data.count(b"x-target: ") < 100 or not data.endswith(b"\r\n\r\n"):
            data += await client.receive()
        targets = [line[10:] for line in data.split(b"\r\n") if line.startswith(b"x-target")]
        assert targets == [b"/%d" % number for number in range(100)]


async def test_pipelined_requests_with_bodies_split_byte_by_byte(readiness: Readiness):
    one = b"PUT /one HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    two = (
        b"PUT /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
    )
    async with serving(readiness) as served, served.client() as client:
        for byte in (one + two + GET % 3) * 3:
            await client.send(bytes([byte]))
        data = b""
        while data.count(b"HTTP/1.1 200") < 9 or not data.endswith(b"\r\n\r\n"):
            data += await client.receive()
        for answer, request in zip(
            data.split(b"HTTP/1.1 200")[1:], (one, two, b"") * 3, strict=True
        ):
            assert answer.endswith(b"\r\n\r\n" + {one: b"abc", two: b"def"}.get(request, b""))
        assert served.server.stats.refused == 0


async def test_head_answers_without_a_body_and_keeps_the_connection(readiness: Readiness):
    lengths = iter([Response(200, length=12345), Response(200, (), b"four"), None])

    async def answer(request: Request) -> Response:
        return next(lengths) or Response(200, (), BytesBody(b"seven.."))

    async with serving(readiness, answer) as served, served.client() as client:
        for expected in ("12345", "4", "7"):
            answered = await client.ask("HEAD")
            assert answered.headers["content-length"] == expected
            assert answered.body == b""
        assert served.handler.sent_log == [(200, 0, "")] * 3


@pytest.mark.parametrize("status", [204, 304])
async def test_status_without_body_sends_none(readiness: Readiness, status: int):
    async def answer(request: Request) -> Response:
        return Response(status, (), b"not to be sent")

    async with serving(readiness, answer) as served, served.client() as client:
        for _ in range(2):
            answered = await client.ask()
            assert answered.status == status
            assert answered.body == b""
            assert "content-length" not in answered.headers


async def test_response_headers_and_raw_lines_are_sent(readiness: Readiness):
    async def answer(request: Request) -> Response:
        return Response(200, [("ETag", '"e"')], b"x", raw=b"x-amz-meta-a: b\r\n")

    async with serving(readiness, answer) as served, served.client() as client:
        answered = await client.ask()
        assert answered.headers["etag"] == '"e"'
        assert answered.headers["x-amz-meta-a"] == "b"
        assert answered.headers["date"].endswith("GMT")


@pytest.mark.parametrize("size", [0, 100, 16 * 1024, 16 * 1024 + 1, 1 << 22])
async def test_bytes_bodies_of_all_sizes_arrive(readiness: Readiness, size: int):
    data = os.urandom(size)

    async def answer(request: Request) -> Response:
        return Response(200, (), data)

    async with serving(readiness, answer) as served, served.client() as client:
        for _ in range(2):
            assert (await client.ask()).body == data


async def test_file_and_segments_bodies_arrive_and_are_closed(readiness: Readiness, tmp_path: Path):
    data = os.urandom(3 << 20)
    path = tmp_path / "file"
    path.write_bytes(data)
    descriptors: list[int] = []

    async def part(first: int, length: int) -> FileBody:
        descriptors.append(os.open(path, os.O_RDONLY))
        return FileBody(descriptors[-1], first, length)

    async def answer(request: Request) -> Response:
        half = len(data) // 2
        if request.head.target == b"/segments":
            second = [lambda: part(half, half)]
            return Response(200, (), SegmentsBody(await part(0, half), second, len(data)))
        return Response(200, (), await part(0, len(data)))

    async with serving(readiness, answer) as served, served.client() as client:
        assert (await client.ask(target="/file")).body == data
        assert (await client.ask(target="/segments")).body == data
        assert (await client.ask("HEAD", "/file")).body == b""
        await wait_all_tasks_blocked()
        for descriptor in set(descriptors):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
        assert [log[1] for log in served.handler.sent_log] == [len(data), len(data), 0]


async def generate(request: Request) -> Response:
    async def write(send) -> None:  # type: ignore[no-untyped-def]
        await send(b" ")
        await send(b"")
        await send(b"<xml/>")

    return Response(200, (), GeneratedBody(write))


async def test_generated_body_goes_out_chunked_and_keeps_the_connection(readiness: Readiness):
    async with serving(readiness, generate) as served, served.client() as client:
        for _ in range(2):
            answered = await client.ask()
            assert answered.headers["transfer-encoding"] == "chunked"
            assert answered.body == b" <xml/>"
        assert "transfer-encoding" not in (await client.ask("HEAD")).headers


async def test_generated_body_to_http_1_0_ends_with_the_connection(readiness: Readiness):
    async with serving(readiness, generate) as served, served.client() as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert body == b" <xml/>"
        assert b"Transfer-Encoding" not in head
        assert b"keep-alive" not in head.lower()


class Unmeasured(BytesBody):
    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = memoryview(data)

    async def read_into(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


async def test_body_of_unknown_length_goes_out_chunked(readiness: Readiness):
    data = os.urandom(1 << 20)

    async def answer(request: Request) -> Response:
        body = Unmeasured(data)
        body.length = -1
        return Response(200, (), body)

    async with serving(readiness, answer) as served, served.client() as client:
        for _ in range(2):
            answered = await client.ask()
            assert answered.headers["transfer-encoding"] == "chunked"
            assert answered.body == data


@pytest.mark.parametrize("keep", [True, False])
async def test_http_1_0_keeps_the_connection_only_when_asked(readiness: Readiness, keep: bool):
    head = b"GET /0 HTTP/1.0\r\n" + (b"Connection: keep-alive\r\n" if keep else b"") + b"\r\n"
    async with serving(readiness) as served, served.client() as client:
        await client.send(head)
        first = await client.receive()
        assert first.startswith(b"HTTP/1.1 200")
        assert (b"connection: keep-alive" in first.lower()) is keep
        if keep:
            await client.send(head)
            assert (await client.receive()).startswith(b"HTTP/1.1 200")
        else:
            assert await client.is_closed()


async def test_connection_close_from_the_client_ends_it(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        answered = await client.ask(headers=[("Connection", "close")])
        assert answered.headers["connection"] == "close"
        assert await client.is_closed()


async def test_response_close_ends_the_connection_after_the_answer(readiness: Readiness):
    async def answer(request: Request) -> Response:
        return Response(503, (), b"busy", close=True)

    async with serving(readiness, answer) as served, served.client() as client:
        answered = await client.ask()
        assert answered.body == b"busy"
        assert answered.headers["connection"] == "close"
        assert await client.is_closed()


EXPECTING = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


async def test_expect_continue_is_answered_when_the_handler_reads(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        for _ in range(2):
            await client.send(EXPECTING)
            assert await client.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"body")
            answer = await client.receive()
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"body")


async def test_expect_continue_is_sent_before_a_success_that_read_nothing(readiness: Readiness):
    async def accept(request: Request) -> Response:
        return Response(200)

    async with serving(readiness, accept) as served, served.client() as client:
        await client.send(EXPECTING.replace(b"Length: 4", b"Length: 0"))
        answer = await client.receive()
        while b"HTTP/1.1 200" not in answer:
            answer += await client.receive()
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
        assert b"Connection: close" not in answer


async def test_expect_continue_unanswered_error_without_a_body_closes(readiness: Readiness):
    async with serving(readiness, deny) as served, served.client() as client:
        await client.send(EXPECTING.replace(b"Length: 4", b"Length: 0"))
        assert b"Connection: close" in await client.receive()


async def deny(request: Request) -> Response:
    return Response(403, (), b"denied")


async def test_expect_continue_refused_unread_answers_without_continue_and_closes(
    readiness: Readiness,
):
    async with serving(readiness, deny) as served, served.client() as client:
        await client.send(EXPECTING)
        data = await client.rest()
        assert data.startswith(b"HTTP/1.1 403")
        assert b"connection: close" in data.lower()


async def test_expect_something_else_is_passed_over(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: x\r\n\r\n1")
        assert (await client.receive()).startswith(b"HTTP/1.1 200")


async def test_body_left_unread_within_the_bound_is_drained_and_the_next_request_answered(
    readiness: Readiness,
):
    async with serving(readiness, deny) as served, served.client() as client:
        for size in (1, 1000, 256 * 1024):
            answered = await client.ask("PUT", body=bytes(size))
            assert answered.body == b"denied"
            assert "connection" not in answered.headers
        head = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"5\r\nhello\r\n0\r\n\r\n" + GET % 1)
        data = b""
        while data.count(b"denied") < 2:
            data += await client.receive()


async def test_body_left_unread_over_the_bound_closes_but_the_client_sees_the_answer(
    readiness: Readiness,
):
    limits = ServerLimits(drain_bytes_max=1000)
    async with serving(readiness, deny, limits=limits) as served, served.client() as client:
        answered = await client.ask("PUT", body=bytes(1 << 20))
        assert answered.status == 403
        assert answered.headers["connection"] == "close"
        assert await client.is_closed()


async def test_chunked_body_left_unread_over_the_bound_closes_gently(readiness: Readiness):
    limits = ServerLimits(drain_bytes_max=1000)
    async with serving(readiness, deny, limits=limits) as served, served.client() as client:
        head = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"100000\r\n" + bytes(1 << 20) + b"\r\n0\r\n\r\n")
        data = await client.rest()
        assert data.startswith(b"HTTP/1.1 403")
        assert data.endswith(b"denied")


async def test_client_that_never_stops_sending_is_cut_off(readiness: Readiness):
    limits = ServerLimits(drain_bytes_max=1000, linger_bytes_max=1 << 20)
    async with serving(readiness, deny, limits=limits) as served, served.client() as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n")
        with trio.fail_after(60), pytest.raises(trio.BrokenResourceError):
            while True:
                await client.send(bytes(1 << 20))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nBad Header: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
@pytest.mark.parametrize("step", [1 << 20, 1000])
async def test_bad_head_is_refused_and_the_connection_closed(
    epoll_readiness: Readiness, head: bytes, status: int, step: int
):
    async with serving(epoll_readiness) as served, served.client() as client:
        for start in range(0, len(head), step):
            await client.send(head[start : start + step])
        data = await client.rest()
        assert data.startswith(b"HTTP/1.1 %d" % status)
        assert b"connection: close" in data.lower()
        assert [refusal.status for refusal in served.handler.refusals] == [status]
        assert served.server.stats.refused == 1


async def test_head_cut_off_by_the_client_closes_silently(readiness: Readiness):
    async with serving(readiness) as served, served.client() as client:
        await client.send(b"GET / HTTP/1.1\r\nHo")
        await client.stream.send_eof()  # type: ignore[attr-defined]
        assert await client.rest() == b""
        assert served.handler.refusals == []


async def test_handler_raises_closes_that_connection_only(readiness: Readiness):
    async def answer(request: Request) -> Response:
        if request.head.target == b"/bug":
            raise ZeroDivisionError("a bug")
        return await echo(request)

    async with serving(readiness, answer) as served:
        async with served.client() as other, served.client() as client:
            await other.ask()
            await client.send(b"GET /bug HTTP/1.1\r\nHost: h\r\n\r\n")
            with pytest.raises(trio.BrokenResourceError):
                await client.rest()
            assert (await other.ask()).status == 200
        assert [type(error) for error in served.handler.failures] == [ZeroDivisionError]
        assert served.server.stats.handler_failures == 1
        status, _, error = served.handler.sent_log[1]
        assert status == 500
        assert "a bug" in error


async def test_handler_raises_a_group_from_its_nursery_closes_that_connection_only(
    readiness: Readiness,
):
    async def answer(request: Request) -> Response:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise KeyError("in a group")

    async with serving(readiness, answer) as served, served.client() as client:
        await client.send(GET % 1)
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        assert len(served.handler.failures) == 1


class Broken(FakeHandler):
    """Fails where it is not asked for answers."""

    def sent(self, request: Request, response: Response, sent_bytes: int, error: str) -> None:
        raise ValueError("sent")

    def refuse(self, reason: HeadError, request_id: str, peer: str) -> Response:
        raise ValueError("refuse")


async def test_handler_fails_in_sent_or_refuse_closes_that_connection_only(readiness: Readiness):
    async with serving(readiness, Broken()) as served:
        async with served.client() as client:
            await client.send(GET % 1)
            assert (await client.rest()).startswith(b"HTTP/1.1 200")
        async with served.client() as client:
            await client.send(b"nonsense\r\n\r\n")
            assert await client.rest() == b""
        assert [str(error) for error in served.handler.failures] == ["sent", "refuse"]


async def test_header_that_cannot_be_sent_counts_as_the_handlers_failure(readiness: Readiness):
    async def answer(request: Request) -> Response:
        return Response(200, [("x", "a\r\nb: c")])

    async with serving(readiness, answer) as served, served.client() as client:
        await client.send(GET % 1)
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        assert served.server.stats.handler_failures == 1


class Failing(BytesBody):
    """Ends after half of what it promised."""

    __slots__ = ("error",)

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(data)
        self.error = error

    async def send_to(self, sink, *, timeout_s: float) -> None:  # type: ignore[no-untyped-def]
        await sink.send_all(self._data[: self.length // 2], timeout_s=timeout_s)
        raise self.error


@pytest.mark.parametrize(
    ("error", "failures"), [(BodyCutShort("half"), 0), (OSError("half"), 0), (KeyError("half"), 1)]
)
async def test_body_source_fails_half_way_resets_the_connection(
    readiness: Readiness, error: Exception, failures: int
):
    async def answer(request: Request) -> Response:
        return Response(200, (), Failing(bytes(1000), error))

    async with serving(readiness, answer) as served, served.client() as client:
        await client.send(GET % 1)
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
        assert served.handler.sent_log == [(200, 500, repr(error))]
        assert served.server.stats.handler_failures == failures


async def test_client_leaves_while_its_body_is_read_is_no_failure_of_the_handler(
    readiness: Readiness,
):
    async with serving(readiness) as served:
        async with served.client() as client:
            await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert served.handler.failures == []
        status, _, error = served.handler.sent_log[0]
        assert status == 500
        assert Disconnected.__name__ in error


async def test_client_leaves_while_the_answer_is_sent_is_noted(readiness: Readiness):
    async def answer(request: Request) -> Response:
        return Response(200, (), bytes(1 << 26))

    async with serving(readiness, answer) as served:
        async with served.client() as client:
            await client.send(GET % 1)
            await client.receive()
        await wait_all_tasks_blocked()
        status, sent_bytes, error = served.handler.sent_log[0]
        assert status == 200
        assert 0 < sent_bytes < 1 << 26
        assert Disconnected.__name__ in error
        assert served.server.open_connections == 0
