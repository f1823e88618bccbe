"""The command itself, and those of its commands that concern the gateway as a whole."""

from __future__ import annotations

import os
import signal

import click
import trio

from s3proxy import config_loading, log
from s3proxy.cli.backends import backend_group
from s3proxy.cli.buckets import bucket_group
from s3proxy.cli.catalog import catalog_group
from s3proxy.cli.console import config_option, guard, json_option, load_config, to_json
from s3proxy.cli.events import events_group
from s3proxy.cli.keys import key_group
from s3proxy.cli.master_key import master_key_group
from s3proxy.cli.placement import placement_group
from s3proxy.cli.quotas import quota_group
from s3proxy.cli.rebuild import reindex, scrub
from s3proxy.cli.replication import replication_group
from s3proxy.cli.tenants import tenant_group
from s3proxy.cli.tokens import token_group
from s3proxy.cli.users import user_group
from s3proxy.service import SIGNALS, Service, Started


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
    config = load_config(config_path, with_files=True)
    log.configure(config.log.level)
    service = Service(config, os.environ)
    for number in SIGNALS:
        # While it runs the service takes them. One that comes when its receiver has closed again
        # finds a process that is ending by itself, and must not change its exit status.
        signal.signal(number, signal.SIG_IGN)
    guard(lambda: trio.run(_serve, service))


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
    config = load_config(config_path, with_files=True)
    names = ", ".join(backend.name for backend in config.backends())
    attached = len(config.bucket)
    click.echo(f"{config_path or 'defaults'}: ok (backends: {names}; buckets attached: {attached})")


@config_group.command("show")
@config_option
@json_option
def config_show(config_path: str | None, as_json: bool) -> None:
    """Print every setting with its effective value; secrets are masked."""
    data = config_loading.show(load_config(config_path))
    click.echo(to_json(data) if as_json else config_loading.to_toml(data))


main.add_command(bucket_group)
main.add_command(catalog_group)
main.add_command(events_group)
main.add_command(key_group)
main.add_command(master_key_group)
main.add_command(placement_group)
main.add_command(quota_group)
main.add_command(tenant_group)
main.add_command(replication_group)
main.add_command(token_group)
main.add_command(user_group)
main.add_command(backend_group)
main.add_command(reindex)
main.add_command(scrub)
