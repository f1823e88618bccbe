"""/api/v1/replication."""

from __future__ import annotations

import pytest

from s3proxy.catalog.debt_counts import Backlog
from tests.catalog.owing import give_up, owe
from tests.control.api.desk import Desk


async def test_replication_shows_what_is_owed_to_each_backend(desk: Desk) -> None:
    nothing = {"backend": "disk", "objects": 0, "bytes": 0, "lag_s": 0.0, "dead": 0}
    assert (await desk.ask("GET", "/replication")).json() == {"items": [nothing], "next": ""}
    await owe(desk.catalog, desk.lab.bucket(), "k", "de")
    (lag, disk) = (await desk.ask("GET", "/replication")).json()["items"]
    assert (lag["backend"], lag["objects"], lag["bytes"], lag["dead"]) == ("de", 1, 3, 0)
    assert lag["lag_s"] > 0
    assert disk == nothing


async def test_replication_comes_in_parts_with_places_too_many_last(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {name: Backlog(1, 3, 0, 0) for name in ("fi", "", "!too-few", "de")}
    monkeypatch.setattr(desk.catalog, "debt_counts", lambda: counts)
    seen, after = [], ""
    while True:
        page = (await desk.ask("GET", f"/replication?limit=1&after={after}")).json()
        seen += [lag["backend"] for lag in page["items"]]
        after = page["next"]
        if not after:
            break
    assert seen == ["de", "disk", "fi", "!too-few", ""]


async def test_replication_debts_come_in_parts(desk: Desk) -> None:
    keys = {f"k{number}" for number in range(5)}
    for key in keys:
        await owe(desk.catalog, desk.lab.bucket(), key, "de")
    found, after = [], ""
    while True:
        page = (await desk.ask("GET", f"/replication/debts?limit=2&after={after}")).json()
        found += [debt["key"] for debt in page["items"]]
        after = page["next"]
        if not after:
            break
    assert (len(found), set(found)) == (5, keys)


async def test_replication_debts_that_wait_for_their_turn_wait_for_no_backend(desk: Desk) -> None:
    await owe(desk.catalog, desk.lab.bucket(), "k", "de")
    now_ns = desk.lab.clock()
    assert await desk.catalog.claim_debts(now_ns, 1, 10**9, room={"de": 0}) == []
    (debt,) = desk.catalog.list_debts()
    assert debt.waits_for
    (shown,) = (await desk.ask("GET", "/replication/debts")).json()["items"]
    assert shown["waits_for"] == ""


async def test_replication_dead_letters_are_listed_and_retried(desk: Desk) -> None:
    for key in ("a", "b", "c"):
        await give_up(desk.catalog, await owe(desk.catalog, desk.lab.bucket(), key, "de"), key)
    first = (await desk.ask("GET", "/replication/debts?dead=true&limit=1")).json()
    assert first["items"][0]["dead"]
    rest = (await desk.ask("GET", f"/replication/debts?dead=true&after={first['next']}")).json()
    errors = {debt["error"] for debt in (*first["items"], *rest["items"])}
    assert errors == {"a", "b", "c"}
    answer = await desk.ask("POST", "/replication/retry", {"ids": [first["items"][0]["id"]]})
    assert answer.json() == {"retried": 1}
    retry = "/replication/retry"
    for wrong in ([rest["items"][0]["id"], "nope"], [""], ["x" * 5000]):
        assert await desk.refusal("POST", retry, {"ids": wrong}) == "404 UnknownDebt"
    assert await desk.refusal("POST", retry, {"id": "nope"}) == "400 BadRequest"
    assert (await desk.ask("POST", retry, {})).json() == {"retried": 2}


async def test_replication_is_for_administrators_of_everything(desk: Desk) -> None:
    token = await desk.tenant_admin("main")
    assert await desk.refusal("GET", "/replication", token=token) == "403 Forbidden"
    assert await desk.refusal("GET", "/replication/debts", token="") == "401 Unauthorized"
