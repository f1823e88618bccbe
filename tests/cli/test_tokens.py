"""`s3proxy token`."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import refusal, run


def test_token_is_printed_once_and_listed_without_its_secret() -> None:
    text = run("token", "create", "--role", "admin").stdout.strip()
    _, identifier, secret = text.split("_", 2)
    listed = run("token", "list").output
    assert identifier in listed
    assert "admin" in listed
    assert secret not in listed
    assert secret not in run("token", "list", "--json").output


def test_token_create_for_programs_has_the_token() -> None:
    made = json.loads(run("token", "create", "--role", "admin", "--json").stdout)
    assert made["token"].split("_")[1] == made["id"]
    listed = json.loads(run("token", "list", "--json").stdout)
    assert [(token["id"], token["role"], token["tenant"]) for token in listed] == [
        (made["id"], "admin", "")
    ]


def test_token_deleted_is_listed_no_more() -> None:
    made = json.loads(run("token", "create", "--role", "admin", "--json").stdout)
    asked = run("token", "delete", made["id"], stdin="n\n")
    assert f"Delete the token {made['id']}, admin?" in asked.output
    assert run("token", "delete", made["id"], "--yes").output == f"deleted {made['id']}\n"
    assert json.loads(run("token", "list", "--json").stdout) == []
    assert refusal("token", "delete", made["id"]) == f"there is no token {made['id']}"


def test_token_list_of_one_tenant() -> None:
    run("token", "create", "--role", "admin")
    made = run("token", "create", "--role", "tenant-admin", "--tenant", "main", "--json").stdout
    (listed,) = json.loads(run("token", "list", "--tenant", "main", "--json").stdout)
    assert listed["id"] == json.loads(made)["id"]
    assert refusal("token", "list", "--tenant", "no") == "there is no tenant no"


@pytest.mark.parametrize(
    "options", [("--role", "tenant-admin"), ("--role", "admin", "--tenant", "main"), ()]
)
def test_token_of_half_a_role_is_a_usage_error(options: tuple[str, ...]) -> None:
    assert run("token", "create", *options).exit_code == 2


def test_token_of_a_tenant_that_is_not_there_is_refused() -> None:
    options = ("--role", "tenant-admin", "--tenant", "nobody")
    assert refusal("token", "create", *options) == "there is no tenant nobody"
