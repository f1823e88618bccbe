"""/api/v1/tokens."""

from __future__ import annotations

from tests.control.api.desk import Desk


async def test_token_made_by_the_api_is_one_until_it_is_deleted(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    asked = {"role": "tenant-admin", "tenant": "acme"}
    made = (await desk.ask("POST", "/tokens", asked)).json()
    assert (made["role"], made["tenant"]) == ("tenant-admin", "acme")
    assert (await desk.ask("GET", "/tenants/acme", token=made["token"])).status_code == 200
    listed = (await desk.ask("GET", "/tokens")).json()["items"]
    assert {name: made[name] for name in listed[0]} in listed
    assert made["token"] not in str(listed)
    assert (await desk.ask("DELETE", f"/tokens/{made['id']}")).status_code == 204
    assert (await desk.ask("GET", "/tenants/acme", token=made["token"])).status_code == 401
    assert await desk.refusal("DELETE", f"/tokens/{made['id']}") == "404 UnknownToken"
    assert await desk.refusal("DELETE", f"/tokens/{'x' * 600}") == "404 UnknownToken"


async def test_token_of_half_a_role_is_refused(desk: Desk) -> None:
    for asked in ({"role": "owner"}, {"role": "tenant-admin"}, {"role": "admin", "tenant": "main"}):
        assert await desk.refusal("POST", "/tokens", asked) == "400 BadRequest"
    asked = {"role": "tenant-admin", "tenant": "nobody"}
    assert await desk.refusal("POST", "/tokens", asked) == "404 UnknownTenant"


async def test_tenant_admin_makes_no_tokens(desk: Desk) -> None:
    token = await desk.tenant_admin("main")
    for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("DELETE", "/tokens/x")):
        assert await desk.refusal(method, path, {"role": "admin"}, token=token) == "403 Forbidden"


async def test_tokens_come_in_parts(desk: Desk) -> None:
    for _ in range(3):
        await desk.catalog.create_token("admin")
    first = (await desk.ask("GET", "/tokens?limit=3")).json()
    rest = (await desk.ask("GET", f"/tokens?limit=3&after={first['next']}")).json()
    found = [token["id"] for token in [*first["items"], *rest["items"]]]
    assert found == [token.id for token in desk.catalog.list_tokens()]
    assert rest["next"] == ""
