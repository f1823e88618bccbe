"""Backups of the catalog at backends: directories and another gateway as the provider."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from s3proxy.backends.errors import BackendError, Unavailable
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3 import S3Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.checking import check_file
from s3proxy.catalog.deployment import BackupUpload
from s3proxy.config import Config
from s3proxy.kv.errors import DiskFull
from s3proxy.ops import backups as module
from s3proxy.ops.backups import Backup, BackupPlace, id_of
from s3proxy.resources import open_transport
from tests.catalog.catalogs import Clock, bucket_record, open_catalog
from tests.gateways import ACCESS_KEY, SECRET_KEY, Gateway
from tests.ops.backing_up import CONTAINER, PREFIX, Seconds, backups_at, local_place


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("provider")) as gateway:
        yield gateway


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(tmp_path, clock=Clock()) as catalog:
        await catalog.create_bucket(bucket_record())
        yield catalog


@asynccontextmanager
async def place_at(url: str, container: str = CONTAINER) -> AsyncIterator[BackupPlace]:
    options = S3Options(name="far", endpoint=url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    async with open_transport(Config()) as (_, client):
        yield BackupPlace(S3Backend(options, client), container, PREFIX)


async def fetched(place: BackupPlace, backup: Backup, path: Path) -> Path:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        await place.fetch(backup, descriptor)
    finally:
        os.close(descriptor)
    return path


async def test_make_keeps_so_many_and_what_is_fetched_is_sound(
    catalog: Catalog, tmp_path: Path
) -> None:
    clock, place = Seconds(), local_place(tmp_path)
    backups = backups_at(place, catalog, tmp_path, clock)
    for number in range(5):
        await catalog.create_bucket(bucket_record(f"bucket-{number}"))
        await backups.make()
        clock.s += 60
    found = await place.list()
    assert [backup.id for backup in found] == [
        id_of(1_700_000_000.25 + 60 * number) for number in (4, 3, 2)
    ]
    assert found[0] == backups.last
    assert (backups.made, backups.failures, backups.error) == (5, 0, "")
    report = await check_file(str(await fetched(place, found[1], tmp_path / "copy")), in_use=False)
    assert (report.sound, report.rows["buckets"]) == (True, 5)


async def test_backups_of_another_deployment_are_left_alone(
    catalog: Catalog, tmp_path: Path
) -> None:
    clock, place = Seconds(), local_place(tmp_path)
    other = backups_at(place, catalog, tmp_path, clock, deployment="f" * 16)
    await other.make()
    backups = backups_at(place, catalog, tmp_path, clock, keep=1)
    for _ in range(3):
        clock.s += 1
        await backups.make()
    found = await place.list()
    assert [backup.deployment for backup in found] == ["0123456789abcdef", "f" * 16]
    fresh = backups_at(place, catalog, tmp_path, clock)
    await fresh.find_last()
    assert fresh.last == backups.last


async def test_large_backups_go_in_parts(
    catalog: Catalog, tmp_path: Path, provider: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 5 << 20)
    for number in range(40):
        config = os.urandom(400_000)
        await catalog.put_bucket_config(await _bucket(catalog), f"config-{number}", config)
    async with place_at(provider.url) as place:
        backups = backups_at(place, catalog, tmp_path, Seconds())
        made = await backups.make()
        assert made.size > 15 << 20
        assert await place.list() == [made]
        copy = await fetched(place, made, tmp_path / "copy")
        assert (await check_file(str(copy), in_use=False)).sound
        head = provider.client().head_object(Bucket=CONTAINER, Key=PREFIX + made.name)
        assert head["ETag"].strip('"').endswith("-4")
        assert catalog.backup_upload() is None


async def _bucket(catalog: Catalog) -> Any:
    return catalog.get_bucket("bucket")


async def test_upload_that_a_kill_left_is_ended_at_the_next_start(
    catalog: Catalog, tmp_path: Path, provider: Gateway
) -> None:
    client = provider.client()
    client.create_bucket(Bucket="left")
    upload_id = client.create_multipart_upload(Bucket="left", Key="catalog/x.lmdb")["UploadId"]
    await catalog.note_backup_upload(BackupUpload("far", "left", "catalog/x.lmdb", upload_id))
    async with place_at(provider.url, "left") as place:
        backups = backups_at(place, catalog, tmp_path, Seconds())
        await backups.find_last()
        assert "Uploads" not in client.list_multipart_uploads(Bucket="left")
        assert catalog.backup_upload() is None
        await backups.find_last()


async def test_part_that_fails_leaves_no_upload(
    catalog: Catalog, tmp_path: Path, provider: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 10_000)  # too small for a part: Complete refuses
    async with place_at(provider.url, "failing") as place:
        backups = backups_at(place, catalog, tmp_path, Seconds())
        with pytest.raises(BackendError, match="EntityTooSmall"):
            await backups.make()
        assert (backups.failures, "EntityTooSmall" in backups.error) == (1, True)
        assert await place.list() == []
    assert "Uploads" not in provider.client().list_multipart_uploads(Bucket="failing")
    assert catalog.backup_upload() is None


async def test_dead_backend_is_told_and_counted(catalog: Catalog, tmp_path: Path) -> None:
    dead = Gateway(tmp_path / "dead")
    async with place_at(dead.url) as place:
        backups = backups_at(place, catalog, tmp_path, Seconds())
        with pytest.raises(Unavailable, match="on far"):
            await backups.make()
        assert backups.failures == 1
        assert backups.last is None
        assert "on far" in backups.error


async def test_full_disk_is_told_and_nothing_is_left(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = local_place(tmp_path)
    backups = backups_at(place, catalog, tmp_path, Seconds())

    def full(**_: object) -> Any:
        return open("/dev/full", "r+b", buffering=0)  # noqa: PTH123

    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    with pytest.raises(DiskFull, match="no room on the file system for the copy"):
        await backups.make()
    monkeypatch.undo()
    assert backups.failures == 1
    assert await place.list() == []
    await backups.make()
    assert backups.error == ""


async def test_fetch_of_damaged_bytes_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    place = local_place(tmp_path)
    made = await backups_at(place, catalog, tmp_path, Seconds()).make()
    (path,) = (tmp_path / "root" / CONTAINER / "catalog").iterdir()
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(BackendError, match="damaged"):
        await fetched(place, made, tmp_path / "copy")


async def test_what_is_no_backup_is_not_listed(catalog: Catalog, tmp_path: Path) -> None:
    place = local_place(tmp_path)
    made = await backups_at(place, catalog, tmp_path, Seconds()).make()
    folder = tmp_path / "root" / CONTAINER / "catalog"
    (folder / "notes.txt").write_text("mine")
    (folder / f"{made.name}.part").write_text("half")
    assert await place.list() == [made]


async def test_two_at_once_are_made_one_after_the_other(catalog: Catalog, tmp_path: Path) -> None:
    clock, place = Seconds(), local_place(tmp_path)
    backups = backups_at(place, catalog, tmp_path, clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backups.make)
        clock.s += 0.5
        nursery.start_soon(backups.make)
    assert backups.made == 2


def test_id_is_the_moment_and_back() -> None:
    assert id_of(1_700_000_000.25) == "20231114T221320.250Z"
    assert Backup(id_of(1_700_000_000.25), "", "", 0).made_s == 1_700_000_000.25
