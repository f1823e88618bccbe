"""What every attached store passes besides test_conformance.py: keys, listings, multipart."""

import os
from itertools import pairwise, product

import pytest
import trio

from s3proxy.backends.errors import (
    BackendError,
    InvalidPart,
    NoSuchUpload,
    NotFound,
    PreconditionFailed,
)
from s3proxy.backends.store import PutOptions
from s3proxy.s3.listing import ListedObject, ListPage
from tests.backends.stores import MIB, FailingSource, Place, Source, SourceError, keys, put, read
from tests.s3.page_model import PageBuilder

ODD_KEYS = (
    "with space",
    " leading and trailing ",
    "plus+sign",
    "percent%20encoded%2Fslash",
    "quote'and\"double",
    "ünïcödé/日本語",
    "emoji/🎉🏴‍☠️.txt",
    "amp&lt<gt>semi;colon:",
    "hash#question?equals=",
    "back\\slash|pipe~tilde",
    "star*paren(){}[]!@$^`,",
    "...three/..dots/dots..",
    "x" * 255,
)

TREE = (
    "a", "a b", "a-b/1", "a.txt", "a/", "a/1", "a/b/2", "a/b/c/3", "a0",
    "b/1", "b/2", "b/3", "c", "d/e/f/g", "é/1", "z",
)  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_key_reads_back_lists_copies_and_goes(files: Place, key: str) -> None:
    await put(files.store, key, b"data")
    assert await read(files.store, key) == b"data"
    assert await keys(files.store) == [key]
    assert await keys(files.store, key) == [key]
    await files.store.copy(key, "copied", PutOptions())
    assert await read(files.store, "copied") == b"data"
    await files.store.delete(key)
    assert await keys(files.store) == ["copied"]


def conflict_free(names: tuple[str, ...]) -> list[str]:
    """Without keys that are a directory of others, which file paths cannot have."""
    return [n for n in names if n.endswith("/") or not any(o.startswith(n + "/") for o in names)]


def expected_page(
    names: list[str], prefix: str, delimiter: str, after: str, limit: int
) -> ListPage:
    builder = PageBuilder(prefix=prefix, delimiter=delimiter, after=after, limit=limit)
    for name in sorted(n for n in names if n.startswith(prefix)):
        builder.offer(ListedObject(key=name, size=0, etag="", modified_ns=0))
    return builder.page()


@pytest.mark.parametrize("delimiter", ["", "/", "b", "/b"])
async def test_list_every_page_agrees_with_the_model(files: Place, delimiter: str) -> None:
    names = conflict_free(TREE)
    for name in names:
        await put(files.store, name, b"")
    for prefix, limit in product(("", "a", "a/", "a/b", "b/", "d/e", "none"), (1, 2, 3, 1000)):
        await compare_pages(files, names, (prefix, delimiter), limit)


async def compare_pages(
    files: Place, names: list[str], grouping: tuple[str, str], limit: int
) -> None:
    prefix, delimiter = grouping
    after = ""
    for _ in range(len(names) + 1):
        page = await files.store.list(prefix, delimiter=delimiter, after=after, limit=limit)
        wanted = expected_page(names, prefix, delimiter, after, limit)
        assert [entry.key for entry in page.objects] == [entry.key for entry in wanted.objects]
        assert page.common_prefixes == wanted.common_prefixes
        assert (page.truncated, page.next_after) == (wanted.truncated, wanted.next_after)
        if not page.truncated:
            return
        after = page.next_after
    raise AssertionError(f"the listing of {grouping} by {limit} does not end")


@pytest.mark.parametrize("after", ["a", "a/", "a/1", "a/b/2", "b/1", "b/9", "c", "zz"])
async def test_list_after_any_key_starts_behind_it(files: Place, after: str) -> None:
    names = conflict_free(TREE)
    for name in names:
        await put(files.store, name, b"")
    page = await files.store.list("", delimiter="", after=after, limit=100)
    assert [entry.key for entry in page.objects] == [n for n in sorted(names) if n > after]


async def test_list_without_room_is_empty(files: Place) -> None:
    await put(files.store, "a", b"")
    page = await files.store.list("", delimiter="", after="", limit=0)
    assert (page.objects, page.common_prefixes, page.truncated) == ([], [], False)


async def test_listed_and_statted_attributes_agree(files: Place) -> None:
    written = await put(files.store, "object", b"data")
    (entry,) = (await files.store.list("", delimiter="", after="", limit=10)).objects
    stat = await files.store.head("object")
    assert written.etag == entry.etag == stat.etag != ""
    assert entry.modified_ns // 10**9 == stat.modified_ns // 10**9


async def test_directory_marker_is_an_object(files: Place) -> None:
    await put(files.store, "dir/", b"")
    await put(files.store, "dir/file", b"data")
    assert await keys(files.store) == ["dir/", "dir/file"]
    assert (await files.store.head("dir/")).size == 0
    await files.store.delete("dir/file")
    assert await keys(files.store) == ["dir/"]
    await files.store.delete("dir/")
    assert await keys(files.store) == []
    with pytest.raises(NotFound):
        await files.store.head("dir/")


