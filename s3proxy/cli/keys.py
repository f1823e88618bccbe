"""`s3proxy key`: access keys."""

from __future__ import annotations

from operator import itemgetter

import click

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import KeyRecord
from s3proxy.catalog.users import NewKey
from s3proxy.cli.console import (
    Columns,
    Row,
    config_option,
    json_option,
    print_list,
    seen_by_gateways,
    to_json,
    with_catalog,
)
from s3proxy.s3.time import iso8601

USER_NAME_CHARACTERS_MAX = 64  # as IAM has it
COLUMNS: Columns = {
    "access key": itemgetter("access_key"),
    "user": itemgetter("user"),
    "user id": itemgetter("user_id"),
    "state": lambda key: "enabled" if key["enabled"] else "disabled",
    "created": itemgetter("created"),
}


@click.group("key", short_help="Create, list, disable and enable access keys.")
def key_group() -> None:
    """Create, list and disable access keys, also beside a running gateway."""


@key_group.command("create")
@click.option(
    "--user",
    required=True,
    metavar="NAME",
    callback=lambda _context, _option, name: _user_name(name),
    help="Whose key; the user is made if new.",
)
@config_option
@json_option
def key_create(user: str, config_path: str | None, as_json: bool) -> None:
    """Make an access key. The secret is printed now and never again."""

    async def create(catalog: Catalog) -> NewKey:
        return await catalog.create_key(user)

    key = with_catalog(config_path, create)
    if as_json:
        click.echo(to_json({**_shown(key.record), "secret_key": key.secret}))
        return
    click.echo(f"user        {user}  (id {key.record.user_id})")
    click.echo(f"access key  {key.record.access_key}")
    click.echo(f"secret key  {key.secret}")
    click.echo("The secret is not shown again.", err=True)


@key_group.command("list")
@config_option
@json_option
def key_list(config_path: str | None, as_json: bool) -> None:
    """List access keys with their users; never secrets."""

    async def read(catalog: Catalog) -> list[KeyRecord]:
        return catalog.list_keys()

    keys = [_shown(record) for record in with_catalog(config_path, read, made=True)]
    print_list(keys, as_json, COLUMNS)


@key_group.command("disable")
@click.argument("access_key")
@config_option
def key_disable(access_key: str, config_path: str | None) -> None:
    """Refuse ACCESS_KEY from now on, in running gateways too."""
    _set_enabled(config_path, access_key, False)
    click.echo(f"disabled {access_key}")


@key_group.command("enable")
@click.argument("access_key")
@config_option
def key_enable(access_key: str, config_path: str | None) -> None:
    """Accept a disabled ACCESS_KEY again."""
    _set_enabled(config_path, access_key, True)
    click.echo(f"enabled {access_key}")


def _user_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > USER_NAME_CHARACTERS_MAX:
        raise click.BadParameter(f"want 1 to {USER_NAME_CHARACTERS_MAX} printable characters")
    return name


def _set_enabled(config_path: str | None, access_key: str, enabled: bool) -> None:
    async def change(catalog: Catalog) -> None:
        await catalog.set_key_enabled(access_key, enabled)
        await seen_by_gateways()

    with_catalog(config_path, change, made=True)


def _shown(record: KeyRecord) -> Row:
    return {
        "access_key": record.access_key,
        "user": record.user_name,
        "user_id": record.user_id,
        "tenant": record.tenant,
        "enabled": record.enabled,
        "created": iso8601(record.created_ns),
    }
