"""`s3proxy catalog`: copies of the catalog, beside a running gateway, and back in its place."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from s3proxy.bootstrap import CATALOG_NAME
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.checking import Report, check_file
from s3proxy.catalog.new_file import NewFile, new_file
from s3proxy.cli.console import (
    Columns,
    Failure,
    config_option,
    guard,
    json_option,
    load_config,
    print_list,
    to_json,
    with_catalog,
)
from s3proxy.ops.backups import Backup
from s3proxy.resources import open_backup_place
from s3proxy.restoring import Restored, fetched, restore

COLUMNS: Columns = {
    "id": itemgetter("id"),
    "deployment": itemgetter("deployment"),
    "bytes": lambda backup: str(backup["size"]),
}
PROGRESS_S = 2.0
MIB = 1 << 20

CONSEQUENCES = """\
The gateway knows now what it knew when that copy was made. Since then:
  objects that were written are unknown; their bytes are still at the backends: where these are
    S3's, run `s3proxy reindex --backend NAME` before the gateway starts and before any scrub
  objects that were replaced or deleted are back; their bytes are there as long as the copy is no
    older than [data] garbage_grace_s, or [backup] protect_s where that is longer
  access keys, users and policies are those of then: disable again what was disabled since
  multipart uploads that were begun have to be begun again; events may be delivered again"""


@click.group("catalog")
def catalog_group() -> None:
    """Back up, check and restore the catalog: everything but the bytes at the backends.

    Secrets in it are sealed under the master key, which is not in it: keep that file apart.
    """


@catalog_group.command("backup", short_help="Copy the catalog to FILE, beside a running gateway.")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@json_option
def catalog_backup(file: Path, config_path: str | None, as_json: bool) -> None:
    """Copy the catalog, as of one moment, to the new file FILE; a gateway may run meanwhile.

    FILE appears once it is whole and on disk.
    """

    if file.exists():
        raise Failure(f"{file} is there already; it is left as it is")

    async def backup(catalog: Catalog) -> int:
        with new_file(file) as new:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_tell_progress, new, as_json)
                await catalog.engine.copy_to(new.descriptor)
                nursery.cancel_scope.cancel()
            await trio.to_thread.run_sync(new.publish)
            return new.size

    try:
        size = with_catalog(config_path, backup, made=True)
    except* FileExistsError as group:
        raise Failure(f"{file} is there already; it is left as it is") from group
    except* OSError as group:
        raise Failure(f"{file}: {_os_error(group)}") from group
    if as_json:
        click.echo(to_json({"file": str(file), "bytes": size}))
    else:
        click.echo(f"{file}: {size} bytes")


async def _tell_progress(new: NewFile, quiet: bool) -> None:
    while not quiet:
        await trio.sleep(PROGRESS_S)
        click.echo(f"{new.size // MIB} MiB copied", err=True)


@catalog_group.command("check", short_help="Read all of the catalog, or of a copy of it.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@config_option
@json_option
def catalog_check(file: Path | None, config_path: str | None, as_json: bool) -> None:
    """Read every row of the catalog, or of its copy in FILE; exit status 1 where one is not sound.

    A gateway may run meanwhile. Backends are not asked; `s3proxy scrub` does that. It tells of
    the rows of each table, by its name in docs/formats/catalog.md, and of what sealed secrets.
    """
    path = file or Path(load_config(config_path).data.dir) / CATALOG_NAME
    if not path.is_file():
        raise Failure(f"{path}: no such file")
    report = guard(lambda: trio.run(partial(check_file, str(path), in_use=file is None)))
    click.echo(to_json(_shown(report)) if as_json else _lines(report))
    if not report.sound:
        raise Failure(f"{path}: {report.problems_count} rows are not sound")


@catalog_group.command("restore", short_help="Put the copy in FILE in the place of the catalog.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--from-backend", metavar="NAME", help="The backup is at this backend, not in FILE.")
@click.option("--at", metavar="ID", help="Which one there; else the newest.")
@click.option("--replace", is_flag=True, help="Also where there is a catalog; it is kept aside.")
@click.option(
    "--without-keys", is_flag=True, help="Also without the master keys that sealed its secrets."
)
@config_option
@json_option
def catalog_restore(
    file: Path | None,
    from_backend: str | None,
    at: str | None,
    *,
    replace: bool,
    without_keys: bool,
    config_path: str | None,
    as_json: bool,
) -> None:
    """Put the copy in FILE, or one at a backend, in the place of the catalog.

    No gateway may run meanwhile. The copy is checked before anything is changed.
    """
    if (file is None) == (from_backend is None) or (at and file):
        raise click.UsageError("want FILE, or --from-backend NAME and perhaps --at ID")
    config = load_config(config_path)
    put = partial(restore, config.data, replace=replace, without_keys=without_keys)

    async def run() -> Restored:
        if file is not None:
            return await put(file)
        async with open_backup_place(config, str(from_backend)) as place:
            backup = _chosen(await place.list(), at)
            click.echo(f"fetching {backup.id}, {backup.size} bytes", err=True)
            with fetched(config.data, replace=replace) as target:
                await place.fetch(backup, target.fileno())
                return await put(Path(f"/proc/self/fd/{target.fileno()}"), called=backup.id)

    _tell(guard(lambda: trio.run(run)), as_json)


def _chosen(backups: list[Backup], at: str | None) -> Backup:
    if not backups:
        raise Failure("there are no backups of a catalog")
    if at is None and len({backup.deployment for backup in backups}) > 1:
        raise Failure("there are backups of several deployments; choose one with --at ID")
    found = [backup for backup in backups if at in (None, backup.id)]
    if at is not None and len(found) != 1:
        raise Failure(f"{at}: no backup has that id; see s3proxy catalog backups")
    return found[0]


@catalog_group.command("backups", short_help="List the backups at a backend.")
@click.option("--backend", metavar="NAME", help="Else the one of [backup] in the configuration.")
@config_option
@json_option
def catalog_backups(backend: str | None, config_path: str | None, as_json: bool) -> None:
    """List the backups of the catalog at a backend, the newest first."""
    config = load_config(config_path)
    name = backend or config.backup.backend
    if not name:
        raise Failure("[backup] names no backend; name one with --backend")

    async def read() -> list[Backup]:
        async with open_backup_place(config, name) as place:
            return await place.list()

    found = guard(lambda: trio.run(read))
    print_list([msgspec.structs.asdict(backup) for backup in found], as_json, COLUMNS)


def _tell(restored: Restored, as_json: bool) -> None:
    if as_json:
        shown = {"kept": restored.kept, "intents": restored.intents, **_shown(restored.report)}
        click.echo(to_json(shown))
        return
    rows = sum(restored.report.rows.values())
    click.echo(f"restored: {rows} rows, {restored.report.rows.get('objects', 0)} of objects")
    if restored.kept:
        click.echo(f"the catalog before is {restored.kept}")
    click.echo(f"writes that were under way then: {restored.intents}; their bytes are left alone")
    click.echo(CONSEQUENCES, err=True)


def _shown(report: Report) -> dict[str, Any]:
    return {
        "sound": report.sound,
        "rows": report.rows,
        "master_keys": report.master_keys,
        "problems_count": report.problems_count,
        "problems": report.problems,
    }


def _lines(report: Report) -> str:
    lines = [f"{name}: {count}" for name, count in report.rows.items() if count]
    lines += [f"sealed under master key {key}: {n}" for key, n in report.master_keys.items()]
    lines += [f"not sound: {problem}" for problem in report.problems]
    if report.sound:
        lines.append(f"sound: all {sum(report.rows.values())} rows")
    return "\n".join(lines)


def _os_error(group: BaseExceptionGroup[OSError]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, OSError)
    return error.strerror or str(error)
