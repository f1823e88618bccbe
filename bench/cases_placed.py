"""Cases about objects with rules: copies, a provider that is down, copies that are owed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import providers
from bench.cases_transfer import Case
from bench.lab import KIB, MIB, Lab, payload
from bench.load import Measured, drive
from bench.processes import find, free_port
from bench.providers import OWED_S_MAX, Server
from bench.report import Finding
from bench.signing import ACCESS_KEY, SECRET_KEY, Request, sign

CONNECTIONS = 8
NAME, SIZE = "64k", 64 * KIB
WRITTEN = 256  # keys that PUTs go to in turn
COPIES = "[placement]\nreplicas = 2\n"
# Of one way of copying as of the other.
TRANSFERS = 10
OBJECT_BYTES = 4 * KIB
# Of more objects than this the peer copies the first so many: its rate is the same.
PEER_OBJECTS_MAX = 20_000
PEER_FOLDER, REST_FOLDER = "first", "rest"
SAMPLE_S = 0.5
# Each look at the metrics takes the gateway's time.
LOOK_S = 1.0
GROWTH_BYTES_MAX = 64 * MIB


def one_down(method: str) -> Case:
    """Requests with one of two providers down from the start, against both up."""

    def case(lab: Lab, seconds: float) -> Finding:
        with tempfile.TemporaryDirectory(dir=lab.folder) as name, ExitStack() as stack:
            folder, start = Path(name), stack.enter_context
            fi = start(providers.provider(folder, "fi"))
            de = start(providers.provider(folder, "de"))
            up = [("fi", fi.process.port), ("de", de.process.port)]
            down = [("fi", fi.process.port), ("de", free_port())]
            whole = start(providers.gateway(folder, "whole", up, COPIES))
            lame = start(providers.gateway(folder, "lame", down, COPIES))
            for server in (whole, lame):
                providers.make_bucket(server, "placed", "fi,de")
                server.client().put_object(Bucket="placed", Key=NAME, Body=payload(SIZE))
            whole.wait_until_settled()
            body = folder / "body"
            body.write_bytes(payload(SIZE))
            theirs = _drive(whole, method, "placed", body, seconds)
            whole.wait_until_settled()
            ours = _drive(lame, method, "placed", body, seconds)
        return _compare(
            ours, theirs, case=f"{method} 64 KiB, two copies, one provider down",
            peer="both up", target=1.25,
        )  # fmt: skip

    return case


def placed(method: str) -> Case:
    """Requests to a bucket with rules for one copy, against a plain one at the same provider."""

    def case(lab: Lab, seconds: float) -> Finding:
        with tempfile.TemporaryDirectory(dir=lab.folder) as name, ExitStack() as stack:
            folder, start = Path(name), stack.enter_context
            fi = start(providers.provider(folder, "fi"))
            server = start(providers.gateway(folder, "gateway", [("fi", fi.process.port)]))
            providers.make_bucket(server, "plain", "fi")
            providers.make_bucket(server, "placed", "fi")
            server.run("bucket", "placement", "set", "placed", "--replicas", "1")
            body = folder / "body"
            body.write_bytes(payload(SIZE))
            for bucket in ("plain", "placed"):
                server.client().put_object(Bucket=bucket, Key=NAME, Body=payload(SIZE))
            ours = _drive(server, method, "placed", body, seconds)
            theirs = _drive(server, method, "plain", body, seconds)
        return _compare(
            ours, theirs, case=f"{method} 64 KiB, placed bucket, S3 provider",
            peer="a plain bucket", target=float("inf"),
        )  # fmt: skip

    return case


def _drive(server: Server, method: str, bucket: str, body: Path, seconds: float) -> Measured:
    port = server.process.port
    if method == "GET":
        requests = [sign(port, Request("GET", f"/{bucket}/{NAME}"))]
    else:
        requests = [
            sign(port, Request("PUT", f"/{bucket}/written/{number}", body=body))
            for number in range(WRITTEN)
        ]
    return drive(server.process, requests, connections=CONNECTIONS, seconds=seconds)


def _compare(ours: Measured, theirs: Measured, *, case: str, peer: str, target: float) -> Finding:
    """Ratio of CPU per request; that of the latency is held against the same bound.

    As many connections ask as fast as they are answered, so that the latency is their number
    divided by the rate.
    """
    ratio = ours.cpu_us_per_request / theirs.cpu_us_per_request
    latency = theirs.rate / ours.rate
    return Finding(
        case, peer, ours.cpu_us_per_request, theirs.cpu_us_per_request, "CPU µs/request", ratio,
        target, note=f"latency {latency:.2f} of theirs", within=latency <= target,
        errors=ours.errors + theirs.errors,
    )  # fmt: skip


def replicate(lab: Lab, seconds: float) -> Finding:
    """Objects that all owe a copy to a new backend, against `aws s3 sync` between the two."""
    with _owing(lab) as owing:
        ours, growth = _replicate(owing)
        theirs = _aws_sync(owing)
    return Finding(
        f"{owing.count:,} objects of 4 KiB owed to a new backend",
        f"aws s3 sync, {TRANSFERS} at once", ours, theirs, "objects/s", ours / theirs, 0.7,
        at_least=True, note=f"memory grew by {growth / MIB:.0f} MiB",
        within=growth <= GROWTH_BYTES_MAX,
    )  # fmt: skip


def replicate_rclone(lab: Lab, seconds: float) -> Finding:
    """The same against `rclone copy`."""
    with _owing(lab) as owing:
        ours, growth = _replicate(owing)
        theirs = _rclone_copy(owing)
    return Finding(
        f"{owing.count:,} objects of 4 KiB owed to a new backend",
        f"rclone copy, {TRANSFERS} at once", ours, theirs, "objects/s", ours / theirs, 0.7,
        at_least=True, note=f"memory grew by {growth / MIB:.0f} MiB",
        within=growth <= GROWTH_BYTES_MAX,
    )  # fmt: skip


@dataclass
class _Owing:
    """A gateway with objects at one provider, and the other provider.

    `source` is the bucket that holds them there.
    """

    folder: Path
    server: Server
    old: Server
    new: Server
    source: str
    count: int

    @property
    def peer_count(self) -> int:
        """Objects below PEER_FOLDER, which the peer copies."""
        return min(self.count, PEER_OBJECTS_MAX)


@contextmanager
def _owing(lab: Lab) -> Iterator[_Owing]:
    with tempfile.TemporaryDirectory(dir=lab.folder) as name, ExitStack() as stack:
        folder, start = Path(name), stack.enter_context
        old = start(providers.provider(folder, "fi"))
        new = start(providers.provider(folder, "de"))
        backends = [("fi", old.process.port), ("de", new.process.port)]
        extra = f"[replication]\nworkers = {TRANSFERS}\n"
        server = start(providers.gateway(folder, "gateway", backends, extra))
        providers.make_bucket(server, "placed", "fi")
        providers.fill(server, "placed", map(_key, range(lab.objects)), payload(OBJECT_BYTES))
        (source,) = (found["Name"] for found in old.client().list_buckets()["Buckets"])
        yield _Owing(folder, server, old, new, source, lab.objects)


def _key(number: int) -> str:
    folder = PEER_FOLDER if number < PEER_OBJECTS_MAX else REST_FOLDER
    return f"{folder}/{number % 100}/{number}"


def _replicate(owing: _Owing) -> tuple[float, int]:
    """Objects a second, and how much the gateway's memory grew meanwhile."""
    server = owing.server
    with _sampled_memory(server) as memory:
        started = time.monotonic()
        server.run("bucket", "placement", "set", "placed", "--regions", "fi,de", "--replicas", "2")
        _wait_for_copies(owing)
        took_s = time.monotonic() - started
    growth = max(memory) - memory[0]
    return owing.count / took_s, growth


