"""`s3proxy bucket region`, and what lists tell of buckets that other gateways serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import created, refusal, run

NORTH = '[[region]]\nname = "north"\nendpoint = "http://127.0.0.1:1"\n'


@pytest.fixture(autouse=True)
def north(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("gateway.toml").write_text(NORTH)
    monkeypatch.setenv("S3PROXY_CONFIG", "gateway.toml")
    created("alice")


def test_region_set_shows_the_bucket_elsewhere_until_it_is_unset() -> None:
    assert run("bucket", "region", "set", "photos", "north", "--owner", "alice").exit_code == 0
    assert json.loads(run("bucket", "region", "list", "--json").stdout) == [
        {"bucket": "photos", "tenant": "main", "region": "north"}
    ]
    line = run("bucket", "list").output.splitlines()[1]
    assert " elsewhere " in line
    assert " the region north " in line
    shown = run("bucket", "show", "photos").output
    assert "kind            elsewhere\n" in shown
    assert "containers      photos on the region north\n" in shown
    assert run("bucket", "region", "unset", "photos").exit_code == 0
    assert json.loads(run("bucket", "region", "list", "--json").stdout) == []


def test_region_set_of_what_is_not_there_is_refused() -> None:
    command = ("bucket", "region")
    assert refusal(*command, "unset", "photos") == "there is no bucket photos"
    assert refusal(*command, "set", "photos", "north", "--owner", "x") == "there is no user x"
    assert "there are: north" in refusal(*command, "set", "photos", "south", "--owner", "alice")
