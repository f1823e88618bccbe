"""/api/v1/backends/{name}/drain and /test."""

from __future__ import annotations

from tests.control.api.desk import Desk


async def test_backend_is_drained_and_kept(desk: Desk) -> None:
    name = next(iter(desk.services.backends))
    shown = (await desk.ask("GET", f"/backends/{name}/drain")).json()
    assert (shown["since"], shown["done"]) == (None, False)
    began = (await desk.ask("POST", f"/backends/{name}/drain")).json()
    (listed,) = (await desk.ask("GET", "/backends")).json()["items"]
    assert listed["draining_since"] == began["since"]
    assert began["since"].startswith("20")
    assert desk.services.draining == {name}
    assert (await desk.ask("DELETE", f"/backends/{name}/drain")).json()["since"] is None
    assert desk.services.draining == frozenset()


async def test_backend_is_tried_out(desk: Desk) -> None:
    name = next(iter(desk.services.backends))
    report = (await desk.ask("POST", f"/backends/{name}/test")).json()
    assert report["passed"], report
    assert report["checks"][0]["name"] == "credentials"


async def test_backend_that_is_not_there_is_refused(desk: Desk) -> None:
    assert await desk.refusal("POST", "/backends/none/drain") == "404 UnknownBackend"
    assert await desk.refusal("POST", "/backends/none/test") == "404 UnknownBackend"
