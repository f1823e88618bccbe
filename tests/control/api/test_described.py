"""OpenAPI tells what the API answers: every route is asked, and every answer held against it.

The desk holds all answers of all tests against the document; here each route answers well once, so
that none is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.catalog.owing import owe
from tests.control.api.described import Described
from tests.control.api.desk import Desk
from tests.ops.backing_up import Seconds, backups_at, local_place

POLICY = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
BUCKET = "/tenants/main/buckets/www"


async def asked(desk: Desk, *requests: tuple[Any, ...]) -> None:
    for method, path, *document in requests:
        answer = await desk.ask(method, path, *document)
        assert answer.is_success, (method, path, answer.text)


async def test_every_route_answers_as_it_is_described(desk: Desk, tmp_path: Path) -> None:
    desk.services.backups = backups_at(local_place(tmp_path), desk.catalog, tmp_path, Seconds())
    debt = await owe(desk.catalog, desk.lab.bucket(), "k", "de")
    await desk.lab.put("/www/key", b"12345")
    await asked(desk, ("POST", "/tenants", {"name": "acme"}), ("GET", "/tenants"))
    await asked(desk, *((how, "/tenants/acme") for how in ("GET", "HEAD")))
    await asked(desk, *(("POST", f"/tenants/acme/{how}able") for how in ("dis", "en")))
    user, policy = "/tenants/acme/users/ci", "/tenants/acme/users/ci/policy"
    await asked(desk, ("POST", "/tenants/acme/users", {"name": "ci"}), ("GET", user))
    await asked(desk, ("GET", "/tenants/acme/users"), ("PUT", policy, POLICY), ("GET", policy))
    await asked(desk, ("DELETE", policy), *(("POST", f"{user}/{how}able") for how in ("dis", "en")))
    made = (await desk.ask("POST", "/tenants/acme/keys", {"user": "ci"})).json()
    key = f"/tenants/acme/keys/{made['access_key']}"
    await asked(desk, ("GET", "/tenants/acme/keys"), ("PUT", f"{key}/limits", {"bytes_per_s": 5}))
    await asked(desk, *(("POST", f"{key}/{how}able") for how in ("dis", "en")), ("GET", key))
    await asked(desk, ("DELETE", f"{key}/limits"), ("DELETE", key), ("DELETE", user))
    await asked(desk, ("DELETE", "/tenants/acme"), ("GET", "/tenants/main/buckets"))
    for path in ("/tenants/main", BUCKET):
        quota = f"{path}/quota"
        await asked(desk, ("PUT", quota, {"objects": 9}), ("GET", quota), ("DELETE", quota))
        rules = f"{path}/placement"
        await asked(desk, ("PUT", rules, {"replicas": 1}), ("GET", rules), ("DELETE", rules))
    await asked(desk, ("GET", f"{BUCKET}/placement?key=key"), ("GET", BUCKET))
    token = (await desk.ask("POST", "/tokens", {"role": "admin"})).json()
    await asked(desk, ("GET", "/tokens"), ("DELETE", f"/tokens/{token['id']}"))
    retry = {"ids": [debt.blob.id]}
    await asked(desk, ("GET", "/replication"), ("GET", "/replication/debts"))
    await asked(desk, ("POST", "/replication/retry", retry), ("POST", "/backups"))
    await asked(desk, ("GET", "/backups"), ("GET", "/backends"), ("POST", "/backends/disk/test"))
    await asked(desk, *((how, "/backends/disk/drain") for how in ("GET", "POST", "DELETE")))
    described = {
        (method.upper(), path)
        for path, methods in desk.described.paths.items()
        for method in methods
        if path.startswith("/api/v1")
    }
    assert described - set(desk.described.seen) == set()


DOCUMENT: dict[str, Any] = {
    "paths": {
        "/api/v1/x": {
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/c/s/X"}}}}
                }
            }
        }
    },
    "components": {
        "schemas": {
            "X": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"oneOf": [{"type": "string"}, {"type": "null"}]},
                    "sizes": {"type": "array", "items": {"type": "integer"}},
                },
            }
        }
    },
}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"name": "x"}),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"name": 1}),
        httpx.Response(200, json={"name": "x", "more": 1}),
        httpx.Response(200, json={"name": "x", "sizes": [True]}),
        httpx.Response(200, content=b"{}", headers={"content-type": "text/plain"}),
    ],
    ids=["status", "missing", "type", "member", "more", "item", "media"],
)
def test_answer_that_is_not_as_described_is_found(answer: httpx.Response) -> None:
    described = Described(DOCUMENT)
    described.check("GET", "/api/v1/x?a=b", httpx.Response(200, json={"name": None, "sizes": [1]}))
    with pytest.raises(AssertionError):
        described.check("GET", "/api/v1/x", answer)
