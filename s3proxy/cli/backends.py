"""`s3proxy backend`: the places where bytes live, and whether they answer."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import click
import trio

from s3proxy.backends.registry import open_backends
from s3proxy.backends.store import Backend
from s3proxy.bootstrap import has_catalog
from s3proxy.catalog.catalog import Catalog
from s3proxy.cli.backend_work import backend_drain, backend_test
from s3proxy.cli.console import (
    Columns,
    Row,
    config_option,
    guard,
    json_option,
    load_config,
    print_list,
    with_catalog,
)
from s3proxy.config import Config
from s3proxy.http.client import Client
from s3proxy.http.readiness import Readiness
from s3proxy.resources import backend_options, upstream_trust
from s3proxy.views.times import told_time
from s3proxy.workers.probe import probe

COLUMNS: Columns = {
    "backend": itemgetter("name"),
    "type": itemgetter("type"),
    "provider": itemgetter("provider"),
    "region": itemgetter("region"),
    "country": itemgetter("country"),
    "jurisdiction": itemgetter("jurisdiction"),
    "features": lambda backend: ",".join(backend["features"]),
    "certifications": lambda backend: ",".join(backend["certifications"]),
    "weight": lambda backend: str(backend["weight"]),
    "new data": lambda backend: _taken(backend),
    "state": lambda backend: "up" if backend["state"] == "closed" else backend["last_error"],
    "latency": lambda backend: f"{backend['latency_ms']:.1f} ms",
}


@click.group("backend")
def backend_group() -> None:
    """Look at backends, empty them, and try them out."""


@backend_group.command("list")
@config_option
@json_option
def backend_list(config_path: str | None, as_json: bool) -> None:
    """List the backends of the configuration, each asked once whether it answers.

    What a running gateway knows of them is at /api/v1/backends of its control port.
    """
    config = load_config(config_path)
    rows = guard(lambda: trio.run(_asked, config))
    names = [row["name"] for row in rows]

    async def drains(catalog: Catalog) -> list[int]:
        return [catalog.draining_since(name) or 0 for name in names]

    found = with_catalog(config_path, drains) if has_catalog(config.data) else [0 for _ in names]
    for row, since_ns in zip(rows, found, strict=True):
        row["draining_since"] = told_time(since_ns)
    print_list(rows, as_json, COLUMNS)


def _taken(row: Row) -> str:
    """Whether a backend takes new data."""
    if row["draining_since"]:
        return "no: is being emptied"
    return "no: read-only" if row["read_only"] else "yes"


async def _asked(config: Config) -> list[dict[str, Any]]:
    """What the configuration says of each backend, and what a probe found."""
    readiness = Readiness()
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        client = Client(readiness, config.upstream.limits(), upstream_trust(config))
        backends = open_backends(map(backend_options, config.backends()), client)
        rows = {entry.name: _row(config, entry.name) for entry in config.backends()}
        async with trio.open_nursery() as asking:
            for backend in backends.values():
                asking.start_soon(_ask, backend, config.health.probe_timeout_s, rows)
        for backend in backends.values():
            await backend.aclose()
        await client.aclose()
        nursery.cancel_scope.cancel()
    return list(rows.values())


def _row(config: Config, name: str) -> dict[str, Any]:
    (entry,) = (found for found in config.backends() if found.name == name)
    facts = entry.facts()
    return {
        "name": name,
        "type": facts.type,
        "provider": facts.provider,
        "region": facts.region,
        "country": facts.country,
        "jurisdiction": facts.jurisdiction,
        "features": sorted(facts.features),
        "certifications": sorted(facts.certifications),
        "weight": facts.weight,
        "read_only": facts.read_only,
    }


async def _ask(backend: Backend, timeout_s: float, rows: dict[str, dict[str, Any]]) -> None:
    began_s = trio.current_time()
    error = await probe(backend, timeout_s)
    latency_ms = round((trio.current_time() - began_s) * 1000, 3)
    rows[backend.name].update(
        state="closed" if error is None else "open",
        last_error="" if error is None else str(error),
        latency_ms=latency_ms,
    )


backend_group.add_command(backend_drain)
backend_group.add_command(backend_test)
