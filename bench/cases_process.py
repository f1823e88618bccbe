"""Cases about the process itself: memory, listing cost, the price of a signature."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import trio

from bench.lab import GIB, KIB, MIB, Lab, gateway
from bench.load import drive
from bench.micro_sigv4 import verify_against_botocore
from bench.processes import Process
from bench.report import Finding
from bench.signing import Request, sign

IDLE_CONNECTIONS = 5000
LARGE_READERS = 200
KEYS_LARGE, KEYS_SMALL = 1_000_000, 10_000
PUTS_PER_COMMIT = 5000
LIST_CPU_US_MAX = 4000


def idle_memory(lab: Lab, seconds: float) -> Finding:
    """Resident memory of a gateway that has served nothing yet."""
    with gateway(lab.folder, lab.origin.port, lab.sink.port, name="idle") as idle:
        time.sleep(min(seconds, 2.0))
        used = idle.rss_bytes() / MIB
    return Finding("the idle process", "-", used, 90, "MiB", used, 90)


def idle_connections(lab: Lab, seconds: float) -> Finding:
    """Memory for each of 5,000 keep-alive connections that have had one answer."""
    with gateway(lab.folder, lab.origin.port, lab.sink.port, name="keepalive") as server:
        drive(server, [Request("GET", "/")], connections=16, seconds=min(seconds, 2.0))
        before = server.rss_bytes()
        connections = [_ask_once(server) for _ in range(IDLE_CONNECTIONS)]
        each = (server.rss_bytes() - before) / IDLE_CONNECTIONS / KIB
        if not all(_is_open(connection) for connection in connections):
            raise RuntimeError("the gateway closed connections that should be idle")
        for connection in connections:
            connection.close()
    return Finding("5,000 idle keep-alive connections", "-", each, 12, "KiB each", each, 12)


def _ask_once(server: Process) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(4096)
    return connection


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True


def large_readers(lab: Lab, seconds: float) -> Finding:
    """Growth of the gateway's memory while 200 clients read 1 GiB each at once."""
    with (lab.folder / "origin" / "www" / "1g").open("wb") as sparse:
        sparse.truncate(GIB)
    request = sign(lab.gateway.port, Request("GET", "/www/1g"))
    peak = _PeakMemory(lab.gateway)
    sockets = [_start_reading(lab.gateway, request) for _ in range(LARGE_READERS)]
    deadline = time.monotonic() + seconds
    buffer = bytearray(MIB)
    while time.monotonic() < deadline:
        for each in sockets:
            each.recv_into(buffer)
        peak.sample()
    for each in sockets:
        each.close()
    grown = peak.growth_bytes / MIB
    return Finding(
        "200 concurrent GETs of 1 GiB, attached", "-", grown, 64, "MiB growth", grown, 64
    )


class _PeakMemory:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._before = process.rss_bytes()
        self.growth_bytes = 0

    def sample(self) -> None:
        self.growth_bytes = max(self.growth_bytes, self._process.rss_bytes() - self._before)


def _start_reading(server: Process, request: Request) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port))
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the gateway does not send the object: {answer[:200]!r}")
    return connection


def list_objects(lab: Lab, seconds: float) -> Finding:
    """ListObjectsV2 of 1,000 keys in a bucket of a million, against one of ten thousand."""
    client = lab.client()
    for name in ("large", "small"):
        client.create_bucket(Bucket=name)  # type: ignore[attr-defined]
    trio.run(_fill_catalog, lab.folder / "s3proxy" / "data")
    used = {"large": 0.0, "small": 0.0}
    # There and back: what warms up, and what else the machine does, meets both alike.
    for name in ("large", "small", "small", "large"):
        used[name] += _list_cpu_us(lab, name, seconds) / 2
    large, small = used["large"], used["small"]
    return Finding(
        "ListObjectsV2 of 1,000 keys in 1,000,000", "the same in 10,000",
        large / 1000, small / 1000,
        "CPU ms/request", large / small, 1.2,
        note=f"at most {LIST_CPU_US_MAX / 1000:g} ms allowed", within=large <= LIST_CPU_US_MAX,
    )  # fmt: skip


def _list_cpu_us(lab: Lab, bucket: str, seconds: float) -> float:
    path = f"/{bucket}?list-type=2&max-keys=1000&start-after=key%2F00000500"
    request = sign(lab.gateway.port, Request("GET", path))
    measured = drive(lab.gateway, [request], connections=4, seconds=seconds)
    if measured.errors:
        raise RuntimeError(f"{measured.errors} listings failed")
    return measured.cpu_us_per_request


async def _fill_catalog(data: Path) -> None:
    """Put records straight into the catalog, beside the gateway: PUTs would take minutes."""
    from s3proxy.bootstrap import open_catalog
    from s3proxy.config import DataConfig

    async with open_catalog(DataConfig(dir=str(data))) as (catalog, _):
        for name, count in (("large", KEYS_LARGE), ("small", KEYS_SMALL)):
            bucket = catalog.get_bucket(name)
            assert bucket is not None
            for start in range(0, count, PUTS_PER_COMMIT):
                async with trio.open_nursery() as nursery:
                    for number in range(start, min(start + PUTS_PER_COMMIT, count)):
                        nursery.start_soon(_put_record, catalog, bucket, number)


async def _put_record(catalog, bucket, number: int) -> None:  # type: ignore[no-untyped-def]
    from s3proxy.catalog.records import BlobRef, ObjectRecord

    blob = BlobRef(f"{number:032x}", "disk", "", f"{number:032x}", 4096)
    record = ObjectRecord(
        size=4096,
        etag="d41d8cd98f00b204e9800998ecf8427e",
        modified_ns=time.time_ns(),
        blobs=(blob,),
    )
    await catalog.put_object(bucket, f"key/{number:08}", record, condition=None)


def verify_signature(lab: Lab, seconds: float) -> Finding:
    """SigV4 verification of a boto3 GET head, against botocore signing it."""
    ours_us, botocore_us = verify_against_botocore()
    return Finding(
        "SigV4 verify of a boto3 GET head", "botocore signing it", ours_us, botocore_us, "µs",
        botocore_us / ours_us, 40, at_least=True,
    )  # fmt: skip
