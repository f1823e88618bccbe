"""/api/v1/tenants."""

from __future__ import annotations

from tests.catalog.catalogs import bucket_record
from tests.control.api.desk import Desk


async def names(desk: Desk, query: str = "") -> list[str]:
    answer = await desk.ask("GET", f"/tenants{query}")
    return [tenant["name"] for tenant in answer.json()["items"]]


async def test_new_deployment_has_main_alone(desk: Desk) -> None:
    (main,) = (await desk.ask("GET", "/tenants")).json()["items"]
    assert main == {"name": "main", "enabled": True, "created": None}


async def test_tenant_made_is_listed_and_shown(desk: Desk) -> None:
    made = await desk.ask("POST", "/tenants", {"name": "acme"})
    assert made.status_code == 201
    assert made.json() == (await desk.ask("GET", "/tenants/acme")).json()
    assert made.json()["enabled"] is True
    assert await names(desk) == ["acme", "main"]


async def test_tenant_disabled_and_enabled_shows_so(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    assert (await desk.ask("POST", "/tenants/acme/disable")).json()["enabled"] is False
    assert (await desk.ask("GET", "/tenants/acme")).json()["enabled"] is False
    assert (await desk.ask("POST", "/tenants/acme/enable")).json()["enabled"] is True


async def test_tenant_deleted_is_gone(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    assert (await desk.ask("DELETE", "/tenants/acme")).status_code == 204
    assert await desk.refusal("GET", "/tenants/acme") == "404 UnknownTenant"


async def test_tenant_with_a_bucket_stays(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    await desk.catalog.create_bucket(bucket_record(tenant="acme"))
    assert await desk.refusal("DELETE", "/tenants/acme") == "409 DeleteConflict"
    assert await desk.refusal("DELETE", "/tenants/main") == "409 DeleteConflict"


async def test_tenant_that_cannot_be_made_is_refused(desk: Desk) -> None:
    assert await desk.refusal("POST", "/tenants", {"name": "A b"}) == "400 InvalidName"
    long = await desk.ask("POST", "/tenants", {"name": "A" * 100_000})
    assert (long.status_code, len(long.json()["detail"])) == (400, 2001)
    assert await desk.refusal("POST", "/tenants", {"name": "main"}) == "409 TenantExists"
    assert await desk.refusal("POST", "/tenants", {"nam": "x"}) == "400 BadRequest"
    assert await desk.refusal("POST", "/tenants", [1]) == "400 BadRequest"


async def test_long_list_comes_in_parts(desk: Desk) -> None:
    for name in ("a1", "b2", "x9", "y8"):
        await desk.catalog.create_tenant(name)
    seen, after = [], ""
    while True:
        page = (await desk.ask("GET", f"/tenants?limit=2&after={after}")).json()
        seen.append([tenant["name"] for tenant in page["items"]])
        after = page["next"]
        if not after:
            break
    assert seen == [["a1", "b2"], ["main", "x9"], ["y8"]]
    assert await desk.refusal("GET", "/tenants?limit=0") == "400 BadRequest"
    assert await desk.refusal("GET", "/tenants?limit=5000") == "400 BadRequest"


async def test_schema_tells_the_routes_and_that_a_token_is_needed(desk: Desk) -> None:
    schema = (await desk.client.get("/schema")).json()
    route = schema["paths"]["/api/v1/tenants/{tenant}"]["get"]
    assert route["security"] == [{"token": []}]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


async def test_bug_is_told_as_an_internal_error_alone(desk: Desk) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("secret detail")

    desk.catalog.list_tenants = broken  # type: ignore[method-assign, assignment]
    answer = await desk.ask("GET", "/tenants")
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert "secret detail" not in answer.text
