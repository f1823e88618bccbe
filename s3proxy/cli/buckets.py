"""`s3proxy bucket`: the group; its commands are in the modules of what they are about."""

from __future__ import annotations

import click

from s3proxy.cli.placement import bucket_placement
from s3proxy.cli.regions import region_group


@click.group("bucket", short_help="What is known of buckets, and where they are.")
def bucket_group() -> None:
    """Show and change what is known of buckets, also beside a running gateway."""


bucket_group.add_command(bucket_placement)
bucket_group.add_command(region_group)
