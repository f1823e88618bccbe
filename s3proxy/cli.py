"""The s3proxy command: commands parse, then call.

What they print is for people; `--json` is for programs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import trio
from rich.console import Console
from rich.table import Table

from s3proxy import config_loading, log
from s3proxy.bootstrap import CATALOG_NAME, StartError, open_catalog
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.records import KeyRecord
from s3proxy.catalog.users import NewKey
from s3proxy.config import Config
from s3proxy.config_files import check_files
from s3proxy.kv.errors import KvError
from s3proxy.kv.lmdb_engine import FOREIGN_CHECK_S
from s3proxy.s3.time import iso8601
from s3proxy.service import SIGNALS, Service, Started

T = TypeVar("T")
MENDABLE = (StartError, CatalogError, KvError)
TABLE_COLUMNS = 250
USER_NAME_CHARACTERS_MAX = 64  # as IAM has it

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    envvar="S3PROXY_CONFIG",
    help="TOML file, else the one that S3PROXY_CONFIG names, else the defaults."
    " S3PROXY_SECTION__KEY variables override all.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class Failure(click.ClickException):
    """A refusal that a person can act on: one line on standard error, exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print without a traceback."""
        click.echo(f"s3proxy: {self.message}", err=True, file=file)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="s3proxy")
def main() -> None:
    """An S3 gateway: one process that speaks S3 and keeps the bytes where you say.

    \b
    First steps:
      s3proxy serve                        start on 127.0.0.1:9000; prints root credentials once
      s3proxy key create --user alice      make an access key
      s3proxy config show                  see every setting and its value
    """


@main.command(short_help="Run the gateway until SIGTERM or Ctrl-C.")
@config_option
def serve(config_path: str | None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; SIGHUP reloads the TLS certificate."""
    config = _load(config_path, with_files=True)
    log.configure(config.log.level)
    service = Service(config, os.environ)
    for number in SIGNALS:
        # While it runs the service takes them. One that comes when its receiver has closed again
        # finds a process that is ending by itself, and must not change its exit status.
        signal.signal(number, signal.SIG_IGN)
    _guard(lambda: trio.run(_serve, service))


async def _serve(service: Service) -> None:
    async with trio.open_nursery() as nursery:
        started = await nursery.start(service.run)
        try:
            click.echo(_welcome(started), err=True)
        except OSError:
            if started.root is not None:
                raise  # nobody could learn the credentials that were just made


def _welcome(started: Started) -> str:
    lines = [f"s3proxy: S3 on {started.s3_url}"]
    if started.control_url:
        lines.append(f"s3proxy: health and metrics on {started.control_url}")
    if started.root is not None:
        access_key, secret_key = started.root.record.access_key, started.root.secret
        lines += [
            "",
            "First start: these root credentials are shown only now. Keep them.",
            f"  access key  {access_key}",
            f"  secret key  {secret_key}",
            "",
            "Paste this in another terminal:",
            f"  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key}"
            f" AWS_DEFAULT_REGION={started.region} AWS_ENDPOINT_URL={started.s3_url}",
            "  aws s3 mb s3://first && aws s3 cp README.md s3://first/ && aws s3 ls s3://first",
            "",
        ]
    return "\n".join(lines)


@main.group("config")
def config_group() -> None:
    """Check or show the configuration."""


@config_group.command("check", short_help="Say whether the configuration is right.")
@config_option
def config_check(config_path: str | None) -> None:
    """Say whether the configuration, TLS files included, is right; if not, what is wrong where."""
    config = _load(config_path, with_files=True)
    names = ", ".join(backend.name for backend in config.backends())
    attached = len(config.bucket)
    click.echo(f"{config_path or 'defaults'}: ok (backends: {names}; buckets attached: {attached})")


@config_group.command("show")
@config_option
@json_option
def config_show(config_path: str | None, as_json: bool) -> None:
    """Print every setting with its effective value; secrets are masked."""
    data = config_loading.show(_load(config_path))
    click.echo(_json(data) if as_json else config_loading.to_toml(data))


@main.group("key", short_help="Create, list, disable and enable access keys.")
def key_group() -> None:
    """Create, list and disable access keys, also beside a running gateway."""


