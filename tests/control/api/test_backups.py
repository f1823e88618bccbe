"""/api/v1/backups."""

from __future__ import annotations

from pathlib import Path

from tests.control.api.desk import Desk
from tests.ops.backing_up import Seconds, backups_at, local_place


async def test_backup_made_is_listed(desk: Desk, tmp_path: Path) -> None:
    place = local_place(tmp_path)
    desk.services.backups = backups_at(place, desk.catalog, tmp_path, Seconds())
    made = await desk.ask("POST", "/backups")
    assert made.status_code == 201
    shown = (await desk.ask("GET", "/backups")).json()
    assert (shown["items"], shown["next"]) == ([made.json()], "")
    assert (shown["backend"], shown["failures"], shown["error"]) == ("disk", 0, "")


async def test_backups_that_are_not_configured_are_refused(desk: Desk) -> None:
    assert await desk.refusal("GET", "/backups") == "409 NoBackups"
    assert await desk.refusal("POST", "/backups") == "409 NoBackups"


async def test_backup_that_cannot_be_made_says_why(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "kept-apart").write_text("in the way")
    place = local_place(tmp_path)
    desk.services.backups = backups_at(place, desk.catalog, tmp_path, Seconds())
    assert await desk.refusal("POST", "/backups") == "502 BackupFailed"
    shown = await desk.ask("GET", "/backups")
    assert shown.status_code in (200, 502)


async def test_backups_are_not_for_administrators_of_a_tenant(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    token = await desk.tenant_admin("acme")
    assert await desk.refusal("GET", "/backups", token=token) == "403 Forbidden"
