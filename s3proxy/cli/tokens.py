"""`s3proxy token`: tokens of the control API."""

from __future__ import annotations

import click
from rich.table import Table

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.tokens import ADMIN, ROLES, NewToken
from s3proxy.cli.console import config_option, json_option, print_table, to_json, with_catalog
from s3proxy.control.api.models import Token, token_of


@click.group("token", short_help="Create, list and delete tokens of the control API.")
def token_group() -> None:
    """Create, list and delete tokens of the control API, also beside a running gateway."""


@token_group.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may administer.")
@click.option("--tenant", default="", metavar="NAME", help="Whose, for the role tenant-admin.")
@config_option
@json_option
def token_create(role: str, tenant: str, config_path: str | None, as_json: bool) -> None:
    """Make a token: of all there is, or of one tenant. It is printed now and never again."""
    if bool(tenant) is (role == ADMIN):
        raise click.UsageError("--tenant goes with --role tenant-admin, and with it alone")

    async def create(catalog: Catalog) -> NewToken:
        return await catalog.create_token(role, tenant)

    made = with_catalog(config_path, create)
    if as_json:
        shown = token_of(made.record)
        click.echo(to_json({"id": shown.id, "role": role, "tenant": tenant, "token": made.text}))
        return
    click.echo(made.text)
    click.echo("The token is not shown again.", err=True)


@token_group.command("list")
@config_option
@json_option
def token_list(config_path: str | None, as_json: bool) -> None:
    """List tokens; never their secrets."""

    async def read(catalog: Catalog) -> list[Token]:
        return [token_of(record) for record in catalog.list_tokens()]

    tokens = with_catalog(config_path, read, made=True)
    if as_json:
        click.echo(to_json(tokens))
        return
    table = Table("id", "role", "tenant", "created", box=None)
    for token in tokens:
        table.add_row(token.id, token.role, token.tenant, token.created)
    print_table(table)


@token_group.command("delete")
@click.argument("token_id", metavar="ID")
@config_option
def token_delete(token_id: str, config_path: str | None) -> None:
    """Refuse token ID from now on; its id is the part between the underscores."""

    async def delete(catalog: Catalog) -> None:
        await catalog.delete_token(token_id)

    with_catalog(config_path, delete, made=True)
    click.echo(f"deleted {token_id}")
