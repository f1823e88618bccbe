from pathlib import Path

import msgspec
import pytest
import trio

from s3proxy.catalog.errors import InvalidPart, NoSuchUpload
from s3proxy.catalog.objects import Deletion
from s3proxy.catalog.records import Encryption
from s3proxy.s3.conditions import WriteCondition
from s3proxy.s3.errors import S3Error
from tests.catalog.catalogs import (
    Clock,
    blob,
    bucket_record,
    garbage_blobs,
    object_record,
    open_catalog,
    part_record,
    upload_record,
)

LONG = "k" * 1024


@pytest.mark.parametrize("key", ["k", LONG])
async def test_put_part_sent_again_replaces_and_queues_the_old(tmp_path: Path, key: str) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        upload = upload_record(key, "u")
        await catalog.create_upload(bucket, upload)
        assert catalog.get_upload(bucket, key, "u") == upload
        first, second = part_record(2, blob()), part_record(2, blob())
        other = part_record(1, blob())
        assert await catalog.put_part(bucket, key, "u", first) is None
        assert await catalog.put_part(bucket, key, "u", second) == first
        await catalog.put_part(bucket, key, "u", other)
        assert catalog.list_parts(bucket, "u") == [other, second]
        assert catalog.list_parts(bucket, "u", after=1) == [second]
        assert catalog.list_parts(bucket, "u", limit=1) == [other]
        assert first.blob is not None
        assert garbage_blobs(catalog) == {first.blob.id}


async def test_get_upload_wrong_key_or_id_is_none(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_record("k", "u"))
        for key, upload_id in (("other", "u"), ("k", "v"), ("k", ""), ("k", "u" * 2000)):
            assert catalog.get_upload(bucket, key, upload_id) is None
            with pytest.raises(NoSuchUpload):
                await catalog.put_part(bucket, key, upload_id, part_record(1, None))


async def test_put_part_settles_intents_and_keeps_inline_data(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_record("k", "u"))
        target, inline = blob(), blob("")
        catalog.intend(target, bucket, "k")
        await catalog.put_part(bucket, "k", "u", part_record(1, target), intents=[target.id])
        await catalog.put_part(bucket, "k", "u", part_record(2, inline), inline=b"two")
        assert catalog.open_intents() == []
        assert catalog.get_inline(inline.id) == b"two"
        await catalog.abort_upload(bucket, "k", "u")
        assert catalog.get_inline(inline.id) is None
        assert garbage_blobs(catalog) == {target.id}


async def test_abort_upload_queues_all_blobs_and_the_native_upload(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        native, part = blob(), blob()
        await catalog.create_upload(bucket, upload_record(LONG, "u", native))
        await catalog.put_part(bucket, LONG, "u", part_record(1, part))
        await catalog.abort_upload(bucket, LONG, "u")
        queued = {record.blob.id: record for record in catalog.due_garbage(2**62, 10)}
        assert set(queued) == {native.id, part.id}
        assert queued[native.id].backend_upload_id == "native"
        assert queued[part.id].backend_upload_id == ""
        assert catalog.list_parts(bucket, "u") == []
        with pytest.raises(NoSuchUpload):
            await catalog.abort_upload(bucket, LONG, "u")
        with catalog.engine.read() as view:
            assert list(view.scan("uploads", b"")) == []


async def test_complete_upload_uses_named_parts_and_queues_the_rest(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        old = object_record(blob())
        await catalog.put_object(bucket, "k", old)
        await catalog.create_upload(bucket, upload_record("k", "u"))
        parts = [part_record(number, blob()) for number in (1, 2, 3)]
        for part in parts:
            await catalog.put_part(bucket, "k", "u", part)
        record = object_record(etag="whole-2", size=6)
        answer = await catalog.complete_upload(
            bucket, "k", "u", record, parts=[(1, "etag-1"), (3, "etag-3")]
        )
        assert (answer.etag, answer.replayed) == ("whole-2", False)
        found = catalog.get_object(bucket, "k")
        assert found is not None
        assert found.blobs == (parts[0].blob, parts[2].blob)
        assert parts[1].blob is not None
        assert garbage_blobs(catalog) == {old.blobs[0].id, parts[1].blob.id}
        assert catalog.get_upload(bucket, "k", "u") is None
        assert catalog.list_parts(bucket, "u") == []


async def test_complete_upload_again_answers_the_same_until_swept(tmp_path: Path) -> None:
    clock = Clock()
    async with open_catalog(tmp_path, clock=clock) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_record("k", "u"))
        await catalog.put_part(bucket, "k", "u", part_record(1, blob()))
        record, named = object_record(etag="whole-1"), [(1, "etag-1")]
        await catalog.complete_upload(bucket, "k", "u", record, parts=named)
        await catalog.delete_object(bucket, Deletion("k"))
        again = await catalog.complete_upload(bucket, "k", "u", record, parts=named)
        assert (again.etag, again.replayed) == ("whole-1", True)
        assert catalog.get_completed(bucket, "k", "u", named) == again
        assert catalog.get_completed(bucket, "k", "u", [(1, "x")]) is None
        assert catalog.get_object(bucket, "k") is None
        with pytest.raises(NoSuchUpload):
            await catalog.complete_upload(bucket, "k", "u", record, parts=[(1, "x")])
        with pytest.raises(NoSuchUpload):
            await catalog.complete_upload(bucket, "other", "u", record, parts=named)
        assert await catalog.sweep_completed(clock.ns) == 0
        assert await catalog.sweep_completed(clock.ns + 1) == 1
        with pytest.raises(NoSuchUpload):
            await catalog.complete_upload(bucket, "k", "u", record, parts=named)


@pytest.mark.parametrize("named", [[(1, "wrong")], [(2, "etag-2")]])
async def test_complete_upload_wrong_part_is_refused_whole(
    tmp_path: Path, named: list[tuple[int, str]]
) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_record("k", "u"))
        await catalog.put_part(bucket, "k", "u", part_record(1, blob()))
        with pytest.raises(InvalidPart):
            await catalog.complete_upload(bucket, "k", "u", object_record(), parts=named)
        assert catalog.get_object(bucket, "k") is None
        assert len(catalog.list_parts(bucket, "u")) == 1


