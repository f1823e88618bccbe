"""The catalog against what a real endpoint lists."""

from __future__ import annotations

import random
import secrets
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from msgspec.structs import replace

from s3proxy.backends.errors import NoSuchContainer
from s3proxy.backends.store import PutOptions, Store
from s3proxy.catalog.describing import WrittenManifest
from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord, Owed
from s3proxy.http.body import BytesBody
from s3proxy.ops import key_blobs, scrub, scrub_names
from s3proxy.ops.blob_writer import new_id
from s3proxy.ops.key_blobs import KnownIds
from s3proxy.ops.manifests import BUCKET_NAME, FoundBucket, encode_bucket
from s3proxy.ops.placing import set_rules
from s3proxy.ops.replicate import copy_to
from s3proxy.ops.scrub import Scrub, ScrubOptions, ScrubReport
from s3proxy.ops.scrub_names import ExpectedNames
from s3proxy.s3.placement import Rules
from tests.catalog.catalogs import garbage_blobs
from tests.ops.lab import Lab
from tests.ops.uploads import put_parts

RULES = Rules(replicas=2)
DAY_NS = 86_400 * 10**9


def far(lab: Lab) -> BucketRecord:
    bucket = lab.catalog.get_bucket("far")
    assert isinstance(bucket, BucketRecord)
    return bucket


def record_of(lab: Lab, key: str = "key") -> ObjectRecord:
    record = lab.catalog.get_object(far(lab), key)
    assert record is not None
    return record


def store(lab: Lab):  # type: ignore[no-untyped-def]
    return lab.services.backend("moto").blobs(far(lab).container)


async def scrubbed(lab: Lab, **options: object) -> ScrubReport:
    """A scrub of `far` at the endpoint, a week from now."""
    lab.clock.ns = max(lab.clock.ns, 2_000_000_000 * 10**9)
    fixed = {"backends": ["moto"], "objects_per_s": 1e6, "remove_unknown": True, **options}
    return await Scrub(lab.services, msgspec.convert(fixed, ScrubOptions)).run()


async def with_copy(lab: Lab, data: bytes = b"x" * 5000) -> BlobRef:
    """The object `key` with a second place on `disk`; returns the blob."""
    await lab.put("/far/key", data)
    (blob,) = record_of(lab).blobs
    copy = await copy_to(lab.services, far(lab), "key", [blob], "disk")
    bucket, record = far(lab), record_of(lab)
    owed = [Owed(blob, copies=(blob, copy))]
    await lab.catalog.put_object(
        bucket, "key", record, intents=[copy.id], replaces=record, owed=owed
    )
    assert lab.catalog.places_of(blob) == (blob, copy)
    return blob


async def put_raw(lab: Lab, name: str, data: bytes) -> None:
    await store(lab).put(name, BytesBody(data), PutOptions(length=len(data)))


async def test_scrub_of_a_sound_bucket_finds_nothing(s3_lab: Lab) -> None:
    for key in ("a", "a/b", "a~b", "a!", "ключ", "k" * 1020):
        await s3_lab.put(f"/far/{quote(key)}", b"data")
    report = await scrubbed(s3_lab, deep=True)
    assert report.problems == []
    assert report.counts == {"checked": 6, "read": 6}


