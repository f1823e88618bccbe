"""Every route of the API, whoever wrote it: closed to strangers, and to other tenants' admins."""

from __future__ import annotations

import re
from typing import Any

from s3proxy.control.app import build_app
from s3proxy.metrics import Metrics
from tests.control.api.desk import Desk

# Of no tenant, and open to every administrator, who is answered for their own tenant alone.
ANY_ROLE = {("GET", "/api/v1/tenants")}


async def _ready() -> dict[str, str]:
    return {}


def routes(desk: Desk) -> list[tuple[str, str]]:
    """Method and path of each, with `{names}` for parameters."""
    app = build_app(Metrics(), _ready, desk.services)
    paths: dict[str, Any] = app.openapi_schema.to_schema()["paths"]
    found = [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/v1/") and method in ("get", "put", "post", "delete", "patch")
    ]
    assert len(found) > 20
    return found


def filled(path: str, tenant: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path.replace("{tenant}", tenant)).removeprefix("/api/v1")


async def test_every_route_is_closed_to_whoever_has_no_token(desk: Desk) -> None:
    for method, path in routes(desk):
        for token in ("", "s3p_aaaaaaaaaaaaaaaa_wrong"):
            answer = await desk.ask(method, filled(path, "main"), token=token)
            assert answer.status_code == 401, (method, path)


async def test_every_route_is_closed_to_the_admin_of_another_tenant(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    token = await desk.tenant_admin("acme")
    for method, path in routes(desk):
        if (method, path) in ANY_ROLE:
            continue
        there = await desk.ask(method, filled(path, "main"), token=token)
        nobody = await desk.ask(method, filled(path, "nobody"), token=token)
        assert there.status_code == nobody.status_code, (method, path)
        assert there.json()["code"] == nobody.json()["code"], (method, path)
        closed = {"UnknownTenant"} if "{tenant}" in path else set()
        assert there.json()["code"] in {"Forbidden", *closed}, (method, path)


async def test_every_route_of_a_tenant_that_is_not_there_says_so(desk: Desk) -> None:
    for method, path in routes(desk):
        if "{tenant}" in path:
            assert await desk.refusal(method, filled(path, "nobody")) == "404 UnknownTenant"
