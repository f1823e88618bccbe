"""Manifests beside blobs, at a real endpoint."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from s3proxy.catalog.errors import OtherMasterKey
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.kv.errors import WriteFailed
from s3proxy.ops.drain import left_on, start_drain
from s3proxy.ops.manifests import (
    BUCKET_NAME,
    VERSIONS_PREFIX,
    decode_bucket,
    decode_version,
    version_name,
)
from s3proxy.ops.placing import container_on, set_rules, set_tenant_rules
from s3proxy.placement import Facts
from s3proxy.s3.placement import Rules
from s3proxy.workers.describe import Describer
from s3proxy.workers.drain import Drainer
from s3proxy.workers.owe import Ower
from s3proxy.workers.remove_containers import ContainerRemover
from tests.catalog.catalogs import set_state
from tests.ops.conftest import endpoint_url, s3_lab
from tests.ops.keys import AES256
from tests.ops.lab import Lab

__all__ = ["endpoint_url", "s3_lab"]  # fixtures

TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


def md5_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def far(lab: Lab) -> BucketRecord:
    bucket = lab.catalog.get_bucket("far")
    assert isinstance(bucket, BucketRecord)
    return bucket


async def set_rules_of_the_bucket(lab: Lab, rules: Rules) -> None:
    await set_rules(lab.services, far(lab), rules)


async def set_rules_of_the_tenant(lab: Lab, rules: Rules) -> None:
    await set_tenant_rules(lab.services, far(lab).tenant, rules)


async def described(lab: Lab) -> Describer:
    """A describer that has done all there is."""
    describer = Describer(lab.services)
    while await describer.work():
        pass
    return describer


async def names(lab: Lab, prefix: str = ".s3gw/") -> list[str]:
    store = lab.services.backend("moto").blobs(far(lab).container)
    page = await store.list(prefix, delimiter="", after="", limit=1000)
    return [entry.key for entry in page.objects]


async def content(lab: Lab, name: str) -> bytes:
    store = lab.services.backend("moto").blobs(far(lab).container)
    reading = await store.open(name)
    buffer = bytearray(reading.stat.size)
    filled = 0
    while count := await reading.body.read_into(memoryview(buffer)[filled:] or memoryview(b"x")):
        filled += count
        if filled == len(buffer):
            break
    await reading.body.aclose()
    return bytes(buffer)


async def test_describer_without_rules_writes_nothing(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", b"data")
    await described(s3_lab)
    assert await names(s3_lab) == []
    assert not far(s3_lab).manifests


async def test_describer_without_rules_writes_for_every_bucket_when_told_to(s3_lab: Lab) -> None:
    await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await s3_lab.put("/far/key", b"data")
    await s3_lab.ask("DELETE", "/far/key")
    describer = Describer(s3_lab.services, every_bucket=True)
    while await describer.work():
        pass
    assert len(await names(s3_lab)) == 3  # the bucket, a version, a marker
    assert not s3_lab.bucket("www").manifests  # on a local backend, which keeps none


async def test_describer_plain_object_needs_no_manifest(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await described(s3_lab)
    await s3_lab.put("/far/key", b"data", x_amz_meta_a="1")
    await described(s3_lab)
    assert await names(s3_lab) == [BUCKET_NAME]


async def test_describer_versions_and_markers_each_have_a_manifest(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await s3_lab.put("/far/key", b"before")
    bucket = await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await described(s3_lab)
    for text in (b"one", b"two"):
        await s3_lab.put("/far/key", text)
    await s3_lab.ask("DELETE", "/far/key")
    await described(s3_lab)
    page = s3_lab.catalog.list_versions(bucket)
    records = {entry.record.sequence: entry.record for entry in page.entries}
    assert len(records) == 4
    # The null version, from before, is its blob's alone.
    expected = sorted(version_name("key", number) for number in records if number)
    assert await names(s3_lab, VERSIONS_PREFIX) == expected
    for name in expected:
        found = decode_version(await content(s3_lab, name), name)
        assert (found.bucket, found.key) == ("far", "key")
        assert records[found.record.sequence] == found.record
    again = decode_bucket(await content(s3_lab, BUCKET_NAME)).record
    assert (again.name, again.versioning) == ("far", "Enabled")


async def test_describer_removed_version_loses_its_manifest(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await described(s3_lab)
    answer = await s3_lab.put("/far/key", b"one")
    await described(s3_lab)
    assert len(await names(s3_lab, VERSIONS_PREFIX)) == 1
    await s3_lab.ask("DELETE", f"/far/key?versionId={answer.headers['x-amz-version-id']}")
    await described(s3_lab)
    assert await names(s3_lab, VERSIONS_PREFIX) == []
    assert s3_lab.catalog.due_manifests(2**62, 10) == []


async def test_describer_tags_come_and_go_with_the_manifest(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await described(s3_lab)
    await s3_lab.put("/far/key", b"one")
    await s3_lab.put("/far/key?tagging", TAGGING, content_md5=md5_base64(TAGGING))
    await described(s3_lab)
    (name,) = await names(s3_lab, VERSIONS_PREFIX)
    assert decode_version(await content(s3_lab, name), name).record.tags == {"a": "b"}
    await s3_lab.ask("DELETE", "/far/key?tagging")
    await described(s3_lab)
    assert await names(s3_lab, VERSIONS_PREFIX) == []


async def test_describer_changed_metadata_stays_told_after_tags(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await described(s3_lab)
    await s3_lab.put("/far/key", b"one")
    await s3_lab.put(
        "/far/key",
        b"",
        x_amz_copy_source="/far/key",
        x_amz_metadata_directive="REPLACE",
        x_amz_meta_new="yes",
    )
    await described(s3_lab)
    (name,) = await names(s3_lab, VERSIONS_PREFIX)
    assert decode_version(await content(s3_lab, name), name).record.user == {"new": "yes"}


async def test_describer_place_that_fails_is_tried_again_and_no_other(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    describer = await described(s3_lab)
    await s3_lab.put("/far/key", b"one")
    await s3_lab.put("/far/key?tagging", TAGGING, content_md5=md5_base64(TAGGING))
    # A second container of the bucket, at an endpoint where it is not there.
    lost = ("moto", "s3gw-not-there")
    bucket = far(s3_lab)
    (blob,) = s3_lab.catalog.get_object(bucket, "key").blobs  # type: ignore[union-attr]
    there = msgspec.structs.replace(blob, id="0" * 32, container=lost[1])
    await s3_lab.catalog.adopt_place(bucket, "key", "null", blob.id, there)
    await describer.work()
    (waiting,) = s3_lab.catalog.due_manifests(2**62, 10)
    assert (waiting.told, waiting.tries) == (((blob.backend, blob.container),), 1)
    await s3_lab.services.backend("moto").create_container(lost[1])
    written = describer.written
    s3_lab.clock.ns += 10**12
    await describer.work()
    assert describer.written == written + 1
    assert s3_lab.catalog.due_manifests(2**62, 10) == []


async def test_describer_tells_no_provider_that_rules_forbid_of_a_bucket(s3_lab: Lab) -> None:
    services = s3_lab.services
    services.facts = {"disk": Facts("disk", country="fi"), "moto": Facts("moto", country="us")}
    await set_rules(services, far(s3_lab), Rules(countries=("fi", "us"), replicas=1))
    await described(s3_lab)
    assert await names(s3_lab) == [BUCKET_NAME]
    await set_rules(services, far(s3_lab), Rules(countries_forbidden=("us",), replicas=1))
    await described(s3_lab)
    assert await names(s3_lab) == []
    assert (await s3_lab.ask("PUT", "/far?tagging", TAGGING)).status == 204
    await described(s3_lab)
    assert await names(s3_lab) == []
    await set_rules(services, far(s3_lab), Rules(countries=("fi", "us"), replicas=1))
    await described(s3_lab)
    assert await names(s3_lab) == [BUCKET_NAME]


async def test_describer_removes_markers_where_a_drained_bucket_was(s3_lab: Lab) -> None:
    """Nothing else of a delete marker goes from there, and with it the container could not."""
    s3_lab.services.default_rules = Rules(replicas=1)
    bucket = await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await described(s3_lab)
    await s3_lab.ask("DELETE", "/far/key")
    await described(s3_lab)
    store = s3_lab.services.backend("moto").blobs(bucket.container)
    assert len((await store.list("", delimiter="", after="", limit=10)).objects) == 2
    await start_drain(s3_lab.services, "moto")
    drainer = Drainer(s3_lab.services)
    await drainer.work()
    left = await left_on(s3_lab.services, "moto")
    assert (left.moved, left.containers, left.done) == (True, 1, False)
    await described(s3_lab)
    s3_lab.clock.ns += 10**12  # markers follow the bucket's
    await described(s3_lab)
    assert (await store.list("", delimiter="", after="", limit=10)).objects == []
    await ContainerRemover(s3_lab.services).work()
    assert (await left_on(s3_lab.services, "moto")).done


async def test_describer_of_data_keys_that_nothing_opens_tells_the_rest(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    await s3_lab.put("/far/key", b"data", **AES256)
    await described(s3_lab)

    def refuse(record: ObjectRecord) -> ObjectRecord:
        raise OtherMasterKey("sealed under another")

    monkeypatch.setattr(s3_lab.catalog, "renewed", refuse)
    await s3_lab.ask("PUT", "/far/key?tagging", TAGGING, content_md5=md5_base64(TAGGING))
    await described(s3_lab)
    (name,) = await names(s3_lab, VERSIONS_PREFIX)
    assert decode_version(await content(s3_lab, name), name).record.tags == {"a": "b"}


async def test_describer_looks_for_buckets_again_after_a_failure(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_lab.services.default_rules = Rules(replicas=1)
    describer = Describer(s3_lab.services)

    async def fail(*arguments: object) -> BucketRecord:
        raise WriteFailed("commit", "", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(s3_lab.catalog, "update_bucket", fail)
        with pytest.raises(WriteFailed):
            await describer.work()
    await describer.work()
    assert far(s3_lab).manifests


async def test_describer_keeps_telling_of_a_bucket_until_its_bytes_are_gone(s3_lab: Lab) -> None:
    services = s3_lab.services
    services.facts = {"disk": Facts("disk", country="fi"), "moto": Facts("moto", country="us")}
    await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await set_rules(services, far(s3_lab), Rules(countries=("fi", "us"), replicas=1))
    await s3_lab.put("/far/folder/key", b"data")
    await s3_lab.ask("DELETE", "/far/gone")
    await described(s3_lab)
    before = await names(s3_lab)
    assert len(before) == 3
    await set_rules(services, far(s3_lab), Rules(countries_forbidden=("us",), replicas=1))
    describer = await described(s3_lab)
    assert await names(s3_lab) == before
    assert (describer.failed, services.catalog.count_due_manifests(10)) == (0, 1)
    (blob,) = s3_lab.catalog.list_versions(far(s3_lab), limit=1).entries[0].record.blobs
    await services.backend("moto").blobs(blob.container).delete(blob.name)
    s3_lab.clock.ns += 10**12
    await described(s3_lab)
    assert BUCKET_NAME not in await names(s3_lab)
    assert s3_lab.catalog.due_manifests(2**62, 10) == []


async def test_describer_keeps_telling_of_a_bucket_until_another_place_is_told(
    s3_lab: Lab,
) -> None:
    services = s3_lab.services
    services.backends["other"] = services.backend("moto")
    services.facts = {name: Facts(name) for name in services.backends}
    await set_rules(services, far(s3_lab), Rules(regions=("moto",), replicas=1))
    await described(s3_lab)
    assert await names(s3_lab) == [BUCKET_NAME]
    there = {"other": "s3gw-not-yet"}
    await s3_lab.catalog.update_bucket(
        far(s3_lab), lambda now: msgspec.structs.replace(now, names=there)
    )
    await set_rules(services, far(s3_lab), Rules(regions=("other",), replicas=1))
    await described(s3_lab)
    assert await names(s3_lab) == [BUCKET_NAME]
    await services.backend("moto").create_container("s3gw-not-yet")
    s3_lab.clock.ns += 10**12
    await described(s3_lab)
    assert await names(s3_lab) == []
    store = services.backend("moto").blobs("s3gw-not-yet")
    page = await store.list("", delimiter="", after="", limit=10)
    assert [entry.key for entry in page.objects] == [BUCKET_NAME]


@pytest.mark.parametrize("change_rules", [set_rules_of_the_bucket, set_rules_of_the_tenant])
async def test_describer_new_rules_take_what_tells_of_a_bucket_and_its_markers_along(
    s3_lab: Lab, change_rules: Callable[[Lab, Rules], Awaitable[None]]
) -> None:
    services = s3_lab.services
    services.backends["other"] = services.backend("moto")
    services.facts = {name: Facts(name) for name in services.backends}
    await s3_lab.catalog.update_bucket(
        far(s3_lab), lambda now: msgspec.structs.replace(now, location="")
    )
    await set_state(s3_lab.catalog, far(s3_lab), "Enabled")
    await change_rules(s3_lab, Rules(regions=("moto",), replicas=1))
    await described(s3_lab)
    await s3_lab.put("/far/key", b"data")
    await s3_lab.ask("DELETE", "/far/key")
    await described(s3_lab)
    before = await names(s3_lab)
    assert len(before) == 3
    await change_rules(s3_lab, Rules(regions=("other",), replicas=1))
    assert await Ower(services).work()
    await described(s3_lab)
    assert await names(s3_lab) == before  # the only place there is
    other = await container_on(services, far(s3_lab), "other")
    s3_lab.clock.ns += 10**12
    await described(s3_lab)
    store = services.backend("other").blobs(other)
    page = await store.list("", delimiter="", after="", limit=10)
    (version,) = await names(s3_lab)  # beside its bytes
    assert {version, *(entry.key for entry in page.objects)} == set(before)
    assert len(page.objects) == 2
