"""Who may use the control API."""

from __future__ import annotations

import pytest

from s3proxy.catalog.tokens import ADMIN
from s3proxy.control.api import guard
from s3proxy.control.api.guard import FAILURES_MAX, REMEMBERED_S, Verifier
from s3proxy.control.api.problems import ApiError
from tests.control.api.desk import Desk


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that were hashed."""
    seen: list[str] = []
    slow = guard.is_secret_of

    def counted(record: guard.TokenRecord, secret: str) -> bool:
        seen.append(secret)
        return slow(record, secret)

    monkeypatch.setattr(guard, "is_secret_of", counted)
    return seen


@pytest.mark.parametrize("token", ["", "s3p", "s3p_nobody_secret", "x_y_z", "s3p__"])
async def test_without_a_token_that_is_one_nothing_is_told(desk: Desk, token: str) -> None:
    answer = await desk.ask("GET", "/tenants", token=token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "Unauthorized"


async def test_another_scheme_than_bearer_is_refused(desk: Desk) -> None:
    headers = {"Authorization": f"Basic {desk.token}"}
    answer = await desk.client.get("/api/v1/tenants", headers=headers)
    assert answer.status_code == 401


async def test_probes_and_schema_need_no_token(desk: Desk) -> None:
    paths = ["/healthz", "/readyz", "/metrics", "/schema"]
    assert [(await desk.client.get(path)).status_code for path in paths] == [200] * 4


async def test_wrong_secret_of_a_token_is_refused(desk: Desk) -> None:
    assert (await desk.ask("GET", "/tenants", token=desk.token + "x")).status_code == 401


async def test_deleted_token_is_refused_at_once(desk: Desk) -> None:
    assert (await desk.ask("GET", "/tenants")).status_code == 200
    await desk.catalog.delete_token(desk.token.split("_")[1])
    assert (await desk.ask("GET", "/tenants")).status_code == 401


async def test_tenant_admin_is_shown_their_own_tenant_alone(desk: Desk) -> None:
    for name in ("acme", "other"):
        await desk.catalog.create_tenant(name)
    token = await desk.tenant_admin("acme")
    listed = (await desk.ask("GET", "/tenants", token=token)).json()
    assert [tenant["name"] for tenant in listed["items"]] == ["acme"]
    assert (await desk.ask("GET", "/tenants/acme", token=token)).status_code == 200
    nobody = await desk.refusal("GET", "/tenants/nobody", token=token)
    assert await desk.refusal("GET", "/tenants/other", token=token) == nobody
    assert nobody == "404 UnknownTenant"


async def test_tenant_admin_may_not_change_tenants(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    token = await desk.tenant_admin("acme")
    for method, path in [
        ("POST", "/tenants"),
        ("DELETE", "/tenants/acme"),
        ("POST", "/tenants/acme/disable"),
        ("POST", "/tenants/acme/enable"),
    ]:
        assert await desk.refusal(method, path, {"name": "x"}, token=token) == "403 Forbidden"


async def test_admin_of_a_disabled_tenant_is_refused(desk: Desk) -> None:
    await desk.catalog.create_tenant("acme")
    token = await desk.tenant_admin("acme")
    await desk.catalog.set_tenant_enabled("acme", False)
    assert await desk.refusal("GET", "/tenants/acme", token=token) == "403 Forbidden"


async def test_verifier_hashes_a_good_secret_once_in_a_while(desk: Desk, hashes: list[str]) -> None:
    clock = Seconds()
    verifier = Verifier(desk.catalog, clock)
    token = await desk.catalog.create_token(ADMIN)
    for _ in range(3):
        assert await verifier.verify(token.text) == token.record
    assert len(hashes) == 1
    clock.now = REMEMBERED_S + 1
    assert await verifier.verify(token.text) == token.record
    assert len(hashes) == 2


async def test_verifier_hashes_few_wrong_secrets_of_one_token(
    desk: Desk, hashes: list[str]
) -> None:
    clock = Seconds()
    verifier = Verifier(desk.catalog, clock)
    token = await desk.catalog.create_token(ADMIN)
    for _ in range(FAILURES_MAX):
        assert await verifier.verify(token.text + "x") is None
    with pytest.raises(ApiError) as caught:
        await verifier.verify(token.text + "x")
    assert (caught.value.status, len(hashes)) == (429, FAILURES_MAX)
    clock.now = float(caught.value.headers["Retry-After"])
    assert await verifier.verify(token.text) == token.record


async def test_verifier_that_saw_the_good_secret_takes_it_among_wrong_ones(desk: Desk) -> None:
    clock = Seconds()
    verifier = Verifier(desk.catalog, clock)
    token = await desk.catalog.create_token(ADMIN)
    assert await verifier.verify(token.text)
    clock.now = REMEMBERED_S + 1
    for _ in range(FAILURES_MAX):
        await verifier.verify(token.text + "x")
    assert await verifier.verify(token.text) == token.record


async def test_verifier_hashes_nothing_for_an_id_that_is_none(
    desk: Desk, hashes: list[str]
) -> None:
    verifier = Verifier(desk.catalog)
    assert await verifier.verify("s3p_aaaaaaaaaaaaaaaa_secret") is None
    assert hashes == []


async def test_token_that_cannot_be_looked_up_is_answered_with_a_problem(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_identifier: str) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(desk.catalog, "get_token", broken)
    assert await desk.refusal("GET", "/tenants") == "500 InternalError"
