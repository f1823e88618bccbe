"""Tags of objects in managed buckets, attached directories and buckets at another endpoint."""

import base64
import os
from functools import partial

import pytest
import trio

from s3proxy.ops.namespace import CopyFrom, ObjectWrite
from s3proxy.ops.resolve import open_namespace
from s3proxy.s3.tagging import tagging
from tests.ops.lab import Answer, Lab, md5
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
FAR_BUCKETS = pytest.mark.parametrize("bucket", ["far", "near"])


async def tags_of(lab: Lab, path: str) -> dict[str, str]:
    found = await lab.get(f"{path}?tagging")
    return dict(zip(found.texts("Key"), found.texts("Value"), strict=True))


async def put_tags(lab: Lab, path: str, document: bytes, query: str = "tagging") -> Answer:
    return await lab.put(f"{path}?{query}", document, content_md5=_md5(document))


def _md5(document: bytes) -> str:
    return base64.b64encode(bytes.fromhex(md5(document))).decode()


@BUCKETS
@pytest.mark.parametrize("size", [0, 10, 5000])
async def test_put_object_tagging_changes_the_tags_alone(lab: Lab, bucket: str, size: int) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"x" * size, content_type="text/x", x_amz_meta_a="1")
    before = await lab.get(path)
    lab.clock.ns += 10**12
    assert (await put_tags(lab, path, tagging({"b": "2", "a": ""}))).status == 200
    assert await tags_of(lab, path) == {"b": "2", "a": ""}
    after = await lab.get(path)
    assert after.headers.pop("x-amz-tagging-count") == "2"
    assert (after.headers, after.body) == (before.headers, before.body)
    head = await lab.ask("HEAD", path)
    assert head.headers["x-amz-tagging-count"] == "2"
    assert lab.garbage() == []


@BUCKETS
async def test_put_object_tagging_replaces_all_and_delete_removes_them(
    lab: Lab, bucket: str
) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"x", x_amz_tagging="a=1&b=2")
    await put_tags(lab, path, tagging({"c": "3"}), "tagging&versionId=null")
    assert await tags_of(lab, path) == {"c": "3"}
    for _ in range(2):
        assert (await lab.ask("DELETE", f"{path}?tagging&versionId=null")).status == 204
    assert await tags_of(lab, path) == {}
    assert "x-amz-tagging-count" not in (await lab.get(path)).headers
    assert (await lab.get(path)).body == b"x"


