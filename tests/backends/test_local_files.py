"""What only attached directories have: paths, links, foreign files, restarts."""

import os
import socket
from pathlib import Path

import pytest
import trio

from s3proxy.backends.errors import (
    BodyRejected,
    InvalidKey,
    KeyConflict,
    NoSuchContainer,
    NoSuchUpload,
    NotFound,
)
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.local_files import LocalFileStore
from s3proxy.backends.options import LocalOptions
from s3proxy.backends.store import PutOptions
from tests.backends.stores import MIB, Source, keys, names_in, put, read


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    (tmp_path / "www").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path


@pytest.fixture
async def www(root: Path) -> Path:
    return root / "www"


@pytest.fixture
async def store(root: Path) -> LocalFileStore:
    return opened(root)


def opened(root: Path) -> LocalFileStore:
    return LocalBackend(LocalOptions(name="disk", root=str(root))).files("www")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/", "empty"),
        ("/a", "empty"),
        ("a//b", "empty"),
        ("a//", "empty"),
        (".", '"."'),
        ("..", '".."'),
        ("a/./b", '"."'),
        ("../secret", '".."'),
        ("a/../../secret", '".."'),
        ("a\0b", "NUL"),
        (".s3proxy", "reserved"),
        (".s3proxy/tmp/x", "reserved"),
        ("a/.s3proxy-marker", "reserved"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("bad\udc80", "Unicode"),
    ],
)
async def test_key_that_is_no_path_is_refused_with_the_reason(
    store: LocalFileStore, www: Path, key: str, reason: str
) -> None:
    (www / "good").write_bytes(b"data")
    for call in (
        store.head(key),
        store.open(key),
        put(store, key, b"data"),
        store.delete(key),
        store.copy("good", key, PutOptions()),
        store.create_upload(key, PutOptions()),
    ):
        with pytest.raises(InvalidKey, match=reason) as caught:
            await call
        assert caught.value.code == "InvalidRequest"
    assert await keys(store) == ["good"]


async def test_links_do_not_exist(store: LocalFileStore, root: Path, www: Path) -> None:
    (www / "file").symlink_to(root / "secret")
    (www / "dir").symlink_to(root)
    (www / "loop").symlink_to("loop")
    (www / "inside").symlink_to("real")
    (www / "real").write_bytes(b"data")
    assert await keys(store) == ["real"]
    for key in ("file", "dir/secret", "dir/", "loop", "inside"):
        with pytest.raises(NotFound):
            await store.open(key)
        with pytest.raises(NotFound):
            await store.head(key)
        await store.delete(key)
        with pytest.raises(InvalidKey, match="link"):
            await put(store, key, b"")
    assert (root / "secret").read_bytes() == b"secret"
    assert names_in(www) == [".s3proxy", "dir", "file", "inside", "loop", "real"]


