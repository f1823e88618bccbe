"""`s3proxy tenant`, and what --tenant does to the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from s3proxy.bootstrap import open_catalog
from s3proxy.config import DataConfig
from s3proxy.config_loading import load
from tests.catalog.catalogs import bucket_record
from tests.cli.commands import created, refusal, run


def rows(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json").stdout)
    return found


def create_acme() -> None:
    assert run("tenant", "create", "acme").output == "created acme\n"


def test_tenant_create_then_list_shows_it_beside_main() -> None:
    create_acme()
    assert [(row["name"], row["enabled"]) for row in rows("tenant", "list")] == [
        ("acme", True),
        ("main", True),
    ]
    assert run("tenant", "list").output.splitlines()[1].split()[:2] == ["acme", "enabled"]
    assert json.loads(run("tenant", "create", "other", "--json").stdout)["name"] == "other"


def test_tenant_create_again_or_of_no_name_is_refused() -> None:
    create_acme()
    assert refusal("tenant", "create", "acme") == "there is a tenant acme already"
    assert "cannot name a tenant" in refusal("tenant", "create", "A.b")


def test_tenant_create_that_hides_host_names_says_so() -> None:
    Path("s3proxy.toml").write_text('[server]\ndomain = "s3.example"\n')
    config = ("--config", "s3proxy.toml")
    run("user", "create", "alice", *config)

    async def make_buckets() -> None:
        async with open_catalog(load("s3proxy.toml", {}).data) as (catalog, _):
            for name in ("acme", "my.acme", "myacme", "acme.my"):
                await catalog.create_bucket(bucket_record(name))

    trio.run(make_buckets)
    text = run("tenant", "create", "acme", *config).output
    assert text.startswith("created acme\n")
    assert text.endswith("the host name means the tenant acme: acme, my.acme\n")
    assert run("tenant", "create", "other", *config).output == "created other\n"


def test_tenant_disable_then_enable_shows_in_the_list() -> None:
    create_acme()
    assert run("tenant", "disable", "acme").output == "disabled acme\n"
    assert "disabled" in run("tenant", "list").output
    assert run("tenant", "enable", "acme").output == "enabled acme\n"
    assert rows("tenant", "list")[0]["enabled"] is True
    assert refusal("tenant", "disable", "nobody") == "there is no tenant nobody"


def test_tenant_delete_asks_and_takes_users_with_it() -> None:
    create_acme()
    run("key", "create", "--user", "alice", "--tenant", "acme")
    refused = run("tenant", "delete", "acme", stdin="n\n")
    assert "Delete the tenant acme with 1 user, 1 key?" in refused.output
    assert refused.exit_code == 1
    assert len(rows("tenant", "list")) == 2
    assert run("tenant", "delete", "acme", stdin="y\n").output.endswith("deleted acme\n")
    assert rows("key", "list") == []
    assert refusal("tenant", "delete", "acme") == "there is no tenant acme"
    assert refusal("tenant", "delete", "acme", "--yes") == "there is no tenant acme"
    assert "cannot be deleted" in refusal("tenant", "delete", "main", "--yes")


def test_tenant_and_user_that_cannot_be_deleted_are_refused_before_asking() -> None:
    create_acme()
    run("user", "create", "alice", "--tenant", "acme")
    (alice,) = rows("user", "list", "--tenant", "acme")
    trio.run(make_bucket, alice["user_id"])
    assert refusal("tenant", "delete", "acme") == "the tenant acme has buckets; delete them first"
    line = refusal("user", "delete", "alice", "--tenant", "acme")
    assert line == "the user alice owns the bucket bucket; delete it first"
    assert "cannot be deleted" in refusal("tenant", "delete", "main")


async def make_bucket(owner: str) -> None:
    async with open_catalog(DataConfig()) as (catalog, _):
        record = msgspec.structs.replace(bucket_record(), tenant="acme", owner=owner)
        await catalog.create_bucket(record)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "create", ""),
        ("tenant", "disable", ""),
        ("user", "list", "--tenant", ""),
        ("key", "list", "--user", ""),
        ("key", "limit", "", "--default"),
        ("bucket", "show", ""),
        ("placement", "explain", "photos", ""),
        ("backend", "drain", ""),
        ("token", "create", "--role", "tenant-admin", "--tenant", ""),
    ],
)
def test_empty_name_as_of_an_unset_variable_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert ": it is empty\n" in result.output


def test_users_of_equal_names_in_two_tenants_are_two() -> None:
    create_acme()
    mains = json.loads(run("user", "create", "alice", "--json").stdout)
    theirs = json.loads(run("user", "create", "alice", "--tenant", "acme", "--json").stdout)
    assert mains["user_id"] != theirs["user_id"]
    assert (mains["tenant"], theirs["tenant"]) == ("main", "acme")
    assert [row["user_id"] for row in rows("user", "list", "--tenant", "acme")] == [
        theirs["user_id"]
    ]
    assert [row["user_id"] for row in rows("user", "list")] == [mains["user_id"]]


def test_user_create_again_is_refused() -> None:
    assert run("user", "create", "alice").output.startswith("created alice  (id ")
    assert refusal("user", "create", "alice") == "the tenant main has a user alice already"
    assert run("user", "create", "a\nb").exit_code == 2


def test_user_disable_enable_delete() -> None:
    created("alice")
    assert run("user", "disable", "alice").output == "disabled alice\n"
    assert rows("user", "list")[0]["enabled"] is False
    assert run("user", "enable", "alice").output == "enabled alice\n"
    asked = run("user", "delete", "alice", stdin="\n")
    assert "Delete the user alice of main with 1 key?" in asked.output
    assert run("user", "delete", "alice", "--yes").output == "deleted alice\n"
    assert (rows("user", "list"), rows("key", "list")) == ([], [])
    assert refusal("user", "delete", "alice") == "there is no user alice"


def test_user_policy_of_a_tenant_is_its_users() -> None:
    create_acme()
    run("user", "create", "alice", "--tenant", "acme")
    policy = '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
    options = ("alice", "--tenant", "acme")
    assert run("user", "policy", "set", *options, stdin=policy).exit_code == 0
    assert run("user", "policy", "show", *options).output == f"{policy}\n"
    assert refusal("user", "policy", "show", "alice") == "there is no user alice"
    assert run("user", "policy", "delete", *options).exit_code == 0
    assert "in the tenant acme" in refusal("user", "policy", "show", "bob", "--tenant", "acme")


def test_key_rotation_is_make_switch_delete() -> None:
    first, second = created(), created()
    line = refusal("key", "create", "--user", "alice")
    assert line == "the user alice has 2 active keys; disable or delete one first"
    asked = run("key", "delete", first["access_key"], stdin="n\n")
    assert f"Delete the access key {first['access_key']} of alice of the tenant main?" in (
        asked.output
    )
    key = first["access_key"]
    assert run("key", "delete", key, "--yes").output == f"deleted {key}\n"
    assert [row["access_key"] for row in rows("key", "list")] == [second["access_key"]]
    assert refusal("key", "delete", key) == f"there is no access key {key}"
    created()


def test_key_list_of_a_tenant_or_user_is_theirs_alone() -> None:
    create_acme()
    run("key", "create", "--user", "alice", "--tenant", "acme")
    run("key", "create", "--user", "bob", "--tenant", "acme")
    created("alice")
    assert [row["tenant"] for row in rows("key", "list", "--tenant", "acme")] == ["acme"] * 2
    found = rows("key", "list", "--tenant", "acme", "--user", "bob")
    assert [(row["tenant"], row["user"]) for row in found] == [("acme", "bob")]
    assert [row["tenant"] for row in rows("key", "list", "--user", "alice")] == ["main"]
    assert refusal("key", "list", "--tenant", "no") == "there is no tenant no"
    assert refusal("key", "list", "--user", "eve") == "there is no user eve"


def test_key_create_in_a_tenant_tells_it() -> None:
    create_acme()
    text = run("key", "create", "--user", "alice", "--tenant", "acme").output
    assert "tenant      acme\n" in text
    assert refusal("key", "create", "--user", "a", "--tenant", "no") == "there is no tenant no"


@pytest.mark.parametrize(
    "command",
    [("tenant", "list"), ("tenant", "disable", "x"), ("user", "list"), ("token", "list")],
)
def test_commands_beside_no_catalog_make_none(command: tuple[str, ...]) -> None:
    assert "no catalog is there" in refusal(*command)
    assert not Path("data").exists()
