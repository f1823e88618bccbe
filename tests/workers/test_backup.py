"""When backups are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from s3proxy.backends.errors import Unavailable
from s3proxy.ops.backups import Backups
from s3proxy.workers.backup import BackupWorker
from s3proxy.workers.worker import Supervised
from tests.catalog.catalogs import open_catalog
from tests.ops.backing_up import Seconds, backups_at, local_place

INTERVAL_S = 3600.0


def worker_of(backups: Backups, clock: Seconds) -> BackupWorker:
    return BackupWorker(backups, interval_s=INTERVAL_S, clock=clock)


async def test_backup_is_made_at_once_then_when_the_last_is_too_old(tmp_path: Path) -> None:
    clock = Seconds()
    async with open_catalog(tmp_path) as catalog:
        backups = backups_at(local_place(tmp_path), catalog, tmp_path, clock)
        worker = worker_of(backups, clock)
        for age_s, made in ((0, 1), (1, 1), (INTERVAL_S - 2, 1), (2, 2), (1, 2)):
            clock.s += age_s
            assert not await worker.work()
            assert backups.made == made


async def test_backup_after_a_restart_waits_for_the_last_one_to_age(tmp_path: Path) -> None:
    clock = Seconds()
    async with open_catalog(tmp_path) as catalog:
        place = local_place(tmp_path)
        await backups_at(place, catalog, tmp_path, clock).make()
        again = backups_at(place, catalog, tmp_path, clock)
        clock.s += 10
        worker = worker_of(again, clock)
        await worker.work()
        assert (again.made, again.last is None) == (0, False)
        clock.s += INTERVAL_S
        await worker.work()
        assert again.made == 1


async def test_backup_from_the_future_holds_up_none(tmp_path: Path) -> None:
    """A clock that was set back."""
    clock = Seconds()
    async with open_catalog(tmp_path) as catalog:
        place = local_place(tmp_path)
        clock.s += 1e6
        await backups_at(place, catalog, tmp_path, clock).make()
        clock.s -= 1e6
        backups = backups_at(place, catalog, tmp_path, clock)
        worker = worker_of(backups, clock)
        await worker.work()
        assert worker._due_s() == INTERVAL_S


async def test_backup_that_fails_is_tried_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    clock, tries = Seconds(), 0

    async def put(*_: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unavailable("put", "backup", "no answer", "far")

    async with open_catalog(tmp_path) as catalog:
        place = local_place(tmp_path)
        monkeypatch.setattr(place, "put", put)
        backups = backups_at(place, catalog, tmp_path, clock)

        async def copy_to(target: int) -> None:
            await trio.lowlevel.checkpoint()

        monkeypatch.setattr(catalog.engine, "copy_to", copy_to)
        supervised = Supervised(worker_of(backups, clock))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervised.run)
            while not backups.made:  # noqa: ASYNC110 - threads take part, whatever the clock says
                await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert (tries, backups.failures, backups.error) == (4, 3, "")
        assert "no answer" in supervised.last_error
