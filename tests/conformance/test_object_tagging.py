"""Tags of objects over the wire: documents, headers, and the codes of what is refused."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.conformance.asking import Asker, error, field, fields
from tests.faults.wire import Answer

NO_KEY = (404, "NoSuchKey")
INVALID_TAG = (400, "InvalidTag")


def document(*pairs: tuple[str, str]) -> bytes:
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<TagSet>{tags}</TagSet></Tagging>"
    ).encode()


def put_tags(s3: Asker, key: str, body: bytes, query: str = "tagging") -> Answer:
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return s3.put(f"{key}?{query}", body, Content_MD5=digest)


def tags_of(s3: Asker, key: str = "digits") -> list[tuple[str, str]]:
    answer = s3.get(f"{key}?tagging")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")
    return list(zip(fields(answer, "Key"), fields(answer, "Value"), strict=True))


def test_tags_are_put_read_and_deleted_and_the_object_stays(s3: Asker) -> None:
    before = s3.head("digits")
    assert put_tags(s3, "digits", document(("b", "&lt;2&gt;"), ("a", ""))).code == "InvalidTag"
    put = put_tags(s3, "digits", document(("b", "x = ü"), ("a", "")))
    assert (put.status, put.body) == (200, b"")
    assert tags_of(s3) == [("b", "x = ü"), ("a", "")]
    after = s3.head("digits")
    assert after.headers["x-amz-tagging-count"] == "2"
    assert s3.get("digits").headers["x-amz-tagging-count"] == "2"
    assert s3.get("digits", Range="bytes=1-2").headers["x-amz-tagging-count"] == "2"
    for name in ("etag", "last-modified", "content-length"):
        assert after.headers[name] == before.headers[name]
    deleted = s3.delete("digits?tagging")
    assert (deleted.status, deleted.body) == (204, b"")
    assert tags_of(s3) == []
    assert "x-amz-tagging-count" not in s3.head("digits").headers
    assert s3.get("digits").body == b"0123456789"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", (400, "MalformedXML")),
        (b"<Tagging><TagSet>", (400, "MalformedXML")),
        (b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", (400, "MalformedXML")),
        (document(("", "v")), INVALID_TAG),
        (document(("k" * 129, "v")), INVALID_TAG),
        (document(("k", "v" * 257)), INVALID_TAG),
        (document(("k*", "v")), INVALID_TAG),
        (document(("aws:k", "v")), INVALID_TAG),
        (document(("k", "1"), ("k", "2")), INVALID_TAG),
        (document(*((f"k{number}", "v") for number in range(11))), (400, "InvalidTag")),
    ],
)
def test_tags_with_a_fault_are_refused_and_change_nothing(
    s3: Asker, body: bytes, code: tuple[int, str]
) -> None:
    assert put_tags(s3, "digits", document(("kept", "1"))).status == 200
    assert error(put_tags(s3, "digits", body)) == code
    assert tags_of(s3) == [("kept", "1")]


def test_tags_at_their_bounds_are_kept(s3: Asker) -> None:
    pairs = [(f"{number}{'ü' * 127}", "é" * 256) for number in range(10)]
    assert put_tags(s3, "digits", document(*pairs)).status == 200
    assert tags_of(s3) == pairs


def test_tags_of_no_object_or_version_are_refused(s3: Asker) -> None:
    assert error(put_tags(s3, "absent", document())) == NO_KEY
    assert error(s3.get("absent?tagging")) == NO_KEY
    assert error(s3.delete("absent?tagging")) == NO_KEY
    assert put_tags(s3, "digits", document(("a", "1")), "tagging&versionId=null").status == 200
    unknown = f"tagging&versionId={'v' * 32}"
    assert error(put_tags(s3, "digits", document(), unknown)) == (404, "NoSuchVersion")
    assert error(s3.get(f"digits?{unknown}")) == (404, "NoSuchVersion")
    assert s3.delete("digits?tagging&versionId=null").status == 204


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a=1&a=2", (400, "InvalidArgument")),
        ("a=%zz", (400, "InvalidArgument")),
        ("aws:a=1", INVALID_TAG),
        ("&".join(f"k{number}=v" for number in range(11)), (400, "InvalidTag")),
    ],
)
def test_header_with_a_fault_stores_nothing(s3: Asker, value: str, code: tuple[int, str]) -> None:
    headers = {"x-amz-tagging": value}
    assert error(s3.ask("PUT", s3.path("new"), headers, b"x")) == code
    assert error(s3.ask("POST", s3.path("new?uploads"), headers)) == code
    assert s3.head("new").status == 404


def test_header_gives_a_new_object_its_tags(s3: Asker) -> None:
    headers = {"x-amz-tagging": "a=x%20y+z&b=%C3%BC&c"}
    assert s3.ask("PUT", s3.path("new"), headers, b"x").status == 200
    assert tags_of(s3, "new") == [("a", "x y z"), ("b", "ü"), ("c", "")]
    assert s3.put("new", b"y").status == 200
    assert tags_of(s3, "new") == []


def test_presigned_url_gives_tags_in_its_query_or_in_a_signed_header(s3: Asker) -> None:
    target = s3.presign("PUT", "new", query="x-amz-tagging=a%3D1%26b%3D%252B")
    assert s3.open("PUT", target, body=b"x").status == 200
    assert tags_of(s3, "new") == [("a", "1"), ("b", "+")]
    tags = {"x-amz-tagging": "c=3"}
    target = s3.presign("PUT", "new", headers=tags)
    assert s3.open("PUT", target, tags, b"x").status == 200
    assert tags_of(s3, "new") == [("c", "3")]


def test_unknown_tagging_directive_of_a_copy_is_refused(s3: Asker) -> None:
    headers = {"x-amz-copy-source": s3.path("digits"), "x-amz-tagging-directive": "MERGE"}
    answer = s3.ask("PUT", s3.path("new"), headers)
    assert error(answer) == (400, "InvalidArgument")
    assert field(answer, "ArgumentName") == "x-amz-tagging-directive"


def test_part_cannot_have_tags(s3: Asker) -> None:
    upload = field(s3.post("new?uploads"), "UploadId")
    target = s3.path(f"new?partNumber=1&uploadId={upload}")
    answer = s3.ask("PUT", target, {"x-amz-tagging": "a=1"}, b"x")
    assert error(answer) == (501, "NotImplemented")
    assert field(answer, "Header") == "x-amz-tagging"
