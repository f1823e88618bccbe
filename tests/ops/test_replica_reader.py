"""Blobs in several places: fail-over before the first byte, and in the middle, to the byte."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from s3proxy.backends.breaker import HealthSettings
from s3proxy.backends.errors import Unavailable
from s3proxy.backends.health import Health
from s3proxy.catalog.records import BlobRef
from s3proxy.http.body import Body
from s3proxy.http.client import ClientLimits
from s3proxy.http.errors import BodyCutShort, Disconnected
from s3proxy.http.pipes import PIPES
from s3proxy.http.tls import TlsContext, client_context
from s3proxy.http.transport import TlsTransport, Transport
from s3proxy.ops.call import Services, Settings
from s3proxy.ops.replica_reader import open_replica
from tests.catalog.catalogs import open_catalog
from tests.http.sockets import tcp_pair, write_certificate
from tests.ops.providers import Region, region
from tests.polling import cut_off
from tests.s3.heads import raises_s3

KIB = 1024
DATA = random.Random(7).randbytes(3 * 1024 * KIB + 17)
NAMES = ("a", "b", "c")


class Lab:
    """A blob at three providers."""

    def __init__(self, found: Region, services: Services) -> None:
        self.region = found
        self.providers = found.providers
        self.services = services
        self.health = services.health
        self.damaged: list[str] = []

    def place(self, name: str, data: bytes = DATA, *, size: int = -1) -> BlobRef:
        blob = BlobRef(f"id-{name}", name, "box", f"key~{name}", len(data) if size < 0 else size)
        self.providers[name].objects[f"/box/key~{name}"] = data
        return blob

    def places(self, data: bytes = DATA) -> list[BlobRef]:
        return [self.place(name, data) for name in NAMES]

    async def note(self, place: BlobRef, sound: BlobRef) -> None:
        assert sound != place
        self.damaged.append(place.backend)

    async def open(self, places: Sequence[BlobRef], first: int = 0, last: int = -1) -> Body:
        last = places[0].size - 1 if last < 0 else last
        return await open_replica(self.services, places, first, last, damaged=self.note)

    async def read(self, places: Sequence[BlobRef], first: int = 0, last: int = -1) -> bytes:
        return await read_all(await self.open(places, first, last))

    def forget(self) -> None:
        """Know nothing of failures and latencies."""
        self.services.health = self.health = Health(NAMES, self.health.settings)

    def gets(self) -> dict[str, int]:
        return {name: len(found.asked) for name, found in self.providers.items() if found.asked}

    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not any(report.active for report in self.health.report()) and not any(
            pool.active for pool in self.region.client.pools.values()
        )


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    limits = ClientLimits(first_byte_timeout_s=20, progress_timeout_s=20)
    async with region(NAMES, limits) as found, open_catalog(tmp_path) as catalog:
        health = Health(NAMES, HealthSettings(hedge_reads=False))
        yield Lab(found, Services(catalog, found.backends, Settings(), health=health))
        assert PIPES.busy == 0


async def read_all(body: Body, piece: int = 100_000, data: bytearray | None = None) -> bytes:
    """All that comes; `data` shows it as it does."""
    data = bytearray() if data is None else data
    buffer = memoryview(bytearray(piece))
    try:
        while count := await body.read_into(buffer):
            data += buffer[:count]
    finally:
        await body.aclose()
    return bytes(data)


class Sink:
    """A client that reads an answer's body."""

    def __init__(self, transport: Transport, peer: Any, close: Callable[[], None]) -> None:
        self.transport = transport
        self.peer = peer
        self.close = close
        self.data = bytearray()

    async def take(self, body: Body) -> None:
        """Send the body and receive it; the sink is closed behind it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            try:
                await body.send_to(self.transport, timeout_s=10)
            finally:
                await body.aclose()
                self.transport.close()

    async def _read(self) -> None:
        buffer = memoryview(bytearray(65536))
        try:
            while count := await self.peer(buffer):
                self.data += buffer[:count]
        except Disconnected:
            return
        finally:
            self.close()


def plain_sink(lab: Lab) -> Sink:
    near, far = tcp_pair(receive_buffer_bytes=65536)
    peer = trio.socket.from_stdlib_socket(far)
    return Sink(Transport(lab.region.readiness, near), peer.recv_into, peer.close)


async def tls_sink(lab: Lab, directory: Path) -> Sink:
    certificate, key = map(str, write_certificate(directory))
    near, far = tcp_pair()
    server = TlsTransport(lab.region.readiness, TlsContext(certificate, key).wrap(near))
    wrapped = client_context(certificate).wrap_socket(
        far,
        server_hostname="localhost",
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )
    client = TlsTransport(lab.region.readiness, wrapped)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: server.handshake(timeout_s=10))
        nursery.start_soon(lambda: client.handshake(timeout_s=10))

    async def receive(buffer: memoryview) -> int:
        return await client.receive_into(buffer, timeout_s=10)

    return Sink(server, receive, client.close)


async def test_replica_first_place_that_works_answers(lab: Lab) -> None:
    assert await lab.read(lab.places()) == DATA
    lab.forget()  # on a busy machine the first may have been slow
    assert await lab.read(lab.places(), 5, 70_000) == DATA[5:70_001]
    assert lab.gets() == {"a": 2}
    assert lab.idle()


@pytest.mark.parametrize("fault", ["refused", 500, 503, 403, 404, "short", "empty"])
async def test_replica_first_place_that_fails_is_passed_over(lab: Lab, fault: int | str) -> None:
    places = lab.places()
    if fault == "refused":
        lab.providers["a"].refuse()
    elif fault == "short":
        lab.place("a", DATA[:-1])
    elif fault == "empty":
        lab.place("a", b"")
    else:
        lab.providers["a"].status = int(fault)
    assert await lab.read(places) == DATA
    assert lab.health.counts.read_failovers == 1
    assert lab.damaged == (["a"] if fault in (404, "short", "empty") else [])
    assert lab.idle()


async def test_replica_frozen_first_place_is_passed_over_as_its_breaker_opens(lab: Lab) -> None:
    lab.providers["a"].frozen = True
    got: list[bytes] = []

    async def read() -> None:
        got.append(await lab.read(lab.places()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await lab.providers["a"].stuck.wait()
        for _ in range(2):
            lab.health.note_probe("a", trio.current_time(), Unavailable("check"))
    assert got == [DATA]
    assert await lab.read(lab.places()) == DATA
    assert "a" not in lab.gets()


async def test_replica_places_that_are_down_are_asked_at_last(lab: Lab) -> None:
    for name in ("a", "b"):
        for _ in range(2):
            lab.health.note_probe(name, 0.0, Unavailable("check"))
    lab.providers["c"].status = 404
    lab.providers["a"].status = 404
    assert await lab.read(lab.places()) == DATA
    assert sorted(lab.damaged) == ["a", "c"]
    assert lab.health.is_up("b")


async def test_replica_all_places_down_is_unavailable(lab: Lab) -> None:
    for provider in lab.providers.values():
        provider.refuse()
    with pytest.raises(Unavailable), trio.fail_after(60):
        await lab.read(lab.places())
    assert lab.damaged == []


async def test_replica_all_places_without_the_blob_is_an_internal_error(lab: Lab) -> None:
    places = lab.places()
    for provider in lab.providers.values():
        provider.objects.clear()
    with raises_s3("InternalError"):
        await lab.read(places)


async def test_replica_lost_at_one_and_down_at_the_other_may_come_back(lab: Lab) -> None:
    places = lab.places()[:2]
    lab.providers["a"].objects.clear()
    lab.providers["b"].refuse()
    with pytest.raises(Unavailable):
        await lab.read(places)


async def test_replica_on_a_backend_that_is_not_configured_is_passed_over(lab: Lab) -> None:
    gone = BlobRef("id-x", "gone", "box", "key~x", len(DATA))
    assert await lab.read([gone, lab.place("b")]) == DATA
    with raises_s3("ServiceUnavailable"):
        await lab.read([gone])


def offsets() -> list[int]:
    """Where a body is cut: at the edges of everything that buffers, and between."""
    edges = [0, 1, 4096, 65535, 65536, 65537, 98304, 256 * KIB, 512 * KIB, 512 * KIB + 1]
    edges += [1024 * KIB - 1, 1024 * KIB, 1024 * KIB + 1, len(DATA) - 65536, len(DATA) - 1]
    return edges + random.Random(3).sample(range(len(DATA)), 6)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("way", ["plain", "tls", "buffer", "chunked"])
async def test_body_that_breaks_off_goes_on_elsewhere_to_the_byte(
    lab: Lab, tmp_path: Path, way: str, end: str
) -> None:
    lab.providers["a"].end = end
    lab.providers["a"].chunked = way == "chunked"
    for offset in offsets():
        lab.forget()
        lab.providers["a"].cuts = [offset]
        body = await lab.open(lab.places())
        if way == "buffer":
            assert await read_all(body) == DATA
        else:
            tls = way == "tls"
            sink = await tls_sink(lab, tmp_path) if tls else plain_sink(lab)
            await sink.take(body)
            assert sink.data == DATA, offset
        assert lab.health.counts.resumed_bodies == 1
        assert lab.idle()


@pytest.mark.parametrize("way", ["plain", "tls", "buffer"])
async def test_body_of_a_range_goes_on_where_it_broke_off(
    lab: Lab, tmp_path: Path, way: str
) -> None:
    first, last = 100_001, len(DATA) - 100_000
    lab.providers["a"].cuts = [800_000]
    lab.providers["b"].cuts = [800_000]
    body = await lab.open(lab.places(), first, last)
    if way == "buffer":
        data: bytes | bytearray = await read_all(body)
    else:
        sink = await tls_sink(lab, tmp_path) if way == "tls" else plain_sink(lab)
        await sink.take(body)
        data = sink.data
    assert data == DATA[first : last + 1]
    assert lab.gets() == {"a": 1, "b": 1, "c": 1}
    assert lab.idle()


@pytest.mark.parametrize("way", ["plain", "tls", "buffer"])
async def test_body_of_a_backend_that_freezes_goes_on_elsewhere(
    lab: Lab, tmp_path: Path, way: str
) -> None:
    lab.providers["a"].cuts, lab.providers["a"].end = [1_500_000], "hang"
    body = await lab.open(lab.places())
    got: list[bytes | bytearray] = []

    async def take() -> None:
        if way == "buffer":
            got.append(await read_all(body))
            return
        sink = await tls_sink(lab, tmp_path) if way == "tls" else plain_sink(lab)
        await sink.take(body)
        got.append(sink.data)

    async with trio.open_nursery() as taking:
        taking.start_soon(take)
        await lab.providers["a"].stuck.wait()
        for _ in range(2):
            lab.health.note_probe("a", trio.current_time(), Unavailable("check"))
    assert got == [DATA]
    assert lab.gets() == {"a": 1, "b": 1}
    assert lab.idle()


async def test_body_in_one_place_alone_goes_on_there(lab: Lab) -> None:
    lab.providers["a"].cuts = [1_000_000, 1_000_000]
    assert await lab.read([lab.place("a")]) == DATA
    assert lab.gets() == {"a": 3}


async def test_body_that_no_place_can_go_on_with_is_cut_short(lab: Lab) -> None:
    for provider in lab.providers.values():
        provider.cuts = [100_000, 0, 0, 0, 0, 0]
    body = await lab.open(lab.places())
    sink = plain_sink(lab)
    with pytest.raises(BodyCutShort):
        try:
            await sink.take(body)
        except* BodyCutShort as group:
            raise group.exceptions[0] from None
    assert DATA.startswith(bytes(sink.data))
    assert lab.idle()


async def test_body_for_a_client_that_went_away_is_not_asked_elsewhere(lab: Lab) -> None:
    body = await lab.open(lab.places())
    near, far = tcp_pair(receive_buffer_bytes=65536)
    transport = Transport(lab.region.readiness, near)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    far.close()
    with pytest.raises(Disconnected):
        await body.send_to(transport, timeout_s=10)
    await body.aclose()
    transport.close()
    assert lab.gets() == {"a": 1}
    assert lab.health.report()[0].failures == 0
    assert lab.idle()


async def test_body_that_is_cancelled_leaves_nothing(lab: Lab) -> None:
    lab.providers["a"].cuts, lab.providers["a"].end = [500_000], "hang"
    body = await lab.open(lab.places())
    read = bytearray()

    await cut_off(lambda: read_all(body, data=read), lambda: len(read) >= 100_000)
    assert 100_000 <= len(read) <= 500_000
    assert lab.idle()
    assert lab.gets() == {"a": 1}


async def test_body_that_is_small_comes_with_its_head(lab: Lab) -> None:
    data = b"x" * 1000
    assert await lab.read(lab.places(data)) == data
    assert lab.idle()


class Hedged(Lab):
    """With enough reads known that a slow one shows."""

    async def learn(self) -> None:
        self.services.health = self.health = Health(NAMES, HealthSettings(hedge_reads=True))
        places = self.places(b"y" * 100)
        for _ in range(25):
            await self.read(places[:1])
        self.providers["a"].asked.clear()


@pytest.fixture
def hedged(lab: Lab) -> Hedged:
    return Hedged(lab.region, lab.services)


async def test_hedge_second_place_answers_for_one_that_is_slow(hedged: Hedged) -> None:
    await hedged.learn()
    assert 0 < hedged.health.latency_p95_s("a") < 1
    hedged.providers["a"].delay_s = 30
    with trio.fail_after(60):
        assert await hedged.read(hedged.places()) == DATA
    assert hedged.gets()["b"] == 1
    counts = hedged.health.counts
    assert (counts.hedged_reads, counts.hedges_won, counts.read_failovers) == (1, 1, 0)
    assert hedged.idle()


async def test_hedge_both_places_failing_leaves_the_third(hedged: Hedged) -> None:
    await hedged.learn()
    places = hedged.places()
    hedged.providers["a"].delay_s = 1
    hedged.providers["a"].objects.clear()
    hedged.providers["b"].objects.clear()
    with trio.fail_after(60):
        assert await hedged.read(places) == DATA
    assert hedged.idle()


async def test_hedge_of_a_quick_place_asks_nobody_else(hedged: Hedged) -> None:
    await hedged.learn()
    for name in NAMES:
        for _ in range(60):
            hedged.health._breakers[name].latency.add(5.0)
    assert await hedged.read(hedged.places()) == DATA
    assert hedged.gets() == {"a": 1}
