"""Ranges, conditions, parts and lists: values at and beyond every bound."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance.asking import Asker, error, field, fields

BAD_ARGUMENT = (400, "InvalidArgument")
ETAG = f'"{hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest()}"'
PAST = "Sat, 01 Jan 2000 00:00:00 GMT"
FUTURE = "Sat, 01 Jan 2050 00:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "body", "content_range"),
    [
        ("bytes=0-4", b"01234", "bytes 0-4/10"),
        ("bytes=5-", b"56789", "bytes 5-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-100", b"56789", "bytes 5-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
def test_range_within_the_object_is_partial(
    s3: Asker, value: str, body: bytes, content_range: str
) -> None:
    answer = s3.get("digits", range=value)
    assert (answer.status, answer.body) == (206, body)
    assert answer.headers["content-range"] == content_range
    head = s3.head("digits", range=value)
    assert (head.status, head.headers["content-length"]) == (206, str(len(body)))


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=-0", f"bytes={10**30}-", "bytes=10-20"])
def test_range_beyond_the_object_is_not_satisfiable(s3: Asker, value: str) -> None:
    answer = s3.get("digits", range=value)
    assert error(answer) == (416, "InvalidRange")
    assert field(answer, "RangeRequested") == value
    assert field(answer, "ActualObjectSize") == "10"
    assert answer.headers["content-range"] == "bytes */10"
    assert s3.head("digits", range=value).status == 416


@pytest.mark.parametrize(
    "value", ["bytes=3-2", "bytes=a-b", "bytes=0-1,3-4", "bytes=-", "lines=1-2"]
)
def test_range_that_is_none_is_passed_over(s3: Asker, value: str) -> None:
    assert s3.get("digits", range=value).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"x", ' + ETAG}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": "W/" + ETAG}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": FUTURE}, 304),
        ({"If-Modified-Since": PAST}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"If-Unmodified-Since": PAST}, 412),
        ({"If-Unmodified-Since": FUTURE}, 200),
        ({"If-Unmodified-Since": "nonsense"}, 200),
        ({"If-Match": ETAG, "If-Unmodified-Since": PAST}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": FUTURE}, 200),
        ({"If-None-Match": ETAG, "If-Modified-Since": PAST}, 304),
    ],
)
def test_condition_of_a_read_decides(s3: Asker, headers: dict[str, str], status: int) -> None:
    answer = s3.ask("GET", s3.path("digits"), headers)
    assert answer.status == status
    assert answer.code == ("PreconditionFailed" if status == 412 else "")
    assert answer.headers.get("etag", ETAG) == ETAG
    assert s3.ask("HEAD", s3.path("digits"), headers).status == status


@pytest.mark.parametrize(
    ("key", "headers", "code"),
    [
        ("digits", {"If-None-Match": "*"}, (412, "PreconditionFailed")),
        ("digits", {"If-Match": '"x"'}, (412, "PreconditionFailed")),
        ("digits", {"If-Match": ETAG, "If-None-Match": "*"}, (501, "NotImplemented")),
        ("none", {"If-Match": ETAG}, (404, "NoSuchKey")),
        ("none", {"If-Match": "*"}, (404, "NoSuchKey")),
        ("digits", {"If-Match": ETAG}, (200, "")),
        ("none", {"If-None-Match": "*"}, (200, "")),
    ],
)
def test_condition_of_a_write_decides(
    s3: Asker, key: str, headers: dict[str, str], code: tuple[int, str]
) -> None:
    assert error(s3.ask("PUT", s3.path(key), headers, b"written")) == code
    assert (s3.get(key).body == b"written") == (code[0] == 200)


def test_condition_of_a_delete_decides(s3: Asker) -> None:
    assert error(s3.delete("digits", if_match='"x"')) == (412, "PreconditionFailed")
    assert s3.delete("digits", if_match=ETAG).status == 204
    assert error(s3.delete("digits", if_match="*")) == (404, "NoSuchKey")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("partNumber=1", (206, "")),
        ("partNumber=2", (416, "InvalidPartNumber")),
        ("partNumber=0", BAD_ARGUMENT),
        ("partNumber=10001", BAD_ARGUMENT),
        ("partNumber=one", BAD_ARGUMENT),
        ("versionId=null", (200, "")),
        ("versionId=", BAD_ARGUMENT),
        ("versionId=nonsense", BAD_ARGUMENT),
        ("versionId=" + "a" * 32, (404, "NoSuchVersion")),
        ("x-id=GetObject", (200, "")),
    ],
)
def test_get_object_parameters_are_checked(s3: Asker, query: str, code: tuple[int, str]) -> None:
    assert error(s3.get(f"digits?{query}")) == code


@pytest.mark.parametrize("version", ["", "list-type=2&"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("max-keys=0", (200, "")),
        ("max-keys=", (200, "")),
        ("max-keys=2147483647", (200, "")),
        ("max-keys=-1", BAD_ARGUMENT),
        ("max-keys=2147483648", BAD_ARGUMENT),
        ("max-keys=99999999999999999999", BAD_ARGUMENT),
        ("max-keys=ten", BAD_ARGUMENT),
        ("max-keys=1.5", BAD_ARGUMENT),
        ("encoding-type=base64", BAD_ARGUMENT),
        ("encoding-type=URL", BAD_ARGUMENT),
        ("prefix=%zz", (400, "InvalidURI")),
        ("prefix=%FF", (400, "InvalidURI")),
    ],
)
def test_list_parameters_are_checked(
    s3: Asker, version: str, query: str, code: tuple[int, str]
) -> None:
    answer = s3.get(f"?{version}{query}")
    assert error(answer) == code
    if answer.status == 200:
        assert field(answer, "IsTruncated") == "false"
        assert field(answer, "MaxKeys") in ("0", "1000")


@pytest.mark.parametrize("token", ["nonsense", "%00", "%C3%A4"])
def test_list_with_a_bad_token_is_refused(s3: Asker, token: str) -> None:
    answer = s3.get(f"?list-type=2&continuation-token={token}")
    assert error(answer) == BAD_ARGUMENT
    assert field(answer, "Message") == "The continuation token provided is incorrect"


@pytest.mark.parametrize("list_type", ["0", "3", "two", ""])
def test_list_of_an_unknown_type_is_refused(s3: Asker, list_type: str) -> None:
    assert error(s3.get(f"?list-type={list_type}")) == BAD_ARGUMENT


def test_list_groups_by_a_delimiter_of_several_characters(s3: Asker) -> None:
    for key in ("a::b::c", "a::d", "a:e", "f"):
        s3.put(key)
    answer = s3.get("?delimiter=%3A%3A&prefix=a")
    assert fields(answer, "Key") == ["a:e"]
    assert fields(answer, "Prefix") == ["a", "a::"]
    assert fields(s3.get("?delimiter=%3A%3A&prefix=a%3A%3A"), "Key") == ["a::d"]


def test_list_of_percent_signs_is_exact(s3: Asker) -> None:
    s3.put("100%25")
    s3.put("a%2525b")
    plain = s3.get("?list-type=2&prefix=100%25")
    assert (fields(plain, "Key"), field(plain, "Prefix")) == (["100%"], "100%")
    encoded = s3.get("?list-type=2&prefix=a%2525&encoding-type=url")
    assert (fields(encoded, "Key"), field(encoded, "Prefix")) == (["a%2525b"], "a%2525")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("max-uploads=0", (200, "")),
        ("max-uploads=-1", BAD_ARGUMENT),
        ("max-uploads=x", BAD_ARGUMENT),
        ("encoding-type=x", BAD_ARGUMENT),
        ("upload-id-marker=x", (200, "")),
    ],
)
def test_list_of_uploads_checks_its_parameters(
    s3: Asker, query: str, code: tuple[int, str]
) -> None:
    assert error(s3.get(f"?uploads&{query}")) == code


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("max-buckets=1", (200, "")),
        ("max-buckets=x", BAD_ARGUMENT),
        ("max-buckets=-1", BAD_ARGUMENT),
        ("continuation-token=nonsense", BAD_ARGUMENT),
    ],
)
def test_list_of_buckets_checks_its_parameters(
    s3: Asker, query: str, code: tuple[int, str]
) -> None:
    assert error(s3.ask("GET", f"/?{query}")) == code
