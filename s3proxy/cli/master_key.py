"""`s3proxy master-key`: the key that seals access keys and the data keys of encrypted objects."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from s3proxy.bootstrap import StartError
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.master_keys import former_keys, replace_master_key
from s3proxy.cli.console import config_option, load_config, with_catalog

PROGRESS_ROWS = 50_000  # read between two lines of progress


@click.group("master-key")
def master_key_group() -> None:
    """Replace the master key, also beside a running gateway.

    It seals the secrets of access keys and the data keys of objects that the gateway encrypts. Only
    these are sealed anew; no object is read or written.
    """


@master_key_group.command("rotate")
@config_option
def master_key_rotate(config_path: str | None) -> None:
    """Make a new master key and seal everything under it.

    Interrupted, `reseal` goes on. The old key stays beside the new one until you remove it.
    """

    async def rotate(catalog: Catalog) -> Sealed:
        try:
            kept = replace_master_key(_data_dir(config_path))
        except OSError as error:
            raise StartError(f"{error.filename}: {error.strerror}") from error
        click.echo(f"a new master key is in place; the old one is {kept.name}", err=True)
        return await _reseal(catalog, config_path)

    _report(config_path, with_catalog(config_path, rotate, made=True))


@master_key_group.command("reseal")
@config_option
def master_key_reseal(config_path: str | None) -> None:
    """Seal under the master key in place what former ones sealed."""

    async def reseal(catalog: Catalog) -> Sealed:
        return await _reseal(catalog, config_path)

    _report(config_path, with_catalog(config_path, reseal, made=True))


class Sealed(NamedTuple):
    """Rows that were sealed anew, and manifests at providers that are to be written anew."""

    rows: int
    manifests: int


async def _reseal(catalog: Catalog, config_path: str | None) -> Sealed:
    """Seal anew until nothing is left that a former key sealed."""
    changed = await _walk(catalog)
    while catalog.count_stale():
        changed += await _walk(catalog)
    if not former_keys(_data_dir(config_path)):
        return Sealed(changed, 0)
    after, manifests = await catalog.note_sealed_manifests()
    while after:
        after, noted = await catalog.note_sealed_manifests(after)
        manifests += noted
    return Sealed(changed, manifests)


async def _walk(catalog: Catalog) -> int:
    changed = read = 0
    batch = await catalog.reseal()
    while True:
        before = read // PROGRESS_ROWS
        read += batch.read
        changed += batch.changed
        if read // PROGRESS_ROWS > before:
            click.echo(f"{read} rows read, {changed} sealed anew", err=True)
        if not batch.keyspace:
            return changed
        batch = await catalog.reseal(batch.keyspace, batch.after)


def _report(config_path: str | None, sealed: Sealed) -> None:
    click.echo(f"sealed anew: {sealed.rows}")
    former = ", ".join(path.name for path in former_keys(_data_dir(config_path)))
    if not former:
        return
    advice = (
        "Nothing needs them any more, writes that are under way included, but backups of the"
        " catalog made before: keep the files with those, and take them away from here."
    )
    click.echo(f"former keys: {former}\n{advice}", err=True)
    if sealed.manifests:
        click.echo(
            f"{sealed.manifests} manifests at providers are written anew by the gateway; until"
            " s3proxy_manifests_due is 0, a rebuild from them would need the former keys.",
            err=True,
        )


def _data_dir(config_path: str | None) -> Path:
    return Path(load_config(config_path).data.dir)