async def test_complete_upload_native_target_becomes_the_object(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        native = blob()
        await catalog.create_upload(bucket, upload_record("k", "u", native))
        await catalog.put_part(bucket, "k", "u", part_record(1, None))
        record = object_record(native)
        await catalog.complete_upload(bucket, "k", "u", record, parts=[(1, "etag-1")])
        assert catalog.get_object(bucket, "k") == record
        assert garbage_blobs(catalog) == set()


async def test_complete_upload_raced_with_condition_has_one_winner(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        winners = []

        async def contend(number: int) -> None:
            upload_id = f"u{number}"
            await catalog.create_upload(bucket, upload_record("k", upload_id))
            await catalog.put_part(bucket, "k", upload_id, part_record(1, blob()))
            try:
                await catalog.complete_upload(
                    bucket,
                    "k",
                    upload_id,
                    object_record(etag=upload_id),
                    parts=[(1, "etag-1")],
                    condition=WriteCondition(if_none_match_any=True),
                )
            except S3Error as error:
                assert error.code == "PreconditionFailed"
                await catalog.abort_upload(bucket, "k", upload_id)
            else:
                winners.append(upload_id)

        async with trio.open_nursery() as nursery:
            for number in range(64):
                nursery.start_soon(contend, number)
        (winner,) = winners
        found = catalog.get_object(bucket, "k")
        assert found is not None
        assert found.etag == winner
        assert len(garbage_blobs(catalog)) == 63
        with catalog.engine.read() as view:
            assert list(view.scan("uploads", b"")) == []
            assert list(view.scan("parts", b"")) == []


async def test_list_uploads_pages_by_key_and_id(tmp_path: Path) -> None:
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        wanted = [("a", "1"), ("a", "2"), ("a", "3"), ("d/x", "1"), ("d/y", "1"), (LONG, "9")]
        for key, upload_id in reversed(wanted):
            await catalog.create_upload(bucket, upload_record(key, upload_id))
        found: list[tuple[str, str]] = []
        prefixes: list[str] = []
        key_marker = upload_id_marker = ""
        while True:
            page = catalog.list_uploads(
                bucket,
                delimiter="/",
                key_marker=key_marker,
                upload_id_marker=upload_id_marker,
                limit=2,
            )
            found += [(upload.key, upload.upload_id) for upload in page.entries]
            prefixes += page.common_prefixes
            if not page.truncated:
                break
            key_marker, upload_id_marker = page.next_key_marker, page.next_id_marker
        assert found == [*wanted[:3], wanted[-1]]
        assert prefixes == ["d/"]
        page = catalog.list_uploads(bucket, prefix="d/")
        assert [(upload.key, upload.upload_id) for upload in page.entries] == wanted[3:5]
        page = catalog.list_uploads(bucket, key_marker="a")
        assert [upload.key for upload in page.entries] == ["d/x", "d/y", LONG]
        assert catalog.list_uploads(bucket, limit=0).truncated is False


async def test_complete_takes_blobs_and_salts_of_one_moment(tmp_path: Path) -> None:
    """A part sent again after it was read, with the same ETag: what opens its blob is its salt."""
    async with open_catalog(tmp_path) as catalog:
        bucket = await catalog.create_bucket(bucket_record())
        await catalog.create_upload(bucket, upload_record("k", "u"))
        early, late = (
            msgspec.structs.replace(part_record(1, blob(), "etag"), salt=salt)
            for salt in (b"early", b"late")
        )
        await catalog.put_part(bucket, "k", "u", early)
        sealed = catalog.seal_data_key(b"key", b"id")
        encryption = Encryption("AES256", b"id", sealed, salts=(early.salt,))
        record = msgspec.structs.replace(object_record(), encryption=encryption)
        await catalog.put_part(bucket, "k", "u", late)
        await catalog.complete_upload(bucket, "k", "u", record, parts=[(1, "etag")])
        found = catalog.get_object(bucket, "k")
        assert found is not None
        assert found.encryption is not None
        assert (found.blobs, found.encryption.salts) == ((late.blob,), (b"late",))
