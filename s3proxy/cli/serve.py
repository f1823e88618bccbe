"""`s3proxy serve`: the gateway itself."""

from __future__ import annotations

import os
import signal

import click
import trio

from s3proxy import log
from s3proxy.cli.config import load_with_files
from s3proxy.cli.console import config_option, guard
from s3proxy.service import SIGNALS, Service, Started


@click.command("serve")
@config_option
def serve(config_path: str | None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; SIGHUP reloads the TLS certificate."""
    config = load_with_files(config_path)
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
