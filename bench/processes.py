"""Starting servers for a benchmark, and reading what they used."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

START_S_MAX = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find(program: str) -> str | None:
    """Path of `program`; /usr/sbin counts, though it is not on everybody's PATH."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Process:
    """A server with its children; stopped, with them, at the end of the block."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        folder: Path,
        name: str,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.port = port
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                list(command),
                stdout=log,
                stderr=log,
                env={**os.environ, **(environ or {})},
                cwd=folder,
            )

    def __enter__(self) -> Process:
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            if self._popen.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        tail = self._log.read_text("utf-8", "replace")[-2000:]
        self.__exit__()
        raise RuntimeError(f"{self.name} does not listen on {self.port}:\n{tail}")

    def __exit__(self, *exception: object) -> None:
        self._popen.terminate()
        try:
            self._popen.wait(15)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def pids(self) -> list[int]:
        """The process and its descendants."""
        found = [self._popen.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return found

    def cpu_s(self) -> float:
        """User and system seconds used so far, by all of them."""
        return sum(_ticks(pid) for pid in self.pids()) / TICKS_PER_S

    def rss_bytes(self) -> int:
        """Resident memory of all of them."""
        return sum(_resident_pages(pid) for pid in self.pids()) * PAGE_BYTES

    def anonymous_bytes(self) -> int:
        """Of these what is no page of a file: a catalog's pages are the kernel's to drop."""
        return sum(_anonymous_kib(pid) for pid in self.pids()) * 1024


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_pages(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def _anonymous_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
