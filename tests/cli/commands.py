"""Commands as a person gives them, in a folder of their own."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from s3proxy.cli import main

RUNNER = CliRunner()


def run(*arguments: str, stdin: str | None = None, **environ: str) -> Result:
    return RUNNER.invoke(main, arguments, env=environ, input=stdin, catch_exceptions=False)


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
