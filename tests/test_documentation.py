"""The reference pages name what the code has: they are written by hand, and checked here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import fields

from s3proxy.config import (
    BucketConfig,
    Config,
    LocalBackendConfig,
    RegionConfig,
    S3BackendConfig,
    SnsTargetConfig,
    SqsTargetConfig,
    StorageClassConfig,
    WebhookTargetConfig,
)
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.subresources import action_name

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md"]
LINE_CHARACTERS_MAX = 100
API = DOCS.parent / "s3proxy" / "control" / "api"
SECTIONS = [field.type for field in fields(Config) if isinstance(field.type, type)]
TABLES: list[Any] = [
    *SECTIONS,
    *(LocalBackendConfig, S3BackendConfig, BucketConfig, StorageClassConfig),
    RegionConfig,
    *(WebhookTargetConfig, SqsTargetConfig, SnsTargetConfig),
]


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


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_conformance_page_has_every_operation(operation: str) -> None:
    page = (DOCS / "conformance.md").read_text("utf-8")
    assert re.search(rf"\b{action_name(operation)}\b", page)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_page_names_only_files_that_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(re.findall(r"`((?:s3proxy|docs|tests|bench)/[\w/]+\.\w+)`", text))
    linked = {f"docs/{name}" for name in re.findall(r"\]\((?!http|#)([^)#]+)\)", text)}
    assert [name for name in sorted(named | linked) if not (DOCS.parent / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_of_a_page_is_wrapped(page: Path) -> None:
    """Tables, headings and indented examples are as wide as they have to be."""
    lines = page.read_text("utf-8").splitlines()
    prose = [line for line in lines if not re.match(r" *\||#|    ", line)]
    assert [line for line in prose if len(line) > LINE_CHARACTERS_MAX and " " in line.strip()] == []


def test_control_page_has_every_code_of_a_refusal() -> None:
    page = (DOCS / "control.md").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in API.glob("*.py"))
    codes = set(re.findall(r'ApiError\(\s*\d+,\s*"(\w+)"', source))
    codes |= set(re.findall(r"errors\.(\w+): \d+", source))
    codes |= set(re.findall(r'\d+: \("(\w+)"', source))
    assert {"NotFound", "UnknownDebt", "BackupFailed"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()
