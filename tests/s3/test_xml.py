from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3 import xml
from s3proxy.s3.acl import Owners
from s3proxy.s3.errors import MESSAGES, STATUSES, S3Error
from s3proxy.s3.tagging import tagging
from s3proxy.s3.xml_acl import access_control_policy
from tests.s3.documents import parse, parse_error

OWNER = xml.Owner("user-1", "alice & co")
CREATED_NS = 1_700_000_000_123_456_789
LEGAL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r")
)


@given(LEGAL)
def test_escape_of_legal_text_reads_back(text: str) -> None:
    assert (ElementTree.fromstring(f"<a>{xml.escape(text)}</a>").text or "") == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain/key-1.txt", "plain/key-1.txt"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e'f"),
        ("a\rb", "a&#13;b"),
        ("a\x01b", "a&#x1;b"),
        ("\x00", "&#x0;"),
        ("\x1f\x7f\x85", "&#x1f;&#x7f;&#x85;"),
        ("\ufffe\uffff", "&#xfffe;&#xffff;"),
        ("ä😀", "ä😀"),
    ],
)
def test_escape_of_special_characters_is_a_reference(text: str, escaped: str) -> None:
    assert xml.escape(text) == escaped


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escape_leaves_no_character_that_bends_a_document(text: str) -> None:
    escaped = xml.escape(text)
    assert not set(escaped) & set('<>"\r\x00\x01\x0b\x1f\ufffe\uffff')


@pytest.mark.parametrize("code", sorted(STATUSES))
def test_error_of_every_code_is_read_by_botocore(code: str) -> None:
    body = xml.error(S3Error(code), "/bucket/key", "REQUEST1")
    found = parse_error(STATUSES[code], body)
    assert found["Code"] == code
    assert found["Message"] == MESSAGES[code]


def test_error_about_a_key_that_xml_forbids_is_read_by_botocore() -> None:
    body = xml.error(S3Error("NoSuchKey", Key="a\x00\x01\uffff\r"), "/bucket/key", "REQUEST1")
    assert parse_error(404, body)["Key"] == "a\ufffd\ufffd\ufffd\r"


def test_error_holds_its_fields_in_order() -> None:
    error = S3Error("NoSuchKey", Key="a<b")
    assert xml.error(error, "/bucket/a%3Cb", "REQUEST1", "HOST1") == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
        b"<Key>a&lt;b</Key><Resource>/bucket/a%3Cb</Resource>"
        b"<RequestId>REQUEST1</RequestId><HostId>HOST1</HostId></Error>"
    )


def test_list_buckets_reads_back() -> None:
    buckets = [xml.BucketEntry("one", CREATED_NS, "eu-north-1"), xml.BucketEntry("two", 0)]
    body = xml.list_buckets(buckets, OWNER, prefix="o&", next_token="t")
    found = parse("ListBuckets", body)
    assert found == {
        "Owner": {"ID": "user-1", "DisplayName": "alice & co"},
        "Buckets": [
            {
                "Name": "one",
                "CreationDate": datetime(2023, 11, 14, 22, 13, 20, 123000, UTC),
                "BucketRegion": "eu-north-1",
            },
            {"Name": "two", "CreationDate": datetime(1970, 1, 1, tzinfo=UTC)},
        ],
        "Prefix": "o&",
        "ContinuationToken": "t",
    }


def test_list_buckets_of_none_reads_back() -> None:
    assert parse("ListBuckets", xml.list_buckets([], OWNER))["Buckets"] == []


@pytest.mark.parametrize(("region", "constraint"), [("us-east-1", ""), ("fi", "fi")])
def test_location_of_us_east_1_is_empty(region: str, constraint: str) -> None:
    root = ElementTree.fromstring(xml.location(region))
    assert root.tag == "{http://s3.amazonaws.com/doc/2006-03-01/}LocationConstraint"
    assert (root.text or "") == constraint


@pytest.mark.parametrize("operation", ["GetBucketAcl", "GetObjectAcl"])
def test_access_control_policy_gives_all_to_the_owner(operation: str) -> None:
    found = parse(
        operation, access_control_policy(Owners("user-1").private, OWNER, lambda _: "alice & co")
    )
    assert found == {
        "Owner": {"ID": "user-1", "DisplayName": "alice & co"},
        "Grants": [
            {
                "Grantee": {
                    "ID": "user-1",
                    "DisplayName": "alice & co",
                    "Type": "CanonicalUser",
                },
                "Permission": "FULL_CONTROL",
            }
        ],
    }


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("GetBucketVersioning", xml.versioning(""), {}),
        ("GetObjectTagging", tagging({}), {"TagSet": []}),
        ("GetObjectTagging", tagging({"a": "<"}), {"TagSet": [{"Key": "a", "Value": "<"}]}),
    ],
)
def test_fixed_document_reads_back(
    operation: str, body: bytes, expected: dict[str, object]
) -> None:
    assert parse(operation, body) == expected
    assert b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' in body
