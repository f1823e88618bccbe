"""What the commands share: options, the configuration and the catalog, refusals in one line."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec
import trio

from s3proxy import config_loading
from s3proxy.backends.errors import BackendError
from s3proxy.bootstrap import StartError, has_catalog, open_catalog
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import CatalogError
from s3proxy.config import Config
from s3proxy.kv.errors import KvError
from s3proxy.kv.lmdb_engine import FOREIGN_CHECK_S
from s3proxy.s3.errors import S3Error
from s3proxy.s3.tenants import MAIN

T = TypeVar("T")
Row = dict[str, Any]
Columns = Mapping[str, Callable[[Row], str]]  # by heading, what stands there for a row
TABLE_COLUMNS = 250


class Name(click.ParamType[str]):
    """What names something. Nothing is called "", which a shell's unset variable stands for."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse an empty one."""
        if not value:
            self.fail("it is empty", param, ctx)
        return str(value)


NAME = Name()
config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    envvar="S3PROXY_CONFIG",
    help="TOML file, else the one that S3PROXY_CONFIG names, else the defaults."
    " S3PROXY_SECTION__KEY variables override all.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
tenant_option = click.option(
    "--tenant", type=NAME, default=MAIN, show_default=True, metavar="NAME", help="Whose it is."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class Failure(click.ClickException):
    """A refusal that a person can act on: one line on standard error, exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print without a traceback."""
        click.echo(f"s3proxy: {printable(self.message)}", err=True, file=file)


MENDABLE = (Failure, StartError, CatalogError, KvError, BackendError, S3Error)


def load_config(path: str | None) -> Config:
    """Load the configuration.

    Raises:
        Failure: it is not right.
    """
    try:
        return config_loading.load(path, os.environ)
    except config_loading.ConfigError as error:
        raise Failure(str(error)) from error


def with_catalog(
    config_path: str | None, use: Callable[[Catalog], Awaitable[T]], *, made: bool = False
) -> T:
    """Run `use` on the catalog, beside a gateway that may be running on it.

    Args:
        made: one that is not there is a mistake, such as another working directory.
    """
    config = load_config(config_path)
    if made and not has_catalog(config.data):
        hint = "start the gateway once, or name its configuration with --config"
        raise Failure(f"data.dir {config.data.dir}: no catalog is there; {hint}")

    async def run() -> T:
        protected_s = config.backup.protected_s()
        async with open_catalog(config.data, protected_s=protected_s) as (catalog, _):
            return await use(catalog)

    return guard(lambda: trio.run(run))


def guard(run: Callable[[], T]) -> T:
    """Turn what a person can mend into one line; let bugs show their traceback."""
    try:
        return run()
    except MENDABLE as error:
        raise Failure(_told(error)) from error
    except BaseExceptionGroup as group:
        mendable, other = group.split(MENDABLE)
        if mendable is None or other is not None:
            raise
        raise Failure(_told(_first(mendable))) from group


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _told(error: BaseException) -> str:
    if not isinstance(error, S3Error):
        return str(error)
    named = error.fields.get("BucketName") or error.fields.get("Key") or ""
    return error.message if named in error.message else f"{named}: {error.message}"


def change_catalog(config_path: str | None, change: Callable[[Catalog], Awaitable[object]]) -> None:
    """Run `change` on the catalog, which has to be there, and wait until gateways have seen it."""

    async def changing(catalog: Catalog) -> None:
        await change(catalog)
        await seen_by_gateways()

    with_catalog(config_path, changing, made=True)


async def seen_by_gateways() -> None:
    """Wait until a gateway that runs beside has seen the last change."""
    await trio.sleep(2 * FOREIGN_CHECK_S)


def print_list(rows: Sequence[Row], as_json: bool, columns: Columns) -> None:
    """Print rows whole as JSON, or of each what people read as a table.

    The table is as wide as any row: cut in a pipe, a key or a time would be of no use.
    """
    if as_json:
        click.echo(to_json(rows))
        return
    # Not every command prints a table, and these take longer to import than most take to run.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(Text(printable(cell_of(row))) for cell_of in columns.values()))
    Console(width=TABLE_COLUMNS).print(table)


def printable(text: str) -> str:
    """Text that may hold anything, as a key does, without what moves a terminal's cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def to_json(value: object) -> str:
    """The value, for programs and for reading."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
