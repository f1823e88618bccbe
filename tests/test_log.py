"""Logs: JSON lines that tell no secrets, batched for requests, never in a request's way."""

import json
import os
from pathlib import Path

import pytest
import structlog

from s3proxy.log import AccessLine, AccessLog, configure, get_logger


def line(**fields: object) -> AccessLine:
    return AccessLine(
        **{
            "time": "2026-01-01T00:00:00.000Z", "request_id": "ID", "remote": "127.0.0.1:1",
            "method": "GET", "path": "/b/k", "operation": "get_object", "status": 200,
            "duration_us": 10, "bytes_in": 0, "bytes_out": 5, **fields,
        }  # type: ignore[arg-type]
    )  # fmt: skip


def test_access_log_close_writes_what_is_queued(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    log.add(line(key='quo"te\n'))
    log.add(line(status=404, code="NoSuchKey"))
    log.close()
    first, second = map(json.loads, (tmp_path / "access.log").read_text().splitlines())
    assert first["key"] == 'quo"te\n'
    assert "code" not in first
    assert second["code"] == "NoSuchKey"


def test_access_log_appends_to_an_existing_file(tmp_path: Path) -> None:
    for _ in range(2):
        log = AccessLog(str(tmp_path / "access.log"))
        log.add(line())
        log.close()
    assert len((tmp_path / "access.log").read_text().splitlines()) == 2


def test_access_log_full_disk_drops_and_counts() -> None:
    log = AccessLog("/dev/full")
    log.add(line())
    log.flush()
    assert log.dropped_lines == 1
    log.close()


def test_access_log_empty_path_is_disabled() -> None:
    log = AccessLog("")
    assert not log.enabled
    log.close()


def test_access_log_file_is_not_world_readable(tmp_path: Path) -> None:
    AccessLog(str(tmp_path / "access.log")).close()
    assert os.stat(tmp_path / "access.log").st_mode & 0o007 == 0  # noqa: PTH116


def fail(secret: str) -> None:
    message = f"{len(secret)} characters do not fit"
    raise RuntimeError(message)


def test_traceback_tells_where_but_no_variables(capfd: pytest.CaptureFixture[str]) -> None:
    configure("info")
    try:
        try:
            fail("do not tell")
        except RuntimeError:
            get_logger("test").exception("unexpected error", request_id="ID")
    finally:
        structlog.reset_defaults()
    event = json.loads(capfd.readouterr().err)
    assert (event["level"], event["request_id"], event["component"]) == ("error", "ID", "test")
    assert event["exception"][0]["exc_value"] == "11 characters do not fit"
    assert [frame["name"] for frame in event["exception"][0]["frames"]][-1] == "fail"
    assert "do not tell" not in json.dumps(event)
