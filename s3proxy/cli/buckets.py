"""`s3proxy bucket`: what is known of buckets; further commands are where their things are."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.elsewhere import region_of
from s3proxy.cli.amounts import told_bytes, told_rules
from s3proxy.cli.console import (
    NAME,
    Columns,
    config_option,
    json_option,
    print_list,
    tenant_option,
    to_json,
    with_catalog,
)
from s3proxy.cli.lazy import Lazy, LazyGroup
from s3proxy.views.buckets import BucketDetails, bucket_of, details_of
from s3proxy.views.lookup import found_bucket, found_tenant


def _used(row: dict[str, Any], what: str) -> str:
    usage = row["held"]["usage"]
    if usage is None:
        return "-"
    amount = told_bytes(usage[what]) if what == "bytes" else str(usage[what])
    return f"{amount} so far" if usage["counting"] else amount


def _place(backend: str) -> str:
    region = region_of(backend)
    return f"the region {region}" if region else backend


COLUMNS: Columns = {
    "bucket": lambda row: str(row["name"]),
    "tenant": lambda row: str(row["tenant"]),
    "kind": lambda row: "elsewhere" if region_of(row["backend"]) else str(row["kind"]),
    "backend": lambda row: _place(row["backend"]),
    "owner": lambda row: str(row["owner"]),
    "versioning": lambda row: row["versioning"] or "-",
    "bytes": lambda row: _used(row, "bytes"),
    "objects": lambda row: _used(row, "objects"),
    "created": lambda row: row["created"] or "-",
}


@click.group(
    "bucket",
    cls=LazyGroup,
    lazy={
        "placement": Lazy(
            "placement:bucket_placement", "Set, show and clear the rules of a bucket."
        ),
        "region": Lazy("regions:region_group", "Buckets that the gateways of other regions serve."),
    },
)
def bucket_group() -> None:
    """Show and change what is known of buckets, also beside a running gateway."""


@bucket_group.command("list")
@click.option("--tenant", type=NAME, metavar="NAME", help="Of this tenant alone.")
@config_option
@json_option
def bucket_list(tenant: str | None, config_path: str | None, as_json: bool) -> None:
    """List buckets by tenant and name; usage where it is counted, for a quota."""

    async def read(catalog: Catalog) -> list[Any]:
        if tenant is not None:
            found_tenant(catalog, tenant)
        found = catalog.scan_buckets() if tenant is None else catalog.list_buckets(tenant)
        return [msgspec.to_builtins(bucket_of(catalog, record)) for record in found]

    print_list(with_catalog(config_path, read, made=True), as_json, COLUMNS)


@bucket_group.command("show")
@click.argument("bucket", type=NAME)
@tenant_option
@config_option
@json_option
def bucket_show(bucket: str, tenant: str, config_path: str | None, as_json: bool) -> None:
    """Show BUCKET: its containers on the backends, configuration, usage and quota."""

    async def read(catalog: Catalog) -> BucketDetails:
        return details_of(catalog, found_bucket(catalog, bucket, tenant))

    shown = with_catalog(config_path, read, made=True)
    if as_json:
        click.echo(to_json(shown))
        return
    for name, value in _lines(shown):
        click.echo(f"{name:<15} {value}")


def _lines(shown: BucketDetails) -> list[tuple[str, str]]:
    rules = msgspec.to_builtins(shown.placement)
    containers = (f"{container} on {_place(name)}" for name, container in shown.containers.items())
    row = msgspec.to_builtins(shown)
    quota = shown.held.quota
    allowed = "none"
    if quota is not None:
        size = "any number of" if quota.bytes is None else told_bytes(quota.bytes)
        count = "any number of" if quota.objects is None else quota.objects
        allowed = f"{size if quota.bytes is not None else size + ' bytes'}, {count} objects"
    held = f"{_used(row, 'bytes')}, {_used(row, 'objects')} objects"
    return [
        ("bucket", shown.name),
        ("tenant", shown.tenant),
        ("kind", COLUMNS["kind"](row)),
        ("owner", shown.owner or "every user of the tenant"),
        ("created", shown.created or "-"),
        ("location", shown.location or "-"),
        ("containers", ", ".join(containers)),
        ("placement", "; ".join(told_rules(rules)) or "no rules of its own"),
        ("versioning", (shown.versioning or "-") + (", object lock" if shown.object_lock else "")),
        ("configurations", ", ".join(shown.configurations) or "-"),
        ("usage", held if shown.held.usage is not None else "not counted: no quota is in force"),
        ("quota", allowed),
    ]
