"""`s3proxy tenant`: spaces of bucket names, with their users."""

from __future__ import annotations

from operator import itemgetter

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import TenantRecord
from s3proxy.cli.amounts import counted
from s3proxy.cli.console import (
    NAME,
    Columns,
    change_catalog,
    config_option,
    json_option,
    load_config,
    print_list,
    to_json,
    with_catalog,
    yes_option,
)
from s3proxy.cli.lazy import Lazy, LazyGroup
from s3proxy.config import names_in
from s3proxy.views.identities import tenant_of

COLUMNS: Columns = {
    "tenant": itemgetter("name"),
    "state": lambda tenant: "enabled" if tenant["enabled"] else "disabled",
    "created": lambda row: row["created"] or "-",
}


@click.group(
    "tenant",
    cls=LazyGroup,
    lazy={
        "placement": Lazy(
            "placement:tenant_placement",
            "Set, show and clear the rules for a tenant's buckets.",
        )
    },
)
def tenant_group() -> None:
    """Create, list, disable and delete tenants, also beside a running gateway.

    A tenant is a space of bucket names with users of its own. There is always the tenant main.
    """


@tenant_group.command("create")
@click.argument("name", type=NAME)
@config_option
@json_option
def tenant_create(name: str, config_path: str | None, as_json: bool) -> None:
    """Make the tenant NAME: 1 to 63 of a-z, 0-9 and -, as in a host name."""
    server = load_config(config_path).server

    async def create(catalog: Catalog) -> tuple[TenantRecord, list[str]]:
        made = await catalog.create_tenant(name)
        buckets = (bucket.name for bucket in catalog.list_buckets(server.default_tenant))
        return made, [bucket for bucket in buckets if f".{bucket}".endswith(f".{name}")]

    made, hidden = with_catalog(config_path, create)
    click.echo(to_json(tenant_of(made)) if as_json else f"created {name}")
    if hidden and names_in(server.domain):
        click.echo(
            f"Of the tenant {server.default_tenant}, requests without a signature reach these"
            f" buckets in the path alone from now on, since the host name means the tenant {name}:"
            f" {', '.join(hidden)}",
            err=True,
        )


@tenant_group.command("list")
@config_option
@json_option
def tenant_list(config_path: str | None, as_json: bool) -> None:
    """List tenants by name."""

    async def read(catalog: Catalog) -> list[TenantRecord]:
        return catalog.list_tenants()

    records = with_catalog(config_path, read, made=True)
    print_list([msgspec.structs.asdict(tenant_of(r)) for r in records], as_json, COLUMNS)


@tenant_group.command("disable")
@click.argument("name", type=NAME)
@config_option
def tenant_disable(name: str, config_path: str | None) -> None:
    """Refuse every request to tenant NAME from now on, in running gateways too."""
    change_catalog(config_path, lambda catalog: catalog.set_tenant_enabled(name, False))
    click.echo(f"disabled {name}")


@tenant_group.command("enable")
@click.argument("name", type=NAME)
@config_option
def tenant_enable(name: str, config_path: str | None) -> None:
    """Accept requests to a disabled tenant NAME again."""
    change_catalog(config_path, lambda catalog: catalog.set_tenant_enabled(name, True))
    click.echo(f"enabled {name}")


@tenant_group.command("delete")
@click.argument("name", type=NAME)
@yes_option
@config_option
def tenant_delete(name: str, yes: bool, config_path: str | None) -> None:
    """Delete tenant NAME, which may have no buckets, with its users, their keys and its tokens."""

    async def count(catalog: Catalog) -> tuple[int, int]:
        catalog.get_tenant_to_delete(name)
        return len(catalog.list_users(name)), len(catalog.list_tenant_keys(name))

    if not yes:
        users, keys = with_catalog(config_path, count, made=True)
        held = f"{counted(users, 'user')}, {counted(keys, 'key')}"
        click.confirm(f"Delete the tenant {name} with {held}?", abort=True)
    change_catalog(config_path, lambda catalog: catalog.delete_tenant(name))
    click.echo(f"deleted {name}")
