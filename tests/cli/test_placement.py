"""`s3proxy placement`, `bucket placement` and `tenant placement`, beside no gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from s3proxy import config_loading
from s3proxy.bootstrap import open_catalog
from s3proxy.catalog.records import BucketRecord
from tests.cli.commands import refusal, run

CONFIG = """
[placement]
jurisdictions = "eu"
[[backend]]
type = "local"
name = "hel"
root = "hel"
country = "fi"
jurisdiction = "eu"
[[backend]]
type = "local"
name = "nbg"
root = "nbg"
country = "de"
jurisdiction = "eu"
[[backend]]
type = "local"
name = "iad"
root = "iad"
country = "us"
jurisdiction = "us"
"""


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket `photos` of main, on hel."""
    Path("gateway.toml").write_text(CONFIG)
    monkeypatch.setenv("S3PROXY_CONFIG", "gateway.toml")

    async def make() -> None:
        config = config_loading.load("gateway.toml", {})
        async with open_catalog(config.data) as (catalog, _):
            await catalog.create_bucket(
                BucketRecord(
                    name="photos",
                    kind="managed",
                    backend="hel",
                    container="s3gw-1",
                    region="us-east-1",
                    created_ns=1,
                )
            )

    trio.run(make)


def explained(*more: str) -> dict[str, Any]:
    result = run("placement", "explain", "photos", *more, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_placement_explain_says_why_of_every_backend() -> None:
    found = explained()
    assert found["rules"] == [{"rule": "jurisdictions", "value": ["eu"], "source": "server"}]
    verdicts = {row["backend"]: (row["position"] > 0, row["rule"]) for row in found["backends"]}
    assert verdicts == {"hel": (True, ""), "nbg": (True, ""), "iad": (False, "jurisdictions")}
    text = run("placement", "explain", "photos").output
    assert "jurisdictions = eu (said by the server)" in text
    assert "jurisdictions: its jurisdiction (us) is none of eu" in text


def test_bucket_placement_is_set_shown_and_cleared() -> None:
    assert run("bucket", "placement", "show", "photos").output == "no rules\n"
    done = run("bucket", "placement", "set", "photos", "--regions", "de,fi", "--replicas", "2")
    assert done.output == "set the placement of photos\n"
    assert run("bucket", "placement", "show", "photos").output == (
        "regions = de,fi\nreplicas = 2\n"
    )
    shown = json.loads(run("bucket", "placement", "show", "photos", "--json").stdout)
    assert (shown["regions"], shown["replicas"], shown["countries"]) == (["de", "fi"], 2, [])
    found = explained()
    assert [(row["backend"], row["chosen"]) for row in found["backends"]] == [
        ("nbg", True),
        ("hel", True),
        ("iad", False),
    ]
    assert found["backends"][0]["reason"] == "region de is number 1, weight 100"
    assert run("bucket", "placement", "clear", "photos").exit_code == 0
    assert run("bucket", "placement", "show", "photos").output == "no rules\n"


def test_tenant_placement_is_below_that_of_buckets() -> None:
    assert run("tenant", "placement", "set", "main", "--replicas", "2").exit_code == 0
    assert run("tenant", "placement", "show", "main").output == "replicas = 2\n"
    assert {rule["source"] for rule in explained()["rules"]} == {"tenant", "server"}
    run("bucket", "placement", "set", "photos", "--replicas", "1")
    assert explained()["wanted"] == 1
    assert run("tenant", "placement", "clear", "main").exit_code == 0
    assert run("tenant", "placement", "show", "main").output == "no rules\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("set", "photos", "--regions", "mars"), "No backend is in the region mars; known are"),
        (("set", "photos", "--regions", "us"), "Refused: hel: its region (fi) is none of us; iad"),
        (("set", "photos", "--replicas", "3"), "The placement rule jurisdictions cannot be kept"),
        (
            ("set", "photos", "--write-quorum", "2"),
            "The placement rule write_quorum cannot be kept",
        ),
        (("set", "photos", "--countries-forbidden", "usa"), "two letters of ISO 3166, not 'usa'"),
        (("set", "nothing", "--replicas", "2"), "there is no bucket nothing"),
        (("clear", "photos", "--tenant", "other"), "there is no bucket photos in the tenant other"),
        (("show", "nothing"), "there is no bucket nothing"),
    ],
)
def test_bucket_placement_refuses_what_cannot_be_kept(
    arguments: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal("bucket", "placement", *arguments)
    assert run("bucket", "placement", "show", "photos").output == "no rules\n"


def test_bucket_placement_set_without_rules_is_a_usage_error() -> None:
    result = run("bucket", "placement", "set", "photos")
    assert result.exit_code == 2
    assert "say at least one rule" in result.output


def test_rules_that_contradict_each_other_since_are_explained() -> None:
    """A tenant's quorum may come after the number of copies that its bucket says."""
    assert run("bucket", "placement", "set", "photos", "--replicas", "1").exit_code == 0
    quorum = ("--replicas", "2", "--write-quorum", "2")
    assert run("tenant", "placement", "set", "main", *quorum).exit_code == 0
    found = explained()
    assert (found["wanted"], found["quorum"]) == (1, 1)
    assert "write_quorum cannot be kept: 2 copies before" in found["problem"]


def test_bucket_show_and_placement_show_tell_rules_alike() -> None:
    run("bucket", "placement", "set", "photos", "--regions", "fi,de", "--replicas", "2")
    assert run("bucket", "placement", "show", "photos").output == "regions = fi,de\nreplicas = 2\n"
    shown = run("bucket", "show", "photos").output
    assert "placement       regions = fi,de; replicas = 2\n" in shown


def test_tenant_placement_of_nobody_is_refused() -> None:
    assert refusal("tenant", "placement", "show", "x") == "there is no tenant x"
    assert refusal("tenant", "placement", "clear", "x") == "there is no tenant x"


def test_placement_explain_of_what_is_not_there_is_refused() -> None:
    assert refusal("placement", "explain", "nothing") == "there is no bucket nothing"
    assert "nothing: The specified key" in refusal("placement", "explain", "photos", "nothing")


def test_config_check_refuses_rules_that_no_backends_keep() -> None:
    Path("gateway.toml").write_text(CONFIG.replace("[placement]", "[placement]\nwrite_quorum = 3"))
    assert "placement: found The placement rule write_quorum cannot" in refusal("config", "check")
    Path("gateway.toml").write_text(CONFIG.replace('jurisdictions = "eu"', "jurisdictions = 'ch'"))
    assert "placement: found The placement rule jurisdictions" in refusal("config", "check")
    Path("gateway.toml").write_text(CONFIG.replace("[placement]", "[placement]\nregions='mars'"))
    assert "placement.regions: found 'mars'; allowed: of backends: de" in refusal("config", "check")
