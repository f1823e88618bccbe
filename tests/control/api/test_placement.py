"""/api/v1/tenants/{tenant}/placement, and that of buckets."""

from __future__ import annotations

import msgspec

from s3proxy.placement import Facts
from s3proxy.s3.placement import Rules
from tests.control.api.desk import Desk

BUCKET = "/tenants/main/buckets/www/placement"
TENANT = "/tenants/main/placement"


async def test_bucket_placement_is_set_explained_and_cleared(desk: Desk) -> None:
    desk.services.facts = {"disk": Facts("disk", "local", country="fi")}
    before = (await desk.ask("GET", BUCKET)).json()
    assert (before["rules"], before["home"], before["wanted"]) == ([], "disk", 1)
    assert before["backends"][0]["reason"] == "the bucket is there; no rules are in force"
    answer = await desk.ask("PUT", BUCKET, {"countries": ["fi"], "replicas": 1})
    assert answer.status_code == 200
    assert [rule["source"] for rule in answer.json()["rules"]] == ["bucket", "bucket"]
    (verdict,) = answer.json()["backends"]
    assert (verdict["position"], verdict["chosen"], verdict["state"]) == (1, True, "closed")
    record = desk.catalog.get_bucket("www")
    assert record is not None
    assert (record.placement_revision, verdict["container"]) == (1, record.container)
    assert (await desk.ask("DELETE", BUCKET)).status_code == 204
    assert (await desk.ask("GET", BUCKET)).json()["rules"] == []


async def test_explain_of_an_object_shows_where_it_is(desk: Desk) -> None:
    await desk.lab.put("/www/small", b"x")
    await desk.lab.put("/www/large", bytes(5000))
    pieces = [
        (await desk.ask("GET", f"{BUCKET}?key={key}")).json()["pieces"]
        for key in ("small", "large")
    ]
    assert pieces == [
        [{"size": 1, "backends": ["the catalog"], "owed": []}],
        [{"size": 5000, "backends": ["disk"], "owed": []}],
    ]
    assert await desk.refusal("GET", f"{BUCKET}?key=nothing") == "404 NoSuchKey"
    assert await desk.refusal("GET", f"{BUCKET}?key=") == "400 BadRequest"


async def test_bucket_whose_rules_have_more_names_than_may_be_set_is_shown(desk: Desk) -> None:
    many = Rules(regions=("disk",) * 100)
    await desk.catalog.update_bucket(
        desk.lab.bucket(), lambda now: msgspec.structs.replace(now, placement=many)
    )
    shown = (await desk.ask("GET", "/tenants/main/buckets/www")).json()
    assert shown["placement"]["regions"] == ["disk"] * 100
    assert (await desk.ask("GET", BUCKET)).status_code == 200


async def test_tenant_placement_is_set_shown_and_cleared(desk: Desk) -> None:
    answer = await desk.ask("PUT", TENANT, {"regions": ["disk"]})
    assert answer.json()["regions"] == ["disk"]
    assert (await desk.ask("GET", TENANT)).json()["regions"] == ["disk"]
    assert (await desk.ask("GET", BUCKET)).json()["rules"][0]["source"] == "tenant"
    assert (await desk.ask("DELETE", TENANT)).status_code == 204
    assert (await desk.ask("GET", TENANT)).json()["regions"] == []


async def test_placement_that_cannot_be_kept_is_refused(desk: Desk) -> None:
    for document, code in (
        ({"regions": ["mars"]}, "400 InvalidRequest"),
        ({"replicas": 2}, "400 InvalidRequest"),
        ({"replicas": 1, "write_quorum": 2}, "400 InvalidRequest"),
        ({"countries_forbidden": ["usa"]}, "400 InvalidRequest"),
        ({"replicas": 65}, "400 BadRequest"),
        ({}, "400 BadRequest"),
        ({"regions": [], "replicas": 0}, "400 BadRequest"),
        ({"region": ["disk"]}, "400 BadRequest"),
    ):
        assert await desk.refusal("PUT", BUCKET, document) == code
        assert await desk.refusal("PUT", TENANT, document) == code
    files = "/tenants/main/buckets/files/placement"
    assert (await desk.ask("GET", files)).json()["rules"] == []
    assert await desk.refusal("GET", f"{files}?key=k") == "501 NotImplemented"
    assert await desk.refusal("PUT", files, {"replicas": 1}) == "501 NotImplemented"
    gone = "/tenants/main/buckets/gone/placement"
    for method in ("GET", "DELETE"):
        assert await desk.refusal(method, gone) == "404 NoSuchBucket"


async def test_placement_is_shown_to_admins_of_the_tenant_and_changed_by_others(
    desk: Desk,
) -> None:
    token = await desk.tenant_admin("main")
    for path in (BUCKET, TENANT):
        assert (await desk.ask("GET", path, token=token)).status_code == 200
        refused = await desk.refusal("PUT", path, {"replicas": 1}, token=token)
        assert refused == "403 Forbidden"
        assert await desk.refusal("DELETE", path, token=token) == "403 Forbidden"
    await desk.catalog.create_tenant("other")
    stranger = await desk.tenant_admin("other")
    assert await desk.refusal("GET", BUCKET, token=stranger) == "404 UnknownTenant"
