"""The command itself, and where its commands are."""

from __future__ import annotations

import click

from s3proxy.cli.lazy import Lazy, LazyGroup

COMMANDS = {
    "backend": Lazy(
        "backends:backend_group", "The places where bytes live, and whether they answer."
    ),
    "bucket": Lazy("buckets:bucket_group", "What is known of buckets, and where they are."),
    "catalog": Lazy("catalog:catalog_group", "Back up, check and restore the catalog."),
    "config": Lazy("config:config_group", "Check or show the configuration."),
    "events": Lazy(
        "events:events_group", "List, retry and drop events that could not be delivered."
    ),
    "key": Lazy("keys:key_group", "Create, list, disable, enable and delete access keys."),
    "master-key": Lazy("master_key:master_key_group", "Replace the key that seals all others."),
    "placement": Lazy("placement:placement_group", "Explain where objects are, and why."),
    "quota": Lazy("quotas:quota_group", "Set, show and clear what tenants and buckets may hold."),
    "reindex": Lazy("rebuild:reindex", "Rebuild the catalog from what lies at S3 backends."),
    "replication": Lazy(
        "replication:replication_group", "Show, list and retry copies that are owed."
    ),
    "scrub": Lazy("rebuild:scrub", "Compare the catalog with what backends hold; heal."),
    "serve": Lazy("serve:serve", "Run the gateway until SIGTERM or Ctrl-C."),
    "tenant": Lazy("tenants:tenant_group", "Create, list, disable, enable and delete tenants."),
    "token": Lazy("tokens:token_group", "Create, list and delete tokens of the control API."),
    "user": Lazy("users:user_group", "Create, list, disable and delete users; set their policies."),
}


class Main(LazyGroup):
    """The command itself; names and keys are UTF-8, whatever a shell sends."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an argument that is not."""
        for argument in args:
            try:
                argument.encode()
            except UnicodeEncodeError:
                shown = argument.encode("utf-8", "backslashreplace").decode()
                ctx.fail(f"the argument {shown} is not UTF-8")
        return super().parse_args(ctx, args)


@click.group(
    cls=Main,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="s3proxy", prog_name="s3proxy")
def main() -> None:
    """An S3 gateway: one process that speaks S3 and keeps the bytes where you say.

    \b
    First steps:
      s3proxy serve                        start on 127.0.0.1:9000; prints root credentials once
      s3proxy key create --user alice      make an access key
      s3proxy config show                  see every setting and its value
    """
