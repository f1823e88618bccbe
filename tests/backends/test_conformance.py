"""One suite that every store passes: the contract of s3proxy/backends/store.py."""

import os

import pytest
import trio

from s3proxy.backends.errors import (
    AlreadyExists,
    BackendError,
    BodyRejected,
    InvalidRange,
    NotFound,
    PreconditionFailed,
)
from s3proxy.backends.store import PutOptions
from tests.backends.stores import (
    KIB,
    MIB,
    FailingSource,
    HangingSource,
    Place,
    Source,
    SourceError,
    keys,
    put,
    read,
)

SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 5 * MIB)


@pytest.mark.parametrize("size", SIZES)
async def test_put_any_size_reads_back(place: Place, size: int) -> None:
    key, data = place.key("dir/object"), os.urandom(size)
    written = await put(place.store, key, data)
    stat = await place.store.head(key)
    assert written.size == stat.size == size
    assert stat.modified_ns > 0
    assert await read(place.store, key) == data
    assert not place.leftovers()


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (0, 99), (1, 70_000), (99_999, 99_999), (50_000, None), (10, 999_999)],
)
async def test_open_range_gives_those_bytes(place: Place, first: int, last: int | None) -> None:
    key, data = place.key("object"), os.urandom(100_000)
    await put(place.store, key, data)
    assert (
        await read(place.store, key, first, last)
        == data[first : None if last is None else last + 1]
    )
    reading = await place.store.open(key, first, last)
    assert reading.stat.size == len(data)
    await reading.body.aclose()


async def test_open_range_behind_the_end_is_refused(place: Place) -> None:
    key = place.key("object")
    await put(place.store, key, b"0123456789")
    with pytest.raises(InvalidRange):
        await place.store.open(key, 10, 20)


async def test_missing_key_is_not_found(place: Place) -> None:
    key = place.key("no/such")
    with pytest.raises(NotFound):
        await place.store.head(key)
    with pytest.raises(NotFound):
        await place.store.open(key)
    with pytest.raises(NotFound):
        await place.store.copy(key, place.key("target"), PutOptions())


async def test_delete_twice_succeeds(place: Place) -> None:
    key = place.key("object")
    await put(place.store, key, b"data")
    await place.store.delete(key)
    await place.store.delete(key)
    with pytest.raises(NotFound):
        await place.store.head(key)


async def test_put_existing_key_replaces_it_or_keeps_the_blob(place: Place) -> None:
    key = place.key("object")
    await put(place.store, key, b"first")
    if place.blobs:
        with pytest.raises(AlreadyExists):
            await put(place.store, key, b"second!")
        assert await read(place.store, key) == b"first"
    else:
        await put(place.store, key, b"second!")
        assert await read(place.store, key) == b"second!"
    assert not place.leftovers()


async def test_copy_makes_an_equal_object(place: Place) -> None:
    source, target = place.key("a"), place.key("b/c")
    data = os.urandom(3 * MIB + 17)
    await put(place.store, source, data)
    stat = await place.store.copy(source, target, PutOptions())
    assert stat.size == len(data)
    assert await read(place.store, target) == data
    assert await read(place.store, source) == data


@pytest.mark.parametrize("size", [10, 300_000])
async def test_put_failing_source_leaves_nothing(place: Place, size: int) -> None:
    key = place.key("object")
    with pytest.raises(SourceError):
        await place.store.put(key, FailingSource(bytes(size)), PutOptions(length=size))
    with pytest.raises(NotFound):
        await place.store.head(key)
    assert not place.leftovers()


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_put_cancelled_leaves_nothing(place: Place, size: int) -> None:
    key, source = place.key("object"), HangingSource(bytes(size))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.store.put, key, source, PutOptions(length=size))
        await source.reached.wait()
        nursery.cancel_scope.cancel()
    with pytest.raises(NotFound):
        await place.store.head(key)
    assert not place.leftovers()


@pytest.mark.parametrize("size", [0, 10, 100_000])
@pytest.mark.parametrize("announced", [1, 70_000, 200_000])
async def test_put_other_length_than_announced_is_rejected(
    place: Place, size: int, announced: int
) -> None:
    key = place.key("object")
    with pytest.raises(BodyRejected):
        await place.store.put(key, Source(bytes(size)), PutOptions(length=announced))
    with pytest.raises(NotFound):
        await place.store.head(key)
    assert not place.leftovers()


@pytest.mark.parametrize("size", [0, 10, 200_000])
async def test_put_is_invisible_until_published(place: Place, size: int) -> None:
    key, data, seen = place.key("object"), os.urandom(size), []

    async def published() -> None:
        with pytest.raises(NotFound):
            await place.store.head(key)
        seen.append(True)

    await put(place.store, key, data, published=published)
    assert seen == [True]
    assert await read(place.store, key) == data


@pytest.mark.parametrize("size", [0, 10, 200_000])
async def test_put_with_failing_published_leaves_nothing(place: Place, size: int) -> None:
    key = place.key("object")

    async def published() -> None:
        raise SourceError

    with pytest.raises(SourceError):
        await put(place.store, key, bytes(size), published=published)
    with pytest.raises(NotFound):
        await place.store.head(key)
    assert not place.leftovers()


async def test_put_if_none_match_of_existing_key_fails(place: Place) -> None:
    key = place.key("object")
    await put(place.store, key, b"first", if_none_match_any=True)
    with pytest.raises((PreconditionFailed, AlreadyExists)):
        await put(place.store, key, b"second", if_none_match_any=True)
    assert await read(place.store, key) == b"first"
    assert not place.leftovers()


async def test_put_if_none_match_race_has_one_winner(place: Place) -> None:
    key, winners = place.key("raced"), []

    async def race(number: int) -> None:
        data = bytes([number]) * 1000
        try:
            await put(place.store, key, data, if_none_match_any=True)
        except (PreconditionFailed, AlreadyExists):
            return
        winners.append(data)

    async with trio.open_nursery() as nursery:
        for number in range(16 if place.atomic else 1):
            nursery.start_soon(race, number)
    assert [await read(place.store, key)] == winners


async def test_backend_answers_check_and_recover(place: Place) -> None:
    await place.backend.check()
    assert await place.backend.recover() == 0


async def test_list_gives_what_was_put(place: Place) -> None:
    written = sorted(place.key(name) for name in ("a", "b", "c"))
    for key in written:
        await put(place.store, key, b"data")
    page = await place.store.list("", delimiter="", after="", limit=2)
    assert [entry.key for entry in page.objects] == written[:2]
    assert page.truncated
    assert page.next_after == written[1]
    assert [entry.size for entry in page.objects] == [4, 4]
    assert await keys(place.store) == written


async def test_abort_unknown_upload_succeeds(place: Place) -> None:
    await place.store.abort_upload(place.key("object"), "0" * 32)


async def test_missing_upload_is_a_backend_error(place: Place) -> None:
    with pytest.raises(BackendError):
        await place.store.complete_upload(place.key("o"), "0" * 32, [(1, "0" * 32)], PutOptions())
