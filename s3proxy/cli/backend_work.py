"""`s3proxy backend drain` and `backend test`."""

from __future__ import annotations

import time
from operator import itemgetter

import click
import msgspec
import trio

from s3proxy.bootstrap import is_served
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import UnknownBackend
from s3proxy.cli.amounts import counted, told_bytes
from s3proxy.cli.console import (
    NAME,
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
from s3proxy.config import Config
from s3proxy.offline import open_all_backends, open_services
from s3proxy.ops.backend_checks import BackendReport, check_backend
from s3proxy.ops.call import Services
from s3proxy.ops.drain import Left, cancel_drain, left_on, start_drain
from s3proxy.views.backends import drained_of

FOLLOW_S = 2.0

CHECKS: Columns = {
    "tried": itemgetter("name"),
    "result": itemgetter("state"),
    "found": itemgetter("detail"),
    "took": lambda check: f"{check['ms']:.1f} ms",
}


@click.command("drain", short_help="Empty a backend: no new data; what it has goes elsewhere.")
@click.argument("name", type=NAME)
@click.option("--cancel", is_flag=True, help="Let it have data again.")
@click.option("--wait", is_flag=True, help="Return once nothing is left there.")
@config_option
@json_option
def backend_drain(
    name: str, cancel: bool, wait: bool, config_path: str | None, as_json: bool
) -> None:
    """Empty the backend NAME, or show how far that is; the running gateway moves the data.

    It gets no new data from now on, and what it has goes where the rules of each bucket allow it.
    Once nothing is left, and what was there is deleted, it may be taken out of the configuration.
    Until `--cancel` it stays so.
    Exit status 0 says that it is being emptied, with --wait that nothing is left.
    """
    if cancel and wait:
        raise click.UsageError("--wait waits for a drain, which --cancel ends")
    config = load_config(config_path)

    async def run(catalog: Catalog) -> Left:
        async with open_services(config, catalog) as services:
            if cancel:
                await cancel_drain(services, name)
            else:
                await start_drain(services, name)
            left = await left_on(services, name)
            if not (cancel or left.done or is_served(config.data)):
                click.echo("No gateway runs here: the data moves once one does.", err=True)
            return await _followed(services, left, as_json) if wait else left

    left = with_catalog(config_path, run, made=True)
    if as_json:
        click.echo(to_json(drained_of(left)))
    elif cancel:
        click.echo(f"{name} takes new data")
    else:
        click.echo(_line(left))


async def _followed(services: Services, left: Left, quiet: bool) -> Left:
    while not left.done:
        if not quiet:
            click.echo(_line(left), err=True)
        began_s = trio.current_time()
        await trio.sleep(FOLLOW_S)
        left = await left_on(services, left.backend)
        # Counting takes no more than a tenth of the time.
        await trio.sleep(9 * max(0.0, trio.current_time() - began_s - FOLLOW_S))
    return left


def _line(left: Left) -> str:
    beside = _not_moved(left)
    if left.done:
        return f"{left.backend} is empty{'; but ' if beside else ''}{'; '.join(beside)}"
    state = "is being drained" if left.since_ns else "is in use"
    buckets = counted(left.buckets, "bucket")
    parts = [f"{counted(left.blobs, 'blob')}, {told_bytes(left.bytes)} in {buckets}"]
    if left.garbage:
        parts.append(f"{counted(left.garbage, 'blob')} still to be deleted")
    if left.containers:
        parts.append(f"{counted(left.containers, 'container')} still to be removed")
    if left.uploads:
        parts.append(f"{counted(left.uploads, 'upload')} under way, to end by themselves alone")
    if left.writes:
        parts.append(f"{counted(left.writes, 'write')} under way")
    if left.stuck and left.since_ns:
        parts.append(f"no other backend is allowed to {', '.join(left.stuck)}")
    return f"{left.backend} {state}: {'; '.join([*parts, *beside])}"


def _not_moved(left: Left) -> list[str]:
    """What is to be seen to before the backend goes out of the configuration."""
    said = []
    below = [name for name in left.below if name not in left.stuck]
    if below:
        said.append(f"fewer copies than their rules want, without it: {', '.join(below)}")
    if left.attached:
        said.append(f"attached, and not moved: {', '.join(left.attached)}")
    if left.backups:
        said.append("backups of the catalog ([backup] backend) are there, and are not moved")
    if left.classes:
        said.append(f"[[storage_class]] {', '.join(left.classes)} has it as backend")
    return said


@click.command("test", short_help="Try out a backend: credentials, permissions, round trip.")
@click.argument("name", type=NAME)
@config_option
@json_option
def backend_test(name: str, config_path: str | None, as_json: bool) -> None:
    """Try out the backend NAME in a container of its own, which is removed again.

    A result "no" is nothing to worry about: the backend lacks, or never has, what the gateway can
    do without. Exit status 1: something that is needed failed.
    """
    config = load_config(config_path)
    report = guard(lambda: trio.run(_tested, config, name))
    if as_json:
        click.echo(to_json({**msgspec.structs.asdict(report), "passed": report.passed}))
    else:
        print_list([msgspec.structs.asdict(check) for check in report.checks], False, CHECKS)
    if not report.passed:
        failed = ", ".join(check.name for check in report.checks if check.state == "failed")
        raise Failure(f"backend {name}: {failed}")


async def _tested(config: Config, name: str) -> BackendReport:
    async with open_all_backends(config) as (backends, _):
        if name not in backends:
            raise UnknownBackend(name, backends)
        return await check_backend(backends[name], time.time_ns)
