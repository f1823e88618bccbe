"""`s3proxy user`: users and what their policies allow them."""

from __future__ import annotations

from operator import itemgetter
from typing import BinaryIO

import click

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownUser
from s3proxy.catalog.records import UserRecord
from s3proxy.cli.console import (
    Columns,
    Failure,
    Row,
    config_option,
    json_option,
    print_list,
    seen_by_gateways,
    with_catalog,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX, parse_policy
from s3proxy.s3.time import iso8601

COLUMNS: Columns = {
    "user": itemgetter("user"),
    "user id": itemgetter("user_id"),
    "policy": lambda user: "yes" if user["policy"] else "none",
    "created": itemgetter("created"),
}


@click.group("user", short_help="List users; set, show and delete their policies.")
def user_group() -> None:
    """List users; set, show and delete their policies, also beside a running gateway."""


@user_group.command("list")
@config_option
@json_option
def user_list(config_path: str | None, as_json: bool) -> None:
    """List users, and whether they have a policy."""

    async def read(catalog: Catalog) -> list[UserRecord]:
        return catalog.list_users()

    users = [_shown(record) for record in with_catalog(config_path, read, made=True)]
    print_list(users, as_json, COLUMNS)


@user_group.group("policy", short_help="Set, show and delete the policy of a user.")
def policy_group() -> None:
    """What a user may do: a JSON document as IAM has it, for s3 actions."""


@policy_group.command("set", short_help="Give a user a policy in place of the one before.")
@click.argument("name")
@click.argument("file", type=click.File("rb"), default="-")
@config_option
def policy_set(name: str, file: BinaryIO, config_path: str | None) -> None:
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
    _set(config_path, name, document)
    click.echo(f"set the policy of {name}")


@policy_group.command("show")
@click.argument("name")
@config_option
def policy_show(name: str, config_path: str | None) -> None:
    """Print the policy of user NAME as it was set."""

    async def read(catalog: Catalog) -> UserRecord:
        user = catalog.get_user(name)
        if user is None:
            raise UnknownUser(f"there is no user {name}")
        return user

    user = with_catalog(config_path, read, made=True)
    if not user.policy:
        raise Failure(f"{name} has no policy")
    click.echo(user.policy.rstrip())


@policy_group.command("delete", short_help="Take the policy of a user away.")
@click.argument("name")
@config_option
def policy_delete(name: str, config_path: str | None) -> None:
    """Take the policy of user NAME away; the user may then do everything with what they own."""
    _set(config_path, name, b"")
    click.echo(f"deleted the policy of {name}")


def _set(config_path: str | None, name: str, document: bytes) -> None:
    async def change(catalog: Catalog) -> None:
        await catalog.set_user_policy(name, document)
        await seen_by_gateways()

    with_catalog(config_path, change, made=True)


def _shown(record: UserRecord) -> Row:
    return {
        "user": record.name,
        "user_id": record.user_id,
        "tenant": record.tenant,
        "policy": bool(record.policy),
        "created": iso8601(record.created_ns),
    }
