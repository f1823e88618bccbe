"""Providers behind a gateway, for the cases about placement: s3proxy itself, on a local disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import trio
from botocore.config import Config as BotoConfig

from bench.processes import Process, free_port
from bench.signing import ACCESS_KEY, REGION, SECRET_KEY
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import PutOptions
from s3proxy.http.body import BytesBody
from s3proxy.http.client import Client
from s3proxy.http.readiness import Readiness

ROOT = Path(__file__).parent.parent
OWED_S_MAX = 3600.0
WRITERS = 32
_OWED = re.compile(
    r"^s3proxy_replication_(?:owed_objects|dead_letters)\{[^}]*\} ([0-9.e+]+)", re.MULTILINE
)

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
[control]
listen = "127.0.0.1:{control}"
[data]
dir = "{folder}/data"
[log]
access = ""
level = "warning"
"""

# The two providers are a disk apart from each other, so the disk is not to be the measure.
PROVIDER = """
[[backend]]
name = "disk"
type = "local"
root = "{folder}/blobs"
durability = "none"
"""

BACKEND = """
[[backend]]
name = "{name}"
type = "s3"
endpoint = "http://127.0.0.1:{port}"
access_key = "{access_key}"
secret_key = "{secret_key}"
country = "{name}"
"""

ENVIRON = {
    "S3PROXY_ROOT_ACCESS_KEY": ACCESS_KEY,
    "S3PROXY_ROOT_SECRET_KEY": SECRET_KEY,
    "PYTHONPATH": str(ROOT),
}


@dataclass
class Server:
    """A running s3proxy and its configuration."""

    process: Process
    config: Path
    control_port: int

    def client(self, connections: int = 10) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.process.port}",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=BotoConfig(s3={"addressing_style": "path"}, max_pool_connections=connections),
        )

    def run(self, *arguments: str) -> str:
        """What an s3proxy command beside it prints."""
        command = [sys.executable, "-m", "s3proxy", *arguments, "--config", str(self.config)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **ENVIRON}
        )
        if done.returncode:
            raise RuntimeError(f"{arguments}: {done.stderr}")
        return done.stdout

    def owed(self) -> int:
        """How many copies are owed, or were given up."""
        text = httpx.get(f"http://127.0.0.1:{self.control_port}/metrics").text
        return int(sum(float(count) for count in _OWED.findall(text)))

    def wait_until_settled(self) -> None:
        """Wait until nothing is owed."""
        deadline = time.monotonic() + OWED_S_MAX
        while self.owed():
            if time.monotonic() > deadline:
                raise RuntimeError("copies are still owed")
            time.sleep(0.2)


@contextmanager
def provider(folder: Path, name: str) -> Iterator[Server]:
    """An S3 endpoint on a local disk."""
    with _serve(folder, name, PROVIDER.format(folder=folder / name)) as server:
        yield server


@contextmanager
def gateway(
    folder: Path, name: str, backends: Sequence[tuple[str, int]], extra: str = ""
) -> Iterator[Server]:
    """A gateway with an s3 backend for each name and port; countries are called as they are.

    Args:
        extra: further sections.
    """
    text = "".join(
        BACKEND.format(name=backend, port=port, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        for backend, port in backends
    )
    with _serve(folder, name, extra + text) as server:
        yield server


@contextmanager
def _serve(folder: Path, name: str, extra: str) -> Iterator[Server]:
    base = folder / name
    base.mkdir(exist_ok=True)
    port, control = free_port(), free_port()
    config = base / "s3proxy.toml"
    config.write_text(CONFIG.format(port=port, control=control, folder=base) + extra)
    command = [sys.executable, "-m", "s3proxy", "serve", "--config", str(config)]
    with ExitStack() as stack:
        process = Process(command, port, folder=folder, name=name, environ=ENVIRON)
        yield Server(stack.enter_context(process), config, control)


def make_bucket(server: Server, name: str, location: str) -> None:
    """Make a bucket in those regions."""
    configuration = {"LocationConstraint": location}
    client = server.client()
    client.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)


def fill(server: Server, bucket: str, keys: Iterable[str], body: bytes) -> None:
    """Write an object under each key, with the gateway's own client: boto3 takes ten times as long.

    Raises:
        BackendError: the server did not take one.
    """
    trio.run(_fill, server.process.port, bucket, iter(keys), body)


async def _fill(port: int, bucket: str, keys: Iterator[str], body: bytes) -> None:
    options = S3Options(
        name="filled", endpoint=f"http://127.0.0.1:{port}", region=REGION,
        access_key=ACCESS_KEY, secret_key=SECRET_KEY,
    )  # fmt: skip
    readiness = Readiness()
    client = Client(readiness)
    store = S3Backend(options, client).files(bucket)

    async def write() -> None:
        for key in keys:
            await store.put(key, BytesBody(body), PutOptions(length=len(body)))

    async with trio.open_nursery() as outer:
        outer.start_soon(readiness.run)
        async with trio.open_nursery() as nursery:
            for _ in range(WRITERS):
                nursery.start_soon(write)
        await client.aclose()
        outer.cancel_scope.cancel()