def _wait_for_copies(owing: _Owing) -> None:
    """Until nothing is owed, and the new provider has them all; rules are carried out later."""
    deadline = time.monotonic() + OWED_S_MAX
    while owing.server.owed() or _count(owing.new) < owing.count:
        if time.monotonic() > deadline:
            raise RuntimeError("copies are still owed")
        time.sleep(LOOK_S)


def _count(server: Server) -> int:
    client = server.client()
    return sum(
        page["KeyCount"]
        for bucket in client.list_buckets()["Buckets"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"])
    )


@contextmanager
def _sampled_memory(server: Server) -> Iterator[list[int]]:
    """Anonymous bytes of the gateway every SAMPLE_S during a block."""
    found = [server.process.anonymous_bytes()]
    stopping = threading.Event()

    def sample() -> None:
        while not stopping.wait(SAMPLE_S):
            found.append(server.process.anonymous_bytes())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join()


def _aws_sync(owing: _Owing) -> float:
    """Objects a second of aws-cli, which knows one endpoint at a time: down, then up."""
    config = owing.folder / "aws-config"
    config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {TRANSFERS}\n")
    between = owing.folder / "between"
    owing.new.client().create_bucket(Bucket="synced")
    started = time.monotonic()
    _aws(owing.old, config, f"s3://{owing.source}/{PEER_FOLDER}", str(between))
    _aws(owing.new, config, str(between), "s3://synced")
    took_s = time.monotonic() - started
    shutil.rmtree(between)
    return owing.peer_count / took_s


def _aws(server: Server, config: Path, source: str, target: str) -> None:
    command = [
        *(sys.executable, "-m", "awscli", "s3", "sync", source, target, "--only-show-errors"),
        *("--endpoint-url", f"http://127.0.0.1:{server.process.port}"),
    ]
    environ = {
        **os.environ,
        "AWS_CONFIG_FILE": str(config),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    subprocess.run(command, check=True, capture_output=True, env=environ)


def _rclone_copy(owing: _Owing) -> float:
    config = owing.folder / "rclone.conf"
    config.write_text(
        "".join(
            f"[{name}]\ntype = s3\nprovider = Other\nenv_auth = false\n"
            f"access_key_id = {ACCESS_KEY}\nsecret_access_key = {SECRET_KEY}\n"
            f"endpoint = http://127.0.0.1:{server.process.port}\nregion = us-east-1\n"
            for name, server in (("old", owing.old), ("new", owing.new))
        )
    )
    command = [
        *(find("rclone") or "rclone", "copy", f"old:{owing.source}/{PEER_FOLDER}", "new:copied"),
        *("--config", str(config), "--transfers", str(TRANSFERS), "--checkers", str(TRANSFERS)),
    ]
    started = time.monotonic()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise RuntimeError(f"rclone: {done.stderr[-2000:]}")
    return owing.peer_count / (time.monotonic() - started)
