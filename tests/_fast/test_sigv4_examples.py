"""The worked examples of AWS's documentation.

Source: AWS, "Signature Calculations ...: Transferring Payload in a Single Chunk" and
"Authenticating Requests: Using Query Parameters".
"""

import pytest

from s3proxy._fast.sigv4 import parse_authorization, presign, sign
from tests._fast.sigv4_requests import (
    ACCESS_KEY,
    AMZ_DATE,
    EMPTY_SHA256,
    EXAMPLE_HOST,
    KEY,
    REGION,
    SCOPE,
    TIMESTAMP_S,
    check,
    credentials,
    head_of,
)

WELCOME_SHA256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
GET_OBJECT = (
    "GET",
    "/test.txt",
    [("Host", EXAMPLE_HOST), ("Range", "bytes=0-9")],
    EMPTY_SHA256,
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
)
PUT_OBJECT = (
    "PUT",
    "/test$file.text",
    [
        ("Host", EXAMPLE_HOST),
        ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ],
    WELCOME_SHA256,
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
)
GET_BUCKET_LIFECYCLE = (
    "GET",
    "/?lifecycle",
    [("Host", EXAMPLE_HOST)],
    EMPTY_SHA256,
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
)
LIST_OBJECTS = (
    "GET",
    "/?max-keys=2&prefix=J",
    [("Host", EXAMPLE_HOST)],
    EMPTY_SHA256,
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
)
EXAMPLES = [GET_OBJECT, PUT_OBJECT, GET_BUCKET_LIFECYCLE, LIST_OBJECTS]
NAMES = ["get_object", "put_object", "get_bucket_lifecycle", "list_objects"]

PRESIGNED_QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)

Example = tuple[str, str, list[tuple[str, str]], str, str]


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_verify_documentation_example_passes(example: Example) -> None:
    method, target, headers, payload_hash, signature = example
    sent = [*headers, ("x-amz-content-sha256", payload_hash), ("x-amz-date", AMZ_DATE)]
    names = ";".join(sorted(name.lower() for name, _ in sent))
    authorization = check(head_of(method, target, [*sent, credentials(names, signature)]))
    assert authorization.access_key == ACCESS_KEY
    assert authorization.timestamp_s == TIMESTAMP_S
    assert authorization.payload_hash == payload_hash
    assert authorization.scope == SCOPE
    assert authorization.signature == signature
    assert authorization.signed_headers == tuple(names.encode().split(b";"))


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_sign_documentation_example_gives_its_signature(example: Example) -> None:
    method, target, headers, payload_hash, signature = example
    path, _, query = target.partition("?")
    lines = sign(
        method,
        path.encode(),
        query.encode(),
        headers,
        payload_hash,
        key=KEY,
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=TIMESTAMP_S,
    )
    date, payload, authorization, rest = lines.decode().split("\r\n")
    assert date == f"x-amz-date: {AMZ_DATE}"
    assert payload == f"x-amz-content-sha256: {payload_hash}"
    assert authorization.endswith(f",Signature={signature}")
    assert rest == ""


def test_verify_presigned_example_passes() -> None:
    head = head_of("GET", f"/test.txt?{PRESIGNED_QUERY}", [("Host", EXAMPLE_HOST)])
    authorization = check(head)
    assert authorization.presigned
    assert authorization.expires_s == 86400
    assert authorization.payload_hash == "UNSIGNED-PAYLOAD"
    assert authorization.amz_date == AMZ_DATE
    assert authorization.signed_headers == (b"host",)


def test_presign_example_gives_its_query() -> None:
    query = presign(
        "GET",
        EXAMPLE_HOST,
        b"/test.txt",
        b"",
        key=KEY,
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=TIMESTAMP_S,
        expires_s=86400,
    )
    assert query.decode() == PRESIGNED_QUERY


def test_verify_example_with_spaces_between_components_passes() -> None:
    method, target, headers, payload_hash, signature = GET_OBJECT
    value = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{SCOPE}, "
        f"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,  Signature={signature}"
    )
    sent = [*headers, ("x-amz-content-sha256", payload_hash), ("x-amz-date", AMZ_DATE)]
    check(head_of(method, target, [*sent, ("Authorization", value)]))


def test_parse_without_signature_is_anonymous() -> None:
    assert parse_authorization(head_of("GET", "/a?prefix=x", [("Host", "h")])) is None
