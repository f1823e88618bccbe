"""Cases that drive two servers with the same requests and compare their CPU time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.chunked import chunked_body
from bench.lab import GIB, MIB, SIZES, Lab, payload
from bench.load import Measured, drive
from bench.processes import Process
from bench.report import Finding
from bench.signing import Request, sign

Case = Callable[[Lab, float], Finding]
WRITE_ROUNDS = 4


def _compare(
    ours: Measured, theirs: Measured, *, case: str, peer: str, target: float, size: int = 0
) -> Finding:
    """Ratio of CPU per request; shown per GiB for large bodies."""
    note = "".join(
        f"{who}: {m.errors} errors " for who, m in (("s3proxy", ours), (peer, theirs)) if m.errors
    )
    ratio = ours.cpu_us_per_request / theirs.cpu_us_per_request
    scale, unit = (GIB / size / 1e6, "CPU s/GiB") if size >= MIB else (1.0, "CPU µs/request")
    return Finding(
        case, peer, ours.cpu_us_per_request * scale, theirs.cpu_us_per_request * scale, unit,
        ratio, target, note=note.strip(), errors=ours.errors + theirs.errors,
    )  # fmt: skip


def _get(
    lab: Lab, seconds: float, *, bucket: str, name: str, peer: Process, target: float,
    connections: int, method: str = "GET", case: str = "",
) -> Finding:  # fmt: skip
    request = sign(lab.gateway.port, Request(method, f"/{bucket}/{name}"))
    ours = drive(lab.gateway, [request], connections=connections, seconds=seconds)
    plain = [Request("GET", f"/www/{name}")]
    theirs = drive(peer, plain, connections=connections, seconds=seconds)
    kind = "attached S3" if bucket == "www" else "managed, local"
    title = case or f"{method} {name}, {kind}, {connections} connections"
    return _compare(ours, theirs, case=title, peer=peer.name, target=target, size=SIZES[name])


def get_attached(name: str, connections: int, target: float) -> Case:
    """GET through the gateway from the nginx origin, against nginx proxy_pass."""
    return lambda lab, seconds: _get(
        lab, seconds, bucket="www", name=name, peer=lab.nginx, target=target,
        connections=connections,
    )  # fmt: skip


def get_attached_haproxy(lab: Lab, seconds: float) -> Finding:
    """The same against HAProxy; no target, for the record."""
    return _get(
        lab, seconds, bucket="www", name="1k", peer=lab.haproxy, target=float("inf"), connections=32
    )


def get_managed(name: str, connections: int, target: float) -> Case:
    """GET of a managed object on the local backend, against nginx serving the file."""
    return lambda lab, seconds: _get(
        lab, seconds, bucket="managed", name=name, peer=lab.origin, target=target,
        connections=connections,
    )  # fmt: skip


def head_managed(lab: Lab, seconds: float) -> Finding:
    """HEAD of a managed object, against GET 1 KiB by nginx."""
    return _get(
        lab, seconds, bucket="managed", name="1k", peer=lab.origin, target=2.5, connections=32,
        method="HEAD", case="HEAD managed, 32 connections",
    )  # fmt: skip


def put_small_durable(lab: Lab, seconds: float) -> Finding:
    """PUT 1 KiB with fsync over 64 connections, against writing the same with one fsync each."""
    body = lab.folder / "put-1k"
    body.write_bytes(payload(1024))
    requests = [
        sign(lab.gateway.port, Request("PUT", f"/managed/small/{i:05}", body=body))
        for i in range(2048)
    ]
    ours = drive(lab.gateway, requests, connections=64, seconds=seconds)
    theirs = _fsync_rate(lab.folder, seconds)
    return Finding(
        "PUT 1 KiB managed, local, fsync, 64 connections", "write + fsync each", ours.rate, theirs,
        "requests/s", ours.rate / theirs, 5.0, at_least=True,
        note=f"{ours.errors} errors" if ours.errors else "", errors=ours.errors,
    )  # fmt: skip


def _fsync_rate(folder: Path, seconds: float) -> float:
    data = payload(1024)
    target = folder / "fsync"
    target.mkdir(exist_ok=True)
    count, start = 0, time.monotonic()
    while time.monotonic() - start < seconds:
        fd = os.open(target / str(count), os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        count += 1
    return count / (time.monotonic() - start)


def put_spliced(lab: Lab, seconds: float) -> Finding:
    """PUT 64 MiB with a signed payload to a sink that verifies, against nginx streaming to it."""
    body = _body_file(lab)
    signed = sign(lab.gateway.port, Request("PUT", "/drop/64m", body=body))
    ours = drive(lab.gateway, [signed], connections=4, seconds=seconds)
    plain = Request("PUT", "/drop/64m", body=body)
    theirs = drive(lab.nginx_streaming, [plain], connections=4, seconds=seconds)
    return _compare(
        ours, theirs, case="PUT 64 MiB signed, attached S3 sink", peer=lab.nginx_streaming.name,
        target=0.6, size=64 * MIB,
    )  # fmt: skip


def put_local(chunked: bool) -> Case:
    """PUT 64 MiB to the local backend, against openssl sha256 + md5 of the bytes + writing them."""
    kind, target = ("aws-chunked signed", 1.6) if chunked else ("signed", 1.4)

    def case(lab: Lab, seconds: float) -> Finding:
        body = _body_file(lab)
        requests = _chunked_requests(lab, body) if chunked else [_plain_put(lab, body)]
        ours = drive(lab.gateway, requests, connections=2, seconds=seconds)
        theirs_s = _openssl_cpu_s(lab.folder, body)
        per_request_s = ours.cpu_s / max(ours.requests, 1)
        scale = GIB / (64 * MIB)
        return Finding(
            f"PUT 64 MiB {kind}, managed, local", "openssl sha256 + md5 + write",
            per_request_s * scale, theirs_s * scale, "CPU s/GiB", per_request_s / theirs_s, target,
            note=f"{ours.errors} errors" if ours.errors else "", errors=ours.errors,
        )  # fmt: skip

    return case


def _body_file(lab: Lab) -> Path:
    return lab.folder / "origin" / "www" / "64m"


def _plain_put(lab: Lab, body: Path) -> Request:
    return sign(lab.gateway.port, Request("PUT", "/managed/put/64m", body=body))


def _chunked_requests(lab: Lab, body: Path) -> Sequence[Request]:
    return [chunked_body(lab.gateway.port, "/managed/put/chunked", body, lab.folder / "chunked")]


def _openssl_cpu_s(folder: Path, body: Path) -> float:
    """CPU seconds for one body: openssl's two digests, and writing the bytes with one fsync.

    What the three programs need to start is measured with an empty file and taken off. Each round
    writes a file of its own, as the gateway does: memory that was just freed is cheaper to fill.
    """
    empty = folder / "empty"
    empty.touch()
    targets = [folder / f"written-{number}" for number in range(WRITE_ROUNDS)]
    start_s, spent_s = (
        sum(_digest_and_write(source, target) for target in targets) for source in (empty, body)
    )
    for target in targets:
        target.unlink()
    return (spent_s - start_s) / WRITE_ROUNDS


def _digest_and_write(body: Path, target: Path) -> float:
    """CPU seconds of the three programs."""
    before = os.times()
    for digest in ("-sha256", "-md5"):
        subprocess.run(["openssl", "dgst", digest, str(body)], check=True, capture_output=True)
    copy = ["dd", f"if={body}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]
    subprocess.run(copy, check=True)
    after = os.times()
    used_s = (after.children_user, after.children_system)
    return sum(used_s) - before.children_user - before.children_system
