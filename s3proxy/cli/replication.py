"""`s3proxy replication`: what is owed to which backend, and what was given up."""

from __future__ import annotations

import time

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.debt_counts import TOO_FEW
from s3proxy.cli.console import (
    Row,
    config_option,
    json_option,
    load_config,
    print_list,
    seen_by_gateways,
    with_catalog,
)
from s3proxy.views.replication import lags, shown_debt

SHOWN_MAX = 1000
_IN_PLACE_OF_ONE = {TOO_FEW: "(too few backends are left)", "": "(a place too many)"}


@click.group("replication")
def replication_group() -> None:
    """See which copies are owed to which backend; retry those given up, also beside a gateway."""


@replication_group.command("status")
@config_option
@json_option
def replication_status(config_path: str | None, as_json: bool) -> None:
    """Show what is owed to each backend: blobs, bytes, the age of the oldest, dead letters."""

    names = [backend.name for backend in load_config(config_path).backends()]

    async def read(catalog: Catalog) -> list[Row]:
        return [msgspec.to_builtins(lag) for lag in lags(catalog, time.time_ns(), names)]

    columns = {
        "backend": lambda row: _IN_PLACE_OF_ONE.get(row["backend"], row["backend"]),
        "objects": lambda row: str(row["objects"]),
        "bytes": lambda row: str(row["bytes"]),
        "lag": lambda row: f"{row['lag_s']:.0f} s",
        "dead": lambda row: str(row["dead"]),
    }
    print_list(with_catalog(config_path, read, made=True), as_json, columns)


@replication_group.command("list")
@click.option("--dead", is_flag=True, help="Those that were given up.")
@click.option("--after", default="", metavar="ID", help="Go on behind this one.")
@click.option("--limit", default=SHOWN_MAX, type=click.IntRange(1), help="How many, at most.")
@config_option
@json_option
def replication_list(
    config_path: str | None, as_json: bool, dead: bool, after: str, limit: int
) -> None:
    """List what is owed, or was given up."""

    async def read(catalog: Catalog) -> list[Row]:
        found = catalog.list_debts(after, limit, dead=dead)
        return [msgspec.to_builtins(shown_debt(record)) for record in found]

    columns = {
        "id": lambda row: row["id"],
        "bucket": lambda row: f"{row['tenant']}/{row['bucket']}",
        "key": lambda row: row["key"],
        "bytes": lambda row: str(row["bytes"]),
        "since": lambda row: row["since"],
        "targets": lambda row: ",".join(row["targets"]),
        "tries": lambda row: str(row["tries"]),
        "error": lambda row: row["error"],
    }
    print_list(with_catalog(config_path, read, made=True), as_json, columns)


@replication_group.command("retry")
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
@config_option
def replication_retry(config_path: str | None, ids: tuple[str, ...], every: bool) -> None:
    """Try the debts IDS again now, as if they had never been tried.

    `replication list --dead` has the ids of those that were given up.
    """
    if bool(ids) == every:
        raise click.UsageError("name debts by their id (replication list --dead), or say --all")

    async def retry(catalog: Catalog) -> int:
        count = await catalog.retry_debts(ids)
        await seen_by_gateways()
        return count

    click.echo(f"retried {with_catalog(config_path, retry, made=True)}")
