"""Deadlines of the server, in virtual time: heads, idle connections, bodies, answers."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from s3proxy.http.handler import Request, Response
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from tests.http.serving import Client, Served, serving

LIMITS = ServerLimits(head_timeout_s=10, idle_timeout_s=20, progress_timeout_s=15)
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def closed(served: Served) -> None:
    """Wait until the server has let every connection go."""
    for _ in range(1000):
        if not served.server.open_connections:
            return
        await trio.sleep(0.5)


async def seconds_until_closed(client: Client) -> tuple[float, bytes]:
    start = trio.current_time()
    data = await client.rest()
    return trio.current_time() - start, data


async def test_idle_from_the_start_is_closed_silently(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        passed, data = await seconds_until_closed(client)
        assert 20 <= passed <= 22
        assert data == b""
        assert served.server.open_connections == 0


async def test_idle_after_an_answer_is_closed_silently(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.ask()
        passed, data = await seconds_until_closed(client)
        assert 20 <= passed <= 22
        assert data == b""
        assert served.server.stats.deadlines_exceeded == 0


async def test_requests_within_the_idle_timeout_keep_the_connection(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        for _ in range(5):
            await trio.sleep(18)
            assert (await client.ask()).status == 200


async def test_head_that_stalls_is_answered_408_and_closed(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.send(GET[:10])
        passed, data = await seconds_until_closed(client)
        assert 10 <= passed <= 12
        assert data.startswith(b"HTTP/1.1 408")
        assert served.server.stats.deadlines_exceeded == 1


async def test_head_that_trickles_does_not_extend_its_deadline(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        start = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            for byte in GET[:16] + b"X-Long: " + b"a" * 10_000:
                await client.send(bytes([byte]))
                await trio.sleep(0.9)
        # 10 s for the head, then the client is listened to for as long as the server lingers.
        assert 10 <= trio.current_time() - start <= 14 + LIMITS.linger_timeout_s
        assert [refusal.status for refusal in served.handler.refusals] == [408]


async def test_second_head_pipelined_in_part_has_a_deadline_of_its_own(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.send(GET + GET[:10])
        passed, data = await seconds_until_closed(client)
        assert 10 <= passed <= 12
        assert data.startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1 408" in data


async def test_two_hundred_slow_connections_are_each_cut_and_the_others_served(
    patient_clock: MockClock,
    epoll_readiness: Readiness,
):
    async with serving(epoll_readiness, limits=LIMITS) as served, trio.open_nursery() as nursery:
        cut = 0

        async def slow(number: int) -> None:
            nonlocal cut
            async with served.client() as client:
                await client.send(GET[: 1 + number % (len(GET) - 1)])
                passed, data = await seconds_until_closed(client)
                assert 10 <= passed <= 12
                assert data.startswith(b"HTTP/1.1 408")
                cut += 1

        for number in range(250):
            nursery.start_soon(slow, number)
        async with served.client() as client:
            for _ in range(20):
                await trio.sleep(0.5)
                assert (await client.ask()).status == 200
        await trio.sleep(10)
        assert cut == 250


async def test_request_body_that_stalls_raises_in_the_handler(
    patient_clock: MockClock, readiness: Readiness
):
    errors: list[str] = []

    async def answer(request: Request) -> Response:
        try:
            await request.body.read_all(100)
        except Exception as error:
            errors.append(type(error).__name__)
        return Response(400, (), b"timeout")

    async with serving(readiness, answer, limits=LIMITS) as served, served.client() as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
        passed, data = await seconds_until_closed(client)
        assert 15 <= passed <= 17
        assert errors == ["DeadlineExceeded"]
        assert data.endswith(b"timeout")
        assert b"Connection: close" in data


async def test_request_body_that_trickles_is_read(patient_clock: MockClock, readiness: Readiness):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        for byte in b"hello":
            await trio.sleep(13)
            await client.send(bytes([byte]))
        assert (await client.receive()).endswith(b"hello")


async def test_client_that_stops_reading_is_cut(patient_clock: MockClock, readiness: Readiness):
    async def answer(request: Request) -> Response:
        return Response(200, (), bytes(1 << 26))

    async with serving(readiness, answer, limits=LIMITS) as served, served.client() as client:
        await client.send(GET)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        await closed(served)
        # What the client's kernel still took after the last send counts as progress, once.
        assert 14 <= trio.current_time() - start <= 34
        assert "DeadlineExceeded" in served.handler.sent_log[0][2]
        assert served.server.stats.deadlines_exceeded == 1
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()


async def test_refused_client_that_keeps_the_connection_open_is_cut(
    patient_clock: MockClock, readiness: Readiness
):
    async with serving(readiness, limits=LIMITS) as served, served.client() as client:
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400")
        start = trio.current_time()
        await closed(served)
        assert trio.current_time() - start <= LIMITS.linger_timeout_s + 2
