"""`s3proxy backend list`."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec.structs import fields

from s3proxy.control.api.backends import Backend
from tests.cli.commands import run

TWO = """
[health]
probe_timeout_s = 1
[upstream]
connect_timeout_s = 1
[[backend]]
name = "disk"
type = "local"
root = "blobs"
country = "fi"
[[backend]]
name = "far"
type = "s3"
endpoint = "http://127.0.0.1:1"
access_key = "AKIDEXAMPLE"
secret_key = "secret"
read_only = true
"""


def test_backend_list_asks_each_whether_it_answers() -> None:
    Path("s3proxy.toml").write_text(TWO)
    rows = json.loads(run("backend", "list", "--json", "--config", "s3proxy.toml").stdout)
    assert [(row["name"], row["type"], row["read_only"]) for row in rows] == [
        ("disk", "local", False),
        ("far", "s3", True),
    ]
    assert (rows[0]["state"], rows[0]["country"]) == ("closed", "fi")
    assert rows[1]["state"] == "open"
    assert "refused" in rows[1]["last_error"]
    assert "secret" not in json.dumps(rows)
    told_by_the_api = {field.name for field in fields(Backend)}
    assert all(set(row) <= told_by_the_api for row in rows)
    lines = run("backend", "list", "--config", "s3proxy.toml").output.splitlines()
    assert lines[1].split()[:2] == ["disk", "local"]
    assert " up " in lines[1]
    assert "refused" in lines[2]


def test_backend_list_of_the_defaults_is_the_disk() -> None:
    (row,) = json.loads(run("backend", "list", "--json").stdout)
    assert (row["name"], row["state"]) == ("disk", "closed")
