"""`s3proxy bucket region`: which buckets the gateways of other regions serve."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import Any

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.elsewhere import backend_name, region_of
from s3proxy.catalog.records import BucketRecord
from s3proxy.cli.console import (
    NAME,
    Columns,
    Failure,
    change_catalog,
    config_option,
    json_option,
    load_config,
    print_list,
    tenant_option,
    with_catalog,
)
from s3proxy.ops.new_bucket import first_configs
from s3proxy.s3.names import is_addressable_bucket
from s3proxy.s3.tenants import ROOT_USER
from s3proxy.views.lookup import found_bucket, found_user

COLUMNS: Columns = {
    "bucket": itemgetter("bucket"),
    "tenant": itemgetter("tenant"),
    "region": itemgetter("region"),
}


@click.group("region")
def region_group() -> None:
    """Say which buckets the gateways of other regions serve: clients are sent there, or relayed.

    What [[bucket]] of the configuration says of a bucket is changed there.
    """


@region_group.command("set")
@click.argument("bucket", type=NAME)
@click.argument("region", type=NAME)
@click.option("--owner", default=ROOT_USER, show_default=True, metavar="USER", help="Whose it is.")
@tenant_option
@config_option
def region_set(bucket: str, region: str, owner: str, tenant: str, config_path: str | None) -> None:
    """Say that the gateway of the [[region]] REGION serves BUCKET."""
    config = load_config(config_path)
    known = sorted(entry.name for entry in config.region)
    if region not in known:
        raise Failure(f"{region}: no [[region]] has that name; there are: {', '.join(known)}")
    if not is_addressable_bucket(bucket):
        raise Failure(f"{bucket}: no name of a bucket")

    async def change(catalog: Catalog) -> None:
        existing = catalog.get_bucket(bucket, tenant)
        if existing is not None:
            _require_elsewhere(existing)
            await catalog.update_bucket(existing, lambda now: _placed(now, region))
            return
        user = found_user(catalog, owner, tenant)
        record = BucketRecord(
            name=bucket,
            kind="attached",
            backend="",
            container=bucket,
            region="",
            created_ns=time.time_ns(),
            owner=user.user_id,
            tenant=tenant,
        )
        configs = first_configs("", config.s3.default_ownership)
        await catalog.create_bucket(_placed(record, region), configs)

    change_catalog(config_path, change)
    click.echo(f"{bucket}: {region}")


@region_group.command("unset")
@click.argument("bucket", type=NAME)
@tenant_option
@config_option
def region_unset(bucket: str, tenant: str, config_path: str | None) -> None:
    """Forget that another gateway serves BUCKET; what it holds there stays."""

    async def change(catalog: Catalog) -> None:
        _require_elsewhere(found_bucket(catalog, bucket, tenant))
        await catalog.delete_bucket(bucket, tenant)

    change_catalog(config_path, change)
    click.echo(f"{bucket}: forgotten")


@region_group.command("list")
@config_option
@json_option
def region_list(config_path: str | None, as_json: bool) -> None:
    """List the buckets that other gateways serve."""

    async def read(catalog: Catalog) -> list[dict[str, Any]]:
        return [
            {"bucket": found.name, "tenant": found.tenant, "region": found.region}
            for found in catalog.scan_buckets()
            if region_of(found.backend)
        ]

    print_list(with_catalog(config_path, read, made=True), as_json, COLUMNS)


def _placed(record: BucketRecord, region: str) -> BucketRecord:
    place = {"backend": backend_name(region), "region": region, "location": region}
    return msgspec.structs.replace(record, **place)


def _require_elsewhere(record: BucketRecord) -> None:
    if not region_of(record.backend):
        raise Failure(f"{record.name}: the bucket holds data here; delete or detach it first")
    if not record.owner:
        raise Failure(f"{record.name}: its [[bucket]] in the configuration says where it is")
