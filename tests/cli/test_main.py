"""The s3proxy command: what it prints, and that every refusal is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import refusal, run


def test_help_names_every_command_in_whole_sentences() -> None:
    commands = run("--help").output.partition("Commands:")[2]
    for command in ("serve", "config", "events", "key", "user"):
        assert f"\n  {command} " in commands
    assert "..." not in commands
    for group in ("config", "events", "key", "user"):
        assert "..." not in run(group, "--help").output.partition("Commands:")[2]


def test_version_is_that_of_the_package() -> None:
    assert run("--version").output == "s3proxy, version 0.1.0\n"


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


@pytest.mark.parametrize(
    "arguments",
    [("bucket", "show"), ("placement", "explain", "b"), ("quota", "set", "--bucket"), ("key",)],
)
def test_argument_that_is_not_utf_8_is_not_understood(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "a\udcff")
    assert result.exit_code == 2
    assert "the argument a\\udcff is not UTF-8" in result.output
