"""Real servers for tests, each a process on a port that the system chose."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

START_S_MAX = 60.0
STOP_S_MAX = 10.0

_MOTO_RUNNING = re.compile(rb"Running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def process(
    arguments: list[str], ready: re.Pattern[bytes], environ: dict[str, str] | None = None
) -> Iterator[re.Match[bytes]]:
    """A server that says on standard error when it is ready; stopped at the end of the block.

    Yields:
        The match of `ready`, which holds what the server said about itself.
    """
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, env=environ) as child:
        assert child.stderr is not None
        said = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 (closed below)
        timer = threading.Timer(START_S_MAX, child.kill)
        timer.start()
        try:
            match = _wait_for(child.stderr, ready, said)
            timer.cancel()
            # A full pipe would stop the server.
            reader = threading.Thread(target=_drain, args=(child.stderr,), daemon=True)
            reader.start()
            yield match
        finally:
            timer.cancel()
            child.terminate()
            try:
                child.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                child.kill()
            said.close()


def _wait_for(stream: IO[bytes], ready: re.Pattern[bytes], said: IO[bytes]) -> re.Match[bytes]:
    for line in stream:
        said.write(line)
        match = ready.search(line)
        if match:
            return match
    said.seek(0)
    raise AssertionError(f"the server did not start:\n{said.read().decode(errors='replace')}")


def _drain(stream: IO[bytes]) -> None:
    for _ in stream:
        pass


@contextmanager
def moto_server() -> Iterator[str]:
    """An S3 endpoint that accepts any credentials; yields its URL."""
    arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with process(arguments, _MOTO_RUNNING) as match:
        yield match[1].decode()
