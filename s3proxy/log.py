"""Structured logs: JSON lines for errors and events, and one line a request for the access log.

Lines are for programs; what a person must read at the terminal (credentials of the first start,
refusals) is printed by cli/ instead. Every line about a request carries its x-amz-request-id.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO, cast

import msgspec
import structlog
import trio
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

# A line is formatted when the request ends but written with its neighbours: one write for up to
# this many bytes.
ACCESS_BUFFER_BYTES = 64 * 1024
ACCESS_FLUSH_S = 0.25

_encode = msgspec.json.Encoder().encode


def configure(level: str) -> None:
    """Send events of `level` and above to standard error as JSON lines."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: those hold secrets, signatures and bodies.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, StandardError())),
        cache_logger_on_first_use=False,
    )


class StandardError:
    """Standard error without a buffer.

    What it does not take, as on a full disk, is dropped: a log must not fail a request.
    """

    def write(self, text: str) -> int:
        """Write it, or not."""
        try:
            _write_all(sys.stderr.fileno(), text.encode())
        except OSError:
            pass
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def _to_json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def get_logger(name: str) -> Any:
    """A logger whose lines carry `component: name`."""
    return structlog.get_logger(component=name)


class AccessLine(msgspec.Struct, omit_defaults=True):
    """One answered request. Times in microseconds, sizes in bytes."""

    time: str
    request_id: str
    remote: str
    method: str
    path: str
    operation: str
    status: int
    duration_us: int
    bytes_in: int
    bytes_out: int
    access_key: str = ""
    user: str = ""
    tenant: str = ""
    bucket: str = ""
    key: str = ""
    code: str = ""  # the S3 error code
    error: str = ""  # why the answer did not leave whole


class AccessLog:
    """Buffered appender of AccessLine records.

    Resource handling: owns its file descriptor unless it is standard error; `close` flushes.
    Error handling: a line that cannot be written (full disk) is dropped and counted, never raised
    into a request.
    """

    def __init__(self, path: str) -> None:
        """Open `path` for appending; "-" is standard error, "" keeps no access log."""
        self.enabled = bool(path)
        self.dropped_lines = 0
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self._owned = bool(path) and path != "-"
        self._fd = sys.stderr.fileno() if not self._owned else _open_append(path)

    def add(self, line: AccessLine) -> None:
        """Queue one line; it is written within ACCESS_FLUSH_S."""
        encoded = _encode(line)
        self._lines.append(encoded)
        self._size_bytes += len(encoded)
        if self._size_bytes >= ACCESS_BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is queued."""
        if not self._lines:
            return
        lines, self._lines, self._size_bytes = self._lines, [], 0
        try:
            _write_all(self._fd, b"\n".join(lines) + b"\n")
        except OSError:
            self.dropped_lines += len(lines)

    async def run(self) -> None:
        """Flush now and then, until cancelled; what is left is flushed then."""
        try:
            while True:
                await trio.sleep(ACCESS_FLUSH_S)
                self.flush()
        finally:
            self.flush()

    def close(self) -> None:
        """Flush and close; safe to call twice."""
        self.flush()
        if self._owned:
            os.close(self._fd)
            self._owned = False
            self.enabled = False


def _open_append(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
