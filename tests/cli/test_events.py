"""The `events` commands, on a catalog in which events wait and have died."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from click.testing import Result

from s3proxy.bootstrap import open_catalog
from s3proxy.catalog.outbox import Announcer, Queued
from s3proxy.config import DataConfig
from s3proxy.s3.events import Cause
from s3proxy.s3.notification import Notification, Rule
from tests.catalog.catalogs import bucket_record, object_record
from tests.cli import commands

ARN = "arn:s3proxy:webhook:::hook"
OTHER = "arn:s3proxy:webhook:::other"
DIED_NS = 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def data(environment: None) -> None:
    """Four events in a folder of their own; the first two are dead letters."""
    Path("gateway.toml").write_text(
        '[[event_target]]\nname = "other"\ntype = "webhook"\nurl = "http://o"\nsecret = "s"\n'
    )
    trio.run(fill)


async def fill() -> None:
    async with open_catalog(DataConfig()) as (catalog, _):
        bucket = await catalog.create_bucket(bucket_record())
        notification = Notification([Rule("QueueConfiguration", "a", ARN, ("s3:ObjectCreated:*",))])
        cause = Cause("AWS:user", "192.0.2.7")
        announcer = Announcer(
            bucket, notification, cause, time_ns=DIED_NS, name="ObjectCreated:Put"
        )
        for key in ("a[b]\x1b", "b", "c", "d"):
            await catalog.put_object(bucket, key, object_record(), announcer=announcer)
        dead = [
            Queued(
                queued.position,
                msgspec.structs.replace(queued.record, tries=3, error="no", died_ns=DIED_NS),
            )
            for queued in catalog.pending_events(ARN)[:2]
        ]
        await catalog.settle_events(ARN, [], dead)


def run(*arguments: str) -> Result:
    return commands.run("events", *arguments, "--config", "gateway.toml")


def rows(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_events_list_names_configured_targets_and_what_waits() -> None:
    first, second = rows("list")
    assert (first["arn"], first["target"], first["oldest"]) == (ARN, "", "2023-11-14T22:13:20.000Z")
    assert (first["pending"], first["dead"], first["lost"]) == (2, 2, 0)
    assert (second["arn"], second["target"], second["pending"]) == (OTHER, "other", 0)


def test_events_dead_tells_why_and_when() -> None:
    first, second = rows("dead", ARN)
    assert (first["key"], second["key"]) == ("a[b]\x1b", "b")
    assert (first["event"], first["tries"], first["error"]) == ("ObjectCreated:Put", 3, "no")
    assert first["died"] == "2023-11-14T22:13:20.000Z"


def test_events_dead_for_people_keeps_terminals_safe() -> None:
    output = run("dead", ARN).output
    assert "a[b]?" in output
    assert "\x1b" not in output


def test_events_retry_queues_dead_letters_again() -> None:
    assert run("retry", ARN).output == "queued 2\n"
    assert (rows("list")[0]["pending"], rows("list")[0]["dead"]) == (4, 0)


def test_events_drop_forgets_dead_letters() -> None:
    assert run("drop", ARN).output == "dropped 2\n"
    assert (rows("list")[0]["dead"], rows("list")[0]["lost"]) == (0, 2)


@pytest.mark.parametrize("command", ["dead", "retry", "drop"])
def test_events_of_an_unknown_destination_are_refused(command: str) -> None:
    result = run(command, "arn:none")
    assert result.exit_code == 1
    assert result.output.startswith("s3proxy: arn:none: no event ever waited for it")
