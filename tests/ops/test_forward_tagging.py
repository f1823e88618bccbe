"""What of tags passes to an endpoint, against one that says what it is told to."""

import base64
from pathlib import Path

import pytest

from s3proxy.s3.tagging import tagging
from tests.backends.endpoint import answer, error
from tests.ops.forwarding import OK, forwarding
from tests.ops.lab import md5
from tests.s3.heads import raises_s3

NO_TAGS_THERE = [
    error("501 Not Implemented", "NotImplemented"),
    error("405 Method Not Allowed", "MethodNotAllowed"),
    error("400 Bad Request", "InvalidArgument"),
]


async def test_put_object_tagging_passes_with_a_digest(tmp_path: Path) -> None:
    document = tagging({"a": "1"})
    digest = base64.b64encode(bytes.fromhex(md5(document))).decode()
    async with forwarding(tmp_path, answer("200 OK")) as (lab, there):
        found = await lab.put("/near/k?tagging&versionId=null", document, content_md5=digest)
        assert found.status == 200
        (head,) = there.heads
        assert (head.method, head.path) == ("PUT", b"/target/k")
        assert head.query == b"tagging=&versionId=null"
        assert (head.get(b"content-md5"), there.bodies) == (digest, [document])


async def test_delete_object_tagging_passes(tmp_path: Path) -> None:
    said = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with forwarding(tmp_path, said) as (lab, there):
        assert (await lab.ask("DELETE", "/near/k?tagging")).status == 204
        (head,) = there.heads
        assert (head.method, head.path, head.query) == ("DELETE", b"/target/k", b"tagging=")


async def test_tagging_header_passes_as_it_came(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.put("/near/k", b"data", x_amz_tagging="a=%C3%BC+b&c")
        assert there.heads[0].get(b"x-amz-tagging") == "a=%C3%BC+b&c"
        await lab.put("/near/k?x-amz-tagging=a%3D1", b"data")
        assert there.heads[1].get(b"x-amz-tagging") == "a=1"


@pytest.mark.parametrize("said", NO_TAGS_THERE)
async def test_copy_from_an_endpoint_without_tags_has_none(tmp_path: Path, said: bytes) -> None:
    found = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "e"\r\n\r\n'
    part = answer("206 Partial Content", b"body", headers=["Content-Range: bytes 0-3/4"])
    async with forwarding(tmp_path, found, said, part) as (lab, there):
        await lab.ask("PUT", "/www/k", x_amz_copy_source="near/k")
        assert [head.query for head in there.heads] == [b"", b"tagging=", b""]
        assert (await lab.get("/www/k?tagging")).texts("Key") == []


async def test_copy_whose_tags_cannot_be_read_is_not_made(tmp_path: Path) -> None:
    found = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "e"\r\n\r\n'
    async with forwarding(tmp_path, found, answer("200 OK", b"<Other/>")) as (lab, _):
        with raises_s3("ServiceUnavailable"):
            await lab.ask("PUT", "/www/k", x_amz_copy_source="near/k")
        with raises_s3("NoSuchKey"):
            await lab.get("/www/k")
