"""Clients that are slow, or stand still: cut at their deadline, memory bounded, others served."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.traces import (
    leftovers,
    logged_bugs,
    memory_bytes,
    open_connections,
    open_files,
)
from tests.faults.wire import Wire, ask, is_absent, signed_head, wait_until
from tests.gateways import Gateway, attached, local_backend, s3_backend

KIB = 1024
MIB = 1024 * KIB
HEAD_S, IDLE_S, PROGRESS_S = 6.0, 7.0, 6.0
# Deadlines are kept to a second; the rest is for a machine that does other things as well.
LATE_S_MAX = 20.0
# How long the gateway reads on after its last answer: ServerLimits.linger_timeout_s.
LINGER_S = 5.0
# What a client that behaves may have to wait: less than the deadlines of the others, so that it is
# not their end that makes way. It takes some 20 ms, or a second more where one has to make room.
SERVED_S_MAX = 5.0
LARGE = 32 * MIB
DESCRIPTORS_SPARE = 300

pytestmark = pytest.mark.slow

Case = Callable[[Gateway], None]


def deadlines(**more: str) -> dict[str, str]:
    """The environment of a gateway with short deadlines."""
    return {
        "S3PROXY_SERVER__HEAD_TIMEOUT_S": str(HEAD_S),
        "S3PROXY_SERVER__IDLE_TIMEOUT_S": str(IDLE_S),
        "S3PROXY_SERVER__PROGRESS_TIMEOUT_S": str(PROGRESS_S),
        **more,
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    base = tmp_path_factory.mktemp("slow")
    with Gateway(base / "inner") as inner:
        inner.client().create_bucket(Bucket="far")
        extra = (
            local_backend("disk", base / "blobs")
            + s3_backend("inner", inner.url)
            + attached("far", "inner")
        )
        with Gateway(base / "outer", extra, **deadlines()) as outer:
            outer.client().create_bucket(Bucket="near")
            body = bytes(LARGE)
            for name in ("near", "far"):
                outer.client().put_object(Bucket=name, Key="large", Body=body)
            yield outer
            assert logged_bugs(outer) == logged_bugs(inner) == []
            assert leftovers(base / "blobs") == []


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Let this process, and what it starts, open that many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count + DESCRIPTORS_SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, wanted)))


def assert_served(gateway: Gateway) -> None:
    """Another client reads and writes without waiting for anybody."""
    started_s = time.monotonic()
    assert ask(gateway, "PUT", "/near/other", body=b"other").status == 200
    assert ask(gateway, "GET", "/near/other").body == b"other"
    assert time.monotonic() - started_s < SERVED_S_MAX


def slow_heads(gateway: Gateway) -> None:
    """One deadline for the whole head, whatever trickles in."""
    head = signed_head(gateway.port, "GET", "/near/large").data
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway.port)) for _ in range(200)]
        started_s = time.monotonic()
        for wire in wires:
            wire.send(head[:-2])
        trickle(wires, 0.2)
        assert_served(gateway)
        for wire in wires:
            answer = wire.read_answer()
            assert (answer.status, answer.code) == (400, "RequestTimeout")
            assert wire.at_end()
        assert HEAD_S <= time.monotonic() - started_s < HEAD_S + LATE_S_MAX


def trickle(wires: list[Wire], seconds: float) -> None:
    """A byte for some connections now and then, for half of the time they have."""
    until_s = time.monotonic() + HEAD_S / 2
    while time.monotonic() < until_s:
        for wire in wires[:20]:
            wire.send(b"a")
        time.sleep(seconds)


def slow_body(gateway: Gateway) -> None:
    """Progress is what counts, not speed."""
    head = signed_head(gateway.port, "PUT", "/near/steady", {"Content-Length": "6"}).data
    with Wire(gateway.port) as wire:
        wire.send(head)
        for _ in range(6):
            time.sleep(PROGRESS_S / 5)
            wire.send(b"a")
        assert wire.read_answer().status == 200
    assert ask(gateway, "GET", "/near/steady").body == b"aaaaaa"


def idle_connections(gateway: Gateway) -> None:
    head = signed_head(gateway.port, "HEAD", "/near/large").data
    with Wire(gateway.port) as used, Wire(gateway.port) as fresh:
        used.send(head)
        assert used.read_answer("HEAD").status == 200
        started_s = time.monotonic()
        assert used.at_end()
        assert fresh.at_end()
        assert time.monotonic() - started_s < IDLE_S + LATE_S_MAX


def slow_reader(gateway: Gateway) -> None:
    head = signed_head(gateway.port, "GET", "/near/large", {"Range": "bytes=0-1048575"}).data
    with Wire(gateway.port, receive_bytes=4 * KIB) as wire:
        wire.send(head)
        received = b""
        for _ in range(4):
            time.sleep(PROGRESS_S / 4)
            received += wire.socket.recv(8 * KIB)
        head_bytes = received.index(b"\r\n\r\n") + 4
        while len(received) < head_bytes + MIB:
            received += wire.socket.recv(MIB)
        assert len(received) == head_bytes + MIB


# They wait far more than they do.
TOGETHER = (slow_heads, slow_body, idle_connections, slow_reader)


@pytest.fixture(scope="module")
def together(gateway: Gateway) -> Iterator[dict[Case, Future[None]]]:
    """Cases at one gateway, all at once."""
    with ThreadPoolExecutor(len(TOGETHER)) as pool:
        yield {case: pool.submit(case, gateway) for case in TOGETHER}


def test_slow_heads_are_cut_at_their_deadline(together: dict[Case, Future[None]]) -> None:
    together[slow_heads].result()


def test_body_that_goes_on_slowly_is_taken(together: dict[Case, Future[None]]) -> None:
    together[slow_body].result()


def test_idle_connections_are_closed_without_a_word(together: dict[Case, Future[None]]) -> None:
    together[idle_connections].result()


def test_client_that_reads_slowly_gets_all(together: dict[Case, Future[None]]) -> None:
    together[slow_reader].result()


def test_slow_bodies_are_cut_at_their_deadline(gateway: Gateway) -> None:
    """On their way to a disk and to another endpoint, after any number of bytes."""
    cases = [(name, sent) for name in ("near", "far") for sent in (0, 1, 10 * KIB, 100 * KIB)]
    before = memory_bytes(gateway.pid)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway.port)) for _ in range(25 * len(cases))]
        started_s = time.monotonic()
        for number, wire in enumerate(wires):
            name, sent = cases[number % len(cases)]
            headers = {"Content-Length": str(200 * KIB)}
            wire.send(signed_head(gateway.port, "PUT", f"/{name}/slow", headers).data, bytes(sent))
        assert_served(gateway)
        assert memory_bytes(gateway.pid) - before < 100 * MIB
        for wire in wires:
            answer = wire.read_answer()
            assert (answer.status, answer.code) == (400, "RequestTimeout"), answer
            assert wire.at_end()
        assert PROGRESS_S <= time.monotonic() - started_s < PROGRESS_S + LATE_S_MAX
    assert is_absent(gateway, "/near/slow")
    assert is_absent(gateway, "/far/slow")


def test_clients_that_stop_reading_cost_little_and_are_cut(gateway: Gateway) -> None:
    """200 of them want 32 MiB each, half of it from a disk and half from another endpoint."""
    targets = ("/near/large", "/far/large")
    for target in targets:
        assert ask(gateway, "GET", target).whole
    before = memory_bytes(gateway.pid)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway.port, receive_bytes=4 * KIB)) for _ in range(200)]
        for number, wire in enumerate(wires):
            wire.send(signed_head(gateway.port, "GET", targets[number % 2]).data)
        assert_served(gateway)
        assert memory_bytes(gateway.pid) - before < 64 * MIB
        # Two time-outs at most, see Transport.wait_to_send; the reset is what shows the cut.
        wait_until(lambda: open_connections(gateway) == 0, 2 * PROGRESS_S + LATE_S_MAX)
        assert memory_bytes(gateway.pid) - before < 64 * MIB
        for wire in wires[:4]:
            assert not wire.read_answer().whole


def half_open(gateway: Gateway, count: int) -> None:
    """Connections that say nothing, or the beginning of a head; memory, service, and their end."""
    head = signed_head(gateway.port, "GET", "/near/large").data[:100]
    assert_served(gateway)
    before = memory_bytes(gateway.pid)
    with ExitStack() as stack:
        started_s = time.monotonic()
        sockets = []
        for number in range(count):
            connected = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            if number % 2:
                connected.send(head)
            sockets.append(connected)
        opened_s = time.monotonic() - started_s
        assert_served(gateway)
        last_s = max(IDLE_S, HEAD_S + LINGER_S) + LATE_S_MAX
        wait_until(lambda: open_connections(gateway) == 0, opened_s + last_s)
        # Of those that were open at a time; the interpreter keeps what it once had.
        assert memory_bytes(gateway.pid) - before < count * 24 * KIB + 8 * MIB
        assert_served(gateway)


def test_1000_half_open_connections_leave_others_served(gateway: Gateway) -> None:
    with descriptors(1000):
        half_open(gateway, 1000)


@pytest.mark.soak
def test_10000_half_open_connections_leave_others_served(tmp_path: Path) -> None:
    more = {"S3PROXY_SERVER__CONNECTIONS_MAX": "10100"}
    with descriptors(10_200), Gateway(tmp_path, **deadlines(**more)) as gateway:
        gateway.client().create_bucket(Bucket="near")
        half_open(gateway, 10_000)
        assert logged_bugs(gateway) == []


def test_idle_connections_make_room_for_new_ones(tmp_path: Path) -> None:
    """At the limit the connection that has been idle longest goes, not the one that comes."""
    more = {"S3PROXY_SERVER__CONNECTIONS_MAX": "20"}
    with Gateway(tmp_path, **more) as gateway, ExitStack() as stack:
        gateway.client().create_bucket(Bucket="near")
        assert_served(gateway)
        oldest = stack.enter_context(used_wire(gateway))
        for _ in range(18):
            stack.enter_context(Wire(gateway.port))
        youngest = stack.enter_context(used_wire(gateway))
        for _ in range(5):
            assert_served(gateway)
        assert oldest.at_end()
        assert ask_on(youngest, gateway) == b"other"


def used_wire(gateway: Gateway) -> Wire:
    """A connection that had an answer, and is idle from then on."""
    wire = Wire(gateway.port)
    assert ask_on(wire, gateway) == b"other"
    return wire


def ask_on(wire: Wire, gateway: Gateway) -> bytes:
    """What the object of `assert_served` gives on a connection that is open."""
    wire.send(signed_head(gateway.port, "GET", "/near/other").data)
    return wire.read_answer().body


def test_more_connections_than_descriptors_leave_others_served(tmp_path: Path) -> None:
    """The limit on open files is raised as far as it may be, and connections kept below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gateway = Gateway(tmp_path).start()
    try:
        gateway.client().create_bucket(Bucket="near")
        files = open_files(gateway.pid)
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (files + 60, hard))
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(Wire(gateway.port))
            assert_served(gateway)
    finally:
        assert gateway.stop() == 0
    assert logged_bugs(gateway) == []
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
