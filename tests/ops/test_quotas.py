"""Quotas as operations meet them: before a body is read, and when others were faster."""

from __future__ import annotations

from typing import Any

import pytest

from s3proxy.s3.limits import Quota
from tests.ops.lab import FakeBody, Lab
from tests.ops.uploads import completion, put_parts
from tests.s3.heads import raises_s3

LARGE = bytes(50_000)


async def limit(lab: Lab, bucket: str = "www", **quota: int) -> None:
    await lab.catalog.set_bucket_quota(lab.bucket(bucket), Quota(**quota))


def used(lab: Lab, bucket: str = "www") -> tuple[int, int]:
    usage = lab.catalog.get_usage(lab.bucket(bucket))
    assert usage is not None and usage.cursor is None
    return usage.bytes, usage.objects


def be_late(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write find room before it begins: others take it meanwhile."""

    def found(*_: Any) -> None:
        pass

    monkeypatch.setattr(lab.catalog, "require_room", found)
    monkeypatch.setattr(lab.catalog, "require_part_room", found)


async def test_put_without_room_is_refused_before_its_body_is_read(lab: Lab) -> None:
    await limit(lab, bytes=len(LARGE) - 1)
    body = FakeBody(LARGE)
    with raises_s3("QuotaExceeded"):
        await lab.ask("PUT", "/www/k", body=body)
    started = await lab.ask("POST", "/www/k?uploads")
    target = f"/www/k?uploadId={started.text('UploadId')}&partNumber=1"
    with raises_s3("QuotaExceeded"):
        await lab.ask("PUT", target, body=body)
    assert body.reads == 0


async def test_put_whose_room_was_taken_meanwhile_leaves_no_blob(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.put("/www/k", LARGE)
    await limit(lab, bytes=len(LARGE))
    be_late(lab, monkeypatch)
    with raises_s3("QuotaExceeded"):
        await lab.put("/www/other", LARGE)
    started = await lab.ask("POST", "/www/parts?uploads")
    with raises_s3("QuotaExceeded"):
        await lab.put(f"/www/parts?uploadId={started.text('UploadId')}&partNumber=1", LARGE)
    kept = lab.record("k").blobs[0].id
    assert set(lab.garbage()) == {name for name in lab.blobs() if name != kept}
    assert len(lab.garbage()) == 2
    assert lab.catalog.open_intents() == []
    assert used(lab) == (len(LARGE), 1)


async def test_complete_without_room_keeps_the_upload(lab: Lab) -> None:
    await limit(lab, objects=0)
    started = await lab.ask("POST", "/www/k?uploads")
    upload = f"/www/k?uploadId={started.text('UploadId')}"
    part = await lab.put(f"{upload}&partNumber=1", b"123")
    with raises_s3("QuotaExceeded"):
        await lab.ask("POST", upload, completion(part.etag))
    assert used(lab) == (3, 0)
    await limit(lab, objects=1)
    await lab.ask("POST", upload, completion(part.etag))
    assert used(lab) == (3, 1)


async def test_complete_at_a_provider_whose_room_was_taken_meanwhile_is_aborted(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(s3_lab, "far", objects=0)
    with raises_s3("QuotaExceeded"):
        await put_parts(s3_lab, "/far/k", b"0123456789")
    assert used(s3_lab, "far") == (10, 0)
    be_late(s3_lab, monkeypatch)
    with raises_s3("QuotaExceeded"):
        await put_parts(s3_lab, "/far/k", b"0123456789")
    assert used(s3_lab, "far") == (10, 0)
    assert len(s3_lab.catalog.list_uploads(s3_lab.bucket("far")).entries) == 1
    await limit(s3_lab, "far", objects=1)
    await put_parts(s3_lab, "/far/k", b"0123456789")
    assert used(s3_lab, "far") == (20, 1)


async def test_copy_without_room_is_refused_unless_it_is_onto_itself(lab: Lab) -> None:
    await lab.put("/www/k", LARGE)
    await limit(lab, bytes=len(LARGE), objects=1)
    with raises_s3("QuotaExceeded"):
        await lab.ask("PUT", "/www/copy", x_amz_copy_source="/www/k")
    await lab.ask("PUT", "/www/k", x_amz_copy_source="/www/k", x_amz_metadata_directive="REPLACE")
    assert used(lab) == (len(LARGE), 1)


async def test_encrypted_object_counts_as_large_as_it_is_told(lab: Lab) -> None:
    await limit(lab, bytes=len(LARGE))
    await lab.put("/www/k", LARGE, x_amz_server_side_encryption="AES256")
    assert used(lab) == (len(LARGE), 1)


async def test_attached_bucket_in_a_tenant_with_a_quota_is_served_as_before(lab: Lab) -> None:
    await lab.catalog.set_tenant_quota("main", Quota(bytes=0))
    while await lab.catalog.count_step():
        pass
    await lab.put("/files/k", b"1")
    with raises_s3("QuotaExceeded"):
        await lab.put("/www/k", b"1")
    await lab.put("/www/empty", b"")
