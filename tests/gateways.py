"""Real gateways for tests: `s3proxy serve` as a process that can be stopped, killed, restarted."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import httpx
from botocore.config import Config as BotoConfig

from tests.forks import ROOT, Fork

ACCESS_KEY = "AKIATESTROOTKEY00000"
SECRET_KEY = "test/root+secret=of/forty/characters0000"
REGION = "us-east-1"
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORT_MIN = 10_000
START_S_MAX = 60.0
STOP_S_MAX = 40.0
RUN_S_MAX = 60.0


def free_port() -> int:
    """A port nobody listens on, not of those that the kernel gives to outgoing connections.

    One of these may be another's before a gateway starts, or while it is down between two starts.
    """
    outgoing_min = int(OUTGOING.read_text().split()[0])
    while True:
        port = random.randrange(PORT_MIN, max(outgoing_min, 2 * PORT_MIN))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED:
                return port


class Gateway:
    """One `s3proxy serve` process with its data below `folder`.

    `extra` is TOML text after the [server], [control], [data] and [log] sections.
    """

    def __init__(self, folder: Path, extra: str = "", **environ: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.control_port = free_port()
        self.config = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        self._extra = extra
        self._environ = environ
        self._process: Fork | subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Gateway:
        """Start and wait until the S3 port answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[server]\nlisten = "127.0.0.1:{self.port}"\ngrace_s = 20\n'
            f'[control]\nlisten = "127.0.0.1:{self.control_port}"\n'
            f'[data]\ndir = "{self.folder}/data"\ngarbage_grace_s = 0\n'
            f'[log]\naccess = "{self.folder}/access.log"\n{self._extra}'
        )
        self._process = self._launched(["serve", "--config", str(self.config)])
        self._wait_until_up()
        return self

    def _launched(self, command: list[str]) -> Fork | subprocess.Popen[bytes]:
        return Fork(command, self.environ(), self.log, self.log)

    def environ(self) -> dict[str, str]:
        """What the process, and commands beside it, run with."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("S3PROXY_", "AWS_"))}
        root = {"S3PROXY_ROOT_ACCESS_KEY": ACCESS_KEY, "S3PROXY_ROOT_SECRET_KEY": SECRET_KEY}
        return {**inherited, **root, **self._environ}

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and self._running():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0 and self._healthy():
                    return
            time.sleep(0.02)
        raise AssertionError(f"the gateway does not start:\n{self.log.read_text()[-4000:]}")

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.control_url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9, as a power cut would for the process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit status once it has drained."""
        assert self._process is not None
        if self._running():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """An s3proxy command beside the gateway, with its configuration."""
        command = [*arguments, "--config", str(self.config)]
        with tempfile.TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            fork = Fork(command, self.environ(), output, errors)
            try:
                status = fork.wait(RUN_S_MAX)
            finally:
                fork.kill()
            printed = (output.read_text(), errors.read_text())
            return subprocess.CompletedProcess(command, status, *printed)

    def run_killed(self, seconds: float, *arguments: str) -> None:
        """Begin an s3proxy command, and kill -9 it so much later; what it had done is done."""
        nowhere = Path(os.devnull)
        command = [*arguments, "--config", str(self.config)]
        fork = Fork(command, self.environ(), nowhere, nowhere)
        with contextlib.suppress(subprocess.TimeoutExpired):
            fork.wait(seconds)
        fork.kill()
        fork.wait()

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = self.stop()
        if kind is None:
            assert status == 0, f"exit status {status}:\n{self.log.read_text()[-4000:]}"

    def client(self, **config: Any) -> Any:
        """A boto3 client with the root key, without retries that would hide errors."""
        return client(self.url, **config)


class CommandGateway(Gateway):
    """A gateway whose process is a new interpreter's, as at an operator's; slower to start."""

    def _launched(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "s3proxy", *command],
                stdout=log, stderr=log, cwd=ROOT, env=self.environ(),
            )  # fmt: skip


def client(
    url: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, **config: Any
) -> Any:
    """A boto3 S3 client of `url`."""
    config.setdefault("retries", {"max_attempts": 1, "mode": "standard"})
    config.setdefault("s3", {"addressing_style": "path"})
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=BotoConfig(**config),
    )


def s3_backend(
    name: str, url: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY
) -> str:
    """TOML of an s3 backend."""
    return (
        f'[[backend]]\nname = "{name}"\ntype = "s3"\nendpoint = "{url}"\n'
        f'access_key = "{access_key}"\nsecret_key = "{secret_key}"\n'
    )


def local_backend(name: str, root: Path) -> str:
    """TOML of a local backend."""
    return f'[[backend]]\nname = "{name}"\ntype = "local"\nroot = "{root}"\n'


def attached(name: str, backend: str, target: str = "") -> str:
    """TOML of an attached bucket."""
    return f'[[bucket]]\nname = "{name}"\nbackend = "{backend}"\ntarget = "{target or name}"\n'
