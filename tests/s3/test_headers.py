import pytest

from s3proxy.s3.errors import S3Error
from s3proxy.s3.headers import effective_headers
from s3proxy.s3.uri import parse_query
from tests.s3.heads import make_head


def test_effective_headers_without_parameters_are_the_head_itself() -> None:
    head = make_head()
    assert effective_headers(head, {"prefix": "a"}) is head


def test_effective_headers_of_a_presigned_signature_are_the_head_itself() -> None:
    head = make_head()
    query = dict.fromkeys(
        (
            *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"),
            *("X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Content-Sha256"),
        ),
        "v",
    )
    assert effective_headers(head, query) is head


def test_effective_headers_hold_hoisted_parameters() -> None:
    head = make_head(x_amz_meta_sent="1")
    query = parse_query(b"x-amz-meta-a=%C3%A4&X-Amz-Meta-B=2&x-amz-acl=private")
    headers = effective_headers(head, query)
    assert headers.get(b"x-amz-acl") == "private"
    assert headers.get(b"x-amz-meta-b") == "2"
    assert headers.get(b"x-amz-tagging") is None
    assert headers.get(b"host") == "localhost:9000"
    assert headers.prefixed(b"x-amz-meta-") == [
        ("x-amz-meta-sent", "1"),
        ("x-amz-meta-a", "Ã¤"),
        ("x-amz-meta-b", "2"),
    ]


def test_effective_headers_prefer_what_was_sent() -> None:
    head = make_head(x_amz_acl="private")
    headers = effective_headers(head, {"x-amz-acl": "public-read"})
    assert headers.get(b"x-amz-acl") == "private"
    assert headers.prefixed(b"x-amz-acl") == [("x-amz-acl", "private")]


def test_effective_headers_leave_out_checksums_made_before_the_body() -> None:
    head = make_head("PUT")
    query = parse_query(b"x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32")
    assert effective_headers(head, query) is head
    query = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-mode": "ENABLED"}
    headers = effective_headers(head, query)
    assert headers.get(b"x-amz-checksum-algorithm") == "CRC32"
    assert headers.get(b"x-amz-checksum-mode") == "ENABLED"


@pytest.mark.parametrize(
    "query",
    [
        b"x-amz-meta-a=1%0D%0AX-Other%3A%202",
        b"x-amz-meta-a=%00",
        b"x-amz-acl=private%7F",
        b"x-amz-meta-a%3Ab=1",
        b"x-amz-meta-a%0Ab=1",
        b"x-amz-meta-%C3%A9=1",
        b"x-amz-meta-a+b=1",
    ],
)
def test_effective_headers_refuse_what_could_be_no_header(query: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        effective_headers(make_head(), parse_query(query))
    assert caught.value.code == "InvalidArgument"
