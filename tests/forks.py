"""The s3proxy command in processes of its own, forked from one that has imported it already.

To import a whole gateway takes a second and more, in every one of hundreds of processes. A fork
runs the same command with its own arguments, environment and output, and ends as an interpreter
does. `python -m tests.forks` is the process that is forked: requests are lines of JSON on its
standard input, one at a time; whatever way that closes, its children are killed.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import s3proxy

ROOT = Path(__file__).parent.parent
POLL_S = 0.01


class Fork:
    """One process of the command; what of subprocess.Popen its users need."""

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], output: Path, errors: Path
    ) -> None:
        """Start it; what it prints is appended to the two files, which may be one."""
        outputs = [str(output), str(errors)]
        self.pid = int(_ask({"run": [*arguments], "environ": {**environ}, "outputs": outputs}))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        """The exit status; subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("s3proxy", timeout)
            time.sleep(POLL_S)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing where it has been waited for: its id may be another's."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


_lock = threading.Lock()
_forked: subprocess.Popen[bytes] | None = None


def _ask(request: dict[str, Any]) -> Any:
    global _forked
    with _lock:
        if _forked is None:
            command = [sys.executable, "-m", "tests.forks"]
            pipe = subprocess.PIPE
            _forked = subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT)
            atexit.register(_end, _forked)
        assert _forked.stdin is not None and _forked.stdout is not None
        _forked.stdin.write(json.dumps(request).encode() + b"\n")
        _forked.stdin.flush()
        return json.loads(_forked.stdout.readline())


def _end(forked: subprocess.Popen[bytes]) -> None:
    with forked:
        pass


def _serve() -> None:
    """Answer requests until the standard input ends; a child returns from here with its command."""
    children: dict[int, int | None] = {}
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "run" in request:
            answer: int | None = os.fork()
            if not answer:
                _run(**request)
                return
            children[answer] = None
        else:
            answer = _status(request["poll"], children)
        os.write(1, json.dumps(answer).encode() + b"\n")
    for pid, status in children.items():
        if status is None:
            os.kill(pid, signal.SIGKILL)


def _status(pid: int, children: dict[int, int | None]) -> int | None:
    """That of a child, which is kept: two threads may ask."""
    if children[pid] is None and (ended := os.waitpid(pid, os.WNOHANG))[0]:
        children[pid] = os.waitstatus_to_exitcode(ended[1])
    return children[pid]


def _run(run: list[str], environ: dict[str, str], outputs: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate((os.devnull, *outputs)):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[1:] = run
    runpy.run_module("s3proxy", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # The test run that is interrupted ends it, in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in pkgutil.walk_packages(s3proxy.__path__, "s3proxy."):
        if module.name != "s3proxy.__main__":
            importlib.import_module(module.name)
    # Litestar does so as an application is made.
    importlib.import_module("litestar.plugins.pydantic")
    _serve()
