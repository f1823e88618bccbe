"""`s3proxy key`: access keys."""

from __future__ import annotations

import math
from operator import itemgetter

import click
import msgspec

from s3proxy.catalog.access_keys import NewKey
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownKey
from s3proxy.catalog.records import KeyRecord
from s3proxy.cli.amounts import Amount
from s3proxy.cli.console import (
    NAME,
    Columns,
    Row,
    change_catalog,
    config_option,
    json_option,
    print_list,
    tenant_option,
    to_json,
    with_catalog,
    yes_option,
)
from s3proxy.cli.users import user_name
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.tenants import MAIN
from s3proxy.views.identities import key_of
from s3proxy.views.lookup import found_tenant, found_user

COLUMNS: Columns = {
    "access key": itemgetter("access_key"),
    "user": itemgetter("user"),
    "user id": itemgetter("user_id"),
    "tenant": itemgetter("tenant"),
    "state": lambda key: "enabled" if key["enabled"] else "disabled",
    "limits": lambda key: "-" if key["limits"] is None else "own",
    "created": lambda row: row["created"] or "-",
}
RATE = Amount(units=True)
REQUESTS = click.FloatRange(0, 1e15)


@click.group("key")
def key_group() -> None:
    """Create, list, disable and delete access keys, also beside a running gateway.

    A user has at most two active ones: to rotate, make the new, let clients use it, delete the old.
    """


@key_group.command("create")
@click.option(
    "--user",
    required=True,
    metavar="NAME",
    callback=lambda _context, _option, name: user_name(name),
    help="Whose key; the user is made if new.",
)
@tenant_option
@config_option
@json_option
def key_create(user: str, tenant: str, config_path: str | None, as_json: bool) -> None:
    """Make an access key. The secret is printed now and never again."""

    async def create(catalog: Catalog) -> NewKey:
        return await catalog.create_key(user, tenant=tenant)

    key = with_catalog(config_path, create)
    if as_json:
        click.echo(to_json({**_row(key.record), "secret_key": key.secret}))
        return
    click.echo(f"user        {user}  (id {key.record.user_id})")
    if tenant != MAIN:
        click.echo(f"tenant      {tenant}")
    click.echo(f"access key  {key.record.access_key}")
    click.echo(f"secret key  {key.secret}")
    click.echo("The secret is not shown again.", err=True)


@key_group.command("list")
@click.option("--tenant", type=NAME, metavar="NAME", help="Of this tenant alone.")
@click.option("--user", type=NAME, metavar="NAME", help="Of this user of the tenant.")
@config_option
@json_option
def key_list(tenant: str | None, user: str | None, config_path: str | None, as_json: bool) -> None:
    """List access keys with their users; never secrets."""

    async def read(catalog: Catalog) -> list[KeyRecord]:
        if user is not None:
            owner = found_user(catalog, user, tenant or MAIN)
            return catalog.list_tenant_keys(owner.tenant, owner.user_id)
        if tenant is None:
            return catalog.list_keys()
        found_tenant(catalog, tenant)
        return catalog.list_tenant_keys(tenant)

    keys = [_row(record) for record in with_catalog(config_path, read, made=True)]
    print_list(keys, as_json, COLUMNS)


@key_group.command("disable")
@click.argument("access_key", type=NAME)
@config_option
def key_disable(access_key: str, config_path: str | None) -> None:
    """Refuse ACCESS_KEY from now on, in running gateways too."""
    change_catalog(config_path, lambda catalog: catalog.set_key_enabled(access_key, False))
    click.echo(f"disabled {access_key}")


@key_group.command("enable")
@click.argument("access_key", type=NAME)
@config_option
def key_enable(access_key: str, config_path: str | None) -> None:
    """Accept a disabled ACCESS_KEY again."""
    change_catalog(config_path, lambda catalog: catalog.set_key_enabled(access_key, True))
    click.echo(f"enabled {access_key}")


@key_group.command("limit")
@click.argument("access_key", type=NAME)
@click.option("--requests-per-s", type=REQUESTS, default=0.0, help="In the long run.")
@click.option("--requests-burst", type=REQUESTS, default=0.0, help="At once.")
@click.option("--bytes-per-s", type=RATE, default=0, help="Of bodies, both ways, as 50MiB.")
@click.option("--bytes-burst", type=RATE, default=0, help="At once.")
@click.option("--unlimited", is_flag=True, help="At any rate, whatever the server's limits are.")
@click.option("--default", "server", is_flag=True, help="At those of the server's [limits].")
@config_option
def key_limit(
    access_key: str,
    *,
    unlimited: bool,
    server: bool,
    config_path: str | None,
    **rates: float,
) -> None:
    """Give ACCESS_KEY limits in place of those it had.

    What is not said is not limited. A burst that is not said is that of a second.
    """
    said = any(rates.values())
    if said + unlimited + server != 1:
        raise click.UsageError("say rates, or --unlimited, or --default")
    if any(math.isnan(rate) for rate in rates.values()):
        raise click.UsageError("nan is no rate")
    limits = RateLimits(**rates)
    if limits.idle_burst:
        raise click.UsageError("a burst needs its rate: --requests-per-s, --bytes-per-s")
    change_catalog(
        config_path,
        lambda catalog: catalog.set_key_limits(access_key, None if server else limits),
    )
    click.echo(f"set the limits of {access_key}")


@key_group.command("delete")
@click.argument("access_key", type=NAME)
@yes_option
@config_option
def key_delete(access_key: str, yes: bool, config_path: str | None) -> None:
    """Delete ACCESS_KEY; nothing brings its secret back."""

    async def find(catalog: Catalog) -> KeyRecord:
        found = catalog.get_key(access_key)
        if found is None:
            raise UnknownKey(f"there is no access key {access_key}")
        return found

    if not yes:
        key = with_catalog(config_path, find, made=True)
        owner = f"{key.user_name} of the tenant {key.tenant}"
        click.confirm(f"Delete the access key {access_key} of {owner}?", abort=True)
    change_catalog(config_path, lambda catalog: catalog.delete_key(access_key))
    click.echo(f"deleted {access_key}")


def _row(record: KeyRecord) -> Row:
    return msgspec.structs.asdict(key_of(record))
