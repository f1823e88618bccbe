"""Transitions: bytes move to the backend of the class, the version stays what it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.backends.errors import Unavailable
from s3proxy.catalog.records import ObjectRecord
from s3proxy.ops.call import Settings
from s3proxy.s3.lifecycle import DAY_NS, Filter, Lifecycle, Rule, Transition
from s3proxy.s3.lifecycle_xml import lifecycle_configuration
from s3proxy.workers.lifecycle import LifecycleWorker
from tests.ops.lab import Lab, disk_backend, md5, open_lab
from tests.ops.uploads import put_parts

DATA = b"0123456789" * 300
MOVE = Rule("m", True, Filter(size_above=0), transitions=(Transition("GLACIER_IR", 1),))
OLD = Rule("n", True, Filter(size_above=0), noncurrent_transitions=(Transition("GLACIER_IR", 1),))


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    settings = Settings(
        inline_bytes_max=1000,
        part_bytes_min=10,
        storage_classes={"GLACIER_IR": "cold", "GLACIER": "disk"},
    )
    cold = disk_backend("cold", tmp_path / "cold")
    async with open_lab(tmp_path, more=[cold], settings=settings) as lab:
        yield lab


async def walk(lab: Lab, *rules: Rule) -> LifecycleWorker:
    """Let two days pass and the rules be carried out."""
    document = lifecycle_configuration(Lifecycle(rules), kept=True)
    await lab.catalog.put_bucket_config(lab.bucket(), "lifecycle", document)
    lab.clock.ns += 2 * DAY_NS
    worker = LifecycleWorker(lab.services, objects_per_s=10**9)
    while await worker.work():
        pass
    return worker


async def test_move_changes_place_and_class_and_nothing_else(lab: Lab) -> None:
    await lab.put("/www/one", DATA, x_amz_meta_a="1", x_amz_tagging="k=v")
    await lab.put("/www/small", b"inline")
    await put_parts(lab, "/www/parts", DATA, b"small part")
    before = {key: lab.record(key) for key in ("one", "small", "parts")}
    worker = await walk(lab, MOVE)
    assert worker.counts["moved"] == 3
    for key, old in before.items():
        new = lab.record(key)
        same = msgspec.structs.replace(new, blobs=old.blobs, storage_class="STANDARD")
        assert same == old
        assert new.storage_class == "GLACIER_IR"
    assert lab.places("one") == ["cold"]
    assert lab.places("small") == [""]
    assert lab.places("parts") == ["cold", ""]
    one = await lab.get("/www/one")
    assert (one.body, one.headers["x-amz-meta-a"]) == (DATA, "1")
    assert one.headers["x-amz-storage-class"] == "GLACIER_IR"
    assert (await lab.get("/www/parts")).body == DATA + b"small part"
    assert (await lab.get("/www/small")).body == b"inline"
    assert sorted(lab.garbage()) == sorted(
        blob.id for old in before.values() for blob in old.blobs if blob.backend
    )
    assert not lab.catalog.open_intents()
    assert (await walk(lab, MOVE)).counts["moved"] == 0


async def test_move_to_the_backend_where_it_is_copies_nothing(lab: Lab) -> None:
    await lab.put("/www/k", DATA)
    before = lab.record("k")
    rule = Rule("g", True, Filter(size_above=0), transitions=(Transition("GLACIER", 1),))
    await walk(lab, rule)
    assert lab.record("k") == msgspec.structs.replace(before, storage_class="GLACIER")
    assert lab.garbage() == []


async def test_move_of_noncurrent_versions(lab: Lab) -> None:
    await lab.catalog.update_bucket(
        lab.bucket(), lambda old: msgspec.structs.replace(old, versioning="Enabled")
    )
    for text in (b"1" * 2000, b"2" * 2000):
        await lab.put("/www/k", text)
    await walk(lab, OLD)
    entries = lab.catalog.list_versions(lab.bucket()).entries
    assert [one.record.storage_class for one in entries] == ["STANDARD", "GLACIER_IR"]
    version_id = entries[1].record.version_id
    assert (await lab.get(f"/www/k?versionId={version_id}")).body == b"1" * 2000


async def test_move_of_an_encrypted_object_moves_what_is_stored(lab: Lab) -> None:
    await lab.put("/www/k", DATA, x_amz_server_side_encryption="AES256")
    await walk(lab, MOVE)
    assert lab.places("k") == ["cold"]
    assert (await lab.get("/www/k")).body == DATA


async def test_object_replaced_while_it_is_copied_stays_replaced(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.put("/www/k", DATA)
    move_version = lab.catalog.move_version

    async def late(*args: object) -> bool:
        await lab.put("/www/k", b"new" * 1000)
        return await move_version(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.catalog, "move_version", late)
    worker = await walk(lab, MOVE)
    assert worker.counts["moved"] == 0
    new = lab.record("k")
    assert (new.storage_class, new.etag) == ("STANDARD", md5(b"new" * 1000))
    assert (await lab.get("/www/k")).body == b"new" * 1000
    assert not lab.catalog.open_intents()
    assert len(lab.garbage()) == 2  # what was replaced, and its copy


async def test_object_tagged_while_it_is_copied_keeps_its_tags(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.put("/www/k", DATA)
    move_version = lab.catalog.move_version

    def tagged(old: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(old, tags={"a": "b"})

    async def late(*args: object) -> bool:
        await lab.catalog.update_object(lab.bucket(), "k", tagged)
        return await move_version(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.catalog, "move_version", late)
    await walk(lab, MOVE)
    record = lab.record("k")
    assert (record.storage_class, record.tags) == ("GLACIER_IR", {"a": "b"})


async def test_object_whose_bytes_are_damaged_is_not_moved(lab: Lab) -> None:
    await lab.put("/www/k", DATA)
    await lab.put("/www/l", DATA)
    old = lab.record("k")
    damaged = msgspec.structs.replace(old, etag=md5(b"other"))
    await lab.catalog.update_object(lab.bucket(), "k", lambda _: damaged)
    worker = await walk(lab, MOVE)
    assert (worker.counts["moved"], worker.counts["not_moved"]) == (1, 1)
    assert lab.record("k") == damaged
    assert not lab.catalog.open_intents()


async def test_backend_that_does_not_answer_is_asked_again_the_next_day(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.put("/www/k", DATA)

    async def refuse(container: str) -> None:
        await trio.lowlevel.checkpoint()
        raise Unavailable("create_container", container, "no answer", "cold")

    with monkeypatch.context() as patch:
        patch.setattr(lab.services.backends["cold"], "create_container", refuse)
        worker = await walk(lab, MOVE)
        assert worker.counts["not_moved"] == 1
    assert (await walk(lab, MOVE)).counts["moved"] == 1
