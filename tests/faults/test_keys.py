"""Keys of every kind: managed buckets keep all, attached directories keep or refuse them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from botocore.exceptions import ClientError

from tests.faults.conftest import Bucket, bucket_in
from tests.faults.wire import Answer, Wire, ask, exchange, signed_head
from tests.gateways import Gateway

pytestmark = pytest.mark.slow

XML_NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
KEY_BYTES_MAX = 1024
FORBIDDEN = re.compile(rb"&#x(0?[0-8bcefBCEF]|1[0-9a-f]|fff[ef]);")
PRIVATE = 0xF0000
# By name: what a client may have meant, and what a path would make of it.
KEYS = {
    "ascii": "".join(map(chr, range(0x21, 0x7F))).replace("/", ""),
    "space": "a b  c ",
    "plus": "a+b%2Bc%20d",
    "percent": "100%",
    "query": "a?b=c&d#e",
    "quotes": "\"a'b`c\\d",
    "markup": "<Key>&amp;]]>--",
    "newline": "a\r\nb\nc\td",
    "controls": "".join(map(chr, range(1, 0x20))),
    "nul": "a\0b",
    "delete": "a\x7fb",
    "c1": "".join(map(chr, range(0x80, 0xA0))),
    "latin": "ñandú ÄÖÜß",
    "composed": "e\u0301\u00e9",
    "cjk": "日本語/キー",
    "emoji": "😀/👩\u200d👩\u200d👧",
    "bidi": "a\u202eb\u2066c",
    "noncharacters": "\ufffe\uffff\U0010ffff\ufeff",
    "dot": ".",
    "dots": "..",
    "dot-inside": "a/./b",
    "dots-inside": "a/../b",
    "dots-far": "../../../../etc/passwd",
    "dots-end": "a/..",
    "three-dots": ".../a",
    "double-slash": "a//b",
    "many-slashes": "////",
    "leading-slash": "/a",
    "trailing-slash": "a-directory/",
    "trailing-slashes": "a-directory//",
    "hidden": ".hidden/.file",
    "reserved": ".s3proxy",
    "reserved-inside": "a/.s3proxy/tmp/1",
    "reserved-marker": "a/.s3proxy-marker",
    "long-component": "n" * 255,
    "longer-component": "n" * 256,
    "wide-component": "é" * 128,
    "deep": "d/" * 400 + "d",
}
# What a file path cannot say is refused there, by name.
NO_PATHS = frozenset(
    {"nul", "dot", "dots", "dot-inside", "dots-inside", "dots-far", "dots-end", "double-slash"}
    | {"many-slashes", "leading-slash", "trailing-slashes", "reserved", "reserved-inside"}
    | {"reserved-marker", "longer-component", "wide-component"}
)
MANAGED = ("managed-disk", "managed-inner")


def encoded(key: str) -> str:
    return quote(key, safe="/")


def parse(document: bytes) -> ET.Element:
    """Read a document that may hold references to characters that XML 1.0 has no way to say.

    S3 sends them all the same. They are read as characters of a private use area here; without
    them, the document has to be well-formed.
    """

    def stand_in(reference: re.Match[bytes]) -> bytes:
        return b"&#x%x;" % (PRIVATE + int(reference[1], 16))

    return ET.fromstring(FORBIDDEN.sub(stand_in, document))


def said(key: str) -> str:
    """A key as `parse` reads it."""
    return "".join(chr(PRIVATE + ord(c)) if FORBIDDEN.match(b"&#x%x;" % ord(c)) else c for c in key)


def listed(gateway: Gateway, bucket: str, prefix: str = "", extra: str = "") -> list[str]:
    """Keys of a listing."""
    target = f"/{bucket}?list-type=2&prefix={quote(prefix, safe='')}{extra}"
    answer = ask(gateway, "GET", target)
    assert answer.status == 200, answer
    root = parse(answer.body)
    return [item.findtext(f"{XML_NS}Key") or "" for item in root.iter(f"{XML_NS}Contents")]


def works(bucket: Bucket, key: str) -> None:
    """Put, get, head, list, copy and delete under this very key."""
    gateway, target = bucket.gateway, bucket.target(encoded(key))
    full = bucket.prefix + key
    data = b"" if key.endswith("/") else full.encode()
    assert ask(gateway, "PUT", target, body=data).status == 200
    assert ask(gateway, "GET", target).body == data
    assert ask(gateway, "HEAD", target).status == 200
    assert listed(gateway, bucket.name, full, "&encoding-type=url") == [quote(full, safe="/")]
    assert listed(gateway, bucket.name, full) == [said(full)]
    copy = {"x-amz-copy-source": f"/{bucket.name}/{encoded(full)}"}
    assert ask(gateway, "PUT", bucket.target("copied"), copy).status == 200
    assert ask(gateway, "GET", bucket.target("copied")).body == data
    if data:
        assert upload(gateway, target).status == 200
        assert ask(gateway, "GET", target).body == b"overwritten"
    assert ask(gateway, "DELETE", target).status == 204
    missing = ask(gateway, "GET", target)
    assert (missing.status, missing.code) == (404, "NoSuchKey")
    ET.fromstring(missing.body)


def refused(bucket: Bucket, key: str, code: str) -> None:
    """Nothing can be written under the key, and reading it says that it is not there."""
    gateway, target = bucket.gateway, bucket.target(encoded(key))
    assert ask(gateway, "PUT", target, body=b"hello").code == code
    assert ask(gateway, "POST", f"{target}?uploads").code == code
    copy = {"x-amz-copy-source": bucket.target("source")}
    assert ask(gateway, "PUT", bucket.target("source"), body=b"hello").status == 200
    assert ask(gateway, "PUT", target, copy).code == code
    assert ask(gateway, "GET", target).code == "NoSuchKey"
    assert ask(gateway, "HEAD", target).status == 404
    assert ask(gateway, "DELETE", target).status == 204
    assert listed(gateway, bucket.name, bucket.prefix) == [bucket.prefix + "source"]


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("place", MANAGED)
def test_key_in_managed_bucket_works(deployment: Gateway, place: str, name: str) -> None:
    works(bucket_in(deployment, place), KEYS[name])


@pytest.mark.parametrize("name", KEYS)
def test_key_in_bucket_of_another_endpoint_works(deployment: Gateway, name: str) -> None:
    works(bucket_in(deployment, "attached-inner"), KEYS[name])


@pytest.mark.parametrize("name", KEYS)
def test_key_in_attached_directory_works_or_is_refused(deployment: Gateway, name: str) -> None:
    bucket = bucket_in(deployment, "attached-disk")
    if name in NO_PATHS:
        refused(bucket, KEYS[name], "InvalidRequest")
    else:
        works(bucket, KEYS[name])


@pytest.mark.parametrize("place", [*MANAGED, "attached-inner"])
def test_all_keys_list_in_byte_order_and_parse(deployment: Gateway, place: str) -> None:
    """With and without encoding-type=url; also page by page, whatever key a page ends with."""
    bucket = bucket_in(deployment, place)
    full = sorted(bucket.prefix + key for key in KEYS.values())
    for key in full:
        assert ask(deployment, "PUT", f"/{bucket.name}/{encoded(key)}").status == 200
    plain = listed(deployment, bucket.name, bucket.prefix)
    assert plain == [said(key) for key in full]
    found = listed(deployment, bucket.name, bucket.prefix, "&encoding-type=url")
    assert [unquote(key) for key in found] == full
    assert [unquote(key) for key in pages(deployment, bucket)] == full
    deleted = deployment.client().delete_objects(
        Bucket=bucket.name, Delete={"Objects": [{"Key": key} for key in parsable(full)]}
    )
    assert len(deleted["Deleted"]) == len(parsable(full))


def pages(gateway: Gateway, bucket: Bucket) -> list[str]:
    """All keys, two at a time."""
    found: list[str] = []
    token = ""
    while True:
        extra = f"&max-keys=2&encoding-type=url{token}"
        target = f"/{bucket.name}?list-type=2&prefix={bucket.prefix}{extra}"
        root = ET.fromstring(ask(gateway, "GET", target).body)
        found += [item.findtext(f"{XML_NS}Key") or "" for item in root.iter(f"{XML_NS}Contents")]
        following = root.findtext(f"{XML_NS}NextContinuationToken")
        if not following:
            return found
        token = f"&continuation-token={quote(following, safe='')}"


def parsable(keys: list[str]) -> list[str]:
    """Keys that XML 1.0 can carry in a request."""
    return [key for key in keys if not re.search("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\r]", key)]


@pytest.mark.parametrize("size", [KEY_BYTES_MAX - 1, KEY_BYTES_MAX])
@pytest.mark.parametrize("letter", ["k", "é", "😀"])
@pytest.mark.parametrize("place", [*MANAGED, "attached-inner"])
def test_longest_key_works(deployment: Gateway, place: str, letter: str, size: int) -> None:
    bucket = bucket_in(deployment, place)
    room = size - len(bucket.prefix.encode())
    key = letter * (room // len(letter.encode()))
    works(bucket, key + "x" * (room - len(key.encode())))


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513, "/" * 1025])
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_key_that_is_too_long_is_refused(bucket: Bucket, method: str, key: str) -> None:
    answer = ask(bucket.gateway, method, f"/{bucket.name}/{encoded(key)}")
    assert answer.status == 400
    assert method == "HEAD" or answer.code == "KeyTooLongError"


@pytest.mark.parametrize(
    "raw", ["%ff", "a%c3", "%ed%a0%80", "%c0%ae", "%f5%80%80%80", "%", "%zz", "%1"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_key_that_is_no_utf8_is_refused(bucket: Bucket, method: str, raw: str) -> None:
    answer = ask(bucket.gateway, method, bucket.target(raw))
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_raw_bytes_in_a_target_are_refused(bucket: Bucket) -> None:
    """Octets above 0x7f have to be percent-encoded, whatever they stand for."""
    head = signed_head(bucket.gateway.port, "PUT", bucket.target("MARK"), {"Content-Length": "0"})
    for octets in (b"\xff", "é".encode(), b"\x80", b"\x01", b"\x7f"):
        answer = exchange(bucket.gateway, [head.data.replace(b"MARK", octets)])
        assert (answer.status, answer.code) == (400, "BadRequest")


@pytest.mark.parametrize("place", MANAGED)
def test_key_beside_keys_below_it_work_in_managed_buckets(deployment: Gateway, place: str) -> None:
    bucket = bucket_in(deployment, place)
    keys = ["a", "a/", "a//", "a/b", "a/b/", "a/b/c", "a-b", "a0"]
    for key in keys:
        assert ask(deployment, "PUT", bucket.target(key), body=key.encode()).status == 200
    for key in keys:
        assert ask(deployment, "GET", bucket.target(key)).body == key.encode()
    full = sorted(bucket.prefix + key for key in keys)
    assert listed(deployment, bucket.name, bucket.prefix) == full
    assert ask(deployment, "DELETE", bucket.target("a")).status == 204
    full.remove(f"{bucket.prefix}a")
    assert listed(deployment, bucket.name, bucket.prefix) == full


def test_key_beside_keys_below_it_is_refused_in_attached_directory(deployment: Gateway) -> None:
    """A name is a file or a directory; a marker needs no file of its own name."""
    bucket = bucket_in(deployment, "attached-disk")
    assert ask(deployment, "PUT", bucket.target("a"), body=b"file").status == 200
    for key in ("a/b", "a/b/c", "a/"):
        answer = ask(deployment, "PUT", bucket.target(key))
        assert (answer.status, answer.code) == (400, "InvalidRequest"), answer
        assert ask(deployment, "GET", bucket.target(key)).code == "NoSuchKey"
    assert ask(deployment, "PUT", bucket.target("d/e"), body=b"below").status == 200
    assert ask(deployment, "PUT", bucket.target("d/"), body=b"").status == 200
    answer = ask(deployment, "PUT", bucket.target("d"), body=b"beside")
    assert (answer.status, answer.code) == (400, "InvalidRequest"), answer
    assert ask(deployment, "GET", bucket.target("d/e")).body == b"below"
    assert ask(deployment, "GET", bucket.target("a")).body == b"file"


# Below the root of the bucket, as percent-encoded targets; each would leave it as a path.
ESCAPES = (
    "../outside.txt",
    "..%2foutside.txt",
    "%2e%2e/outside.txt",
    "%2e%2e%2foutside.txt",
    "%2E%2E%2Foutside.txt",
    "a/../../outside.txt",
    "a/%2e%2e/%2e%2e/outside.txt",
    "..%5coutside.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..;/outside.txt",
    "....//outside.txt",
    "..%00/outside.txt",
    "link/outside.txt",
    "link-to-file",
    "loop/loop",
    "absolute",
)


# Odd, but names like any other.
NAMES = frozenset({"..%5coutside.txt", "..;/outside.txt"})


def upload(gateway: Gateway, target: str) -> Answer:
    """A multipart upload of one part: the answer to its end, or to what was refused before."""
    answer = ask(gateway, "POST", f"{target}?uploads")
    if answer.status != 200:
        return answer
    upload_id = parse(answer.body).findtext(f"{XML_NS}UploadId")
    part = ask(gateway, "PUT", f"{target}?partNumber=1&uploadId={upload_id}", body=b"overwritten")
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    )
    done = ask(gateway, "POST", f"{target}?uploadId={upload_id}", body=document.encode())
    ask(gateway, "DELETE", f"{target}?uploadId={upload_id}")
    return done


@pytest.fixture
def trap(deployment: Gateway) -> Path:
    """A file beside the attached directory, and links that lead to it from inside."""
    root = deployment.folder.parent / "blobs" / "target-disk"
    outside = root.parent / "outside"
    outside.mkdir(exist_ok=True)
    for path in (root.parent / "outside.txt", outside / "outside.txt"):
        path.write_text("secret")
    for name, target in (
        ("link", outside),
        ("link-to-file", outside / "outside.txt"),
        ("loop", root),
        ("absolute", Path("/etc/passwd")),
    ):
        link = root / name
        if not link.is_symlink():
            link.symlink_to(target)
    return outside


@pytest.mark.parametrize("target", ESCAPES)
def test_no_key_leaves_the_attached_directory(deployment: Gateway, trap: Path, target: str) -> None:
    full = f"/attached-disk/{target}"
    before = {path: path.read_text() for path in trap.parent.glob("outside*/*.txt")}
    read = ask(deployment, "GET", full)
    assert read.status == 404, read
    assert ask(deployment, "HEAD", full).status == 404
    for answer in (ask(deployment, "PUT", full, body=b"overwritten"), upload(deployment, full)):
        if target in NAMES:
            assert answer.status == 200, answer
        else:
            assert (answer.status, answer.code) == (400, "InvalidRequest"), answer
    assert ask(deployment, "DELETE", full).status == 204
    copy = {"x-amz-copy-source": f"/attached-disk/{target}"}
    assert ask(deployment, "PUT", "/attached-disk/stolen", copy).status == 404
    assert {path: path.read_text() for path in before} == before
    assert (trap.parent / "outside.txt").read_text() == "secret"
    assert sorted(path.name for path in trap.iterdir()) == ["outside.txt"]


def test_listing_shows_nothing_behind_links_nor_of_the_gateway(
    deployment: Gateway, trap: Path
) -> None:
    s3 = deployment.client()
    upload = s3.create_multipart_upload(Bucket="attached-disk", Key="unfinished")
    found = listed(deployment, "attached-disk")
    assert not [key for key in found if key.startswith(("link", "loop", "absolute"))]
    assert not [key for key in found if ".s3proxy" in key]
    assert listed(deployment, "attached-disk", ".s3proxy") == []
    assert listed(deployment, "attached-disk", "link/") == []
    assert listed(deployment, "attached-disk", "../") == []
    s3.abort_multipart_upload(Bucket="attached-disk", Key="unfinished", UploadId=upload["UploadId"])


UPLOAD_IDS = ("..", ".", "../..", "%2e%2e%2f%2e%2e", "a/b", "/etc", "%00", "x" * 5000, "*", "")


@pytest.mark.parametrize("upload_id", UPLOAD_IDS)
def test_upload_id_is_no_path(bucket: Bucket, upload_id: str) -> None:
    target = bucket.target()
    part = ask(bucket.gateway, "PUT", f"{target}?partNumber=1&uploadId={upload_id}", body=b"part")
    assert part.code in ("NoSuchUpload", "InvalidArgument"), part
    assert ask(bucket.gateway, "GET", f"{target}?uploadId={upload_id}").code in (
        "NoSuchUpload",
        "InvalidArgument",
    )
    answer = ask(bucket.gateway, "DELETE", f"{target}?uploadId={upload_id}")
    assert answer.code in ("NoSuchUpload", "InvalidArgument"), answer


@pytest.mark.parametrize(
    "name", ["..", ".", "%2e%2e", "..%2f..", "a%00b", "etc%2fpasswd", "%ff", "é"]
)
def test_bucket_name_is_no_path(deployment: Gateway, name: str) -> None:
    for method in ("GET", "PUT", "HEAD", "DELETE"):
        answer = ask(deployment, method, f"/{name}")
        assert answer.status in (400, 404), (method, answer)
        answer = ask(deployment, method, f"/{name}/key")
        assert answer.status in (400, 404), (method, answer)


def test_boto3_keeps_odd_keys_apart(deployment: Gateway) -> None:
    """A client that builds its own targets reads back what it wrote."""
    bucket = bucket_in(deployment, "managed-disk")
    s3: Any = deployment.client()
    for name, key in KEYS.items():
        try:
            s3.put_object(Bucket=bucket.name, Key=bucket.prefix + key, Body=name.encode())
        except ClientError as error:
            pytest.fail(f"{name}: {error}")
    for name, key in KEYS.items():
        got = s3.get_object(Bucket=bucket.name, Key=bucket.prefix + key)["Body"].read()
        assert got == name.encode(), name


def test_absolute_form_target_names_the_same_object(deployment: Gateway) -> None:
    bucket = bucket_in(deployment, "managed-disk")
    assert ask(deployment, "PUT", bucket.target(), body=b"here").status == 200
    head = signed_head(deployment.port, "GET", bucket.target())
    absolute = f"GET http://127.0.0.1:{deployment.port}".encode()
    with Wire(deployment.port) as wire:
        wire.send(head.data.replace(b"GET ", absolute, 1))
        assert wire.read_answer().body == b"here"
