"""The `replication` commands, on a catalog in which copies are owed and were given up."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import trio
from click.testing import Result

from s3proxy.bootstrap import open_catalog
from s3proxy.catalog.settling import Settlement
from s3proxy.config import DataConfig
from tests.catalog.catalogs import bucket_record
from tests.catalog.owing import give_up, owe
from tests.cli import commands


@pytest.fixture(autouse=True)
def data(environment: None) -> None:
    """Three debts, one of them dead."""
    trio.run(fill)


async def fill() -> None:
    async with open_catalog(DataConfig()) as (catalog, _):
        bucket = await catalog.create_bucket(bucket_record())
        await owe(catalog, bucket, "a", "de")
        await owe(catalog, bucket, "b", "de")
        await give_up(catalog, await owe(catalog, bucket, "x[c]\x1b", "fi"))


def run(*arguments: str) -> Result:
    return commands.run("replication", *arguments)


def rows(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_replication_status_shows_each_backend() -> None:
    de, disk, fi = rows("status")
    assert (disk["backend"], disk["objects"]) == ("disk", 0)
    assert (de["backend"], de["objects"], de["bytes"], de["dead"]) == ("de", 2, 6, 0)
    assert (fi["backend"], fi["objects"], fi["dead"]) == ("fi", 0, 1)
    output = run("status").output
    assert "de" in output
    assert "place too many" not in output


def test_replication_status_tells_blobs_with_too_few_copies_from_those_with_too_many() -> None:
    trio.run(fall_short)
    shown = rows("status")
    assert [row["backend"] for row in shown] == ["de", "disk", "fi", "!too-few"]
    assert shown[-1]["objects"] == 1
    assert "(too few backends are left)" in run("status").output


async def fall_short() -> None:
    async with open_catalog(DataConfig()) as (catalog, _):
        bucket = catalog.get_bucket("bucket")
        assert bucket is not None
        debt = await owe(catalog, bucket, "s", "de")
        rest = msgspec.structs.replace(debt, targets=(), short=True, waits_for="!too-few")
        await catalog.settle_debt(Settlement(debt, catalog.places_of(debt.blob), rest=rest))


def test_replication_list_shows_debts_a_part_at_a_time() -> None:
    first, *rest = rows("list")
    assert len(rest) == 2
    assert rows("list", "--after", first["id"]) == rest
    assert {row["key"] for row in [first, *rest]} == {"a", "b", "x[c]\x1b"}


def test_replication_list_dead_tells_why_and_keeps_terminals_safe() -> None:
    (row,) = rows("list", "--dead")
    assert (row["key"], row["tries"], row["error"], row["due"]) == ("x[c]\x1b", 20, "no", None)
    output = run("list", "--dead").output
    assert "x[c]?" in output
    assert "\x1b" not in output


def test_replication_retry_makes_dead_letters_due() -> None:
    assert run("retry", "--all").output == "retried 1\n"
    assert rows("list", "--dead") == []
    (row,) = rows("list", "--dead") or [row for row in rows("list") if row["targets"] == ["fi"]]
    assert (row["tries"], row["dead"]) == (0, False)


def test_replication_retry_of_one_by_its_id() -> None:
    (row,) = rows("list", "--dead")
    assert run("retry", row["id"]).output == "retried 1\n"
    assert run("retry", "unknown").output == "s3proxy: nothing is owed for unknown\n"


def test_replication_retry_of_nothing_says_what_to_name() -> None:
    result = run("retry")
    assert result.exit_code == 2
    assert "--all" in result.output
