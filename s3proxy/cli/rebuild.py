"""`s3proxy reindex` and `s3proxy scrub`: what lies at backends, against what the catalog knows."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import trio

from s3proxy.backends.errors import BackendError
from s3proxy.bootstrap import CATALOG_NAME, data_directory, open_catalog, open_catalog_file
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownBackend
from s3proxy.cli.amounts import counted
from s3proxy.cli.console import (
    Failure,
    config_option,
    guard,
    json_option,
    load_config,
    to_json,
    with_catalog,
)
from s3proxy.config import Config
from s3proxy.http.errors import TransportError
from s3proxy.offline import open_services
from s3proxy.ops.call import Services
from s3proxy.ops.reindex import Reindex
from s3proxy.ops.reindex_walk import ReindexReport
from s3proxy.ops.scrub import Scrub, ScrubOptions, ScrubReport

PROGRESS_S = 2.0
Report = ReindexReport | ScrubReport
# A copy of the catalog that a dry run works on.
DRY_NAME = f"{CATALOG_NAME}.dry-run"
_UNVERIFIABLE = (
    "unverifiable: nobody knows the MD5 of these (encrypted, or an upload that the provider kept by"
    " itself): their sizes alone were compared, and their copies with each other"
)


@click.command("reindex")
@click.option(
    "--backend",
    "names",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Backend to rebuild from, of type s3; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what there is.")
@config_option
@json_option
def reindex(names: tuple[str, ...], dry_run: bool, config_path: str | None, as_json: bool) -> None:
    """Rebuild the catalog from physical buckets and metadata alone, while no gateway runs.

    Adds to the catalog what is missing in it, and changes nothing that it knows better. Name all
    backends that hold data. Users and access keys lie at no provider: make them anew. What was cut
    off is gone on with by the next run.
    """
    config = load_config(config_path)
    report = guard(lambda: trio.run(_reindex, config, names, dry_run, as_json))
    _tell(report, as_json, "passed over")


async def _reindex(
    config: Config, names: tuple[str, ...], dry_run: bool, quiet: bool
) -> ReindexReport:
    with data_directory(config.data) as data:
        if not dry_run:
            return await _reindex_into(config, data / CATALOG_NAME, names, quiet)
        try:
            await _copy_catalog(config, data)
            return await _reindex_into(config, data / DRY_NAME, names, quiet)
        finally:
            for path in data.glob(f"{DRY_NAME}*"):
                path.unlink()


async def _copy_catalog(config: Config, data: Path) -> None:
    (data / DRY_NAME).unlink(missing_ok=True)
    if not (data / CATALOG_NAME).exists():
        return
    async with open_catalog(config.data) as (catalog, _):
        with (data / DRY_NAME).open("xb") as file:
            await catalog.engine.copy_to(file.fileno())


async def _reindex_into(
    config: Config, path: Path, names: tuple[str, ...], quiet: bool
) -> ReindexReport:
    async with (
        open_catalog_file(config.data, path) as (catalog, _),
        open_services(config, catalog) as services,
        trio.open_nursery() as nursery,
    ):
        try:
            run = Reindex(services, names)
        except ValueError as error:
            raise Failure(str(error)) from error
        nursery.start_soon(_tell_progress, run.report, quiet)
        try:
            await run.run()
        except (BackendError, TransportError, OSError) as error:
            raise Failure(f"not finished, run it again: {error}") from error
        nursery.cancel_scope.cancel()
    return run.report


@click.command("scrub")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="This one; repeatable.")
@click.option("--bucket", "buckets", multiple=True, metavar="NAME", help="This one; repeatable.")
@click.option("--dry-run", is_flag=True, help="Report only.")
@click.option("--deep", is_flag=True, help="Read all bytes, and compare them with their MD5.")
@click.option(
    "--remove-unknown", is_flag=True, help="As [scrub] remove_unknown: collect unknown blobs."
)
@config_option
@json_option
def scrub(
    backends: tuple[str, ...],
    buckets: tuple[str, ...],
    config_path: str | None,
    as_json: bool,
    **how: bool,
) -> None:
    """Compare the catalog with what backends hold, also beside a running gateway.

    A copy that is missing or damaged is owed again where another is good, and reported as LOST
    where none is. A blob that nobody knows, and that is older than any write under way, is
    reported; with --remove-unknown it is given to the collector. What was cut off is gone on with
    by the next run. Exit status 1: something was wrong.

    After `s3proxy catalog restore`, run `s3proxy reindex` before anything unknown is removed: what
    was written since then is unknown to the restored catalog.
    """
    if how["dry_run"] and how["remove_unknown"]:
        raise click.UsageError("--dry-run removes nothing: say one of the two")
    config = load_config(config_path)
    options = ScrubOptions(
        backends=backends,
        buckets=buckets,
        heal=not how["dry_run"],
        remove_unknown=how["remove_unknown"] or config.scrub.remove_unknown,
        deep=how["deep"],
        objects_per_s=config.scrub.objects_per_s,
        unknown_grace_s=config.scrub.unknown_grace_s,
    )

    async def run(catalog: Catalog) -> ScrubReport:
        async with open_services(config, catalog) as services, trio.open_nursery() as nursery:
            _check_names(services, options)
            running = Scrub(services, options)
            nursery.start_soon(_tell_progress, running.report, as_json)
            await running.run()
            nursery.cancel_scope.cancel()
        return running.report

    _tell(with_catalog(config_path, run, made=True), as_json, "wrong")


def _check_names(services: Services, options: ScrubOptions) -> None:
    """Refuse names that would make a scrub look at nothing and call it sound.

    Raises:
        UnknownBackend, Failure: names the first that nobody has.
    """
    for name in options.backends:
        if name not in services.backends:
            raise UnknownBackend(name, services.backends)
    buckets = {bucket.name for bucket in services.catalog.scan_buckets()}
    for name in options.buckets:
        if name not in buckets:
            raise Failure(f"there is no bucket {name}")


def _tell(report: Report, as_json: bool, what: str) -> None:
    if as_json:
        click.echo(to_json(msgspec.structs.asdict(report)))
    else:
        counts = report.counts or {"checked": 0}
        click.echo("\n".join(f"{name}: {count}" for name, count in counts.items()))
        if "unverifiable" in counts:
            click.echo(_UNVERIFIABLE, err=True)
        for problem in report.problems:
            click.echo(f"{what}: {problem}", err=True)
    if report.problems_count:
        things = counted(report.problems_count, "thing")
        raise Failure(f"{things}: {what}")


async def _tell_progress(report: Report, quiet: bool) -> None:
    while not quiet:
        await trio.sleep(PROGRESS_S)
        click.echo(", ".join(f"{name} {n}" for name, n in report.counts.items()), err=True)
