"""`s3proxy catalog`: copies of the catalog, beside a running gateway, and back in its place."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from s3proxy.bootstrap import CATALOG_NAME
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.checking import Report, check_file
from s3proxy.catalog.new_file import NewFile, new_file
from s3proxy.cli.console import (
    Failure,
    config_option,
    guard,
    json_option,
    load_config,
    to_json,
    with_catalog,
)
from s3proxy.restoring import Restored, restore

PROGRESS_S = 2.0
MIB = 1 << 20

CONSEQUENCES = """\
The gateway knows now what it knew when that copy was made. Since then:
  objects that were written are unknown; their bytes are still at the backends: run
    `s3proxy reindex --backend NAME` before any scrub that heals
  objects that were replaced or deleted are back; their bytes are there as long as the copy is no
    older than [data] garbage_grace_s, or [backup] protect_s where that is longer
  access keys, users and policies are those of then: disable again what was disabled since
  multipart uploads that were begun have to be begun again; events may be delivered again"""


@click.group("catalog", short_help="Back up, check and restore the catalog.")
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

    A gateway may run meanwhile. Backends are not asked; `s3proxy scrub` does that.
    """
    path = file or Path(load_config(config_path).data.dir) / CATALOG_NAME
    if not path.is_file():
        raise Failure(f"{path}: no such file")
    report = guard(lambda: trio.run(partial(check_file, str(path), in_use=file is None)))
    click.echo(to_json(_shown(report)) if as_json else _lines(report))
    if not report.sound:
        raise Failure(f"{path}: {report.problems_count} rows are not sound")


@catalog_group.command("restore", short_help="Put the copy in FILE in the place of the catalog.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also where there is a catalog; it is kept aside.")
@click.option(
    "--without-keys", is_flag=True, help="Also without the master keys that sealed its secrets."
)
@config_option
@json_option
def catalog_restore(
    file: Path, replace: bool, without_keys: bool, config_path: str | None, as_json: bool
) -> None:
    """Put the copy in FILE in the place of the catalog, while no gateway runs.

    FILE is checked before anything is changed.
    """
    config = load_config(config_path)
    run = partial(restore, config.data, file, replace=replace, without_keys=without_keys)
    restored = guard(lambda: trio.run(run))
    _tell(restored, as_json)


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
    return "\n".join(lines)


def _os_error(group: BaseExceptionGroup[OSError]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, OSError)
    return error.strerror or str(error)
