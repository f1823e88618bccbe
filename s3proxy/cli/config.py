"""`s3proxy config`: the settings as they are in force."""

from __future__ import annotations

import os

import click

from s3proxy import config_loading
from s3proxy.cli.console import Failure, config_option, json_option, load_config, to_json
from s3proxy.config import Config
from s3proxy.config_files import check_files


def load_with_files(path: str | None) -> Config:
    """Load the configuration, and check the files that it names as well.

    Raises:
        Failure: it is not right.
    """
    config = load_config(path)
    try:
        check_files(config, path or "defaults", os.environ)
    except config_loading.ConfigError as error:
        raise Failure(str(error)) from error
    return config


@click.group("config")
def config_group() -> None:
    """Check or show the configuration."""


@config_group.command("check", short_help="Say whether the configuration is right.")
@config_option
def config_check(config_path: str | None) -> None:
    """Say whether the configuration, TLS files included, is right; if not, what is wrong where."""
    config = load_with_files(config_path)
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