async def test_scrub_missing_copy_is_owed_and_its_place_is_gone(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = RULES
    blob = await with_copy(s3_lab)
    await store(s3_lab).delete(blob.name)
    report = await scrubbed(s3_lab, heal=False)
    assert report.counts["missing"] == 1
    assert len(s3_lab.catalog.places_of(blob)) == 2
    report = await scrubbed(s3_lab)
    assert report.counts["healed"] == 1
    (place,) = s3_lab.catalog.places_of(blob)
    assert place.backend == "disk"
    debt = s3_lab.catalog.get_debt(blob.id)
    assert debt is not None
    assert debt.targets == ("moto",)


async def test_scrub_only_place_that_is_missing_is_reported_lost(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", b"data")
    (blob,) = record_of(s3_lab).blobs
    await store(s3_lab).delete(blob.name)
    report = await scrubbed(s3_lab)
    assert report.counts == {"checked": 1, "missing": 1, "lost": 1}
    assert "LOST" in report.problems[0]
    assert record_of(s3_lab).blobs == (blob,)


async def test_scrub_damaged_copy_is_found_by_its_etag_and_replaced(s3_lab: Lab) -> None:
    s3_lab.services.default_rules = RULES
    blob = await with_copy(s3_lab)
    await put_raw(s3_lab, blob.name, b"y" * 5000)
    report = await scrubbed(s3_lab)
    assert report.counts["wrong_hash"] == report.counts["healed"] == 1
    assert blob.id in garbage_blobs(s3_lab.catalog)


async def test_scrub_damaged_part_is_found_by_the_md5_that_it_came_with(s3_lab: Lab) -> None:
    await with_rules(s3_lab)
    await put_parts(s3_lab, "/far/key", b"x" * 5000, b"y" * 5000)
    _, second = record_of(s3_lab).blobs
    (place,) = [one for one in s3_lab.catalog.places_of(second) if one.backend == "moto"]
    report = await scrubbed(s3_lab, deep=True)
    assert report.problems == []
    assert "unverifiable" not in report.counts
    await put_raw(s3_lab, place.name, b"\0" * 5000)
    report = await scrubbed(s3_lab)
    assert report.counts["wrong_hash"] == report.counts["healed"] == 1
    assert place.id in garbage_blobs(s3_lab.catalog)
    assert (await s3_lab.get("/far/key")).body == b"x" * 5000 + b"y" * 5000


async def test_scrub_deep_copies_that_differ_are_told_where_no_md5_is_known(s3_lab: Lab) -> None:
    await with_rules(s3_lab)
    await s3_lab.put("/far/key", b"x" * 5000, x_amz_server_side_encryption="AES256")
    (blob,) = record_of(s3_lab).blobs
    report = await scrubbed(s3_lab, backends=[], deep=True)
    assert (report.counts["unverifiable"], report.problems) == (2, [])
    (place,) = [one for one in s3_lab.catalog.places_of(blob) if one.backend == "moto"]
    await put_raw(s3_lab, place.name, b"\0" * place.size)
    report = await scrubbed(s3_lab, backends=[], deep=True)
    assert (report.counts["different"], report.problems_count) == (1, 1)
    assert "not what is at moto; nobody knows which is right" in report.problems[0]
    assert len(s3_lab.catalog.places_of(blob)) == 2


async def test_scrub_deep_copy_whose_container_goes_before_it_is_compared_stays(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_rules(s3_lab)
    await s3_lab.put("/far/key", b"x" * 5000, x_amz_server_side_encryption="AES256")
    (blob,) = record_of(s3_lab).blobs
    before = s3_lab.catalog.places_of(blob)

    async def gone(store: Store, place: BlobRef) -> str:
        raise NoSuchContainer("open", place.name, "", place.backend)

    monkeypatch.setattr(scrub, "md5_of", gone)
    report = await scrubbed(s3_lab, backends=["disk"], deep=True)
    assert report.counts["unreachable"] == 1
    assert "missing" not in report.counts
    assert s3_lab.catalog.places_of(blob) == before


async def with_rules(lab: Lab) -> None:
    """Two copies of what is written from now on, both before a write is answered."""
    await set_rules(lab.services, far(lab), Rules(replicas=2, write_quorum=2))


async def test_scrub_damaged_copy_stays_while_no_other_is_sound(s3_lab: Lab) -> None:
    blob = await with_copy(s3_lab)
    await put_raw(s3_lab, blob.name, b"short")
    _, copy = s3_lab.catalog.places_of(blob)
    await s3_lab.services.backend("disk").blobs(copy.container).delete(copy.name)
    report = await scrubbed(s3_lab)
    assert report.counts["wrong_size"] == report.counts["lost"] == 1
    assert len(s3_lab.catalog.places_of(blob)) == 2


async def test_scrub_unknown_blob_is_garbage_once_it_is_old(s3_lab: Lab) -> None:
    name = f"key~{new_id()}"
    await put_raw(s3_lab, name, b"nobody's")
    await put_raw(s3_lab, "README", b"somebody's")
    young = await scrubbed(s3_lab, unknown_grace_s=1e10)
    assert young.counts == {"young": 1, "foreign": 1}
    reported = await scrubbed(s3_lab, remove_unknown=False)
    assert reported.counts == {"unknown": 1, "foreign": 1}
    assert garbage_blobs(s3_lab.catalog) == set()
    removed = await scrubbed(s3_lab)
    assert removed.counts["removed"] == 1
    assert garbage_blobs(s3_lab.catalog) == {name[-32:]}


async def test_scrub_blob_of_a_write_under_way_is_nobodys_to_remove(s3_lab: Lab) -> None:
    blob = BlobRef(new_id(), "moto", far(s3_lab).container, "", 4)
    blob = msgspec.structs.replace(blob, name=f"key~{blob.id}")
    await s3_lab.catalog.intend(blob, far(s3_lab), "key").wait()
    await put_raw(s3_lab, blob.name, b"data")
    report = await scrubbed(s3_lab)
    assert "removed" not in report.counts
    assert garbage_blobs(s3_lab.catalog) == set()


async def test_scrub_names_come_in_the_order_of_listings(s3_lab: Lab) -> None:
    rng = random.Random(1)
    keys = {
        "".join(rng.choice("ab~!}é/0") for _ in range(rng.randint(1, 6))) for _ in range(300)
    } | {"k" * 1000, "k" * 1001, "k" * 1002 + "x"}
    await check_names(s3_lab, [(key, 1) for key in keys])


async def test_scrub_names_of_keys_with_very_many_versions_come_in_order(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub_names, "NAMES_AT_ONCE", 3)
    await s3_lab.catalog.update_bucket(
        far(s3_lab), lambda bucket: msgspec.structs.replace(bucket, versioning="Enabled")
    )
    keys = ["a", "a/b", "a~", "a~0", "a~00", "b", "k" * 1000, "k" * 1001]
    await check_names(s3_lab, [(key, 20) for key in keys])


async def check_names(lab: Lab, keys: list[tuple[str, int]]) -> None:
    """The names of keys with so many versions each, from anywhere on."""
    bucket, backend = far(lab), lab.services.backend("moto")
    names = []
    for key, count in keys:
        for _ in range(count):
            blob_id = secrets.token_hex(16)
            name = backend.blob_name(key, blob_id)
            blob = BlobRef(blob_id, "moto", bucket.container, name, 1)
            record = ObjectRecord(size=1, etag="", modified_ns=1, blobs=(blob,))
            await lab.catalog.put_object(bucket, key, record)
            names.append(name.encode())
    names.sort()
    for start in (b"", *names[::7], names[-1]):
        expected = ExpectedNames(lab.services, bucket, "moto", bucket.container)
        found = [one.place.name.encode() async for one in expected.after(start.decode())]
        assert found == [name for name in names if name > start]


async def test_scrub_blob_with_fewer_copies_than_the_rules_want_is_owed(s3_lab: Lab) -> None:
    await s3_lab.put("/far/key", b"x" * 5000)
    (blob,) = record_of(s3_lab).blobs
    s3_lab.services.default_rules = RULES
    assert (await scrubbed(s3_lab, heal=False)).counts == {"checked": 1}
    report = await scrubbed(s3_lab)
    assert report.counts == {"checked": 1, "owed": 1}
    debt = s3_lab.catalog.get_debt(blob.id)
    assert debt is not None
    assert (debt.targets, debt.version_id) == (("disk",), "null")
    assert (await scrubbed(s3_lab)).counts == {"checked": 1}


async def test_scrub_of_many_unknown_blobs_reads_their_key_once_for_all(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await s3_lab.catalog.update_bucket(
        far(s3_lab), lambda bucket: msgspec.structs.replace(bucket, versioning="Enabled")
    )
    for _ in range(30):
        await s3_lab.put("/far/key", b"data")
    known = {blob.id for one in versions(s3_lab) for blob in one.blobs}
    unknown = sorted(new_id() for _ in range(10))
    for blob_id in unknown:
        await put_raw(s3_lab, f"key~{blob_id}", b"nobody's")
    asked = []
    list_versions = s3_lab.catalog.list_versions

    def watched(*arguments: Any, **named: Any) -> Any:
        asked.append(named.get("prefix", ""))
        return list_versions(*arguments, **named)

    monkeypatch.setattr(s3_lab.catalog, "list_versions", watched)
    report = await scrubbed(s3_lab)
    assert report.counts == {"checked": 30, "unknown": 10, "removed": 10}
    assert garbage_blobs(s3_lab.catalog) == set(unknown)
    assert not known & set(unknown)
    assert asked.count("key") == 3  # its only reading, in pages of 4, 16 and 64


async def test_known_ids_of_a_key_with_very_many_are_read_some_at_a_time(
    s3_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_blobs, "WINDOW_IDS", 5)
    await s3_lab.catalog.update_bucket(
        far(s3_lab), lambda bucket: msgspec.structs.replace(bucket, versioning="Enabled")
    )
    for _ in range(40):
        await s3_lab.put("/far/key", b"data")
    await s3_lab.put("/far/key2", b"of another key")
    upload = (await s3_lab.ask("POST", "/far/key?uploads")).text("UploadId")
    await s3_lab.put(f"/far/key?partNumber=1&uploadId={upload}", b"of an upload")
    known = KnownIds(s3_lab.services, far(s3_lab))
    ids = [blob.id for one in versions(s3_lab) if one.etag for blob in one.blobs]
    for blob_id in (*sorted(ids), *ids):
        other = await known.has("key2", blob_id)
        assert await known.has("key", blob_id) is not other
        assert not await known.has("key", blob_id[:-1] + "g")


def versions(lab: Lab) -> list[ObjectRecord]:
    return [entry.record for entry in lab.catalog.list_versions(far(lab)).entries]


async def described(lab: Lab) -> None:
    """The bucket's manifest, as the gateway writes it."""
    await lab.catalog.update_bucket(far(lab), lambda now: replace(now, manifests=True))
    (due,) = lab.catalog.due_manifests(lab.clock.ns, 10)
    home = ("moto", far(lab).container)
    told = encode_bucket(FoundBucket(far(lab), {}, due.revision))
    await put_raw(lab, BUCKET_NAME, told)
    await lab.catalog.settle_manifests([WrittenManifest(due, (home,), (home,))])


async def test_scrub_manifest_of_the_bucket_that_is_gone_is_written_again(s3_lab: Lab) -> None:
    await described(s3_lab)
    assert (await scrubbed(s3_lab)).counts == {"manifests": 1}
    await store(s3_lab).delete(BUCKET_NAME)
    report = await scrubbed(s3_lab, heal=False)
    assert report.counts == {"untold": 1}
    assert ".s3gw/bucket: missing" in report.problems[0]
    assert s3_lab.catalog.count_due_manifests(10) == 0
    await scrubbed(s3_lab)
    (due,) = s3_lab.catalog.due_manifests(s3_lab.clock.ns, 10)
    assert (due.key, due.told) == ("", ())
    assert "untold" not in (await scrubbed(s3_lab)).counts  # its writing is under way


async def test_scrub_of_a_container_that_is_away_says_nothing_of_its_manifest(
    s3_lab: Lab,
) -> None:
    await described(s3_lab)
    await store(s3_lab).delete(BUCKET_NAME)
    await s3_lab.services.backend("moto").delete_container(far(s3_lab).container)
    assert (await scrubbed(s3_lab)).counts == {"unreachable": 1}
    assert s3_lab.catalog.count_due_manifests(10) == 0


@pytest.mark.parametrize("other", [True, False])
async def test_scrub_manifest_of_the_bucket_that_is_another_is_told(
    s3_lab: Lab, other: bool
) -> None:
    await described(s3_lab)
    wrong = encode_bucket(FoundBucket(replace(far(s3_lab), id=b"another!"), {}, 1))
    await put_raw(s3_lab, BUCKET_NAME, wrong if other else b"{}")
    assert (await scrubbed(s3_lab)).counts["untold"] == 1
