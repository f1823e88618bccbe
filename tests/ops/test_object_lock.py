"""Object lock over the operations: nothing deletes a locked version, whoever asks in what way."""

import base64
import hashlib

import msgspec
import pytest
import trio

from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import ObjectRecord
from s3proxy.s3.errors import S3Error
from s3proxy.s3.object_lock import ObjectLock
from s3proxy.s3.time import iso8601
from tests.ops.deletions import delete, delete_document
from tests.ops.lab import Answer, Lab
from tests.ops.uploads import put_parts
from tests.s3.heads import raises_s3

DAY_NS = 86_400 * 1_000_000_000
GOVERNED = (
    b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
    b"<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"
    b"</ObjectLockConfiguration>"
)
SUSPENDED = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"


@pytest.fixture
async def locking(lab: Lab) -> Lab:
    """The lab, with a bucket `vault` that has object lock."""
    await lab.put("/vault", b"", x_amz_bucket_object_lock_enabled="true")
    return lab


def md5_of(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


async def put_locked(lab: Lab, mode: str, days: int = 1, key: str = "k") -> str:
    until = iso8601(lab.services.now_ns() + days * DAY_NS)
    done = await lab.put(
        f"/vault/{key}",
        b"x",
        content_md5=md5_of(b"x"),
        x_amz_object_lock_mode=mode,
        x_amz_object_lock_retain_until_date=until,
    )
    return done.headers["x-amz-version-id"]


async def retain(lab: Lab, version: str, mode: str, days: int, **headers: str) -> Answer:
    until = iso8601(lab.services.now_ns() + days * DAY_NS)
    document = (
        f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
    )
    target = f"/vault/k?retention&versionId={version}"
    return await lab.put(target, document.encode(), **headers)


async def hold(lab: Lab, status: str) -> Answer:
    document = f"<LegalHold><Status>{status}</Status></LegalHold>".encode()
    return await lab.put("/vault/k?legal-hold", document)


async def test_create_bucket_with_object_lock_has_versions_for_good(locking: Lab) -> None:
    lab = locking
    assert (await lab.get("/vault?versioning")).text("Status") == "Enabled"
    assert (await lab.get("/vault?object-lock")).text("ObjectLockEnabled") == "Enabled"
    with raises_s3("InvalidBucketState"):
        await lab.put("/vault?versioning", SUSPENDED)
    with raises_s3("BucketAlreadyOwnedByYou"):
        await lab.put("/vault", b"")
    with raises_s3("ObjectLockConfigurationNotFoundError"):
        await lab.get("/www?object-lock")


async def test_put_object_lock_configuration_needs_versions(lab: Lab) -> None:
    enabled = SUSPENDED.replace(b"Suspended", b"Enabled")
    for bucket in ("www", "files"):
        with raises_s3("InvalidBucketState"):
            await lab.put(f"/{bucket}?object-lock", GOVERNED)
    await lab.put("/www?versioning", enabled)
    assert (await lab.put("/www?object-lock", GOVERNED)).status == 200
    assert (await lab.get("/www?object-lock")).text("Days") == "1"


async def test_lock_in_a_bucket_without_object_lock_is_refused(lab: Lab) -> None:
    for bucket in ("www", "files"):
        with raises_s3("InvalidRequest"):
            await lab.put(f"/{bucket}/k", b"", x_amz_object_lock_legal_hold="ON")
        with raises_s3("InvalidRequest"):
            await lab.ask("POST", f"/{bucket}/k?uploads", x_amz_object_lock_legal_hold="ON")
        for sub_resource in ("retention", "legal-hold"):
            with raises_s3("InvalidRequest"):
                await lab.get(f"/{bucket}/k?{sub_resource}")
            with raises_s3("InvalidRequest"):
                await lab.put(f"/{bucket}/k?{sub_resource}", b"")


async def test_locked_write_needs_a_digest(locking: Lab) -> None:
    with raises_s3("InvalidRequest"):
        await locking.put("/vault/k", b"x", x_amz_object_lock_legal_hold="ON")


async def test_default_retention_locks_every_new_object(locking: Lab) -> None:
    lab = locking
    await lab.put("/vault?object-lock", GOVERNED)
    await lab.put("/vault/k", b"x")
    head = await lab.ask("HEAD", "/vault/k")
    assert head.headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    until = head.headers["x-amz-object-lock-retain-until-date"]
    assert until == iso8601(lab.services.now_ns() + DAY_NS)
    await put_parts(lab, "/vault/parts", b"part")
    copied = await lab.put("/vault/copy", b"", x_amz_copy_source="/vault/k")
    assert copied.status == 200
    for key in ("parts", "copy"):
        assert (await lab.get(f"/vault/{key}")).headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    await put_locked(lab, "COMPLIANCE", key="own")
    assert (await lab.get("/vault/own")).headers["x-amz-object-lock-mode"] == "COMPLIANCE"


async def test_locked_version_is_not_deleted(locking: Lab) -> None:
    lab = locking
    version = await put_locked(lab, "GOVERNANCE")
    target = f"/vault/k?versionId={version}"
    with raises_s3("AccessDenied"):
        await lab.ask("DELETE", target)
    document = delete_document("k", extra=f"<VersionId>{version}</VersionId>")
    assert (await delete(lab, "vault", document)).text("Code") == "AccessDenied"
    marker = (await lab.ask("DELETE", "/vault/k")).headers["x-amz-version-id"]
    with raises_s3("AccessDenied"):
        await lab.ask("DELETE", target)
    await lab.ask("DELETE", f"/vault/k?versionId={marker}")
    assert (await lab.get("/vault/k")).body == b"x"
    with raises_s3("BucketNotEmpty"):
        await lab.ask("DELETE", "/vault")
    bypassed = await lab.ask("DELETE", target, x_amz_bypass_governance_retention="true")
    assert bypassed.status == 204


async def test_compliance_has_no_bypass_but_ends(locking: Lab) -> None:
    lab = locking
    version = await put_locked(lab, "COMPLIANCE")
    target = f"/vault/k?versionId={version}"
    with raises_s3("AccessDenied"):
        await lab.ask("DELETE", target, x_amz_bypass_governance_retention="true")
    lab.clock.ns += DAY_NS + 1_000_000
    assert (await lab.ask("DELETE", target)).status == 204


async def test_legal_hold_holds_until_it_is_lifted(locking: Lab) -> None:
    lab = locking
    version = (await lab.put("/vault/k", b"x")).headers["x-amz-version-id"]
    with raises_s3("NoSuchObjectLockConfiguration"):
        await lab.get("/vault/k?legal-hold")
    held = await hold(lab, "ON")
    assert held.headers["x-amz-version-id"] == version
    assert (await lab.get("/vault/k?legal-hold")).text("Status") == "ON"
    with raises_s3("AccessDenied"):
        await lab.ask(
            "DELETE",
            f"/vault/k?versionId={version}",
            x_amz_bypass_governance_retention="true",
        )
    await hold(lab, "OFF")
    assert (await lab.get("/vault/k?legal-hold")).text("Status") == "OFF"
    assert (await lab.ask("DELETE", f"/vault/k?versionId={version}")).status == 204


async def test_retention_grows_for_everybody_and_shrinks_by_bypass(locking: Lab) -> None:
    lab = locking
    version = await put_locked(lab, "GOVERNANCE", days=2)
    await retain(lab, version, "GOVERNANCE", 3)
    with raises_s3("AccessDenied"):
        await retain(lab, version, "GOVERNANCE", 1)
    with raises_s3("AccessDenied"):
        await retain(lab, version, "COMPLIANCE", 3)
    with raises_s3("AccessDenied"):
        await lab.put(f"/vault/k?retention&versionId={version}", b"<Retention/>")
    bypass = {"x_amz_bypass_governance_retention": "true"}
    await retain(lab, version, "GOVERNANCE", 1, **bypass)
    await retain(lab, version, "COMPLIANCE", 1, **bypass)
    with raises_s3("AccessDenied"):
        await retain(lab, version, "GOVERNANCE", 9, **bypass)
    await retain(lab, version, "COMPLIANCE", 2)
    found = await lab.get("/vault/k?retention")
    assert found.text("RetainUntilDate") == iso8601(lab.services.now_ns() + 2 * DAY_NS)


async def test_retention_of_nothing(locking: Lab) -> None:
    lab = locking
    with raises_s3("NoSuchKey"):
        await lab.get("/vault/absent?retention")
    with raises_s3("NoSuchVersion"):
        await retain(lab, "0" * 32, "GOVERNANCE", 1)
    version = (await lab.put("/vault/k", b"x")).headers["x-amz-version-id"]
    with raises_s3("NoSuchObjectLockConfiguration"):
        await lab.get("/vault/k?retention")
    marker = (await lab.ask("DELETE", "/vault/k")).headers["x-amz-version-id"]
    with raises_s3("MethodNotAllowed"):
        await retain(lab, marker, "GOVERNANCE", 1)
    assert (await retain(lab, version, "GOVERNANCE", 1)).status == 200


async def test_lock_against_delete_one_wins_and_nothing_locked_is_gone(locking: Lab) -> None:
    """A hold and a delete of the same version, at once, 200 times in either order."""
    lab = locking
    bucket = lab.bucket("vault")
    outcomes = set()

    def held(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, lock=ObjectLock(legal_hold="ON"))

    for number in range(200):
        version = (await lab.put("/vault/k", b"x")).headers["x-amz-version-id"]
        results: dict[str, str] = {}

        async def lock(results: dict[str, str] = results) -> None:
            found = await lab.catalog.update_object(bucket, "k", held)
            results["lock"] = "absent" if found is None else "done"

        async def remove(version: str = version, results: dict[str, str] = results) -> None:
            try:
                await lab.catalog.delete_object(bucket, Deletion("k", version))
                results["delete"] = "done"
            except S3Error as error:
                results["delete"] = error.code

        async with trio.open_nursery() as nursery:
            for task in (lock, remove) if number % 2 else (remove, lock):
                nursery.start_soon(task)
        outcomes.add((results["lock"], results["delete"]))
        if results["lock"] == "done":
            assert (await lab.get(f"/vault/k?versionId={version}")).body == b"x"
            await hold(lab, "OFF")
            await lab.ask("DELETE", f"/vault/k?versionId={version}")
    assert outcomes == {("done", "AccessDenied"), ("absent", "done")}
