"""The s3proxy command: what it prints, and that every refusal is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from s3proxy.cli import main

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command works in a folder of its own, as a newcomer's would."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **environ: str) -> Result:
    return RUNNER.invoke(main, arguments, env=environ, catch_exceptions=False)


def refusal(*arguments: str, **environ: str) -> str:
    """The only line of a command that is refused."""
    result = run(*arguments, **environ)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("s3proxy: ")
    return line.removeprefix("s3proxy: ")


def created(user: str = "alice") -> dict[str, str]:
    result = run("key", "create", "--user", user, "--json")
    assert result.exit_code == 0
    key: dict[str, str] = json.loads(result.stdout)
    return key


def listed() -> list[dict[str, object]]:
    keys: list[dict[str, object]] = json.loads(run("key", "list", "--json").stdout)
    return keys


def test_help_names_every_command_in_whole_sentences() -> None:
    commands = run("--help").output.partition("Commands:")[2]
    for command in ("serve", "config", "key"):
        assert f"\n  {command} " in commands
    assert "..." not in commands
    for group in ("config", "key"):
        assert "..." not in run(group, "--help").output.partition("Commands:")[2]


def test_version_is_that_of_the_package() -> None:
    assert "0.1.0" in run("--version").output


def test_config_check_of_defaults_is_ok() -> None:
    assert run("config", "check").output == "defaults: ok (backends: disk; buckets attached: 0)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[server]\nlissten = "x"', "gateway.toml: server.lissten: found an unknown key"),
        ("[server]\nlisten = 9000", "gateway.toml: server.listen: found 9000 (int); allowed: str"),
        ("[server", "gateway.toml: file: found Expected ']'"),
        ("[sever]", "gateway.toml: sever: found an unknown section; allowed: did you mean server?"),
    ],
)
def test_config_check_of_a_wrong_file_says_what_and_where(text: str, expected: str) -> None:
    Path("gateway.toml").write_text(text)
    assert refusal("config", "check", "--config", "gateway.toml").startswith(expected)


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)])
def test_tls_files_are_looked_at_before_anything_starts(command: tuple[str, ...]) -> None:
    Path("gateway.toml").write_text('[server]\ntls_cert = "none.crt"\ntls_key = "none.key"\n')
    assert refusal(*command, "--config", "gateway.toml") == (
        "gateway.toml: server.tls_cert: found 'none.crt': No such file or directory;"
        " allowed: a readable PEM file of certificates"
    )
    assert not Path("data").exists()


def test_config_check_of_a_wrong_variable_names_it() -> None:
    line = refusal("config", "check", S3PROXY_SERVER__GRACE_S="soon")
    assert line.startswith("S3PROXY_SERVER__GRACE_S: server.grace_s: found 'soon'")


def test_config_file_that_is_absent_is_refused() -> None:
    assert refusal("serve", "--config", "none.toml").startswith("none.toml: file: found No such")


def test_config_show_masks_secrets_and_is_a_configuration() -> None:
    Path("gateway.toml").write_text(
        '[[backend]]\nname = "far"\ntype = "s3"\nendpoint = "http://127.0.0.1:1"\n'
        'access_key = "AK"\nsecret_key = "do not tell"\n'
    )
    shown = run("config", "show", "--config", "gateway.toml").output
    assert "do not tell" not in shown
    assert 'secret_key = "****"' in shown
    Path("shown.toml").write_text(shown)
    assert run("config", "check", "--config", "shown.toml").exit_code == 0
    as_json = json.loads(run("config", "show", "--json", "--config", "gateway.toml").stdout)
    assert as_json["backend"][0]["secret_key"] == "****"


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
    assert refusal("key", *command) == "data.dir ./data: no catalog is there"
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


def test_serve_with_half_a_root_key_is_refused() -> None:
    line = refusal(
        "serve",
        S3PROXY_ROOT_ACCESS_KEY="AKIAONLYHALF",
        S3PROXY_SERVER__LISTEN="127.0.0.1:0",
        S3PROXY_CONTROL__LISTEN="",
        S3PROXY_LOG__ACCESS="access.log",
    )
    assert line.endswith("must both be set, or neither")


def test_serve_with_a_certificate_that_is_absent_is_refused() -> None:
    line = refusal(
        "serve",
        S3PROXY_SERVER__LISTEN="127.0.0.1:0",
        S3PROXY_CONTROL__LISTEN="",
        S3PROXY_LOG__ACCESS="access.log",
        S3PROXY_SERVER__TLS_CERT="none.pem",
        S3PROXY_SERVER__TLS_KEY="none.key",
    )
    assert line.startswith("S3PROXY_SERVER__TLS_CERT: server.tls_cert: found 'none.pem': No such")
