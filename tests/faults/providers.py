"""Providers as tests need them: real servers that can be killed, frozen, revived and cut off.

Each is a process of its own behind a relay of its own; the gateway under test knows the relay's
port only, so that a provider is broken and mended without its knowledge. Whatever way the test run
ends, its processes end: a watcher kills them by their ids once its standard input closes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.faults.faulty_relay import FaultyRelay
from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway, client, free_port

START_S_MAX = 60.0
# What gateways keep beside blobs; of a bucket as long as it is there.
MANIFESTS, BUCKET_MANIFEST = ".s3gw/", ".s3gw/bucket"
WATCHED_S_MAX = 3600
_WATCHER = f"""
import os, select, signal, sys
pids = set()
while select.select([sys.stdin], [], [], {WATCHED_S_MAX})[0]:
    line = sys.stdin.readline()
    if not line:
        break
    (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Watcher:
    """Kills what is left of the processes it was told of, however this process ends."""

    def __enter__(self) -> Watcher:
        command = [sys.executable, "-c", _WATCHER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def started(self, pid: int) -> None:
        self._say(f"+{pid}\n")

    def ended(self, pid: int) -> None:
        """It has been waited for, so that its id may become another's."""
        self._say(f"-{pid}\n")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


class Server(Protocol):
    """What a provider runs: a process on a port that stays its own."""

    port: int
    log: Path

    @property
    def pid(self) -> int: ...

    def start(self) -> Any:
        """Start, on what the last process left, and return once it answers."""

    def kill(self) -> None:
        """kill -9, and wait."""


class Program:
    """An S3 server that is not s3proxy; `command` takes the port as its last word."""

    def __init__(self, folder: Path, command: list[str], environ: dict[str, str]) -> None:
        self.port = free_port()
        self.log = folder / "server.log"
        self._command = [word.format(port=self.port) for word in command]
        self._environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Program:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self.log.parent, env=self._environ
            )
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"{self._command} does not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def s3proxy(folder: Path) -> Gateway:
    return Gateway(folder)


def moto(folder: Path) -> Program:
    """moto keeps everything in memory: killed, it comes back empty."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"]
    return Program(folder, command, {})


def minio(folder: Path) -> Program:
    command = ["minio", "server", "--quiet", "--address", "127.0.0.1:{port}", str(folder / "data")]
    return Program(
        folder, command, {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    )


# Those that keep their data when they are killed; MinIO where it is installed.
KINDS = {"s3proxy": s3proxy, **({"minio": minio} if shutil.which("minio") else {})}
FORGETFUL = {"moto": moto}


@dataclass
class Provider:
    """One server behind one relay.

    Attributes:
        facts: further lines of its backend's TOML, as where it is.
        outages: [from, to) on the monotonic clock, during which it did not serve as it should.
    """

    name: str
    server: Server
    relay: FaultyRelay
    watcher: Watcher
    facts: str = ""
    outages: list[list[float]] = field(default_factory=list)
    _running: bool = False
    _frozen: bool = False

    def start(self) -> None:
        """Start or restart, on the same port and data."""
        self.server.start()
        self.watcher.started(self.server.pid)
        self._running = True

    def kill(self) -> None:
        """kill -9; nothing where it is not running."""
        if self._running:
            pid = self.server.pid
            self.server.kill()
            self.watcher.ended(pid)
        self._running = self._frozen = False

    def freeze(self) -> None:
        """SIGSTOP: its connections stay, and say nothing."""
        os.kill(self.server.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        if self._frozen:
            os.kill(self.server.pid, signal.SIGCONT)
        self._frozen = False

    def fails(self) -> None:
        """From now on it may not serve."""
        self.outages.append([time.monotonic(), float("inf")])

    def serves(self) -> None:
        """From now on it does."""
        self.outages[-1][1] = time.monotonic()

    def served(self, since: float, until: float) -> bool:
        """Whether nothing was wrong with it between the two times."""
        return all(stop <= since or until <= start for start, stop in self.outages)

    def toml(self) -> str:
        """Its backend in the configuration of a gateway."""
        return (
            f'[[backend]]\nname = "{self.name}"\ntype = "s3"\nendpoint = "{self.relay.url}"\n'
            f'access_key = "{ACCESS_KEY}"\nsecret_key = "{SECRET_KEY}"\n{self.facts}'
        )

    def client(self) -> Any:
        """A boto3 client that does not go through the relay."""
        return client(f"http://127.0.0.1:{self.server.port}")

    def objects(self) -> list[Stored]:
        """All objects at the provider, as its own listings show them, but what says whose it is."""
        s3 = self.client()
        try:
            return list(_objects(s3))
        finally:
            s3.close()

    def blobs(self) -> list[Stored]:
        """Of these what holds bytes of clients."""
        return [item for item in self.objects() if not item.name.startswith(MANIFESTS)]


@dataclass(frozen=True)
class Stored:
    """An object at a provider.

    Attributes:
        modified_s: Unix time; providers tell whole seconds or less.
    """

    bucket: str
    name: str
    size: int
    etag: str
    modified_s: float


def _objects(s3: Any) -> Iterator[Stored]:
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for item in page.get("Contents", ()):
                if item["Key"] == BUCKET_MANIFEST:
                    continue
                yield Stored(
                    bucket["Name"],
                    item["Key"],
                    item["Size"],
                    item["ETag"].strip('"'),
                    item["LastModified"].timestamp(),
                )


@contextmanager
def providers(
    folder: Path, places: Iterable[tuple[str, str]], kind: str = "s3proxy"
) -> Iterator[list[Provider]]:
    """Running providers, each with a folder below `folder`; killed at the end of the block.

    Args:
        places: name and further TOML of each.
    """
    make = {**KINDS, **FORGETFUL}[kind]
    with ExitStack() as stack:
        watcher = stack.enter_context(Watcher())
        found = []
        for name, facts in places:
            (folder / name).mkdir(parents=True)
            server = make(folder / name)
            relay = stack.enter_context(FaultyRelay(server.port))
            provider = Provider(name, server, relay, watcher, facts)
            stack.callback(provider.kill)
            provider.start()
            found.append(provider)
        yield found


def watched(watcher: Watcher, gateway: Gateway) -> Gateway:
    """Start a gateway that ends with the test run."""
    gateway.start()
    watcher.started(gateway.pid)
    return gateway
