"""The data directory, its lock and its catalog, and the root key."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from s3proxy.bootstrap import (
    StartError,
    connections_limit,
    data_directory,
    ensure_root,
    open_catalog,
)
from s3proxy.catalog.errors import BadMasterKey
from s3proxy.catalog.master_keys import known_ids
from s3proxy.config import DataConfig
from s3proxy.s3.tenants import ROOT_USER
from tests.catalog import catalogs

PRESET = {"S3PROXY_ROOT_ACCESS_KEY": "AKIAPRESET", "S3PROXY_ROOT_SECRET_KEY": "first secret"}


def data_config(path: Path) -> DataConfig:
    return DataConfig(dir=str(path))


def test_data_directory_absent_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with data_directory(data_config(tmp_path / "deep" / "data")) as data:
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_data_directory_in_use_is_refused_until_released(tmp_path: Path) -> None:
    config = data_config(tmp_path)
    with (
        data_directory(config),
        pytest.raises(StartError, match="in use by another s3proxy"),
        data_directory(config),
    ):
        pass
    with data_directory(config):
        pass


def test_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(StartError, match=f"data.dir {path}: "), data_directory(data_config(path)):
        pass


async def test_open_catalog_keeps_what_was_queued_when_its_block_ends(tmp_path: Path) -> None:
    config = data_config(tmp_path)
    async with open_catalog(config) as (catalog, _):
        made = await catalog.create_key("alice")
    async with open_catalog(config) as (catalog, _):
        (record,) = catalog.list_keys()
        assert record == made.record
        assert catalog.unseal(record) == made.secret


async def test_open_catalog_with_a_master_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir()
    with pytest.raises(StartError, match="master key: Is a directory"):
        async with open_catalog(data_config(tmp_path)):
            pass


async def test_open_catalog_with_a_damaged_master_key_is_refused(tmp_path: Path) -> None:
    config = data_config(tmp_path)
    async with open_catalog(config):
        pass
    (tmp_path / "master.key").write_bytes(b"short")
    with pytest.raises(BadMasterKey):
        async with open_catalog(config):
            pass


async def test_open_catalog_without_the_master_key_that_sealed_is_refused(tmp_path: Path) -> None:
    config, key, aside = data_config(tmp_path), tmp_path / "master.key", tmp_path / "aside"
    async with open_catalog(config) as (catalog, _):
        made = await catalog.create_key("alice")
    key.rename(aside)
    with pytest.raises(StartError, match="put the file back that is the master key"):
        async with open_catalog(config):
            pass
    assert not key.exists()
    aside.rename(key)
    async with open_catalog(config) as (catalog, _):
        assert catalog.unseal(catalog.list_keys()[0]) == made.secret


async def test_open_catalog_with_nothing_sealed_makes_a_new_master_key(tmp_path: Path) -> None:
    config = data_config(tmp_path)
    async with open_catalog(config):
        pass
    (tmp_path / "master.key").unlink()
    async with open_catalog(config):
        assert (tmp_path / "master.key").exists()


async def test_open_catalog_with_the_former_key_beside_it_needs_no_other(tmp_path: Path) -> None:
    config = data_config(tmp_path)
    async with open_catalog(config) as (catalog, _):
        made = await catalog.create_key("alice")
    (former,) = known_ids(tmp_path)
    (tmp_path / "master.key").rename(tmp_path / f"master.key.{former}")
    async with open_catalog(config) as (catalog, _):
        assert catalog.unseal(catalog.list_keys()[0]) == made.secret


async def test_ensure_root_makes_one_key_once(tmp_path: Path) -> None:
    async with catalogs.open_catalog(tmp_path) as catalog:
        made = await ensure_root(catalog, {})
        assert made is not None
        assert await ensure_root(catalog, {}) is None
        (record,) = catalog.list_keys()
        assert (record.user_name, catalog.unseal(record)) == (ROOT_USER, made.secret)


async def test_ensure_root_disabled_by_hand_is_not_made_again(tmp_path: Path) -> None:
    async with catalogs.open_catalog(tmp_path) as catalog:
        made = await ensure_root(catalog, {})
        assert made is not None
        await catalog.set_key_enabled(made.record.access_key, False)
        assert await ensure_root(catalog, {}) is None
        assert len(catalog.list_keys()) == 1


async def test_ensure_root_preset_takes_a_changed_secret(tmp_path: Path) -> None:
    async with catalogs.open_catalog(tmp_path) as catalog:
        for secret in ("first secret", "second secret"):
            environ = {**PRESET, "S3PROXY_ROOT_SECRET_KEY": secret}
            assert await ensure_root(catalog, environ) is None
            (record,) = catalog.list_keys()
            assert catalog.unseal(record) == secret
        assert record.access_key == PRESET["S3PROXY_ROOT_ACCESS_KEY"]


@pytest.mark.parametrize("given", sorted(PRESET))
async def test_ensure_root_half_preset_is_refused(tmp_path: Path, given: str) -> None:
    async with catalogs.open_catalog(tmp_path) as catalog:
        with pytest.raises(StartError, match="both be set, or neither"):
            await ensure_root(catalog, {given: PRESET[given]})
        assert catalog.list_keys() == []


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to", "allowed"),
    [
        (1024, resource.RLIM_INFINITY, 15_256, 10_000),
        (1024, 524_288, 15_256, 10_000),
        (1024, 4096, 4096, 2560),
        (50_000, 50_000, None, 10_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None, 10_000),
        (100, 100, 100, 1),
    ],
)
def test_connections_limit_raises_the_limit_on_open_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised_to: int | None, allowed: int
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    assert connections_limit(10_000) == allowed
    assert raised == ([] if raised_to is None else [(raised_to, hard)])