@key_group.command("create")
@click.option(
    "--user",
    required=True,
    metavar="NAME",
    callback=lambda _context, _option, name: _user_name(name),
    help="Whose key; the user is made if new.",
)
@config_option
@json_option
def key_create(user: str, config_path: str | None, as_json: bool) -> None:
    """Make an access key. The secret is printed now and never again."""

    async def create(catalog: Catalog) -> NewKey:
        return await catalog.create_key(user)

    key = _with_catalog(config_path, create)
    if as_json:
        click.echo(_json({**_shown(key.record), "secret_key": key.secret}))
        return
    click.echo(f"user        {user}  (id {key.record.user_id})")
    click.echo(f"access key  {key.record.access_key}")
    click.echo(f"secret key  {key.secret}")
    click.echo("The secret is not shown again.", err=True)


@key_group.command("list")
@config_option
@json_option
def key_list(config_path: str | None, as_json: bool) -> None:
    """List access keys with their users; never secrets."""

    async def read(catalog: Catalog) -> list[KeyRecord]:
        return catalog.list_keys()

    keys = [_shown(record) for record in _with_catalog(config_path, read, made=True)]
    if as_json:
        click.echo(_json(keys))
        return
    table = Table("access key", "user", "user id", "state", "created", box=None)
    for key in keys:
        state = "enabled" if key["enabled"] else "disabled"
        table.add_row(key["access_key"], key["user"], key["user_id"], state, key["created"])
    # Wider than any row: cut in a pipe, an access key or a time would be of no use.
    Console(width=TABLE_COLUMNS).print(table)


@key_group.command("disable")
@click.argument("access_key")
@config_option
def key_disable(access_key: str, config_path: str | None) -> None:
    """Refuse ACCESS_KEY from now on, in running gateways too."""
    _set_enabled(config_path, access_key, False)
    click.echo(f"disabled {access_key}")


@key_group.command("enable")
@click.argument("access_key")
@config_option
def key_enable(access_key: str, config_path: str | None) -> None:
    """Accept a disabled ACCESS_KEY again."""
    _set_enabled(config_path, access_key, True)
    click.echo(f"enabled {access_key}")


def _load(path: str | None, *, with_files: bool = False) -> Config:
    try:
        config = config_loading.load(path, os.environ)
        if with_files:
            check_files(config, path or "defaults", os.environ)
        return config
    except config_loading.ConfigError as error:
        raise Failure(str(error)) from error


def _user_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > USER_NAME_CHARACTERS_MAX:
        raise click.BadParameter(f"want 1 to {USER_NAME_CHARACTERS_MAX} printable characters")
    return name


def _set_enabled(config_path: str | None, access_key: str, enabled: bool) -> None:
    async def change(catalog: Catalog) -> None:
        await catalog.set_key_enabled(access_key, enabled)
        # When the command is done, so is the change: by then a running gateway has seen it.
        await trio.sleep(2 * FOREIGN_CHECK_S)

    _with_catalog(config_path, change, made=True)


def _with_catalog(
    config_path: str | None, use: Callable[[Catalog], Awaitable[T]], *, made: bool = False
) -> T:
    """Run `use` on the catalog, beside a gateway that may be running on it.

    Args:
        made: one that is not there is a mistake, such as another working directory.
    """
    config = _load(config_path)
    if made and not (Path(config.data.dir) / CATALOG_NAME).exists():
        raise Failure(f"data.dir {config.data.dir}: no catalog is there")

    async def run() -> T:
        async with open_catalog(config.data) as (catalog, _):
            return await use(catalog)

    return _guard(lambda: trio.run(run))


def _shown(record: KeyRecord) -> dict[str, Any]:
    return {
        "access_key": record.access_key,
        "user": record.user_name,
        "user_id": record.user_id,
        "tenant": record.tenant,
        "enabled": record.enabled,
        "created": iso8601(record.created_ns),
    }


def _guard(run: Callable[[], T]) -> T:
    """Turn what a person can mend into one line; let bugs show their traceback."""
    try:
        return run()
    except MENDABLE as error:
        raise Failure(str(error)) from error
    except BaseExceptionGroup as group:
        mendable, other = group.split(MENDABLE)
        if mendable is None or other is not None:
            raise
        raise Failure(str(_first(mendable))) from group


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
