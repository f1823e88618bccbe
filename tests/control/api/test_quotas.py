"""/api/v1: buckets, quotas and limits of keys."""

from __future__ import annotations

import pytest

from s3proxy.s3.errors import S3Error
from tests.control.api.desk import Desk

BUCKET = "/tenants/main/buckets/www"


async def test_bucket_quota_is_set_shown_enforced_and_cleared(desk: Desk) -> None:
    await desk.lab.put("/www/key", b"12345")
    quota = {"bytes": 6, "objects": None}
    answer = await desk.ask("PUT", f"{BUCKET}/quota", quota)
    held = {"quota": quota, "usage": {"bytes": 5, "objects": 1, "counting": False}}
    assert (answer.status_code, answer.json()) == (200, held)
    assert (await desk.ask("GET", f"{BUCKET}/quota")).json() == held
    assert (await desk.ask("GET", BUCKET)).json()["held"] == held
    with pytest.raises(S3Error) as caught:
        await desk.lab.put("/www/other", b"12")
    error = caught.value
    assert (error.code, error.status, error.fields) == (
        "QuotaExceeded",
        403,
        {"Limit": "bucket-bytes"},
    )
    assert (await desk.ask("DELETE", f"{BUCKET}/quota")).status_code == 204
    assert (await desk.ask("GET", f"{BUCKET}/quota")).json() == {"quota": None, "usage": None}


async def test_tenant_quota_is_set_shown_and_cleared(desk: Desk) -> None:
    answer = await desk.ask("PUT", "/tenants/main/quota", {"objects": 3})
    assert answer.json()["usage"]["counting"] is True
    while await desk.catalog.count_step():
        pass
    shown = (await desk.ask("GET", "/tenants/main/quota")).json()
    assert shown == {
        "quota": {"bytes": None, "objects": 3},
        "usage": {"bytes": 0, "objects": 0, "counting": False},
    }
    assert (await desk.ask("DELETE", "/tenants/main/quota")).status_code == 204
    assert (await desk.ask("GET", "/tenants/main/quota")).json()["quota"] is None


async def test_quota_of_a_tenant_is_not_changed_by_its_own_administrators(desk: Desk) -> None:
    token = await desk.tenant_admin("main")
    assert (await desk.ask("GET", "/tenants/main/quota", token=token)).status_code == 200
    tenant = "/tenants/main/quota"
    assert await desk.refusal("PUT", tenant, {"bytes": 1}, token=token) == "403 Forbidden"
    assert await desk.refusal("DELETE", tenant, token=token) == "403 Forbidden"
    bucket = await desk.ask("PUT", f"{BUCKET}/quota", {"bytes": 1}, token=token)
    assert bucket.status_code == 200


async def test_quota_that_cannot_be_is_refused(desk: Desk) -> None:
    for document in ({}, {"bytes": None}):
        for path in (f"{BUCKET}/quota", "/tenants/main/quota"):
            assert await desk.refusal("PUT", path, document) == "400 InvalidQuota"
    assert (await desk.ask("GET", "/tenants/main/quota")).json()["quota"] is None
    for document in ({"bytes": -1}, {"bytes": 1 << 63}, {"objects": "x"}, {"size": 1}):
        assert await desk.refusal("PUT", f"{BUCKET}/quota", document) == "400 BadRequest"
    files = "/tenants/main/buckets/files/quota"
    assert await desk.refusal("PUT", files, {"bytes": 1}) == "409 UnsupportedBucket"
    gone = "/tenants/main/buckets/gone"
    assert await desk.refusal("GET", gone) == "404 NoSuchBucket"
    assert await desk.refusal("GET", f"{gone}/quota") == "404 NoSuchBucket"


async def test_buckets_are_listed_in_parts_and_shown_whole(desk: Desk) -> None:
    names = [bucket.name for bucket in desk.catalog.list_buckets()]
    first = (await desk.ask("GET", "/tenants/main/buckets?limit=1")).json()
    assert ([one["name"] for one in first["items"]], first["next"]) == (names[:1], names[0])
    rest = (await desk.ask("GET", f"/tenants/main/buckets?after={first['next']}")).json()
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (names[1:], "")
    shown = (await desk.ask("GET", BUCKET)).json()
    record = desk.catalog.get_bucket("www")
    assert record is not None
    assert shown["containers"] == {"disk": record.container}
    assert shown["kind"] == "managed"
    assert shown["configurations"] == ["ownership_controls", "public_access_block"]


async def test_key_limits_are_set_by_administrators_of_everything(desk: Desk) -> None:
    key = (await desk.catalog.create_key("alice")).record.access_key
    path = f"/tenants/main/keys/{key}/limits"
    limits = {"requests_per_s": 5, "requests_burst": 9, "bytes_per_s": 0, "bytes_burst": 0}
    answer = await desk.ask("PUT", path, {"requests_per_s": 5, "requests_burst": 9})
    assert (answer.status_code, answer.json()["limits"]) == (200, limits)
    shown = (await desk.ask("GET", f"/tenants/main/keys/{key}")).json()
    assert shown["limits"] == limits
    token = await desk.tenant_admin("main")
    assert await desk.refusal("PUT", path, {}, token=token) == "403 Forbidden"
    assert await desk.refusal("DELETE", path, token=token) == "403 Forbidden"
    assert (await desk.ask("DELETE", path)).json()["limits"] is None
    assert await desk.refusal("PUT", path, {"requests_per_s": -1}) == "400 BadRequest"
    assert await desk.refusal("PUT", path, {"bytes_burst": 1}) == "400 BadRequest"
    unknown = "/tenants/main/keys/AKIANOBODY/limits"
    assert await desk.refusal("PUT", unknown, {}) == "404 UnknownKey"