PART = 5 * MIB


async def send_parts(place: Place, upload: str, parts: dict[int, bytes]) -> dict[int, str]:
    etags = {}
    for number, data in parts.items():
        options = PutOptions(length=len(data))
        stat = await place.store.put_part("big/object", upload, number, Source(data), options)
        assert stat.size == len(data)
        etags[number] = stat.etag
    return etags


@pytest.mark.parametrize(
    ("order", "sizes"),
    [
        ((1, 2, 3), (PART, PART, 1000)),
        ((3, 1, 2), (PART, PART, 1000)),
        ((2, 3, 1), (PART, PART + 1, PART)),
        ((1, 2), (PART + 7, PART)),
        ((1,), (10,)),
    ],
)
async def test_multipart_any_order_and_sizes_makes_the_object(
    files: Place, order: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    parts = {number: os.urandom(sizes[number - 1]) for number in order}
    upload = await files.store.create_upload("big/object", PutOptions())
    etags = await send_parts(files, upload, parts)
    assert await keys(files.store) == []
    listed = [(number, etags[number]) for number in sorted(etags)]
    stat = await files.store.complete_upload("big/object", upload, listed, PutOptions())
    whole = b"".join(parts[number] for number in sorted(parts))
    assert stat.size == len(whole)
    assert await read(files.store, "big/object") == whole
    assert not files.leftovers()


async def test_multipart_part_sent_again_replaces_the_first(files: Place) -> None:
    upload = await files.store.create_upload("big/object", PutOptions())
    parts = {1: os.urandom(PART), 2: os.urandom(PART), 3: os.urandom(100)}
    await send_parts(files, upload, {1: bytes(PART), 2: bytes(PART), 3: b"other"})
    etags = await send_parts(files, upload, parts)
    await files.store.complete_upload("big/object", upload, sorted(etags.items()), PutOptions())
    assert await read(files.store, "big/object") == b"".join(parts.values())
    assert not files.leftovers()


async def test_multipart_failed_part_keeps_the_one_before(files: Place) -> None:
    upload = await files.store.create_upload("big/object", PutOptions())
    first = os.urandom(PART)
    etags = await send_parts(files, upload, {1: first, 2: b"end"})
    with pytest.raises(SourceError):
        await files.store.put_part(
            "big/object", upload, 1, FailingSource(bytes(PART)), PutOptions(length=PART)
        )
    await files.store.complete_upload("big/object", upload, sorted(etags.items()), PutOptions())
    assert await read(files.store, "big/object") == first + b"end"


async def test_multipart_parts_at_once_all_arrive(files: Place) -> None:
    upload = await files.store.create_upload("big/object", PutOptions())
    parts = {number: os.urandom(PART) for number in range(1, 5)}
    etags: dict[int, str] = {}

    async def send(number: int) -> None:
        etags.update(await send_parts(files, upload, {number: parts[number]}))

    async with trio.open_nursery() as nursery:
        for number in parts:
            nursery.start_soon(send, number)
    await files.store.complete_upload("big/object", upload, sorted(etags.items()), PutOptions())
    assert await read(files.store, "big/object") == b"".join(parts.values())


async def test_multipart_unknown_part_is_refused_and_the_upload_stays(files: Place) -> None:
    upload = await files.store.create_upload("big/object", PutOptions())
    etags = await send_parts(files, upload, {1: b"data"})
    wrong = [(1, etags[1]), (2, "0" * 32)]
    with pytest.raises(InvalidPart):
        await files.store.complete_upload("big/object", upload, wrong, PutOptions())
    await files.store.complete_upload("big/object", upload, wrong[:1], PutOptions())
    assert await read(files.store, "big/object") == b"data"


async def test_multipart_aborted_is_gone(files: Place) -> None:
    upload = await files.store.create_upload("big/object", PutOptions())
    await send_parts(files, upload, {1: b"data"})
    await files.store.abort_upload("big/object", upload)
    await files.store.abort_upload("big/object", upload)
    # moto answers 500 where S3 has NoSuchUpload.
    gone = BackendError if files.name == "moto" else NoSuchUpload
    with pytest.raises(gone):
        await send_parts(files, upload, {1: b"data"})
    with pytest.raises(gone):
        await files.store.complete_upload("big/object", upload, [(1, "0" * 32)], PutOptions())
    assert await keys(files.store) == []
    assert not files.leftovers()


async def test_multipart_complete_if_none_match_respects_the_key(files: Place) -> None:
    await put(files.store, "big/object", b"first")
    upload = await files.store.create_upload("big/object", PutOptions())
    etags = await send_parts(files, upload, {1: b"data"})
    options = PutOptions(if_none_match_any=True)
    with pytest.raises(PreconditionFailed):
        await files.store.complete_upload("big/object", upload, sorted(etags.items()), options)
    assert await read(files.store, "big/object") == b"first"


def test_tree_has_its_hard_cases() -> None:
    names = sorted(conflict_free(TREE))
    assert any(second.startswith(first) for first, second in pairwise(names))
