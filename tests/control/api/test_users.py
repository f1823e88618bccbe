"""/api/v1/tenants/{tenant}/users and …/keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX
from tests.catalog.catalogs import bucket_record
from tests.control.api.desk import Desk, open_desk

POLICY = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        await opened.catalog.create_tenant("acme")
        yield opened


async def made_key(desk: Desk, user: str = "alice") -> dict[str, str]:
    if desk.catalog.get_user(user, "acme") is None:
        await desk.ask("POST", "/tenants/acme/users", {"name": user})
    answer = await desk.ask("POST", "/tenants/acme/keys", {"user": user})
    assert answer.status_code == 201
    key: dict[str, str] = answer.json()
    return key


async def test_user_made_is_shown_listed_and_deleted(desk: Desk) -> None:
    made = await desk.ask("POST", "/tenants/acme/users", {"name": "alice b"})
    assert made.status_code == 201, made.text
    shown = (await desk.ask("GET", "/tenants/acme/users/alice%20b")).json()
    assert shown == made.json()
    assert (shown["tenant"], shown["enabled"], shown["policy"]) == ("acme", True, False)
    listed = (await desk.ask("GET", "/tenants/acme/users")).json()
    assert listed == {"items": [shown], "next": ""}
    assert await desk.refusal("GET", "/tenants/main/users/alice%20b") == "404 UnknownUser"
    assert (await desk.ask("DELETE", "/tenants/acme/users/alice%20b")).status_code == 204
    assert await desk.refusal("GET", "/tenants/acme/users/alice%20b") == "404 UnknownUser"


async def test_user_that_cannot_be_made_is_refused(desk: Desk) -> None:
    path = "/tenants/acme/users"
    await desk.ask("POST", path, {"name": "alice"})
    assert await desk.refusal("POST", path, {"name": "alice"}) == "409 UserExists"
    assert await desk.refusal("POST", path, {"name": "a\nb"}) == "400 InvalidName"
    assert await desk.refusal("POST", path, {"name": 1}) == "400 BadRequest"
    assert await desk.refusal("POST", "/tenants/no/users", {"name": "x"}) == "404 UnknownTenant"


async def test_user_who_owns_a_bucket_stays(desk: Desk) -> None:
    alice = await desk.catalog.create_user("alice", "acme")
    bucket = bucket_record("hers", tenant="acme")
    await desk.catalog.create_bucket(msgspec.structs.replace(bucket, owner=alice.user_id))
    assert await desk.refusal("DELETE", "/tenants/acme/users/alice") == "409 DeleteConflict"


async def test_user_disabled_and_enabled_shows_so(desk: Desk) -> None:
    await desk.catalog.create_user("alice", "acme")
    path = "/tenants/acme/users/alice"
    assert (await desk.ask("POST", f"{path}/disable")).json()["enabled"] is False
    assert (await desk.ask("GET", path)).json()["enabled"] is False
    assert (await desk.ask("POST", f"{path}/enable")).json()["enabled"] is True
    assert await desk.refusal("POST", "/tenants/acme/users/bob/enable") == "404 UnknownUser"


async def test_policy_is_shown_as_it_was_set_until_it_is_deleted(desk: Desk) -> None:
    await desk.catalog.create_user("alice", "acme")
    path = "/tenants/acme/users/alice/policy"
    assert await desk.refusal("GET", path) == "404 NoSuchPolicy"
    assert (await desk.ask("PUT", path, POLICY)).json()["policy"] is True
    assert (await desk.ask("GET", path)).json() == POLICY
    assert await desk.refusal("PUT", path, {"Statement": 1}) == "400 MalformedPolicy"
    assert await desk.refusal("PUT", path, "x" * POLICY_BODY_BYTES_MAX) == "413 PolicyTooLong"
    assert (await desk.ask("DELETE", path)).status_code == 204
    assert await desk.refusal("GET", path) == "404 NoSuchPolicy"


async def test_key_secret_is_shown_when_it_is_made_alone(desk: Desk) -> None:
    key = await made_key(desk)
    record = desk.catalog.get_key(key["access_key"])
    assert record is not None
    assert desk.catalog.unseal(record) == key["secret_key"]
    shown = (await desk.ask("GET", f"/tenants/acme/keys/{key['access_key']}")).json()
    assert "secret_key" not in shown
    assert shown == {name: key[name] for name in shown}


async def test_key_limit_rotation_and_deletion(desk: Desk) -> None:
    first, _ = await made_key(desk), await made_key(desk)
    new, path = {"user": "alice"}, f"/tenants/acme/keys/{first['access_key']}"
    assert await desk.refusal("POST", "/tenants/acme/keys", new) == "409 LimitExceeded"
    assert (await desk.ask("POST", f"{path}/disable")).json()["enabled"] is False
    await made_key(desk)
    assert await desk.refusal("POST", f"{path}/enable") == "409 LimitExceeded"
    assert (await desk.ask("DELETE", path)).status_code == 204
    assert await desk.refusal("DELETE", path) == "404 UnknownKey"


async def test_key_of_a_user_who_is_not_there_makes_none(desk: Desk) -> None:
    path = "/tenants/acme/keys"
    assert await desk.refusal("POST", path, {"user": "eve"}) == "404 UnknownUser"
    assert desk.catalog.get_user("eve", "acme") is None


async def test_key_of_another_tenant_is_as_if_it_were_not_there(desk: Desk) -> None:
    key = (await desk.catalog.create_key("bob")).record.access_key
    token = await desk.tenant_admin("acme")
    for method, path in [
        ("GET", f"/tenants/acme/keys/{key}"),
        ("DELETE", f"/tenants/acme/keys/{key}"),
        ("POST", f"/tenants/acme/keys/{key}/disable"),
    ]:
        assert await desk.refusal(method, path, token=token) == "404 UnknownKey"
    assert desk.catalog.get_key(key) is not None


async def test_keys_come_in_parts_and_by_user(desk: Desk) -> None:
    made = [await made_key(desk, user) for user in ("alice", "bob", "bob", "carol")]
    seen, after = [], ""
    while True:
        page = (await desk.ask("GET", f"/tenants/acme/keys?limit=3&after={after}")).json()
        seen += [key["access_key"] for key in page["items"]]
        after = page["next"]
        if not after:
            break
    assert sorted(seen) == sorted(key["access_key"] for key in made)
    bobs = (await desk.ask("GET", "/tenants/acme/keys?user=bob")).json()["items"]
    assert {key["user"] for key in bobs} == {"bob"}
    assert len(bobs) == 2
    assert await desk.refusal("GET", "/tenants/acme/keys?user=eve") == "404 UnknownUser"
    assert await desk.refusal("GET", "/tenants/acme/keys?user=") == "400 BadRequest"


async def test_tenant_admin_administers_users_of_their_own_tenant_alone(desk: Desk) -> None:
    token = await desk.tenant_admin("acme")
    answer = await desk.ask("POST", "/tenants/acme/users", {"name": "alice"}, token=token)
    assert answer.status_code == 201
    for path in ("/tenants/main/users", "/tenants/nobody/users", "/tenants/main/keys"):
        assert await desk.refusal("GET", path, token=token) == "404 UnknownTenant"
        named = {"user" if path.endswith("keys") else "name": "x"}
        assert await desk.refusal("POST", path, named, token=token) == "404 UnknownTenant"
    assert desk.catalog.list_users("main") == []


async def test_user_whose_name_has_a_slash_is_not_made_by_what_could_not_name_them(
    desk: Desk,
) -> None:
    await desk.catalog.create_user("a/b", "acme")
    for path, document in (("users", {"name": "c/d"}), ("keys", {"user": "a/b"})):
        assert await desk.refusal("POST", f"/tenants/acme/{path}", document) == "400 BadRequest"
    assert desk.catalog.get_user("c/d", "acme") is None
