"""`s3proxy token`: tokens of the control API."""

from __future__ import annotations

from operator import itemgetter

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownToken
from s3proxy.catalog.records import TokenRecord
from s3proxy.catalog.tokens import ADMIN, ROLES, NewToken
from s3proxy.cli.console import (
    NAME,
    Columns,
    change_catalog,
    config_option,
    json_option,
    print_list,
    to_json,
    with_catalog,
    yes_option,
)
from s3proxy.views.identities import token_of, token_with_secret
from s3proxy.views.lookup import found_tenant

COLUMNS: Columns = {name: itemgetter(name) for name in ("id", "role", "tenant", "created")}


@click.group("token")
def token_group() -> None:
    """Create, list and delete tokens of the control API, also beside a running gateway."""


@token_group.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may administer.")
@click.option("--tenant", type=NAME, metavar="NAME", help="Whose, for the role tenant-admin.")
@config_option
@json_option
def token_create(role: str, tenant: str | None, config_path: str | None, as_json: bool) -> None:
    """Make a token: of all there is, or of one tenant. It is printed now and never again."""
    if bool(tenant) is (role == ADMIN):
        raise click.UsageError("--tenant goes with --role tenant-admin, and with it alone")

    async def create(catalog: Catalog) -> NewToken:
        return await catalog.create_token(role, tenant or "")

    made = with_catalog(config_path, create)
    if as_json:
        click.echo(to_json(token_with_secret(made.record, made.text)))
        return
    click.echo(made.text)
    click.echo("The token is not shown again.", err=True)


@token_group.command("list")
@click.option("--tenant", type=NAME, metavar="NAME", help="Of this tenant alone.")
@config_option
@json_option
def token_list(tenant: str | None, config_path: str | None, as_json: bool) -> None:
    """List tokens; never their secrets."""

    async def read(catalog: Catalog) -> list[TokenRecord]:
        if tenant is None:
            return catalog.list_tokens()
        found_tenant(catalog, tenant)
        return [token for token in catalog.list_tokens() if token.tenant == tenant]

    records = with_catalog(config_path, read, made=True)
    print_list([msgspec.structs.asdict(token_of(r)) for r in records], as_json, COLUMNS)


@token_group.command("delete")
@click.argument("token_id", type=NAME, metavar="ID")
@yes_option
@config_option
def token_delete(token_id: str, yes: bool, config_path: str | None) -> None:
    """Refuse token ID from now on; its id is the part between the underscores."""

    async def find(catalog: Catalog) -> TokenRecord:
        found = [token for token in catalog.list_tokens() if token.id == token_id]
        if not found:
            raise UnknownToken(f"there is no token {token_id}")
        return found[0]

    if not yes:
        token = with_catalog(config_path, find, made=True)
        whose = f" of the tenant {token.tenant}" if token.tenant else ""
        click.confirm(f"Delete the token {token_id}, {token.role}{whose}?", abort=True)
    change_catalog(config_path, lambda catalog: catalog.delete_token(token_id))
    click.echo(f"deleted {token_id}")
