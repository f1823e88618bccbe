"""`s3proxy quota`, `s3proxy bucket list` and `show`, `s3proxy key limit`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import click
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from s3proxy import config_loading
from s3proxy.bootstrap import open_catalog
from s3proxy.catalog.catalog import Catalog
from s3proxy.cli.amounts import Amount, told_bytes
from tests.catalog.catalogs import blob, bucket_record, object_record
from tests.cli.commands import created, listed, refusal, run


def with_catalog(use: Callable[[Catalog], Awaitable[None]]) -> None:
    async def using() -> None:
        async with open_catalog(config_loading.load(None, {}).data) as (catalog, _):
            await use(catalog)

    trio.run(using)


@pytest.fixture
def filled() -> None:
    """A bucket of main with two objects of 1,000 bytes, and an attached one."""

    async def fill(catalog: Catalog) -> None:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_bucket(bucket_record("files", kind="attached"))
        for key in ("a", "b"):
            await catalog.put_object(bucket, key, object_record(blob(), size=1000))

    with_catalog(fill)


def shown(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


pytestmark = pytest.mark.usefixtures("filled")


def test_quota_of_a_bucket_set_then_shown_then_cleared() -> None:
    told = run("quota", "set", "--bucket", "bucket", "--bytes", "1.5KiB", "--objects", "10")
    assert told.output == "set the quota of the bucket bucket\n"
    assert shown("quota", "show", "--bucket", "bucket") == {
        "quota": {"bytes": 1536, "objects": 10},
        "usage": {"bytes": 2000, "objects": 2, "counting": False},
    }
    text = run("quota", "show", "--bucket", "bucket").output
    assert text == "bytes    2.0 KiB of 1.5 KiB\nobjects  2 of 10\n"
    run("quota", "clear", "--bucket", "bucket")
    assert run("quota", "show", "--bucket", "bucket").output == "no quota\n"


def test_quota_of_a_tenant_counts_its_buckets_before_it_returns() -> None:
    run("quota", "set", "--bytes", "unlimited", "--objects", "9")
    assert shown("quota", "show") == {
        "quota": {"bytes": None, "objects": 9},
        "usage": {"bytes": 2000, "objects": 2, "counting": False},
    }
    assert run("quota", "show").output.startswith("bytes    2.0 KiB of unlimited\n")
    rows = {row["name"]: row["held"]["usage"] for row in shown("bucket", "list")}
    assert rows == {"bucket": {"bytes": 2000, "objects": 2, "counting": False}, "files": None}
    run("quota", "clear")
    assert shown("quota", "show") == {"quota": None, "usage": None}
    assert shown("quota", "show", "--bucket", "bucket") == {"quota": None, "usage": None}


def test_quota_that_limits_nothing_is_refused() -> None:
    for bucket in ((), ("--bucket", "bucket")):
        refused = run("quota", "set", *bucket, "--bytes", "unlimited")
        assert (refused.exit_code, "clear it" in refused.output) == (1, True)
    assert shown("quota", "show") == {"quota": None, "usage": None}


def test_quota_recounted_says_the_same() -> None:
    run("quota", "set", "--bytes", "1KiB")
    before = shown("quota", "show")
    assert run("quota", "recount").output == "counted the tenant main\n"
    assert run("quota", "recount", "--bucket", "bucket").exit_code == 0
    assert shown("quota", "show") == before


def test_quota_that_cannot_be_is_refused() -> None:
    assert "say --bytes" in run("quota", "set").output
    assert "no amount" in run("quota", "set", "--bytes", "-1").output
    assert "no amount" in run("quota", "set", "--bytes", "0.5").output
    assert "no amount" in run("quota", "set", "--objects", "1k").output
    assert refusal("quota", "set", "--bucket", "no", "--bytes", "1").endswith("no bucket no")
    assert "attached" in refusal("quota", "set", "--bucket", "files", "--bytes", "1")
    assert refusal("quota", "set", "--tenant", "no", "--bytes", "1") == "there is no tenant no"
    assert refusal("quota", "show", "--tenant", "no") == "there is no tenant no"


def test_bucket_list_and_show_tell_what_is_known() -> None:
    assert [row["name"] for row in shown("bucket", "list", "--tenant", "main")] == [
        "bucket",
        "files",
    ]
    line = run("bucket", "list").output.splitlines()[1].split()
    assert line[:4] == ["bucket", "main", "managed", "disk"]
    details = shown("bucket", "show", "bucket")
    assert details["containers"] == {"disk": "s3gw-bucket"}
    assert details["held"] == {"quota": None, "usage": None}
    text = run("bucket", "show", "bucket").output
    assert "containers      s3gw-bucket on disk\n" in text
    assert "usage           not counted: no quota is in force\n" in text
    run("quota", "set", "--bucket", "bucket", "--objects", "3")
    text = run("bucket", "show", "bucket").output
    assert "usage           2.0 KiB, 2 objects\n" in text
    assert "quota           any number of bytes, 3 objects\n" in text
    assert refusal("bucket", "show", "no") == "there is no bucket no"
    assert refusal("bucket", "show", "a\x1b[31mb\nc") == "there is no bucket a?[31mb?c"
    assert refusal("bucket", "list", "--tenant", "no") == "there is no tenant no"


def test_key_limit_set_replaced_and_left_to_the_server() -> None:
    key = created()["access_key"]
    run("key", "limit", key, "--requests-per-s", "2.5", "--bytes-per-s", "1MiB")
    limits = {"requests_burst": 0, "bytes_burst": 0}
    assert listed()[0]["limits"] == {
        "requests_per_s": 2.5,
        "bytes_per_s": 1048576,
        **limits,
    }
    run("key", "limit", key, "--unlimited")
    assert listed()[0]["limits"] == {"requests_per_s": 0, "bytes_per_s": 0, **limits}
    run("key", "limit", key, "--default")
    assert listed()[0]["limits"] is None
    assert "say rates" in run("key", "limit", key).output
    assert "say rates" in run("key", "limit", key, "--unlimited", "--default").output
    assert "nan is no rate" in run("key", "limit", key, "--requests-per-s", "nan").output
    assert "not in the range" in run("key", "limit", key, "--requests-per-s", "inf").output
    assert "needs its rate" in run("key", "limit", key, "--bytes-burst", "1").output
    assert refusal("key", "limit", "AKIANOBODY", "--default") == "there is no access key AKIANOBODY"


def test_key_list_of_a_user_whose_name_looks_like_markup_shows_it() -> None:
    created("x[/y]")
    assert "x[/y]" in run("key", "list").output


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("5000", 5000),
        ("10GiB", 10 << 30),
        ("10gib", 10 << 30),
        ("1.5 MB", 1_500_000),
        ("0.000001TB", 1_000_000),
        ("7EiB", 7 << 60),
    ],
)
def test_amount_with_a_unit_is_read(text: str, count: int) -> None:
    assert Amount(units=True).convert(text, None, None) == count


@pytest.mark.parametrize("text", ["", "x", "1 2", "1.", "-1", "1e3", "10GiBs", "8EiB", "1k", "²"])
def test_amount_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Amount(units=True).convert(text, None, None)


@given(st.integers(0, 1 << 62))
def test_amount_told_is_read_as_about_the_same(count: int) -> None:
    text = told_bytes(count).removesuffix(" B")
    read = Amount(units=True).convert(text, None, None)
    assert isinstance(read, int)
    assert abs(read - count) <= count * 0.06
