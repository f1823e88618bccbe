"""What is not there, what is not implemented, and what must not become another operation."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.conformance.asking import Asker, error, field, fields

NOT_IMPLEMENTED = (501, "NotImplemented")
NOT_ALLOWED = (405, "MethodNotAllowed")
BAD_ARGUMENT = (400, "InvalidArgument")


@pytest.mark.parametrize(
    "request_line",
    [
        *("GET ", "DELETE ", "GET ?uploads", "GET ?location", "GET ?acl", "POST ?delete"),
        *("GET /key", "PUT /key", "DELETE /key", "POST /key?uploads", "GET /key?uploadId=a"),
    ],
)
def test_bucket_that_is_missing_is_named(s3: Asker, request_line: str) -> None:
    method, _, rest = request_line.partition(" ")
    answer = s3.ask(method, f"/no-such-bucket{rest}")
    assert error(answer) == (404, "NoSuchBucket")
    assert field(answer, "BucketName") == "no-such-bucket"
    assert field(answer, "Message") == "The specified bucket does not exist"


def test_key_that_is_missing_is_named(s3: Asker) -> None:
    answer = s3.get("no%20such")
    assert error(answer) == (404, "NoSuchKey")
    assert field(answer, "Key") == "no such"
    assert field(answer, "Resource") == s3.path("no%20such")
    assert field(answer, "RequestId") == answer.headers["x-amz-request-id"]


@pytest.mark.parametrize("target", ["/no-such-bucket", "/no-such-bucket/key", "no-such-key"])
def test_head_of_what_is_missing_has_no_body(s3: Asker, target: str) -> None:
    answer = s3.ask("HEAD", target if target[0] == "/" else s3.path(target))
    assert (answer.status, answer.body) == (404, b"")


def test_delete_of_what_is_missing_is_fine(s3: Asker) -> None:
    assert s3.delete("no-such-key").status == 204


def test_bucket_that_is_not_empty_stays(s3: Asker) -> None:
    assert error(s3.delete()) == (409, "BucketNotEmpty")
    assert s3.delete("digits").status == 204
    assert s3.delete().status == 204
    assert s3.head().status == 404


def test_bucket_made_again_in_us_east_1_keeps_its_objects(s3: Asker) -> None:
    assert s3.put("").status == 200
    assert s3.get("digits").body == b"0123456789"


@pytest.mark.parametrize("name", ["Upper", "ab", "a..b", "192.168.0.1", "-a-", "under_score"])
def test_bucket_of_a_bad_name_is_not_made(s3: Asker, name: str) -> None:
    assert error(s3.ask("PUT", f"/{name}")) == (400, "InvalidBucketName")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<CreateBucketConfiguration>", (400, "MalformedXML")),
        (b"<Other/>", (400, "MalformedXML")),
        (
            b"<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint>"
            b"</CreateBucketConfiguration>",
            (400, "InvalidLocationConstraint"),
        ),
    ],
)
def test_bucket_of_a_bad_configuration_is_not_made(
    s3: Asker, body: bytes, code: tuple[int, str]
) -> None:
    assert error(s3.ask("PUT", "/new-bucket", None, body)) == code
    assert s3.ask("HEAD", "/new-bucket").status == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("acl", (400, "MalformedACLError")),
        ("tagging", (400, "InvalidRequest")),
        ("retention", (400, "InvalidRequest")),
        ("legal-hold", (400, "InvalidRequest")),
        ("policy", NOT_IMPLEMENTED),
        ("not-yet-invented", NOT_IMPLEMENTED),
        ("acl=", (400, "MalformedACLError")),
        ("renameObject", NOT_IMPLEMENTED),
        ("torrent", NOT_ALLOWED),
        ("uploads", NOT_ALLOWED),
        ("attributes", NOT_ALLOWED),
        ("acl&tagging", BAD_ARGUMENT),
        ("versionId=null", BAD_ARGUMENT),
        ("partNumber=1", BAD_ARGUMENT),
        ("uploadId=a", BAD_ARGUMENT),
        ("partNumber=1&uploadId=a", (404, "NoSuchUpload")),
    ],
)
def test_put_of_a_subresource_never_overwrites(
    s3: Asker, query: str, code: tuple[int, str]
) -> None:
    assert error(s3.put(f"digits?{query}", b"evil")) == code
    assert s3.get("digits").body == b"0123456789"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("not-yet-invented", NOT_IMPLEMENTED),
        ("acl", NOT_ALLOWED),
        ("uploads", NOT_ALLOWED),
        ("uploadId=a", (404, "NoSuchUpload")),
        ("versionId=a", BAD_ARGUMENT),
    ],
)
def test_delete_of_a_subresource_never_deletes(
    s3: Asker, query: str, code: tuple[int, str]
) -> None:
    assert error(s3.delete(f"digits?{query}")) == code
    assert s3.get("digits").status == 200


@pytest.mark.parametrize(
    "query",
    ["replication"],
)
def test_put_of_bucket_configuration_is_not_implemented(s3: Asker, query: str) -> None:
    answer = s3.put(f"?{query}", b"<Anything/>")
    assert error(answer) == NOT_IMPLEMENTED
    assert field(answer, "Operation").startswith("PutBucket")


@pytest.mark.parametrize("query", ["policy", "cors", "not-yet-invented", "acl", "uploads"])
def test_delete_of_bucket_configuration_never_deletes(s3: Asker, query: str) -> None:
    assert s3.delete("digits").status == 204
    assert s3.delete(f"?{query}").status in (204, 405, 501)
    assert s3.head().status == 200


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("POST", "digits", NOT_ALLOWED),
        ("POST", "digits?not-yet-invented", NOT_IMPLEMENTED),
        ("POST", "digits?select&select-type=2", NOT_IMPLEMENTED),
        ("POST", "?not-yet-invented", NOT_IMPLEMENTED),
        ("PATCH", "digits", NOT_ALLOWED),
        ("TRACE", "digits", NOT_ALLOWED),
        ("GET", "digits?torrent", NOT_IMPLEMENTED),
        ("GET", "digits?uploads", NOT_ALLOWED),
        ("OPTIONS", "digits", (400, "BadRequest")),
    ],
)
def test_other_requests_are_refused(
    s3: Asker, method: str, target: str, code: tuple[int, str]
) -> None:
    assert error(s3.ask(method, s3.path(target))) == code


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_service_has_no_other_method(s3: Asker, method: str) -> None:
    assert error(s3.ask(method, "/")) == NOT_ALLOWED


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amz-acl", "aws-exec-read"),
        ("x-amz-server-side-encryption", "aws:kms"),
    ],
)
def test_put_with_a_promise_that_is_not_kept_is_refused(s3: Asker, header: str, value: str) -> None:
    answer = s3.ask("PUT", s3.path("new"), {header: value}, b"x")
    assert error(answer) == NOT_IMPLEMENTED
    assert field(answer, "Header") == header
    assert s3.head("new").status == 404


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-acl": "nonsense"}, BAD_ARGUMENT),
        ({"x-amz-storage-class": "NONSENSE"}, (400, "InvalidStorageClass")),
        ({"x-amz-meta-a": "x" * 2049}, (400, "MetadataTooLarge")),
        ({"Content-MD5": "short"}, (400, "InvalidDigest")),
        ({"Content-MD5": base64.b64encode(bytes(16)).decode()}, (400, "BadDigest")),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
        ({"x-amz-checksum-crc32": "bad"}, (400, "BadDigest")),
        ({"x-amz-object-lock-legal-hold": "ON"}, (400, "InvalidRequest")),
        ({"If-None-Match": '"etag"'}, NOT_IMPLEMENTED),
    ],
)
def test_put_with_a_bad_header_makes_nothing(
    s3: Asker, headers: dict[str, str], code: tuple[int, str]
) -> None:
    assert error(s3.ask("PUT", s3.path("new"), headers, b"x")) == code
    assert s3.head("new").status == 404


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("k" * 1025, (400, "KeyTooLongError")),
        ("%C3%A4" * 513, (400, "KeyTooLongError")),
        ("%FF", (400, "InvalidURI")),
        ("%zz", (400, "InvalidURI")),
    ],
)
def test_key_that_cannot_be_is_refused(s3: Asker, key: str, code: tuple[int, str]) -> None:
    assert error(s3.put(key, b"x")) == code


def delete_objects(s3: Asker, document: str) -> tuple[int, str, list[str], list[str]]:
    """Status, code, the keys deleted and the codes of those that were not."""
    body = document.encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    answer = s3.post("?delete", body, content_md5=md5)
    return answer.status, field(answer, "Code"), fields(answer, "Key"), fields(answer, "Code")


def test_delete_objects_tells_of_each_key(s3: Asker) -> None:
    bad = "k" * 1025
    document = (
        "<Delete><Object><Key>digits</Key></Object><Object><Key>none</Key></Object>"
        f"<Object><Key>{bad}</Key></Object></Delete>"
    )
    status, _, keys, codes = delete_objects(s3, document)
    assert (status, keys, codes) == (200, ["digits", "none", bad], ["KeyTooLongError"])


def test_delete_objects_with_an_etag_that_differs_keeps_the_object(s3: Asker) -> None:
    document = '<Delete><Object><Key>digits</Key><ETag>"x"</ETag></Object></Delete>'
    assert delete_objects(s3, document)[1] == "PreconditionFailed"
    assert s3.head("digits").status == 200


@pytest.mark.parametrize(
    "document",
    [
        "<Delete></Delete>",
        "<Delete><Object></Object></Delete>",
        "<Delete><Object><Key></Key></Object></Delete>",
        "<Delete>" + "<Object><Key>a</Key></Object>" * 1001 + "</Delete>",
        "<Other/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    ],
)
def test_delete_objects_of_a_bad_document_is_malformed(s3: Asker, document: str) -> None:
    assert delete_objects(s3, document)[:2] == (400, "MalformedXML")


def test_delete_objects_without_a_digest_is_refused(s3: Asker) -> None:
    document = b"<Delete><Object><Key>digits</Key></Object></Delete>"
    assert error(s3.post("?delete", document)) == (400, "InvalidRequest")
    assert s3.head("digits").status == 200


@pytest.mark.parametrize(
    ("request_line", "allow"),
    [
        ("PATCH /", "GET"),
        ("PATCH /bucket/key", "DELETE, GET, HEAD, PUT"),
        ("HEAD /bucket/key?acl", "GET, PUT"),
        ("DELETE /bucket?uploads", "GET"),
    ],
)
def test_method_that_is_not_allowed_names_those_that_are(
    s3: Asker, request_line: str, allow: str
) -> None:
    method, _, target = request_line.partition(" ")
    answer = s3.ask(method, target)
    assert answer.status == 405
    assert answer.headers["allow"] == allow
