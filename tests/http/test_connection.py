"""When a connection may wait for the next request without trying to receive it first."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from tests.http.serving import Client, echo, serving

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
LIMITS = ServerLimits(idle_timeout_s=500)


async def answers(client: Client, count: int) -> bytes:
    """Receive until `count` answers without bodies have come, within a virtual minute."""
    data = b""
    with trio.fail_after(60):
        while data.count(b"\r\n\r\n") < count:
            data += await client.receive()
    return data


async def test_next_request_comes_while_one_is_handled_is_answered_at_once(
    patient_clock: MockClock, readiness: Readiness
):
    gate = trio.Event()

    async def answer(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    async with serving(readiness, answer, limits=LIMITS) as served, served.client() as client:
        await client.send(GET % 1)
        await wait_all_tasks_blocked()
        await client.send(GET % 2)
        await wait_all_tasks_blocked()
        gate.set()
        assert b"x-target: /2" in await answers(client, 2)
        await client.send(GET % 3)
        await answers(client, 1)


async def test_request_with_the_end_of_the_stream_is_answered_and_closed_at_once(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.ask()
        await client.send(GET % 1)
        await client.stream.send_eof()  # type: ignore[attr-defined]
        await answers(client, 1)
        with trio.fail_after(60):
            assert await client.receive() == b""


async def test_end_of_the_stream_while_a_request_is_handled_closes_after_the_answer(
    patient_clock: MockClock, readiness: Readiness
):
    gate = trio.Event()

    async def answer(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    async with serving(readiness, answer, limits=LIMITS) as served, served.client() as client:
        await client.send(GET % 1)
        await wait_all_tasks_blocked()
        await client.stream.send_eof()  # type: ignore[attr-defined]
        await wait_all_tasks_blocked()
        gate.set()
        await answers(client, 1)
        with trio.fail_after(60):
            assert await client.receive() == b""


async def test_next_request_lies_behind_a_body_read_exactly_is_answered_at_once(
    patient_clock: MockClock, readiness: Readiness
):
    """The body's last read stops at its length, with the next request already in the kernel."""

    async def answer(request: Request) -> Response:
        buffer = memoryview(bytearray(1000))
        while await request.body.read_into(buffer):
            pass
        return Response(200)

    put = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n"
    async with serving(readiness, answer, limits=LIMITS) as served, served.client() as client:
        for _ in range(5):
            await client.send(put)
            await wait_all_tasks_blocked()
            await client.send(bytes(4000) + GET % 2 + GET % 3)
            await answers(client, 3)


async def test_head_longer_than_the_scratch_buffer_room_does_not_stall_the_next(
    patient_clock: MockClock, readiness: Readiness
):
    """Requests that together fill the scratch buffer leave more in the kernel."""
    many = b"".join(GET % number for number in range(4000))
    assert len(many) > 65_536
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, many)
            await answers(client, 4000)
        assert served.server.stats.requests == 4000
