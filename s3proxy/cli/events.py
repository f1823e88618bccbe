"""`s3proxy events`: what waits for destinations, and what could not be delivered."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import click

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.outbox import Queued
from s3proxy.cli.console import (
    NAME,
    Failure,
    config_option,
    json_option,
    load_config,
    print_list,
    with_catalog,
)
from s3proxy.config_rules import target_arn
from s3proxy.s3.time import iso8601

DEAD_SHOWN_MAX = 1000

arn_argument = click.argument("arn", type=NAME)


@click.group("events")
def events_group() -> None:
    """See what events wait for whom; retry or drop dead letters, also beside a running gateway."""


@events_group.command("list")
@config_option
@json_option
def events_list(config_path: str | None, as_json: bool) -> None:
    """List destinations, with what waits, is dead or is lost."""
    names = {target_arn(target): target.name for target in load_config(config_path).event_target}

    async def read(catalog: Catalog) -> list[dict[str, Any]]:
        counts = catalog.event_counts()
        shown = []
        for arn in sorted(names.keys() | counts.keys()):
            found = counts.get(arn)
            oldest = catalog.pending_events(arn, 0, 1)
            shown.append(
                {
                    "target": names.get(arn, ""),
                    "arn": arn,
                    "pending": found.pending if found else 0,
                    "oldest": iso8601(oldest[0].record.queued_ns) if oldest else "",
                    "dead": found.dead if found else 0,
                    "lost": found.lost if found else 0,
                }
            )
        return shown

    _show(with_catalog(config_path, read, made=True), as_json)


@events_group.command("dead")
@arn_argument
@config_option
@json_option
def events_dead(arn: str, config_path: str | None, as_json: bool) -> None:
    """List the dead letters for ARN, the oldest first, up to 1,000."""

    async def read(catalog: Catalog) -> list[dict[str, Any]]:
        _require(catalog, arn)
        return [_shown(queued) for queued in catalog.dead_events(arn, limit=DEAD_SHOWN_MAX)]

    _show(with_catalog(config_path, read, made=True), as_json)


@events_group.command("retry")
@arn_argument
@config_option
def events_retry(arn: str, config_path: str | None) -> None:
    """Queue the dead letters for ARN again, behind the events that wait."""

    async def retry(catalog: Catalog) -> int:
        _require(catalog, arn)
        return await catalog.retry_events(arn, time.time_ns())

    click.echo(f"queued {with_catalog(config_path, retry, made=True)}")


@events_group.command("drop")
@arn_argument
@config_option
def events_drop(arn: str, config_path: str | None) -> None:
    """Forget the dead letters for ARN."""

    async def drop(catalog: Catalog) -> int:
        _require(catalog, arn)
        return await catalog.drop_dead_events(arn)

    click.echo(f"dropped {with_catalog(config_path, drop, made=True)}")


def _require(catalog: Catalog, arn: str) -> None:
    if arn not in catalog.event_counts():
        raise Failure(f"{arn}: no event ever waited for it; see s3proxy events list")


def _shown(queued: Queued) -> dict[str, Any]:
    record = queued.record
    return {
        "time": iso8601(record.event.time_ns),
        "event": record.event.name,
        "bucket": record.event.bucket,
        "key": record.event.key,
        "version": record.event.version_id,
        "sequencer": record.event.sequencer,
        "tries": record.tries,
        "died": iso8601(record.died_ns),
        "error": record.error,
    }


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if not rows and not as_json:
        click.echo("none", err=True)
        return
    print_list(rows, as_json, {name: partial(_cell, name) for name in (rows[0] if rows else ())})


def _cell(name: str, row: dict[str, Any]) -> str:
    return str(row[name])
