"""The lifecycle worker, on a clock that the tests move: what it deletes, and what it lets be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.s3.lifecycle import DAY_NS, Expiration, Filter, Lifecycle, NoncurrentExpiration, Rule
from s3proxy.s3.lifecycle_xml import lifecycle_configuration
from s3proxy.s3.notification import Rule as EventRule
from s3proxy.s3.notification import notification
from s3proxy.s3.object_lock import ObjectLock
from s3proxy.workers import lifecycle as module
from s3proxy.workers.lifecycle import POLL_S, LifecycleWorker
from tests.ops.lab import Lab, open_lab

RATE = 10**9
AGED = Rule("aged", True, Filter("old/"), Expiration(days=1))
OLD = Rule("old", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1, 2))
LONE = Rule("lone", True, Filter(), Expiration(lone_markers=True))
UPLOADS = Rule("uploads", True, Filter("up/"), abort_days=2)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as lab:
        yield lab


async def obey(lab: Lab, *rules: Rule, bucket: str = "www") -> None:
    document = lifecycle_configuration(Lifecycle(rules), kept=True)
    await lab.catalog.put_bucket_config(lab.bucket(bucket), "lifecycle", document)


async def set_versioning(lab: Lab, state: str) -> None:
    def changed(record: BucketRecord) -> BucketRecord:
        return msgspec.structs.replace(record, versioning=state)

    await lab.catalog.update_bucket(lab.bucket(), changed)


async def finish(worker: LifecycleWorker) -> int:
    """Work until nothing is left for today; how many rounds that took."""
    rounds = 0
    while await worker.work():
        rounds += 1
    return rounds


def pass_days(lab: Lab, days: float) -> None:
    lab.clock.ns += int(days * DAY_NS)


def keys(lab: Lab, bucket: str = "www") -> list[str]:
    return [key for key, _ in lab.catalog.scan_objects(lab.bucket(bucket))]


def seen(lab: Lab) -> list[tuple[str, bool, bool]]:
    """(key, is a marker, is current) of all versions."""
    page = lab.catalog.list_versions(lab.bucket())
    return [(one.key, one.record.delete_marker, one.latest) for one in page.entries]


async def test_worker_expires_what_is_old_enough_and_nothing_else(lab: Lab) -> None:
    for key in ("old/1", "old/2", "new/1"):
        await lab.put(f"/www/{key}", b"1" * 2000)
    await obey(lab, AGED)
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    await finish(worker)
    assert keys(lab) == ["new/1", "old/1", "old/2"]
    pass_days(lab, 1)
    await lab.put("/www/old/2", b"2")
    pass_days(lab, 1)
    await finish(worker)
    assert keys(lab) == ["new/1", "old/2"]
    assert len(lab.garbage()) == 2  # of old/1, and of what old/2 replaced
    pass_days(lab, 1)
    await finish(worker)
    assert keys(lab) == ["new/1"]
    assert worker.counts["expired"] == 2


async def test_worker_walks_a_bucket_once_a_day_and_again_for_other_rules(lab: Lab) -> None:
    await obey(lab, AGED)
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    assert await finish(worker) == 1
    assert await finish(worker) == 0
    assert await finish(LifecycleWorker(lab.services, objects_per_s=RATE)) == 0
    await obey(lab, AGED, LONE)
    assert await finish(worker) == 1
    pass_days(lab, 1)
    assert await finish(worker) == 1
    await lab.ask("DELETE", "/www?lifecycle")
    pass_days(lab, 1)
    assert await finish(worker) == 0


async def test_worker_hides_current_versions_and_removes_older_ones(lab: Lab) -> None:
    await set_versioning(lab, "Enabled")
    for text in (b"1", b"2", b"3", b"4", b"5"):
        await lab.put("/www/old/k", text)
    await obey(lab, AGED, OLD)
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    pass_days(lab, 1)
    await finish(worker)
    assert len(seen(lab)) == 5  # noncurrent since less than a day, by midnights
    pass_days(lab, 1)
    await finish(worker)
    # The current one is hidden; of the four older ones the newest two are kept, and the fifth
    # became noncurrent only now.
    assert seen(lab) == [
        ("old/k", True, True),
        ("old/k", False, False),
        ("old/k", False, False),
        ("old/k", False, False),
    ]
    pass_days(lab, 2)
    await finish(worker)
    assert len(seen(lab)) == 3
    assert [one for one in seen(lab) if one[1]] == [("old/k", True, True)]


async def test_worker_removes_markers_that_hide_nothing(lab: Lab) -> None:
    await set_versioning(lab, "Enabled")
    await lab.put("/www/a", b"1")
    await lab.put("/www/b", b"1")
    version_id = lab.record("a").named_version
    for key in ("a", "b"):
        await lab.catalog.delete_object(lab.bucket(), Deletion(key))
    await lab.catalog.delete_object(lab.bucket(), Deletion("a", version_id))
    await obey(lab, LONE)
    await finish(LifecycleWorker(lab.services, objects_per_s=RATE))
    assert seen(lab) == [("b", True, True), ("b", False, False)]


async def test_worker_suspended_versioning_replaces_the_null_version(lab: Lab) -> None:
    await lab.put("/www/old/k", b"1" * 2000)
    await set_versioning(lab, "Suspended")
    await obey(lab, AGED)
    pass_days(lab, 2)
    await finish(LifecycleWorker(lab.services, objects_per_s=RATE))
    assert seen(lab) == [("old/k", True, True)]
    assert len(lab.garbage()) == 1


async def test_worker_aborts_uploads_that_are_too_old(lab: Lab) -> None:
    for key in ("up/1", "up/2", "other"):
        made = await lab.ask("POST", f"/www/{key}?uploads")
        part = f"/www/{key}?uploadId={made.text('UploadId')}&partNumber=1"
        await lab.put(part, b"1" * 2000)
    await obey(lab, UPLOADS)
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    pass_days(lab, 2)
    await finish(worker)
    assert len(lab.catalog.list_uploads(lab.bucket()).entries) == 3
    pass_days(lab, 1)
    await finish(worker)
    left = lab.catalog.list_uploads(lab.bucket()).entries
    assert [upload.key for upload in left] == ["other"]
    assert len(lab.garbage()) == 2
    assert worker.counts["aborted"] == 2


async def test_worker_goes_on_after_a_restart_where_it_was(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 8)
    monkeypatch.setattr(module, "SAVE_S", 0.0)
    await set_versioning(lab, "Enabled")
    for number in range(12):
        for text in (b"1", b"2", b"3"):
            await lab.put(f"/www/k{number:02}", text)
    await obey(lab, Rule("r", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1)))
    pass_days(lab, 2)
    first = LifecycleWorker(lab.services, objects_per_s=RATE)
    for _ in range(2):
        assert await first.work()
    progress = lab.catalog.get_progress(lab.bucket(), "lifecycle")
    assert progress is not None
    assert progress.cursor == "k04"  # k05 was only looked at in part
    pages: list[str] = []
    list_versions = lab.catalog.list_versions

    def listed(*args: object, key_marker: str, **rest: object) -> object:
        pages.append(key_marker)
        return list_versions(*args, key_marker=key_marker, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.catalog, "list_versions", listed)
    second = LifecycleWorker(lab.services, objects_per_s=RATE)
    await finish(second)
    assert pages[0] == "k04"
    monkeypatch.undo()
    assert len(seen(lab)) == 12
    assert first.counts["expired"] + second.counts["expired"] == 24


async def test_worker_key_with_versions_over_many_pages_keeps_the_newest(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 8)
    await set_versioning(lab, "Enabled")
    for number in range(50):
        await lab.put("/www/k", str(number).encode())
    await obey(lab, Rule("r", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1, 20)))
    pass_days(lab, 2)
    await finish(LifecycleWorker(lab.services, objects_per_s=RATE))
    page = lab.catalog.list_versions(lab.bucket())
    texts = [lab.catalog.get_inline(one.record.blobs[0].id) for one in page.entries]
    assert texts == [str(number).encode() for number in range(49, 28, -1)]


async def test_worker_keeps_to_its_rate(autojump_clock: trio.testing.MockClock, lab: Lab) -> None:
    for number in range(3):
        await lab.put(f"/www/k{number}", b"1")
    await obey(lab, AGED, Rule("all", True, Filter(), Expiration(days=100)))
    started_s = trio.current_time()
    await finish(LifecycleWorker(lab.services, objects_per_s=1))
    # Rounded sums of seconds may miss it by a hair.
    assert trio.current_time() - started_s >= 2.999


async def test_worker_looks_only_where_rules_apply(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes: list[str] = []
    list_versions = lab.catalog.list_versions

    def listed(*args: object, prefix: str, **rest: object) -> object:
        prefixes.append(prefix)
        return list_versions(*args, prefix=prefix, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.catalog, "list_versions", listed)
    off = Rule("off", False, Filter("z"), Expiration(days=1))
    twice = Rule("twice", True, Filter("old/er"), Expiration(days=1))
    last = Rule("last", True, Filter("p"), Expiration(days=1))
    await obey(lab, UPLOADS, off, twice, AGED, last)
    await finish(LifecycleWorker(lab.services, objects_per_s=RATE))
    assert prefixes == ["old/", "p"]


async def test_worker_passes_over_attached_buckets_and_waits_for_time(
    autojump_clock: trio.testing.MockClock, lab: Lab
) -> None:
    await obey(lab, AGED, bucket="files")
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    assert not await worker.work()
    started_s = trio.current_time()
    await worker.wait_for_work()
    assert trio.current_time() - started_s == pytest.approx(POLL_S, abs=1)


async def test_worker_bucket_deleted_amid_its_walk_is_forgotten(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS_MIN", 1)
    monkeypatch.setattr(module, "PAGE_ROWS", 1)
    await obey(lab, AGED)
    for key in ("old/1", "old/2"):
        await lab.put(f"/www/{key}", b"1")
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    assert await worker.work()
    for key in ("old/1", "old/2"):
        await lab.ask("DELETE", f"/www/{key}")
    await lab.ask("DELETE", "/www")
    assert not await worker.work()
    await lab.ask("PUT", "/www")
    assert lab.catalog.get_progress(lab.bucket(), "lifecycle") is None


async def test_worker_announces_what_it_deletes(lab: Lab) -> None:
    arn = "arn:s3proxy:webhook:::hook"
    rule = EventRule("QueueConfiguration", "all", arn, ("s3:LifecycleExpiration:*",))
    await lab.catalog.put_bucket_config(lab.bucket(), "notification", notification([rule]))
    await lab.put("/www/old/1", b"1")
    await obey(lab, AGED)
    pass_days(lab, 2)
    await finish(LifecycleWorker(lab.services, objects_per_s=RATE))
    (queued,) = lab.catalog.pending_events(arn)
    event = queued.record.event
    assert (event.name, event.key) == ("LifecycleExpiration:Delete", "old/1")
    assert event.cause.principal == "s3.amazonaws.com"


async def test_worker_gives_up_a_walk_over_a_damaged_record_and_goes_on_elsewhere(
    lab: Lab,
) -> None:
    await lab.ask("PUT", "/zzz")
    for bucket in ("www", "zzz"):
        await lab.put(f"/{bucket}/old/1", b"1")
        await obey(lab, AGED, bucket=bucket)
    pass_days(lab, 2)
    row = lab.bucket().id + b"old/1"
    await lab.catalog.engine.commit(lambda txn: txn.put("objects", row, b"damaged"))
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    await finish(worker)
    assert (worker.counts["given_up"], worker.counts["expired"]) == (1, 1)
    assert keys(lab, "zzz") == []


async def test_worker_lets_locked_versions_be(lab: Lab) -> None:
    await set_versioning(lab, "Enabled")
    for text in (b"1", b"2", b"3"):
        await lab.put("/www/k", text)
    held = lab.catalog.list_versions(lab.bucket()).entries[1].record

    def locked(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, lock=ObjectLock(legal_hold="ON"))

    version_id = held.named_version
    await lab.catalog.update_object(lab.bucket(), "k", locked, version_id=version_id)
    await obey(lab, Rule("r", True, Filter(), noncurrent_expiration=NoncurrentExpiration(1)))
    pass_days(lab, 2)
    worker = LifecycleWorker(lab.services, objects_per_s=RATE)
    await finish(worker)
    entries = lab.catalog.list_versions(lab.bucket()).entries
    assert [one.record.version_id for one in entries][1:] == [version_id]
    assert worker.counts["expired"] == 1
