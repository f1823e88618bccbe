"""`s3proxy key`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import created, listed, refusal, run


def test_key_create_prints_what_programs_need() -> None:
    key = created()
    assert key["user"] == "alice"
    assert {"access_key", "secret_key", "user_id"} <= key.keys()
    assert all(key[name] for name in ("access_key", "secret_key", "user_id"))


def test_key_create_twice_gives_one_user_two_keys() -> None:
    first, second = created(), created()
    assert first["user_id"] == second["user_id"]
    assert first["access_key"] != second["access_key"]


def test_key_create_for_people_shows_the_secret_once() -> None:
    text = run("key", "create", "--user", "alice").output
    assert "access key  AKIA" in text
    assert "The secret is not shown again." in text
    assert text.split("secret key")[1].split()[0] not in run("key", "list").output


def test_key_create_without_user_is_a_usage_error() -> None:
    result = run("key", "create")
    assert result.exit_code == 2
    assert "--user" in result.output


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 65])
def test_key_create_for_a_name_that_no_list_can_show_is_a_usage_error(name: str) -> None:
    result = run("key", "create", "--user", name)
    assert result.exit_code == 2
    assert "1 to 64 printable characters" in result.output
    assert not Path("data").exists()


@pytest.mark.parametrize("command", [("list",), ("disable", "AKIA"), ("enable", "AKIA")])
def test_key_commands_beside_no_catalog_say_so_and_make_none(command: tuple[str, ...]) -> None:
    assert refusal("key", *command).startswith("data.dir ./data: no catalog is there; ")
    assert not Path("data").exists()


def test_key_list_has_no_secrets_and_no_cut_columns() -> None:
    key = created("a-name-of-some-length-that-makes-the-row-wider-than-a-terminal")
    text = run("key", "list").output
    assert key["access_key"] in text
    assert key["user"] in text
    assert key["created"] in text
    assert key["secret_key"] not in text
    assert all("secret" not in str(record) for record in listed())


def test_key_disable_then_enable_shows_in_the_list() -> None:
    access_key = created()["access_key"]
    assert run("key", "disable", access_key).output == f"disabled {access_key}\n"
    assert [key["enabled"] for key in listed()] == [False]
    assert "disabled" in run("key", "list").output
    assert run("key", "enable", access_key).output == f"enabled {access_key}\n"
    assert [key["enabled"] for key in listed()] == [True]


@pytest.mark.parametrize("command", ["enable", "disable"])
def test_key_of_nobody_is_refused(command: str) -> None:
    created()
    assert refusal("key", command, "AKIANOBODY") == "there is no access key AKIANOBODY"


def test_key_create_where_no_directory_can_be_is_refused() -> None:
    Path("file").write_text("")
    line = refusal("key", "create", "--user", "alice", S3PROXY_DATA__DIR="file/data")
    assert line == "data.dir file/data: Not a directory"


def test_key_create_under_another_master_key_is_refused() -> None:
    created()
    Path("data/master.key").write_bytes(b"short")
    assert "master" in refusal("key", "create", "--user", "bob")
