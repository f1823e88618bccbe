"""What only local blobs have: the fan-out, recovery, a refused disk."""

import errno
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from s3proxy.backends.errors import (
    BackendError,
    InvalidKey,
    NoSpace,
    NotFound,
    PermissionDenied,
    Unavailable,
    Unsupported,
)
from s3proxy.backends.local import LocalBackend
from s3proxy.backends.options import LocalOptions
from s3proxy.backends.store import PutOptions
from tests.backends.stores import KIB, MIB, Source, files_below, put, read

BLOB = "0123456789abcdef0123456789abcdef"


def opened(root: Path, **options: Any) -> LocalBackend:
    return LocalBackend(LocalOptions(name="disk", root=str(root), **options))


async def test_blob_is_fanned_out_by_its_id(tmp_path: Path) -> None:
    backend = opened(tmp_path)
    await put(backend.blobs("c"), BLOB, b"data")
    assert (tmp_path / "01" / "23" / BLOB).read_bytes() == b"data"
    assert backend.blob_name("some/key", BLOB) == BLOB
    assert list(backend.blob_ids()) == [BLOB]


@pytest.mark.parametrize("name", ["", "abc", "../../etc/passwd", "ab/cd/ef", "ABCDEF", "x" * 32])
async def test_name_that_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    store = opened(tmp_path).blobs("c")
    for call in (store.head(name), store.open(name), put(store, name, b""), store.delete(name)):
        with pytest.raises(InvalidKey):
            await call


async def test_multipart_and_delimiters_are_unsupported(tmp_path: Path) -> None:
    store = opened(tmp_path).blobs("c")
    part = store.put_part(BLOB, "u", 1, Source(b""), PutOptions())
    complete = store.complete_upload(BLOB, "u", [], PutOptions())
    listing = store.list("", delimiter="/", after="", limit=1)
    for call in (store.create_upload(BLOB, PutOptions()), part, complete, listing):
        with pytest.raises(Unsupported):
            await call


async def test_recover_removes_only_older_temporaries(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    old, new = tmp_path / "tmp" / "old.1", tmp_path / "tmp" / "new.2"
    old.write_bytes(b"half")
    os.utime(old, ns=(1, 1))
    backend = opened(tmp_path)
    new.write_bytes(b"half")
    future_ns = new.stat().st_mtime_ns + 10**9
    os.utime(new, ns=(future_ns, future_ns))
    assert await backend.recover() == 1
    assert new.exists()
    assert not old.exists()


@pytest.mark.parametrize("durability", ["fsync", "none"])
async def test_durability_decides_whether_files_are_synced(
    tmp_path: Path, durability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    store = opened(tmp_path, durability=durability).blobs("c")
    await put(store, BLOB, b"data")
    await put(store, BLOB[:-1] + "0", bytes(MIB))
    assert bool(synced) == (durability == "fsync")
    assert len(await read(store, BLOB[:-1] + "0")) == MIB


@pytest.mark.parametrize("size", [100, 3 * MIB])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EROFS, PermissionDenied),
        (errno.EACCES, PermissionDenied),
        (errno.EIO, Unavailable),
    ],
)
async def test_put_on_a_refusing_disk_leaves_nothing(
    tmp_path: Path,
    size: int,
    number: int,
    kind: type[BackendError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = opened(tmp_path)
    (tmp_path / "www").mkdir()

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    for store in (backend.blobs("c"), backend.files("www")):
        with monkeypatch.context() as patch:
            patch.setattr("os.pwrite", refuse)
            with pytest.raises(kind) as caught:
                await put(store, BLOB, bytes(size))
        assert type(caught.value) is kind
        assert (caught.value.backend, caught.value.path) == ("disk", BLOB)
        with pytest.raises(NotFound):
            await store.head(BLOB)
        assert not files_below(tmp_path)
        await put(store, BLOB, bytes(size))
        await store.delete(BLOB)


async def test_put_with_failing_fsync_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "I/O error")

    store = opened(tmp_path).blobs("c")
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable):
        await put(store, BLOB, b"data")
    assert not files_below(tmp_path)


@pytest.mark.parametrize("size", [64 * KIB, 8 * MIB])
async def test_put_on_a_full_disk_is_no_space(small_disk: Path, size: int) -> None:
    backend = opened(small_disk)
    (small_disk / "www").mkdir(exist_ok=True)
    for store in (backend.blobs("c"), backend.files("www")):
        stored = []
        with pytest.raises(NoSpace):
            for _ in range(1000):
                name = uuid.uuid4().hex
                await put(store, name, bytes(size))
                stored.append(name)
        for name in stored:
            assert (await store.head(name)).size == size
            await store.delete(name)
        # Nothing half-written holds space back.
        await put(store, BLOB, bytes(50_000))
        await store.delete(BLOB)
        assert not files_below(small_disk)


async def test_check_of_a_vanished_root_fails(tmp_path: Path) -> None:
    backend = opened(tmp_path / "root")
    (tmp_path / "root").rmdir()
    with pytest.raises(NotFound):
        await backend.check()
