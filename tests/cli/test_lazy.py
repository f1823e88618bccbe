"""What a command imports: no more than it needs, since most take less time to run than that."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from s3proxy.cli import main
from s3proxy.cli.buckets import bucket_group
from s3proxy.cli.lazy import Lazy, LazyGroup
from s3proxy.cli.tenants import tenant_group
from tests.cli.commands import run

SERVING = {
    *("litestar", "hypercorn", "httpx", "structlog", "prometheus_client", "rich"),
    *("s3proxy.service", "s3proxy.control", "s3proxy.gateway", "s3proxy.workers"),
}
CATALOG = {"trio", "lmdb", "s3proxy.catalog", "s3proxy.config"}
# Runs the command that its arguments are, and names what is imported then.
PROBE = """
import sys
from s3proxy.cli import main
try:
    main()
finally:
    print("imported", *sys.modules)
"""


def imported(*arguments: str) -> set[str]:
    """What a process of its own has imported at the end of a command."""
    command = [sys.executable, "-c", PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_version_and_help_import_no_command() -> None:
    assert not imported("--version") & (SERVING | CATALOG)
    assert not imported("--help") & (SERVING | CATALOG)


def test_commands_on_the_catalog_import_nothing_that_serves() -> None:
    found = imported("key", "create", "--user", "alice")
    assert not found & (SERVING | {"s3proxy.ops", "s3proxy.s3.auth"})
    assert found >= CATALOG


def test_catalog_groups_import_neither_service_nor_operations() -> None:
    groups = ("buckets", "keys", "quotas", "replication", "tenants", "tokens", "users")
    probe = f"from s3proxy.cli import {', '.join(groups)}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (SERVING | {"s3proxy.ops"})


@pytest.mark.parametrize("group", [main, bucket_group, tenant_group])
def test_lazy_commands_are_there_under_their_names(group: LazyGroup) -> None:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_help_lists_every_command_with_its_line() -> None:
    shown = run("--help").output
    for name, line in {"serve": "Run the gateway until", "key": "Create, list, disable,"}.items():
        assert f"  {name:<11}  {line}" in shown
    assert "  list       List buckets by tenant" in run("bucket", "--help").output
    assert "  placement  Set, show and clear" in run("bucket", "--help").output


def test_unknown_command_is_a_usage_error() -> None:
    result = run("nothing")
    assert result.exit_code == 2
    assert "No such command 'nothing'" in result.output


def test_lazy_command_loads_what_its_place_names() -> None:
    assert Lazy("keys:key_group", "Keys.").load().name == "key"
