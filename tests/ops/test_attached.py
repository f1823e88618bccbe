"""Attached directories: files that others place, keys that are paths, the side table."""

import os

import pytest

from s3proxy.catalog.records import AttributesRecord
from s3proxy.s3.time import http_date, iso8601
from tests.ops.lab import Lab, md5
from tests.s3.heads import raises_s3


async def test_file_placed_by_others_is_an_object(lab: Lab) -> None:
    (lab.files / "docs").mkdir()
    (lab.files / "docs" / "page.html").write_bytes(b"<html>")
    got = await lab.get("/files/docs/page.html")
    assert (got.body, got.headers["content-type"]) == (b"<html>", "text/html")
    assert "-" in got.etag
    page = await lab.get("/files?list-type=2")
    assert page.texts("ETag") == [f'"{got.etag}"']
    unchanged = await lab.get("/files/docs/page.html", if_none_match=f'"{got.etag}"')
    assert unchanged.status == 304


async def test_file_changed_by_others_loses_what_was_kept_of_it(lab: Lab) -> None:
    await lab.put("/files/k", b"12345", content_type="text/x", x_amz_meta_a="1")
    path = lab.files / "k"
    assert path.read_bytes() == b"12345"
    path.write_bytes(b"54321")
    os.utime(path, ns=(1, 1))
    got = await lab.get("/files/k")
    assert got.body == b"54321"
    assert got.etag != md5(b"12345")
    assert "x-amz-meta-a" not in got.headers


async def test_delete_object_forgets_what_was_kept_of_it(lab: Lab) -> None:
    await lab.put("/files/k", b"12345", x_amz_meta_a="1")
    bucket = lab.bucket("files")
    assert isinstance(lab.catalog.get_attributes(bucket, "k"), AttributesRecord)
    await lab.ask("DELETE", "/files/k")
    assert lab.catalog.get_attributes(bucket, "k") is None
    assert not (lab.files / "k").exists()


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "%2E%2E/outside", "a//b", "a/./b"]
)
async def test_key_that_is_no_path_is_never_one(lab: Lab, key: str) -> None:
    with raises_s3("InvalidRequest"):
        await lab.put(f"/files/{key}", b"x")
    for method in ("GET", "HEAD"):
        with raises_s3("NoSuchKey"):
            await lab.ask(method, f"/files/{key}")
    assert (await lab.ask("DELETE", f"/files/{key}")).status == 204
    assert not (lab.root / "outside").exists()
    assert not (lab.root.parent / "outside").exists()


async def test_symlink_that_leaves_the_root_is_not_followed(lab: Lab) -> None:
    secret = lab.root.parent / "secret"
    secret.write_bytes(b"secret")
    (lab.files / "link").symlink_to(secret)
    (lab.files / "dir").symlink_to(lab.root.parent)
    for key in ("link", "dir/secret"):
        with pytest.raises(Exception) as caught:
            await lab.get(f"/files/{key}")
        assert "secret" not in str(getattr(caught.value, "message", ""))
    assert (await lab.get("/files?list-type=2")).texts("Key") == []


async def test_object_beside_a_directory_of_its_name_is_refused(lab: Lab) -> None:
    await lab.put("/files/a", b"1")
    with raises_s3("InvalidRequest"):
        await lab.put("/files/a/b", b"2")
    assert (await lab.get("/files/a")).body == b"1"


async def test_file_of_a_far_future_is_listed_and_read(lab: Lab) -> None:
    """Of a time that 64 bits of nanoseconds do not hold; ext4 reaches 2446."""
    far = lab.files / "far"
    far.write_bytes(b"far")
    os.utime(far, (13_569_465_600, 13_569_465_600))
    modified_ns = far.stat().st_mtime_ns  # a file system without such times keeps an earlier one
    listed, told = iso8601(modified_ns), http_date(modified_ns)
    if modified_ns >= 2**63:
        listed, told = "2262-04-11T23:47:16.854Z", "Fri, 11 Apr 2262 23:47:16 GMT"
    page = await lab.get("/files?list-type=2")
    assert (page.text("Key"), page.text("LastModified")) == ("far", listed)
    got = await lab.get("/files/far")
    assert (got.body, got.headers["last-modified"]) == (b"far", told)


async def test_directory_marker_is_an_empty_object(lab: Lab) -> None:
    await lab.put("/files/dir/", b"")
    assert (lab.files / "dir").is_dir()
    assert (await lab.ask("HEAD", "/files/dir/")).length == 0
    with raises_s3("InvalidRequest"):
        await lab.put("/files/dir/", b"bytes")


async def test_state_of_the_gateway_is_no_object(lab: Lab) -> None:
    await lab.ask("POST", "/files/k?uploads")
    assert (await lab.get("/files?list-type=2")).texts("Key") == []


async def test_attached_directory_that_is_gone_is_no_such_bucket(lab: Lab) -> None:
    await lab.attach("gone", "disk", "nowhere")
    with raises_s3("NoSuchBucket"):
        await lab.get("/gone/k")
