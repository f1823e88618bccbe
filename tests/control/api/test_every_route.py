"""Every route of the API, whoever wrote it: closed to strangers, and to other tenants' admins."""

from __future__ import annotations

import re

import pytest

from tests.control.api.desk import Desk

# Of no tenant, and open to every administrator, who is answered for their own tenant alone.
ANY_ROLE = {("GET", "/api/v1/tenants")}


def routes(desk: Desk) -> list[tuple[str, str]]:
    """Method and path of each, with `{names}` for parameters."""
    paths = desk.described.paths
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


async def test_path_that_is_no_route_is_not_told_to_strangers(desk: Desk) -> None:
    for method, path in (("GET", "/nosuch"), ("GET", ""), ("PATCH", "/tenants"), ("HEAD", "/x")):
        for under in (path, f"/{path}", f"{path}//"):
            answer = await desk.ask(method, under, token="")
            assert answer.status_code == 401, (method, under)
    assert await desk.refusal("GET", "/nosuch") == "404 NotFound"
    assert await desk.refusal("PATCH", "/tenants") == "405 MethodNotAllowed"


async def test_head_is_answered_as_get_is_without_the_body(desk: Desk) -> None:
    shown, head = await desk.ask("GET", "/tenants"), await desk.ask("HEAD", "/tenants")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == shown.headers["content-length"]
    assert (await desk.ask("HEAD", "/tenants/nobody")).status_code == 404
    assert (await desk.ask("HEAD", "/tenants", token="")).status_code == 401


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/tenants/main/placement", '{"regions": ["disk"], "regions": ["us"]}'),
        ("/tenants/main/quota", '{"bytes": 1, "byt\\u0065s": 2}'),
        ("/tenants/main/users/alice/policy", '{"Statement": [{"Effect": "Deny", "Effect": ""}]}'),
    ],
)
async def test_field_of_a_document_that_comes_twice_is_refused(
    desk: Desk, path: str, document: str
) -> None:
    headers = {"Authorization": f"Bearer {desk.token}", "Content-Type": "application/json"}
    answer = await desk.client.put(f"/api/v1{path}", headers=headers, content=document)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert "comes twice" in answer.json()["detail"]


async def test_query_parameter_that_no_route_knows_or_that_comes_twice_is_refused(
    desk: Desk,
) -> None:
    for method, path in routes(desk):
        target = f"{filled(path, 'main')}?limt=5"
        assert await desk.refusal(method, target) == "400 BadRequest", (method, path)
    assert await desk.refusal("GET", "/tenants?limit=1&limit=2") == "400 BadRequest"
    assert await desk.refusal("GET", "/tenants/main/users?tenant=other") == "400 BadRequest"


async def test_document_that_is_missing_or_too_large_is_refused(desk: Desk) -> None:
    headers = {"Authorization": f"Bearer {desk.token}", "Content-Type": "application/json"}
    for body, told in ((b"", "400 BadRequest"), (b" " * (2 << 20), "413 RequestEntityTooLarge")):
        answer = await desk.client.post("/api/v1/tenants", content=body, headers=headers)
        problem = answer.json()
        assert f"{problem['status']} {problem['code']}" == told
        assert answer.headers["content-type"] == "application/problem+json"


async def test_options_names_every_method_of_a_path(desk: Desk) -> None:
    methods: dict[str, set[str]] = {}
    for method, path in routes(desk):
        more = {"HEAD"} if method == "GET" else set()
        methods.setdefault(path, {"OPTIONS"}).update({method}, more)
    for path, allowed in methods.items():
        for method, status in (("OPTIONS", 204), ("PATCH", 405)):
            answer = await desk.ask(method, filled(path, "main"))
            assert answer.status_code == status, path
            assert answer.headers["allow"] == ", ".join(sorted(allowed)), path
    assert await desk.refusal("OPTIONS", "/nosuch") == "404 NotFound"
