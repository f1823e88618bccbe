"""Tokens of the control API, as they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3proxy.catalog.errors import InvalidName, UnknownToken
from s3proxy.catalog.tables import TOKENS
from s3proxy.catalog.tokens import ADMIN, TENANT_ADMIN, is_secret_of, split_token
from tests.catalog.catalogs import open_catalog


async def test_token_is_kept_without_its_secret(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        made = await catalog.create_token(ADMIN)
        parts = split_token(made.text)
        assert parts is not None
        identifier, secret = parts
        assert catalog.get_token(identifier) == made.record
        stored = catalog.engine.get(TOKENS, identifier.encode())
        assert stored is not None
        assert secret.encode() not in stored
        assert is_secret_of(made.record, secret)
        assert not is_secret_of(made.record, secret[:-1])


async def test_two_tokens_of_one_secret_would_have_other_hashes(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        one, two = [await catalog.create_token(ADMIN) for _ in range(2)]
        assert one.record.salt != two.record.salt
        assert [token.id for token in catalog.list_tokens()] == sorted(
            (one.record.id, two.record.id)
        )


@pytest.mark.parametrize(
    ("role", "tenant"), [(ADMIN, "main"), (TENANT_ADMIN, ""), ("owner", ""), ("", "main")]
)
async def test_half_a_role_is_refused(tmp_path: Path, role: str, tenant: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        with pytest.raises(InvalidName):
            await catalog.create_token(role, tenant)


@pytest.mark.parametrize("identifier", ["", "absent", "x" * 1000, "\udc80", "a\0b"])
async def test_token_of_a_hostile_name_is_none(tmp_path: Path, identifier: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        assert catalog.get_token(identifier) is None


async def test_delete_token_twice_is_refused(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        made = await catalog.create_token(TENANT_ADMIN, "main")
        await catalog.delete_token(made.record.id)
        with pytest.raises(UnknownToken):
            await catalog.delete_token(made.record.id)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3p_id_se_cr-et", ("id", "se_cr-et")),
        ("s3p_id", None),
        ("", None),
        ("xyz_id_secret", None),
        ("s3p_id_" + "x" * 200, None),
    ],
)
def test_split_token_takes_what_looks_like_one(text: str, parts: tuple[str, str] | None) -> None:
    assert split_token(text) == parts
