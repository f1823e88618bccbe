"""`s3proxy reindex`, `scrub`, `backend drain` and `backend test`, on the disk of the default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.bootstrap import data_directory, open_catalog
from s3proxy.catalog.records import BlobRef
from s3proxy.cli import rebuild
from s3proxy.config import DataConfig
from s3proxy.ops.reindex_walk import ReindexReport
from s3proxy.ops.scrub import ScrubOptions, ScrubReport
from s3proxy.s3.placement import Rules
from tests.catalog.catalogs import bucket_record
from tests.cli.commands import created, refusal, run


def test_reindex_of_a_local_backend_is_refused_and_says_why() -> None:
    assert "a local backend keeps neither keys nor metadata" in refusal(
        "reindex", "--backend", "disk"
    )
    assert refusal("reindex", "--backend", "none") == "there is no backend none; there are: disk"


class FailingReindex:
    """A rebuild whose backend goes away."""

    def __init__(self, services: object, names: object) -> None:
        self.report = ReindexReport()

    async def run(self) -> ReindexReport:
        raise Unavailable("list", "bucket", "no answer", "fi")


def test_reindex_that_a_backend_ends_says_that_it_can_be_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuild, "Reindex", FailingReindex)
    found = refusal("reindex", "--backend", "fi", "--json")
    assert found.startswith("not finished, run it again: Unavailable: list 'bucket' on fi")


def test_reindex_dry_run_leaves_no_copy_of_the_catalog() -> None:
    created()
    refusal("reindex", "--backend", "disk", "--dry-run")
    assert [path.name for path in Path("data").glob("*dry-run*")] == []


def test_scrub_of_nothing_finds_nothing() -> None:
    created()
    assert json.loads(run("scrub", "--json").stdout)["problems_count"] == 0
    assert run("scrub").output == "checked: 0\n"


def test_scrub_of_a_name_that_nobody_has_is_refused() -> None:
    created()
    assert refusal("scrub", "--backend", "none") == "there is no backend none; there are: disk"
    assert refusal("scrub", "--bucket", "none") == "there is no bucket none"


class WatchedScrub:
    """Finds nothing; remembers what it was asked for."""

    asked: ClassVar[list[ScrubOptions]] = []

    def __init__(self, services: object, options: ScrubOptions) -> None:
        self.asked.append(options)
        self.report = ScrubReport()

    async def run(self) -> ScrubReport:
        return self.report


def test_scrub_removes_what_nobody_knows_only_when_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    created()
    monkeypatch.setattr(rebuild, "Scrub", WatchedScrub)
    run("scrub")
    run("scrub", "--remove-unknown")
    monkeypatch.setenv("S3PROXY_SCRUB__REMOVE_UNKNOWN", "true")
    run("scrub")
    run("scrub", "--dry-run")
    found = [(one.remove_unknown, one.heal) for one in WatchedScrub.asked]
    assert found == [(False, True), (True, True), (True, True), (True, False)]
    assert run("scrub", "--dry-run", "--remove-unknown").exit_code == 2


def test_scrub_that_could_not_verify_says_what_that_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    created()
    monkeypatch.setattr(rebuild, "Scrub", UnsureScrub)
    result = run("scrub", "--deep")
    assert result.stdout == "unverifiable: 3\n"
    assert "their sizes alone were compared" in result.stderr
    assert "1 thing: wrong" in result.stderr


class UnsureScrub(WatchedScrub):
    """Finds blobs whose MD5 nobody knows, and one thing that is wrong."""

    async def run(self) -> ScrubReport:
        self.report.counts["unverifiable"] = 3
        self.report.problem("moto: k: missing")
        return self.report


def test_backend_drain_says_what_is_left_until_it_is_cancelled() -> None:
    created()
    shown = json.loads(run("backend", "drain", "disk", "--json").stdout)
    assert shown["done"]
    assert run("backend", "drain", "disk", "--wait").output == "disk is empty\n"
    rows = json.loads(run("backend", "list", "--json").stdout)
    assert rows[0]["draining_since"] == shown["since"] != ""
    assert "no: is being emptied" in run("backend", "list").output
    assert run("backend", "drain", "disk", "--cancel").output == "disk takes new data\n"
    assert json.loads(run("backend", "list", "--json").stdout)[0]["draining_since"] is None
    assert refusal("backend", "drain", "none") == "there is no backend none; there are: disk"
    assert run("backend", "drain", "disk", "--cancel", "--wait").exit_code == 2


def test_backend_drain_that_no_gateway_does_says_so() -> None:
    made = created()
    trio.run(make_bucket, made["user_id"])
    result = run("backend", "drain", "disk")
    assert result.stderr == "No gateway runs here: the data moves once one does.\n"
    assert "disk is being drained: 0 blobs, 0 B in 1 bucket; no other" in result.stdout
    with data_directory(DataConfig()):
        assert run("backend", "drain", "disk").stderr == ""


def test_backend_drain_counts_what_is_still_to_be_deleted() -> None:
    created()
    trio.run(leave_garbage)
    shown = run("backend", "drain", "disk").stdout
    assert shown == "disk is being drained: 0 blobs, 0 B in 0 buckets; 1 blob still to be deleted\n"
    told = json.loads(run("backend", "drain", "disk", "--json").stdout)
    assert (told["garbage"], told["containers"], told["moved"], told["done"]) == (1, 0, True, False)


async def leave_garbage() -> None:
    async with open_catalog(DataConfig()) as (catalog, _):
        await catalog.add_garbage([BlobRef("0" * 32, "disk", "s3gw-a", "k~0", 4)])


async def make_bucket(owner: str, replicas: int = 0) -> None:
    rules = Rules(replicas=replicas) if replicas else None
    record = msgspec.structs.replace(bucket_record(), owner=owner, placement=rules)
    async with open_catalog(DataConfig()) as (catalog, _):
        await catalog.create_bucket(record)


def test_backend_drain_names_what_is_not_moved() -> None:
    Path("s3proxy.toml").write_text(
        '[backup]\nbackend = "far"\n[[storage_class]]\nname = "GLACIER"\nbackend = "far"\n'
        + "".join(
            f'[[backend]]\nname = "{name}"\ntype = "local"\nroot = "data/{name}"\n'
            for name in ("near", "far")
        )
    )
    trio.run(make_bucket, created()["user_id"], 2)
    drain = ("backend", "drain", "--config", "s3proxy.toml")
    said = run(*drain, "far", "--wait").output
    assert said == (
        "far is empty; but fewer copies than their rules want, without it: bucket;"
        " backups of the catalog ([backup] backend) are there, and are not moved;"
        " [[storage_class]] GLACIER has it as backend\n"
    )
    shown = json.loads(run(*drain, "far", "--json").stdout)
    assert (shown["done"], shown["backups"], shown["classes"]) == (True, True, ["GLACIER"])
    assert shown["below"] == ["bucket"]
    shown = json.loads(run(*drain, "near", "--json").stdout)
    assert (shown["backups"], shown["classes"]) == (False, [])


def test_backend_test_prints_what_was_tried() -> None:
    result = run("backend", "test", "disk")
    assert result.exit_code == 0
    assert "credentials" in result.output
    assert json.loads(run("backend", "test", "disk", "--json").stdout)["passed"]
    assert refusal("backend", "test", "none") == "there is no backend none; there are: disk"
