"""/api/v1/backends."""

from __future__ import annotations

import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.placement import Facts
from tests.control.api.desk import Desk


async def test_backends_are_shown_as_configured_and_found(desk: Desk) -> None:
    desk.services.facts = {"disk": Facts("disk", "local", country="fi", features=frozenset("ba"))}
    (shown,) = (await desk.ask("GET", "/backends")).json()["items"]
    assert (shown["name"], shown["type"], shown["country"]) == ("disk", "local", "fi")
    assert (shown["features"], shown["state"], shown["failures"]) == (["a", "b"], "closed", 0)
    for _ in range(2):
        error = Unavailable("check", hint="no answer")
        desk.services.health.note_probe("disk", trio.current_time(), error)
    (shown,) = (await desk.ask("GET", "/backends")).json()["items"]
    assert (shown["state"], shown["last_error"], shown["opened"]) == ("open", "no answer", 1)


async def test_backends_are_for_administrators_of_everything(desk: Desk) -> None:
    token = await desk.tenant_admin("main")
    assert await desk.refusal("GET", "/backends", token=token) == "403 Forbidden"


async def test_backends_come_in_parts(desk: Desk) -> None:
    page = (await desk.ask("GET", "/backends?limit=1")).json()
    assert ([shown["name"] for shown in page["items"]], page["next"]) == (["disk"], "")
    rest = (await desk.ask("GET", "/backends?after=disk")).json()
    assert rest == {"items": [], "next": ""}
    assert await desk.refusal("GET", "/backends?after=gone") == "400 BadRequest"
