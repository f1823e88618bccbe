import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.xml_read import (
    CONFIGURATION_BYTES_MAX,
    CompletedPart,
    DeleteEntry,
    read_complete,
    read_create_bucket,
    read_delete,
)
from tests.s3.heads import raises_s3

NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
READERS = [read_create_bucket, read_delete, read_complete]


def part(number: object = 1, etag: str = '"e"', extra: str = "") -> str:
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{extra}</Part>"


def complete(*parts: str, namespace: str = NAMESPACE) -> bytes:
    root = "CompleteMultipartUpload"
    return f"<{root}{namespace}>{''.join(parts)}</{root}>".encode()


def delete(content: str) -> bytes:
    return f"<Delete{NAMESPACE}>{content}</Delete>".encode()


def create(content: str) -> bytes:
    return f"<CreateBucketConfiguration>{content}</CreateBucketConfiguration>".encode()


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"", ""),
        (create(""), ""),
        (create("<LocationConstraint/>"), ""),
        (create("<LocationConstraint>fi,de</LocationConstraint>"), "fi,de"),
        (create("<LocationConstraint> EU\n</LocationConstraint>"), "EU"),
        (create("<Unknown>1</Unknown><LocationConstraint>a</LocationConstraint>"), "a"),
        (create("<Tags/>"), ""),
        (
            '<?xml version="1.0" encoding="UTF-16"?>'
            "<CreateBucketConfiguration><LocationConstraint>b</LocationConstraint>"
            "</CreateBucketConfiguration>".encode("utf-16"),
            "b",
        ),
    ],
)
def test_read_create_bucket_finds_the_location(body: bytes, location: str) -> None:
    assert read_create_bucket(body) == location


@pytest.mark.parametrize(
    "content",
    [
        "<Bucket><Type>Directory</Type></Bucket>",
        "<Location><Name>x</Name></Location>",
        "<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>",
    ],
)
def test_read_create_bucket_of_what_is_not_kept_is_not_implemented(content: str) -> None:
    with raises_s3("NotImplemented"):
        read_create_bucket(create(content))


def test_read_delete_finds_keys_versions_and_conditions() -> None:
    body = delete(
        "<Quiet>true</Quiet>"
        "<Object><Key>a&amp;b</Key></Object>"
        "<Object><Key>c</Key><VersionId>null</VersionId></Object>"
        '<Object><Key>d</Key><ETag>"e"</ETag></Object>'
        "<Object><Key> f\n</Key><Size>1</Size></Object>"
    )
    request = read_delete(body)
    assert request.quiet
    assert request.entries == [
        DeleteEntry("a&b"),
        DeleteEntry("c", "null"),
        DeleteEntry("d", etag="e"),
        DeleteEntry(" f\n", unsupported="Size"),
    ]


def test_read_delete_without_a_namespace_is_read() -> None:
    request = read_delete(b"<Delete><Object><Key>a</Key></Object></Delete>")
    assert (request.entries, request.quiet) == ([DeleteEntry("a")], False)


def test_read_delete_of_1000_keys_is_read() -> None:
    key = "ä" * 512
    body = delete(f"<Object><Key>{key}</Key></Object>" * 1000)
    assert len(read_delete(body).entries) == 1000


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<Quiet>true</Quiet>",
        "<Object/>",
        "<Object><Key/></Object>",
        "<Object><Key>a</Key></Object>" * 1001,
    ],
)
def test_read_delete_otherwise_is_malformed(content: str) -> None:
    with raises_s3("MalformedXML"):
        read_delete(delete(content))


def test_read_complete_finds_parts_and_checksums() -> None:
    body = complete(
        part(1, "&quot;e1&quot;", "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"),
        part(" 10000 ", "e2", "<Unknown/><ChecksumSHA256></ChecksumSHA256>"),
    )
    assert read_complete(body) == [
        CompletedPart(1, "e1", {"crc32": "AAAAAA=="}),
        CompletedPart(10000, "e2", {}),
    ]


def test_read_complete_of_10000_parts_does_not_stall() -> None:
    checksum = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"
    body = complete(*(part(number, '"' + "e" * 32 + '"', checksum) for number in range(1, 10_001)))
    started_s = time.process_time()
    assert len(read_complete(body)) == 10_000
    # Measured 0.1 s; the bound leaves room for a slower machine.
    assert time.process_time() - started_s < 1.5


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b" \n", "MalformedXML"),
        (complete(), "MalformedXML"),
        (complete("<Part/>"), "MalformedXML"),
        (complete(part("x")), "MalformedXML"),
        (complete(part("-1")), "MalformedXML"),
        (complete(part("²")), "MalformedXML"),
        (complete(part("9" * 5000)), "MalformedXML"),
        (complete(part(1, "")), "MalformedXML"),
        (complete(part(0)), "InvalidArgument"),
        (complete(part(10_001)), "InvalidArgument"),
        (complete(part(2), part(1)), "InvalidPartOrder"),
        (complete(part(1), part(1)), "InvalidPartOrder"),
    ],
)
def test_read_complete_otherwise_is_refused(body: bytes, code: str) -> None:
    with raises_s3(code):
        read_complete(body)


HOSTILE = {
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    "laughs": b'<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><Delete>&y;</Delete>',
    "external": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Delete/>',
    "deep": b"<a>" * 20_000,
    "deep within": b"<Delete>" + b"<a>" * 9 + b"</a>" * 9 + b"</Delete>",
    "unclosed": b"<Delete><Object>",
    "trailing": b"<Delete></Delete><Delete></Delete>",
    "undefined entity": b"<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
    "illegal reference": b"<Delete><Object><Key>&#x1;</Key></Object></Delete>",
    "encoding": b'<?xml version="1.0" encoding="x-unknown"?><Delete/>',
    "not utf-8": b"<Delete>\xff</Delete>",
    "other root": b"<Other/>",
    "text": b"hello",
    "nul": b"<Delete>\x00</Delete>",
    "prefix": b"<x:Delete/>",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", READERS)
def test_read_of_a_hostile_document_is_malformed(read: object, name: str) -> None:
    with raises_s3("MalformedXML"):
        read(HOSTILE[name])  # type: ignore[operator]


def test_read_of_too_many_elements_is_malformed() -> None:
    with raises_s3("MalformedXML"):
        read_delete(delete("<a/>" * 100_000 + "<Object><Key>a</Key></Object>"))


def test_read_over_the_bound_is_too_long() -> None:
    with raises_s3("MaxMessageLengthExceeded") as caught:
        read_create_bucket(create(" " * CONFIGURATION_BYTES_MAX))
    assert caught.value.fields == {"MaxMessageLengthBytes": str(CONFIGURATION_BYTES_MAX)}


@given(st.binary(min_size=1) | st.text("<>/aDelte&;\"'= !?", min_size=1).map(str.encode))
def test_read_of_anything_is_read_or_refused(body: bytes) -> None:
    for read in READERS:
        try:
            read(body)
        except Exception as error:
            assert getattr(error, "code", "") in ("MalformedXML", "InvalidRequest")
