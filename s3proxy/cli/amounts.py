"""Amounts, counts and rules as people write and read them: 10GiB, 2 blobs, regions = fi,de."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

_UNITS: Final = {
    "": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGTPE", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTPE", 1)},
}
_AMOUNT: Final = re.compile(r"([0-9]+)(?:\.([0-9]{1,6}))? ?([A-Za-z]{0,3})", re.ASCII)
_MAX: Final = (1 << 63) - 1
UNLIMITED: Final = "unlimited"


class Amount(click.ParamType[int | str]):
    """A whole number, of bytes with a unit or without; None for "unlimited" where that is taken."""

    name = "amount"

    def __init__(self, *, units: bool, unlimited: bool = False) -> None:
        self._units = _UNITS if units else {"": 1}
        self._unlimited = unlimited

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Read an amount; `UNLIMITED` stays what it is."""
        if self._unlimited and value == UNLIMITED:
            return UNLIMITED
        found = _AMOUNT.fullmatch(str(value))
        scale = None if found is None else self._units.get(_unit(found[3]))
        if found is None or scale is None or (scale == 1 and found[2]):
            self.fail(f"{value!r} is no amount; want such as {self._example()}", param, ctx)
        fraction = found[2] or "0"
        amount: int = int(found[1]) * scale + int(fraction) * scale // 10 ** len(fraction)
        if amount > _MAX:
            self.fail(f"{value!r} is too much", param, ctx)
        return amount

    def _example(self) -> str:
        shown = "10GiB, 250MB or 5000" if len(self._units) > 1 else "5000"
        return f"{shown}, or {UNLIMITED}" if self._unlimited else shown


def _unit(text: str) -> str:
    """The unit as it is spelt here, in whatever case it came."""
    upper = text.upper()
    return upper.replace("I", "i") if upper.endswith("IB") else upper


def told_bytes(count: int) -> str:
    """A number of bytes, with the largest unit that it has one of; exact below 1 KiB."""
    for power, letter in reversed([*enumerate("KMGTPE", 1)]):
        if count >= 1024**power:
            return f"{count / 1024**power:.1f} {letter}iB"
    return f"{count} B"


def counted(count: int, what: str) -> str:
    """A number of things, in English."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def told_rules(rules: Mapping[str, Any]) -> list[str]:
    """Rules of placement, each as `set` takes it; those that say nothing are left out."""
    return [told_rule(name, value) for name, value in rules.items() if value]


def told_rule(name: str, value: int | str | Iterable[str]) -> str:
    """One rule of placement."""
    return f"{name} = {value if isinstance(value, int | str) else ','.join(value)}"
