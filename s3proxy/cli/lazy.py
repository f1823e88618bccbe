"""Groups of commands that are imported once they are asked for: most need little of the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Lazy(NamedTuple):
    """A command that is not imported yet: `module:attribute` here, and its line in the list."""

    place: str
    short_help: str

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.place.partition(":")
        command: click.Command = getattr(import_module(f"s3proxy.cli.{module}"), attribute)
        return command


class LazyGroup(click.Group):
    """A group that imports the commands in `lazy`, by their names, when they are given.

    Its own help, and completion of their names, import none.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now if need be."""
        if cmd_name in self._lazy:
            return self._lazy[cmd_name].load()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))  # between two columns, and around them
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._line(name, limit)) for name in names])

    def _line(self, name: str, limit: int) -> str:
        if name in self._lazy:
            return self._lazy[name].short_help
        return self.commands[name].get_short_help_str(limit)
