"""Everything that runs during a benchmark: origins, peers and the gateway, on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as BotoConfig

from bench import peers
from bench.processes import Process, free_port
from bench.signing import ACCESS_KEY, REGION, SECRET_KEY

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = {"1k": KIB, "64k": 64 * KIB, "64m": 64 * MIB}

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
connections_max = 20000
[control]
listen = ""
[data]
dir = "{folder}/data"
[log]
access = ""
level = "warning"
[[backend]]
name = "disk"
type = "local"
root = "{folder}/blobs"
[[backend]]
name = "origin"
type = "s3"
endpoint = "http://127.0.0.1:{origin}"
access_key = "origin"
secret_key = "origin-secret"
[[backend]]
name = "sink"
type = "s3"
endpoint = "http://127.0.0.1:{sink}"
access_key = "sink"
secret_key = "sink-secret"
verifies_payload = true
[[bucket]]
name = "www"
backend = "origin"
[[bucket]]
name = "drop"
backend = "sink"
"""


@dataclass
class Lab:
    """The running servers.

    Files of SIZES lie on the origin in /www and in the buckets `managed` and `encrypted`;
    `objects` are what the cases about copies have.
    """

    folder: Path
    origin: Process
    sink: Process
    nginx: Process
    nginx_streaming: Process
    haproxy: Process
    gateway: Process
    objects: int = 5000

    def client(self) -> object:
        """A boto3 client of the gateway."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.gateway.port}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=BotoConfig(s3={"addressing_style": "path"}),
        )


@contextmanager
def open_lab(folder: Path) -> Iterator[Lab]:
    """Start everything below `folder`, which should be on a real disk."""
    root = folder / "origin"
    (root / "www").mkdir(parents=True)
    for name, size in SIZES.items():
        (root / "www" / name).write_bytes(payload(size))
    with ExitStack() as stack:
        start = stack.enter_context
        origin = start(peers.nginx_origin(folder, root))
        sink = start(peers.sink(folder))
        lab = Lab(
            folder=folder,
            origin=origin,
            sink=sink,
            nginx=start(peers.nginx_proxy(folder, origin.port, name="proxy")),
            nginx_streaming=start(
                peers.nginx_proxy(folder, sink.port, name="streaming", request_buffering=False)
            ),
            haproxy=start(peers.haproxy(folder, origin.port, name="haproxy")),
            gateway=start(gateway(folder, origin.port, sink.port)),
        )
        _fill(lab)
        yield lab


def gateway(folder: Path, origin_port: int, sink_port: int, *, name: str = "s3proxy") -> Process:
    """A gateway with a local backend and the two origins attached."""
    port = free_port()
    base = folder / name
    base.mkdir(exist_ok=True)
    config = base / "gateway.toml"
    config.write_text(CONFIG.format(port=port, folder=base, origin=origin_port, sink=sink_port))
    environ = {
        "S3PROXY_ROOT_ACCESS_KEY": ACCESS_KEY,
        "S3PROXY_ROOT_SECRET_KEY": SECRET_KEY,
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    command = [sys.executable, "-m", "s3proxy", "serve", "--config", str(config)]
    return Process(command, port, folder=folder, name=name, environ=environ)


def payload(size: int) -> bytes:
    """`size` bytes that do not compress and are the same at every run."""
    block = bytes((i * 167 + (i >> 8) * 13) & 0xFF for i in range(1 << 16))
    return (block * (size // len(block) + 1))[:size]


def _fill(lab: Lab) -> None:
    client: Any = lab.client()
    client.create_bucket(Bucket="managed")
    client.create_bucket(Bucket="encrypted")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client.put_bucket_encryption(
        Bucket="encrypted", ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    for name, size in SIZES.items():
        for bucket in ("managed", "encrypted"):
            client.put_object(Bucket=bucket, Key=name, Body=payload(size))
