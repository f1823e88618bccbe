"""`s3proxy user`: users and what their policies allow them."""

from __future__ import annotations

from operator import itemgetter
from typing import BinaryIO

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import UserRecord
from s3proxy.cli.amounts import counted
from s3proxy.cli.console import (
    NAME,
    Columns,
    Failure,
    change_catalog,
    config_option,
    json_option,
    print_list,
    tenant_option,
    to_json,
    with_catalog,
    yes_option,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX, parse_policy
from s3proxy.s3.tenants import USER_NAME_CHARACTERS_MAX, is_user_name
from s3proxy.views.identities import user_of
from s3proxy.views.lookup import found_tenant, found_user

COLUMNS: Columns = {
    "user": itemgetter("name"),
    "user id": itemgetter("user_id"),
    "policy": lambda user: "yes" if user["policy"] else "none",
    "state": lambda user: "enabled" if user["enabled"] else "disabled",
    "created": lambda row: row["created"] or "-",
}


@click.group("user")
def user_group() -> None:
    """Create, list, disable and delete users, and set their policies, beside a running gateway.

    They are users of the tenant main, unless --tenant names another (s3proxy tenant).
    """


def user_name(name: str) -> str:
    """The name of a user as an argument; a usage error where nobody may have it."""
    if not is_user_name(name):
        raise click.BadParameter(f"want 1 to {USER_NAME_CHARACTERS_MAX} printable characters")
    return name


@user_group.command("create")
@click.argument("name", callback=lambda _context, _argument, name: user_name(name))
@tenant_option
@config_option
@json_option
def user_create(name: str, tenant: str, config_path: str | None, as_json: bool) -> None:
    """Make the user NAME, who has no key yet."""

    async def create(catalog: Catalog) -> UserRecord:
        return await catalog.create_user(name, tenant, new=True)

    made = with_catalog(config_path, create)
    click.echo(to_json(user_of(made)) if as_json else f"created {name}  (id {made.user_id})")


@user_group.command("list")
@tenant_option
@config_option
@json_option
def user_list(tenant: str, config_path: str | None, as_json: bool) -> None:
    """List users, and whether they have a policy."""

    async def read(catalog: Catalog) -> list[UserRecord]:
        found_tenant(catalog, tenant)
        return catalog.list_users(tenant)

    records = with_catalog(config_path, read, made=True)
    print_list([msgspec.structs.asdict(user_of(r)) for r in records], as_json, COLUMNS)


@user_group.command("disable")
@click.argument("name", type=NAME)
@tenant_option
@config_option
def user_disable(name: str, tenant: str, config_path: str | None) -> None:
    """Refuse all keys of user NAME from now on, in running gateways too."""
    change_catalog(config_path, lambda catalog: catalog.set_user_enabled(name, False, tenant))
    click.echo(f"disabled {name}")


@user_group.command("enable")
@click.argument("name", type=NAME)
@tenant_option
@config_option
def user_enable(name: str, tenant: str, config_path: str | None) -> None:
    """Accept the keys of a disabled user NAME again."""
    change_catalog(config_path, lambda catalog: catalog.set_user_enabled(name, True, tenant))
    click.echo(f"enabled {name}")


@user_group.command("delete")
@click.argument("name", type=NAME)
@tenant_option
@yes_option
@config_option
def user_delete(name: str, tenant: str, yes: bool, config_path: str | None) -> None:
    """Delete user NAME, who may own no bucket, with their keys."""

    async def count(catalog: Catalog) -> int:
        user = catalog.get_user_to_delete(name, tenant)
        return len(catalog.list_tenant_keys(tenant, user.user_id))

    if not yes:
        keys = with_catalog(config_path, count, made=True)
        held = counted(keys, "key")
        click.confirm(f"Delete the user {name} of {tenant} with {held}?", abort=True)
    change_catalog(config_path, lambda catalog: catalog.delete_user(name, tenant))
    click.echo(f"deleted {name}")


@user_group.group("policy", short_help="Set, show and delete the policy of a user.")
def policy_group() -> None:
    """What a user may do: a JSON document as IAM has it, for s3 actions."""


@policy_group.command("set", short_help="Give a user a policy in place of the one before.")
@click.argument("name", type=NAME)
@click.argument("file", type=click.File("rb"), default="-")
@tenant_option
@config_option
def policy_set(name: str, file: BinaryIO, tenant: str, config_path: str | None) -> None:
    """Give user NAME the policy in FILE (or standard input) in place of the one before.

    The user may then do what the policy allows, what the policies of buckets allow, and nothing
    else.
    """
    document = file.read(POLICY_BODY_BYTES_MAX + 1)
    try:
        parse_policy(document)
    except S3Error as error:
        detail = error.fields.get("Detail")
        reason = f"{error.message}: {detail}" if detail else error.message
        raise Failure(f"{file.name}: {reason}") from error
    _set(config_path, name, tenant, document)
    click.echo(f"set the policy of {name}")


@policy_group.command("show")
@click.argument("name", type=NAME)
@tenant_option
@config_option
def policy_show(name: str, tenant: str, config_path: str | None) -> None:
    """Print the policy of user NAME as it was set."""

    async def read(catalog: Catalog) -> UserRecord:
        return found_user(catalog, name, tenant)

    user = with_catalog(config_path, read, made=True)
    if not user.policy:
        raise Failure(f"{name} has no policy")
    click.echo(user.policy.rstrip())


@policy_group.command("delete", short_help="Take the policy of a user away.")
@click.argument("name", type=NAME)
@tenant_option
@config_option
def policy_delete(name: str, tenant: str, config_path: str | None) -> None:
    """Take the policy of user NAME away; the user may then do everything with what they own."""
    _set(config_path, name, tenant, b"")
    click.echo(f"deleted the policy of {name}")


def _set(config_path: str | None, name: str, tenant: str, document: bytes) -> None:
    change_catalog(config_path, lambda catalog: catalog.set_user_policy(name, document, tenant))