async def test_special_files_do_not_exist(store: LocalFileStore, www: Path) -> None:
    os.mkfifo(www / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        directory = os.open(www, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)
        for key in ("fifo", "socket"):
            with pytest.raises(NotFound):
                await store.open(key)
            with pytest.raises(InvalidKey, match="special file"):
                await put(store, key, b"data")
    assert await keys(store) == []


async def test_object_below_an_object_is_a_conflict(store: LocalFileStore) -> None:
    await put(store, "a", b"data")
    with pytest.raises(KeyConflict, match='"a" on its way is an object'):
        await put(store, "a/b", b"data")
    with pytest.raises(KeyConflict):
        await put(store, "a/b/c", b"data")
    with pytest.raises(NotFound):
        await store.head("a/b")
    await store.delete("a/b")
    assert await read(store, "a") == b"data"


async def test_object_in_place_of_a_directory_is_a_conflict(store: LocalFileStore) -> None:
    await put(store, "a/b", b"data")
    with pytest.raises(KeyConflict, match='"a/" has objects'):
        await put(store, "a", b"data")
    with pytest.raises(NotFound):
        await store.head("a")
    await store.delete("a")
    assert await read(store, "a/b") == b"data"
    await store.delete("a/b")
    await put(store, "a", b"data")
    assert await keys(store) == ["a"]


async def test_object_in_place_of_an_empty_directory_replaces_it(
    store: LocalFileStore, www: Path
) -> None:
    (www / "a").mkdir()
    assert await keys(store) == []
    await put(store, "a", b"data")
    assert await read(store, "a") == b"data"


async def test_marker_with_bytes_is_rejected(store: LocalFileStore) -> None:
    with pytest.raises(BodyRejected) as caught:
        await put(store, "a/", b"data")
    assert caught.value.code == "InvalidRequest"


async def test_delete_removes_empty_parents_but_not_the_root(
    store: LocalFileStore, www: Path
) -> None:
    await put(store, "a/b/c/d", b"data")
    await put(store, "a/x", b"data")
    await store.delete("a/b/c/d")
    assert names_in(www / "a") == ["x"]
    await store.delete("a/x")
    assert names_in(www) == [".s3proxy"]


async def test_put_and_delete_side_by_side_never_fail(store: LocalFileStore) -> None:
    async def churn(number: int) -> None:
        for _ in range(30):
            await put(store, f"a/b/{number}", b"data")
            await store.delete(f"a/b/{number}")

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(churn, number)
    assert await keys(store) == []


async def test_foreign_files_are_objects(store: LocalFileStore, www: Path) -> None:
    (www / "x").mkdir()
    (www / "x" / "file").write_bytes(b"data")
    (www / "empty").mkdir()
    os.close(os.open(bytes(www) + b"/not-utf8-\xff", os.O_CREAT))
    assert await keys(store) == ["x/file"]
    assert store.hidden_names == 1
    assert await read(store, "x/file") == b"data"
    page = await store.list("", delimiter="/", after="", limit=10)
    assert (page.objects, page.common_prefixes) == ([], ["x/"])


async def test_etag_changes_with_the_file(store: LocalFileStore, www: Path) -> None:
    first = (await put(store, "a", b"data")).etag
    assert first == (await store.head("a")).etag
    os.utime(www / "a", ns=(1, 1))
    second = (await store.head("a")).etag
    assert first != second
    assert all("-" in etag for etag in (first, second))


async def test_list_tells_the_prefix_of_the_deepest_key_there_can_be(store: LocalFileStore) -> None:
    """Deeper than Python's stack, with an empty branch beside it."""
    key = "a/" * 511 + "a"
    await put(store, key, b"data")
    for prefix in ("", "a/" * 100):
        page = await store.list(prefix, delimiter="/", after="", limit=10)
        assert page.common_prefixes == [f"{prefix}a/"]
    page = await store.list("", delimiter="", after="", limit=10)
    assert [listed.key for listed in page.objects] == [key]


async def test_list_reads_only_directories_that_matter(
    store: LocalFileStore, www: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (www / f"d{number:02}").mkdir()
        (www / f"d{number:02}" / "file").write_bytes(b"")
    scanned = 0
    scandir = os.scandir

    def counting(path: object) -> object:
        nonlocal scanned
        scanned += 1
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr("os.scandir", counting)
    page = await store.list("d07/", delimiter="", after="", limit=10)
    assert [entry.key for entry in page.objects] == ["d07/file"]
    assert scanned == 2
    page = await store.list("", delimiter="", after="d17/file", limit=10)
    assert [entry.key for entry in page.objects] == ["d18/file", "d19/file"]
    assert scanned <= 2 + 4


async def test_missing_directory_is_no_such_container(store: LocalFileStore, root: Path) -> None:
    (root / "www").rename(root / "moved")
    for call in (
        store.head("a"),
        put(store, "a", b"data"),
        store.list("", delimiter="", after="", limit=1),
        store.create_upload("a", PutOptions()),
    ):
        with pytest.raises(NoSuchContainer):
            await call
    assert names_in(root) == ["moved", "secret"]


@pytest.mark.parametrize(
    "target",
    ["", ".", "..", "../x", "a/../..", "a\0b", "ab", "de/sub", "tmp", ".s3proxy", "link/x"],
)
async def test_target_that_is_not_below_the_root_is_refused(root: Path, target: str) -> None:
    (root / "link").symlink_to("/")
    with pytest.raises(InvalidKey):
        LocalBackend(LocalOptions(name="disk", root=str(root))).files(target)


async def test_upload_outlives_a_restart(root: Path, store: LocalFileStore) -> None:
    upload = await store.create_upload("a", PutOptions())
    first, second = os.urandom(2 * MIB), os.urandom(2 * MIB)
    options = PutOptions(length=2 * MIB)
    await store.put_part("a", upload, 2, Source(second), options)
    store = opened(root)
    await store.put_part("a", upload, 1, Source(first), options)
    store = opened(root)
    await store.complete_upload("a", upload, [(1, ""), (2, "")], PutOptions())
    assert await read(store, "a") == first + second


async def test_uploads_that_nobody_knows_are_removed(root: Path, www: Path) -> None:
    backend = LocalBackend(LocalOptions(name="disk", root=str(root)))
    store = backend.files("www")
    known = await store.create_upload("a", PutOptions())
    unknown = await store.create_upload("a", PutOptions())
    await store.put_part("a", unknown, 1, Source(b"data"), PutOptions(length=4))
    (www / ".s3proxy" / "uploads" / "foreign").mkdir()
    assert await backend.forget_uploads("www", {known}) == 1
    assert names_in(www / ".s3proxy" / "uploads") == [known, "foreign"]
    assert await backend.forget_uploads("elsewhere", {known}) == 0


async def test_upload_of_another_key_is_no_such_upload(store: LocalFileStore) -> None:
    upload = await store.create_upload("a", PutOptions())
    for key, upload_id in (("b", upload), ("a", "0" * 32), ("a", "../../../x"), ("a", "")):
        with pytest.raises(NoSuchUpload):
            await store.put_part(key, upload_id, 1, Source(b"x"), PutOptions(length=1))


async def test_late_part_does_not_change_the_completed_object(
    root: Path, store: LocalFileStore
) -> None:
    upload = await store.create_upload("a", PutOptions())
    options = PutOptions(length=100)
    await store.put_part("a", upload, 1, Source(bytes(100)), options)
    directory = root / "www/.s3proxy/uploads" / upload
    await store.complete_upload("a", upload, [(1, "")], PutOptions())
    # As if the process had died between making the object and forgetting the upload.
    directory.mkdir()
    os.link(root / "www/a", directory / "sized.100")
    (directory / "upload.json").write_text('{"key":"a"}')
    await store.put_part("a", upload, 2, Source(b"\1" * 100), options)
    assert await read(store, "a") == bytes(100)


async def test_part_during_complete_does_not_change_the_object(store: LocalFileStore) -> None:
    upload = await store.create_upload("a", PutOptions())
    options = PutOptions(length=100)
    await store.put_part("a", upload, 1, Source(bytes(100)), options)

    async def published() -> None:
        await store.put_part("a", upload, 2, Source(b"\1" * 100), options)

    await store.complete_upload("a", upload, [(1, "")], PutOptions(published=published))
    assert await read(store, "a") == bytes(100)


async def test_leftovers_of_an_earlier_process_are_removed(root: Path, www: Path) -> None:
    temporary = www / ".s3proxy" / "tmp" / "1.1"
    removed = www / ".s3proxy" / "uploads" / f"removed.{'0' * 32}"
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"half")
    os.utime(temporary, ns=(1, 1))
    removed.mkdir(parents=True)
    store = opened(root)
    assert not temporary.exists()
    assert not removed.exists()
    assert await keys(store) == []
