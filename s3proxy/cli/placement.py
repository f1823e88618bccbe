"""`s3proxy placement`, `bucket placement`, `tenant placement`: rules, and what they make of us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import Any, TypeVar

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.cli.amounts import counted, told_rule, told_rules
from s3proxy.cli.console import (
    NAME,
    Columns,
    config_option,
    json_option,
    load_config,
    print_list,
    printable,
    seen_by_gateways,
    tenant_option,
    to_json,
    with_catalog,
)
from s3proxy.config import names_in
from s3proxy.ops.call import Services, Settings
from s3proxy.ops.explain import PIECES_MAX, Explained, explain
from s3proxy.ops.placing import set_rules, set_tenant_rules
from s3proxy.s3.placement import REPLICAS_MAX, Rules
from s3proxy.views.lookup import found_bucket, found_tenant
from s3proxy.views.placement import Placement, placement_of, rules_from

T = TypeVar("T")
Command = Callable[..., Any]

COLUMNS: Columns = {
    "backend": itemgetter("backend"),
    "position": lambda row: str(row["position"]) if row["position"] else "refused",
    "copies": lambda row: "yes" if row["chosen"] else "",
    "why": lambda row: f"{row['rule']}: {row['reason']}" if row["rule"] else row["reason"],
    "container": itemgetter("container"),
}
PIECE_COLUMNS: Columns = {
    "bytes": lambda row: str(row["size"]),
    "on": lambda row: ", ".join(row["backends"]),
    "owed to": lambda row: ", ".join(row["owed"]),
}
_NAMES = tuple(name for name in Rules.__struct_fields__ if name not in ("replicas", "write_quorum"))


def rules_options(command: Command) -> Command:
    """An option for every rule."""
    copies = click.IntRange(0, REPLICAS_MAX)
    for name in reversed(Rules.__struct_fields__):
        option = f"--{name.replace('_', '-')}"
        if name in _NAMES:
            command = click.option(option, default="", metavar="A,B", help=_HELP[name])(command)
        else:
            command = click.option(option, default=0, type=copies, help=_HELP[name])(command)
    return command


_HELP = {
    "regions": "The only places, best first: regions, countries or backends.",
    "replicas": "Copies of each object, on as many backends.",
    "write_quorum": "How many of them before a write is answered.",
    "countries": "The only countries.",
    "countries_forbidden": "None of these countries.",
    "jurisdictions": "The only jurisdictions.",
    "jurisdictions_forbidden": "None of these jurisdictions.",
    "features": "What a backend has to be able to do, all of these.",
    "certifications": "What a backend has to be certified for, all of these.",
}


@click.group("placement")
def placement_group() -> None:
    """Explain where objects are, and why; also beside a running gateway."""


@placement_group.command("explain")
@click.argument("bucket", type=NAME)
@click.argument("key", type=NAME, required=False)
@tenant_option
@config_option
@json_option
def placement_explain(
    bucket: str, key: str | None, tenant: str, config_path: str | None, as_json: bool
) -> None:
    """Say of every backend why it may hold objects of BUCKET or not, and where object KEY is."""

    async def ask(services: Services) -> Explained:
        record = found_bucket(services.catalog, bucket, tenant)
        return explain(services, record, key or "", live=False)

    _print(_with_services(config_path, ask), as_json)


@click.group("placement")
def bucket_placement() -> None:
    """Rules of placement of a bucket; what they do not say, its tenant and the server say."""


@bucket_placement.command("show")
@click.argument("bucket", type=NAME)
@tenant_option
@config_option
@json_option
def bucket_placement_show(bucket: str, tenant: str, config_path: str | None, as_json: bool) -> None:
    """Print the rules of BUCKET itself."""

    async def ask(services: Services) -> Rules | None:
        return found_bucket(services.catalog, bucket, tenant).placement

    _print_rules(_with_services(config_path, ask), as_json)


@bucket_placement.command("set")
@click.argument("bucket", type=NAME)
@tenant_option
@rules_options
@config_option
def bucket_placement_set(
    bucket: str, tenant: str, config_path: str | None, **said: str | int
) -> None:
    """Give BUCKET these rules in place of those before; its objects move in the background."""
    rules = _rules(said)

    async def change(services: Services) -> None:
        await set_rules(services, found_bucket(services.catalog, bucket, tenant), rules)

    _change(config_path, change)
    click.echo(f"set the placement of {bucket}")


@bucket_placement.command("clear")
@click.argument("bucket", type=NAME)
@tenant_option
@config_option
def bucket_placement_clear(bucket: str, tenant: str, config_path: str | None) -> None:
    """Take the rules of BUCKET away; those of its tenant and of the server stay."""

    async def change(services: Services) -> None:
        await set_rules(services, found_bucket(services.catalog, bucket, tenant), None)

    _change(config_path, change)
    click.echo(f"cleared the placement of {bucket}")


@click.group("placement")
def tenant_placement() -> None:
    """Rules of placement for a tenant's buckets, below their own."""


