"""A provider that says for a while that it has no such bucket."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from s3proxy.backends.errors import NoSuchContainer, NotFound
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.store import Stat, Store
from s3proxy.catalog.records import Owed
from s3proxy.ops.replicate import copy_to
from s3proxy.ops.scrub import Scrub, ScrubOptions
from s3proxy.ops.soundness import is_sound, stat_of
from s3proxy.s3.listing import ListPage
from s3proxy.workers.collect import POSTPONE_FEW_S, Collector
from tests.ops.lab import Lab
from tests.s3.heads import raises_s3

DATA = b"x" * 5000


def store(lab: Lab) -> Store:
    return lab.services.backend("moto").blobs(lab.bucket("far").container)


async def collect(lab: Lab) -> None:
    lab.clock.ns += int((POSTPONE_FEW_S + 1) * 1e9)
    await Collector(lab.catalog, lab.services.backends, clock=lambda: lab.clock.ns / 1e9).work()


async def test_read_of_a_copy_whose_container_is_gone_forgets_no_place(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", DATA)
    bucket, record = s3_lab.bucket("far"), s3_lab.record("key", "far")
    (blob,) = record.blobs
    copy = await copy_to(s3_lab.services, bucket, "key", [blob], "disk")
    owed = [Owed(blob, copies=(blob, copy))]
    await s3_lab.catalog.put_object(
        bucket, "key", record, intents=[copy.id], replaces=record, owed=owed
    )
    await store(s3_lab).delete(blob.name)
    await s3_lab.services.backend("moto").delete_container(blob.container)
    assert (await s3_lab.get("/far/key")).body == DATA
    assert len(s3_lab.catalog.places_of(blob)) == 2
    assert s3_lab.catalog.get_debt(blob.id) is None


async def test_read_of_the_only_place_whose_container_is_gone_may_be_repeated(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs
    await store(s3_lab).delete(blob.name)
    await s3_lab.services.backend("moto").delete_container(blob.container)
    with raises_s3("ServiceUnavailable"):
        await s3_lab.get("/far/key")


async def test_is_sound_of_a_place_whose_container_is_gone_cannot_be_told(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs
    await store(s3_lab).delete(blob.name)
    assert not await is_sound(s3_lab.services, blob, "")
    await s3_lab.services.backend("moto").delete_container(blob.container)
    with pytest.raises(NoSuchContainer):
        await is_sound(s3_lab.services, blob, "")


async def test_stat_of_what_a_head_does_not_find_is_that_of_a_get(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs

    async def head(key: str) -> Stat:
        raise NotFound("head", key)

    found = store(s3_lab)
    monkeypatch.setattr(found, "head", head, raising=False)
    stat = await stat_of(found, blob.name)
    assert stat is not None
    assert stat.size == len(DATA)


@pytest.mark.parametrize("deep", [False, True])
async def test_scrub_of_a_container_that_goes_meanwhile_forgets_no_place(
    s3_lab: Lab, deep: bool
) -> None:
    await s3_lab.put("/far/key", DATA)
    bucket, record = s3_lab.bucket("far"), s3_lab.record("key", "far")
    (blob,) = record.blobs
    copy = await copy_to(s3_lab.services, bucket, "key", [blob], "disk")
    owed = [Owed(blob, copies=(blob, copy))]
    await s3_lab.catalog.put_object(
        bucket, "key", record, intents=[copy.id], replaces=record, owed=owed
    )
    backend = s3_lab.services.backend("moto")
    listing = S3Store.list

    async def list_and_go(self: S3Store, prefix: str, **more: Any) -> ListPage:
        page = await listing(self, prefix, **more)
        await backend.blobs(blob.container).delete(blob.name)
        await backend.delete_container(blob.container)
        return page if deep else msgspec.structs.replace(page, objects=[])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Store, "list", list_and_go)
        options = ScrubOptions(backends=["moto"], objects_per_s=1e6, deep=deep)
        report = await Scrub(s3_lab.services, options).run()
    assert report.counts["unreachable"] == 1
    assert "missing" not in report.counts
    assert s3_lab.catalog.places_of(blob) == (blob, copy)


async def test_garbage_in_a_container_that_is_gone_is_forgotten_with_its_bucket(
    s3_lab: Lab,
) -> None:
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs
    backend = s3_lab.services.backend("moto")
    await s3_lab.ask("DELETE", "/far/key")
    await store(s3_lab).delete(blob.name)
    await backend.delete_container(blob.container)
    await collect(s3_lab)
    assert s3_lab.garbage() == [blob.id]
    await backend.create_container(blob.container)
    await collect(s3_lab)
    assert s3_lab.garbage() == []
    await s3_lab.put("/far/key", DATA)
    (blob,) = s3_lab.record("key", "far").blobs
    await s3_lab.ask("DELETE", "/far/key")
    await store(s3_lab).delete(blob.name)
    container = blob.container
    await s3_lab.ask("DELETE", "/far")
    assert s3_lab.catalog.bucket_of_container("moto", container) is None
    await collect(s3_lab)
    assert s3_lab.garbage() == []