@BUCKETS
async def test_tagging_of_no_object_is_no_such_key(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/absent"
    with raises_s3("NoSuchKey"):
        await put_tags(lab, path, tagging({"a": "1"}))
    with raises_s3("NoSuchKey"):
        await lab.get(f"{path}?tagging")
    with raises_s3("NoSuchKey"):
        await lab.ask("DELETE", f"{path}?tagging")
    with raises_s3("NoSuchVersion"):
        await lab.ask("DELETE", f"{path}?tagging&versionId={'v' * 32}")


@BUCKETS
async def test_put_object_tagging_with_a_fault_keeps_the_tags(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"x", x_amz_tagging="a=1")
    many = tagging({f"k{number}": "v" for number in range(11)})
    for document, code in (
        (b"", "MalformedXML"),
        (tagging({"aws:a": "1"}), "InvalidTag"),
        (many, "InvalidTag"),
    ):
        with raises_s3(code):
            await put_tags(lab, path, document)
    with raises_s3("BadDigest"):
        await lab.put(f"{path}?tagging", tagging({}), content_md5=_md5(b"other"))
    with raises_s3("InvalidRequest"):
        await lab.put(f"{path}?tagging", tagging({}))
    assert await tags_of(lab, path) == {"a": "1"}


@BUCKETS
async def test_put_object_takes_its_tags_from_the_header(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"x", x_amz_tagging="a=%C3%BC+b&c")
    assert await tags_of(lab, path) == {"a": "ü b", "c": ""}
    with raises_s3("InvalidTag"):
        await lab.put(path, b"y", x_amz_tagging="aws:a=1")
    assert (await lab.get(path)).body == b"x"
    await lab.put(f"{path}?x-amz-tagging=d%3D%25C3%25BC", b"z")
    assert await tags_of(lab, path) == {"d": "ü"}
    await lab.put(path, b"w")
    assert await tags_of(lab, path) == {}


@BUCKETS
async def test_complete_multipart_upload_gives_the_tags_of_its_start(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    with raises_s3("InvalidArgument"):
        await lab.ask("POST", f"{path}?uploads", x_amz_tagging="a=1&a=2")
    upload = (await lab.ask("POST", f"{path}?uploads", x_amz_tagging="a=1")).text("UploadId")
    with raises_s3("NotImplemented"):
        await lab.put(f"{path}?partNumber=1&uploadId={upload}", b"x", x_amz_tagging="b=1")
    part = await lab.put(f"{path}?partNumber=1&uploadId={upload}", b"x" * 20)
    await lab.ask("POST", f"{path}?uploadId={upload}", completion(part.etag))
    assert await tags_of(lab, path) == {"a": "1"}
    await put_tags(lab, path, tagging({"b": "2"}))
    found = await lab.get(f"{path}?partNumber=1")
    assert (found.body, found.headers["x-amz-tagging-count"]) == (b"x" * 20, "1")


@pytest.mark.parametrize("source", ["www", "files"])
@pytest.mark.parametrize("target", ["www", "files"])
@pytest.mark.parametrize("size", [10, 5000])
async def test_copy_object_has_tags_by_their_directive(
    lab: Lab, source: str, target: str, size: int
) -> None:
    await lab.put(f"/{source}/from", b"x" * size, x_amz_tagging="a=1")
    copy = partial(lab.ask, "PUT", f"/{target}/to", x_amz_copy_source=f"/{source}/from")
    await copy()
    assert await tags_of(lab, f"/{target}/to") == {"a": "1"}
    await copy(x_amz_tagging_directive="REPLACE", x_amz_tagging="b=2")
    assert await tags_of(lab, f"/{target}/to") == {"b": "2"}
    await copy(x_amz_tagging="c=3", x_amz_metadata_directive="REPLACE")
    assert await tags_of(lab, f"/{target}/to") == {"a": "1"}
    await copy(x_amz_tagging_directive="REPLACE")
    assert await tags_of(lab, f"/{target}/to") == {}
    with raises_s3("InvalidArgument"):
        await copy(x_amz_tagging_directive="MERGE")


@BUCKETS
async def test_copy_object_onto_itself_keeps_or_replaces_tags(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"x", x_amz_tagging="a=1")
    copy = partial(lab.ask, "PUT", path, x_amz_copy_source=path, x_amz_metadata_directive="REPLACE")
    await copy(x_amz_meta_a="1")
    assert await tags_of(lab, path) == {"a": "1"}
    await copy(x_amz_tagging_directive="REPLACE", x_amz_tagging="b=2")
    assert await tags_of(lab, path) == {"b": "2"}


@BUCKETS
async def test_copy_object_onto_itself_never_undoes_a_tagging_meanwhile(
    lab: Lab, bucket: str
) -> None:
    await lab.put(f"/{bucket}/k", b"x", x_amz_tagging="a=1")
    record_of_bucket = lab.bucket(bucket)
    namespace = open_namespace(lab.services, record_of_bucket)
    record = await namespace.find("k")
    assert record is not None
    await put_tags(lab, f"/{bucket}/k", tagging({"b": "2"}))
    write = ObjectWrite(system=record.system, user={"c": "3"}, tags=record.tags)
    with raises_s3("ConditionalRequestConflict"):
        await namespace.copy(CopyFrom("k", record), "k", write)
    assert await tags_of(lab, f"/{bucket}/k") == {"b": "2"}


@BUCKETS
async def test_tagging_beside_writes_leaves_the_object_whole(lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/k"
    await lab.put(path, b"0" * 5000)

    async def write(number: int) -> None:
        await lab.put(path, b"%d" % number * 5000, x_amz_tagging=f"put={number}")

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(write, number)
            nursery.start_soon(put_tags, lab, path, tagging({"tagged": str(number)}))
    found = await lab.get(path)
    assert (len(found.body), len(set(found.body)), found.etag) == (5000, 1, md5(found.body))
    assert len(await tags_of(lab, path)) == 1
    if bucket == "www":
        assert len(lab.blobs()) == 1 + len(lab.garbage())


async def test_file_placed_by_others_takes_tags_and_keeps_its_etag(lab: Lab) -> None:
    path = lab.files / "page.html"
    path.write_bytes(b"<html>")
    before = await lab.get("/files/page.html")
    await put_tags(lab, "/files/page.html", tagging({"a": "1"}))
    after = await lab.get("/files/page.html")
    assert after.headers.pop("x-amz-tagging-count") == "1"
    assert after.headers == before.headers
    os.utime(path, ns=(1, 1))
    assert await tags_of(lab, "/files/page.html") == {}


@FAR_BUCKETS
async def test_tags_there_and_back(s3_lab: Lab, bucket: str) -> None:
    path = f"/{bucket}/a/b%20c"
    await s3_lab.put(path, b"x" * 2000, x_amz_tagging="a=%C3%BC+b&c=")
    assert await tags_of(s3_lab, path) == {"a": "ü b", "c": ""}
    assert (await put_tags(s3_lab, path, tagging({"d": "4"}))).status == 200
    assert await tags_of(s3_lab, path) == {"d": "4"}
    assert (await s3_lab.get(path)).headers["x-amz-tagging-count"] == "1"
    assert (await s3_lab.ask("DELETE", f"{path}?tagging")).status == 204
    assert await tags_of(s3_lab, path) == {}
    assert (await s3_lab.get(path)).body == b"x" * 2000
    with raises_s3("InvalidRequest"):
        await s3_lab.put(f"{path}?tagging", tagging({}))
    with raises_s3("NoSuchKey"):
        await s3_lab.get(f"/{bucket}/absent?tagging")


@pytest.mark.parametrize("source", ["www", "files", "far", "near"])
@pytest.mark.parametrize("target", ["www", "files", "far", "near"])
async def test_copy_object_between_places_takes_tags_along(
    s3_lab: Lab, source: str, target: str
) -> None:
    await s3_lab.put(f"/{source}/from", b"x" * 2000, x_amz_tagging="a=%C3%BC+%2B")
    copy = partial(s3_lab.ask, "PUT", f"/{target}/to", x_amz_copy_source=f"/{source}/from")
    await copy()
    assert await tags_of(s3_lab, f"/{target}/to") == {"a": "ü +"}
    await copy(x_amz_tagging_directive="REPLACE", x_amz_tagging="b=2")
    assert await tags_of(s3_lab, f"/{target}/to") == {"b": "2"}
