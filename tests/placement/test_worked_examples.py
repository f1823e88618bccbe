"""The examples of docs/placement.md: what the page says is what is decided."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s3proxy.placement import Facts, decide, unsatisfied
from s3proxy.s3.placement import Rules

PAGE = (Path(__file__).parent.parent.parent / "docs" / "placement.md").read_text("utf-8")
EXAMPLES = PAGE.partition("## Examples")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in EXAMPLES.splitlines()
    if line.startswith("| `")
]


def backends() -> list[Facts]:
    """The backends of the page, which stand in columns."""
    found: list[dict[str, str]] = [{}, {}, {}]
    for line in EXAMPLES.splitlines():
        pairs = re.findall(r'(\w+) = "?([\w-]+)"?', line) if line.startswith("    ") else []
        for one, (name, value) in zip(found, pairs, strict=True) if pairs else ():
            one[name] = value
    return [
        Facts(
            one["name"],
            country=one["country"],
            jurisdiction=one["jurisdiction"],
            features=frozenset({one.get("features", "")} - {""}),
            certifications=frozenset({one.get("certifications", "")} - {""}),
            weight=int(one.get("weight", 100)),
        )
        for one in found
    ]


def rules_in(text: str) -> Rules:
    said: dict[str, object] = {}
    for part in text.strip("`").split("; "):
        name, _, value = part.partition(" = ")
        said[name] = int(value) if value.isdecimal() else tuple(value.split(","))
    return Rules(**said)  # type: ignore[arg-type]


def names(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(",") if name.strip()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_placement_page_example_is_decided_so(row: list[str]) -> None:
    text, copies, order, refused = row
    decision = decide(rules_in(text), backends())
    assert list(decision.order) == names(order)
    assert [f"{one.backend}: {one.rule}" for one in decision.refused] == names(refused)
    said = unsatisfied(decision)
    if copies.startswith("refused"):
        assert said.startswith(f"The placement rule {copies.removeprefix('refused: ')} cannot")
    else:
        assert (said, decision.wanted) == ("", int(copies))


def test_placement_page_names_every_rule_and_fact() -> None:
    for name in (*Rules.__struct_fields__, *Facts.__struct_fields__):
        assert f"`{name}`" in PAGE or name in ("name", "type")
