"""`s3proxy quota`: how much tenants and buckets may hold."""

from __future__ import annotations

import click

from s3proxy.catalog.catalog import Catalog
from s3proxy.cli.amounts import UNLIMITED, Amount, told_bytes
from s3proxy.cli.console import (
    NAME,
    change_catalog,
    config_option,
    json_option,
    tenant_option,
    to_json,
    with_catalog,
)
from s3proxy.s3.limits import Quota
from s3proxy.views.lookup import found_bucket, found_tenant
from s3proxy.views.quotas import Held, held_by_tenant, held_in_bucket

bucket_option = click.option(
    "--bucket", type=NAME, metavar="NAME", help="This bucket; else the whole tenant."
)


@click.group("quota")
def quota_group() -> None:
    """Set, show and clear what tenants and buckets may hold, also beside a running gateway.

    All versions count, and parts of uploads under way; copies and delete markers do not.
    """


@quota_group.command("set")
@tenant_option
@bucket_option
@click.option(
    "--bytes",
    "size",
    type=Amount(units=True, unlimited=True),
    help="Such as 10GiB; unlimited is the default.",
)
@click.option(
    "--objects",
    type=Amount(units=False, unlimited=True),
    help="Versions; unlimited is the default.",
)
@config_option
def quota_set(
    tenant: str,
    bucket: str | None,
    size: int | str | None,
    objects: int | str | None,
    config_path: str | None,
) -> None:
    """Replace a quota, count what is held, and wait until that is done.

    The count goes on in a running gateway if this is interrupted.
    """
    if size is None and objects is None:
        raise click.UsageError("say --bytes, --objects or both")
    quota = Quota(_limit(size), _limit(objects))

    async def change(catalog: Catalog) -> None:
        await _set(catalog, tenant, bucket, quota)
        while await catalog.count_step():
            pass

    change_catalog(config_path, change)
    click.echo(f"set the quota of {_name(tenant, bucket)}")


@quota_group.command("show")
@tenant_option
@bucket_option
@config_option
@json_option
def quota_show(tenant: str, bucket: str | None, config_path: str | None, as_json: bool) -> None:
    """Show a quota, and what is held."""

    async def read(catalog: Catalog) -> Held:
        if bucket is not None:
            return held_in_bucket(catalog, found_bucket(catalog, bucket, tenant))
        return held_by_tenant(catalog, found_tenant(catalog, tenant))

    held = with_catalog(config_path, read, made=True)
    if as_json:
        click.echo(to_json(held))
        return
    usage, quota = held.usage, held.quota
    if usage is None:
        click.echo("no quota")
        return
    size = "unlimited" if quota is None or quota.bytes is None else told_bytes(quota.bytes)
    objects = "unlimited" if quota is None or quota.objects is None else quota.objects
    click.echo(f"bytes    {told_bytes(usage.bytes)} of {size}")
    click.echo(f"objects  {usage.objects} of {objects}")
    if usage.counting:
        click.echo("still counting")


@quota_group.command("clear")
@tenant_option
@bucket_option
@config_option
def quota_clear(tenant: str, bucket: str | None, config_path: str | None) -> None:
    """Take a quota away; that of a bucket's tenant stays."""

    async def change(catalog: Catalog) -> None:
        await _set(catalog, tenant, bucket, None)
        while await catalog.count_step():
            pass

    change_catalog(config_path, change)
    click.echo(f"cleared the quota of {_name(tenant, bucket)}")


@quota_group.command("recount")
@tenant_option
@bucket_option
@config_option
def quota_recount(tenant: str, bucket: str | None, config_path: str | None) -> None:
    """Count anew what is held, and wait until that is done; writes go on meanwhile."""

    async def change(catalog: Catalog) -> None:
        found = [found_bucket(catalog, bucket, tenant)] if bucket else catalog.list_buckets(tenant)
        for record in found:
            await catalog.recount(record)
        while await catalog.count_step():
            pass

    change_catalog(config_path, change)
    click.echo(f"counted {_name(tenant, bucket)}")


async def _set(catalog: Catalog, tenant: str, bucket: str | None, quota: Quota | None) -> None:
    if bucket is None:
        await catalog.set_tenant_quota(tenant, quota)
    else:
        await catalog.set_bucket_quota(found_bucket(catalog, bucket, tenant), quota)


def _name(tenant: str, bucket: str | None) -> str:
    return f"the tenant {tenant}" if bucket is None else f"the bucket {bucket}"


def _limit(amount: int | str | None) -> int | None:
    return None if amount is None or amount == UNLIMITED else int(amount)
