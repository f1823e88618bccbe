"""The access log: one JSON line a request, batched, never in a request's way."""

import json
import os
from pathlib import Path

from s3proxy.log import AccessLine, AccessLog


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