@tenant_placement.command("show")
@click.argument("tenant", type=NAME)
@config_option
@json_option
def tenant_placement_show(tenant: str, config_path: str | None, as_json: bool) -> None:
    """Print the rules for the buckets of TENANT."""

    async def ask(services: Services) -> Rules | None:
        return found_tenant(services.catalog, tenant).placement

    _print_rules(_with_services(config_path, ask), as_json)


@tenant_placement.command("set")
@click.argument("tenant", type=NAME)
@rules_options
@config_option
def tenant_placement_set(tenant: str, config_path: str | None, **said: str | int) -> None:
    """Give the buckets of TENANT these rules; their objects move in the background."""
    rules = _rules(said)
    _change(config_path, lambda services: set_tenant_rules(services, tenant, rules))
    click.echo(f"set the placement of tenant {tenant}")


@tenant_placement.command("clear")
@click.argument("tenant", type=NAME)
@config_option
def tenant_placement_clear(tenant: str, config_path: str | None) -> None:
    """Take the rules for the buckets of TENANT away; those of the server stay."""
    _change(config_path, lambda services: set_tenant_rules(services, tenant, None))
    click.echo(f"cleared the placement of tenant {tenant}")


def _rules(said: dict[str, str | int]) -> Rules:
    named = {n: list(names_in(v)) if isinstance(v, str) else v for n, v in said.items()}
    rules = rules_from(msgspec.convert(named, Placement))
    if rules is None:
        raise click.UsageError("say at least one rule, such as --regions; `clear` takes all away")
    return rules


def _with_services(config_path: str | None, use: Callable[[Services], Awaitable[T]]) -> T:
    """Run `use` on the catalog and what the configuration says of backends; none is asked."""
    config = load_config(config_path)
    classes = {entry.name: entry.backend for entry in config.storage_class}
    settings = Settings(region=config.server.region, storage_classes=classes)
    facts = {backend.name: backend.facts() for backend in config.backends()}
    rules = config.placement.rules()

    async def using(catalog: Catalog) -> T:
        return await use(Services(catalog, {}, settings, facts=facts, default_rules=rules))

    return with_catalog(config_path, using, made=True)


def _change(config_path: str | None, change: Callable[[Services], Awaitable[object]]) -> None:
    async def changing(services: Services) -> None:
        await change(services)
        await seen_by_gateways()

    _with_services(config_path, changing)


def _print_rules(rules: Rules | None, as_json: bool) -> None:
    shown = msgspec.to_builtins(placement_of(rules))
    if as_json:
        click.echo(to_json(shown))
        return
    click.echo("\n".join(told_rules(shown)) or "no rules")


def _print(found: Explained, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(found))
        return
    click.echo(f"bucket {found.bucket} of tenant {found.tenant}")
    for rule in found.rules:
        click.echo(f"  {told_rule(rule.rule, rule.value)} (said by the {rule.source})")
    if not found.rules:
        click.echo("  no rules")
    click.echo(f"  copies: {found.wanted}; before a write is answered: {found.quorum}")
    if found.problem:
        click.echo(f"  {found.problem}")
    print_list(msgspec.to_builtins(found.backends), False, COLUMNS)
    if found.key:
        click.echo(f"object {printable(found.key)}: {counted(found.piece_count, 'blob')}")
        print_list(msgspec.to_builtins(found.pieces), False, PIECE_COLUMNS)
    if found.piece_count > PIECES_MAX:
        click.echo(f"and {found.piece_count - PIECES_MAX} more")
