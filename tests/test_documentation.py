"""The reference pages name what the code has: they are written by hand, and checked here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields

from s3proxy.config import BucketConfig, Config, LocalBackendConfig, S3BackendConfig

DOCS = Path(__file__).parent.parent / "docs"
SECTIONS = [field.type for field in fields(Config) if field.name not in ("backend", "bucket")]
TABLES: list[Any] = [*SECTIONS, LocalBackendConfig, S3BackendConfig, BucketConfig]


def rows(page: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if line.startswith("| `")
    ]


@pytest.mark.parametrize("section", TABLES, ids=lambda section: section.__name__)
def test_operations_page_has_every_key_with_its_default(section: Any) -> None:
    documented = [(row[0], row[2]) for row in rows("operations.md") if len(row) == 4]
    for field in fields(section):
        default = "required" if field.required else f"`{_toml(field.default)}`"
        assert (f"`{field.name}`", default) in documented


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()
