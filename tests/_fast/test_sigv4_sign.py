"""Signing and presigning: what we sign, we verify; what must be refused is."""

import pytest

from s3proxy._fast.http1 import build_request_head, parse_request
from s3proxy._fast.sigv4 import (
    Authorization,
    SigningKey,
    SigningKeys,
    compare_digest,
    derive_signing_key,
    presign,
    sign,
    uri_encode,
    verify,
)
from tests._fast.sigv4_requests import (
    ACCESS_KEY,
    AMZ_DATE,
    DATE,
    EMPTY_SHA256,
    KEY,
    REGION,
    SECRET_KEY,
    TIMESTAMP_S,
    head_of,
    parsed,
    python_signature,
)

Headers = list[tuple[str, str]]
HOST = ("host", "upstream:9000")


def signed_lines(
    headers: Headers,
    raw: bytes = b"",
    *,
    target: tuple[bytes, bytes] = (b"/b/k", b""),
    timestamp_s: int = TIMESTAMP_S,
) -> bytes:
    path, query = target
    return sign(
        "PUT",
        path,
        query,
        headers,
        EMPTY_SHA256,
        key=KEY,
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=timestamp_s,
        raw=raw,
    )


def verified(headers: Headers, raw: bytes = b"", *, target: bytes = b"/b/k") -> Authorization:
    path, _, query = target.partition(b"?")
    lines = signed_lines(headers, raw, target=(path, query))
    data = build_request_head("PUT", target, headers, raw + lines)
    head = parse_request(data, len(data))
    assert head is not None
    authorization = parsed(head)
    verify(head, authorization, KEY)
    return authorization


def test_sign_lists_names_sorted_and_once() -> None:
    headers = [("X-Amz-Meta-B", "2"), HOST, ("x-amz-meta-a", " 1 "), ("x-amz-meta-b", "3")]
    authorization = verified(headers)
    assert authorization.signed_headers == (
        b"host",
        b"x-amz-content-sha256",
        b"x-amz-date",
        b"x-amz-meta-a",
        b"x-amz-meta-b",
    )
    assert authorization.amz_date == AMZ_DATE


def test_sign_raw_lines_are_signed_where_they_must_be() -> None:
    raw = b"Content-Type: text/plain\r\nX-Amz-Acl:private\r\nRange: bytes=0-1\r\nx-amz: 1\r\n"
    names = verified([HOST], raw).signed_headers
    assert names == (b"content-type", b"host", b"x-amz-acl", b"x-amz-content-sha256", b"x-amz-date")


@pytest.mark.parametrize(
    "target",
    [b"/", b"/b/a%20b+c%2fd?x=%41+b&a&b=", b"/b//..//%00?uploadId=a%2Bb/c", b"/" + b"k" * 6000],
)
def test_sign_any_target_verifies(target: bytes) -> None:
    verified([HOST], target=target)


def test_sign_many_headers_verify() -> None:
    raw = b"".join(b"x-amz-meta-%d: %s\r\n" % (i, b"v" * 70) for i in range(90))
    assert len(verified([HOST, ("x-amz-meta-0", "caf\u00e9")], raw).signed_headers) == 93


@pytest.mark.parametrize("raw", [b"x-amz-acl\r\n", b"x-amz-acl: a\n", b"x-amz-acl: a", b"\n", b":"])
def test_sign_malformed_raw_lines_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="raw header line"):
        signed_lines([HOST], raw)


@pytest.mark.parametrize("timestamp_s", [-1, 253402300800])
def test_sign_timestamp_without_four_digit_year_is_refused(timestamp_s: int) -> None:
    with pytest.raises(ValueError, match="year 9999"):
        signed_lines([HOST], timestamp_s=timestamp_s)


def test_sign_value_outside_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        signed_lines([HOST, ("x-amz-meta-a", "\u0100")])


def test_sign_timestamp_is_written_in_utc() -> None:
    assert signed_lines([HOST], timestamp_s=951782399).startswith(
        b"x-amz-date: 20000228T235959Z\r\n"
    )
    assert signed_lines([HOST], timestamp_s=951868799).startswith(
        b"x-amz-date: 20000229T235959Z\r\n"
    )
    assert signed_lines([HOST], timestamp_s=0).startswith(b"x-amz-date: 19700101T000000Z\r\n")


@pytest.mark.parametrize("query", [b"", b"versionId=a+b&partNumber=2", b"response-expires=x%2Fy"])
def test_presign_verifies(query: bytes) -> None:
    whole = presign(
        "GET",
        "h:1",
        b"/b/k%20k",
        query,
        key=KEY,
        access_key=ACCESS_KEY,
        region=REGION,
        timestamp_s=TIMESTAMP_S,
        expires_s=60,
    )
    head = head_of("GET", b"/b/k%20k?" + whole, [("Host", "h:1")])
    authorization = parsed(head)
    verify(head, authorization, KEY)
    assert authorization.expires_s == 60


def test_signing_key_signs_as_hmac_does() -> None:
    for text in ("", "a", "x" * 55, "x" * 64, "x" * 1000):
        assert KEY.sign(text.encode()) == python_signature(text)


def test_signing_key_of_a_long_secret_signs_as_hmac_does() -> None:
    secret = "\u00fc" * 100
    assert derive_signing_key(secret, DATE, REGION).sign(b"a") == python_signature("a", secret)


def test_signing_keys_keep_what_was_derived() -> None:
    keys = SigningKeys()
    assert keys.get("A", 1, DATE, REGION) is None
    key = keys.derive("A", 1, DATE, REGION, SECRET_KEY)
    assert keys.get("A", 1, DATE, REGION) is key
    assert key.sign(b"x") == KEY.sign(b"x")


@pytest.mark.parametrize(
    "name",
    [
        ("B", 1, DATE, REGION, "s3"),
        ("A", 2, DATE, REGION, "s3"),
        ("A", 1, "20130525", REGION, "s3"),
        ("A", 1, DATE, "r", "s3"),
        ("A", 1, DATE, REGION, "sts"),
    ],
)
def test_signing_keys_any_other_name_misses(name: tuple[str, int, str, str, str]) -> None:
    keys = SigningKeys()
    keys.derive("A", 1, DATE, REGION, SECRET_KEY)
    assert keys.get(*name) is None


def test_signing_keys_over_capacity_drop_those_unused_longest() -> None:
    keys = SigningKeys(8)
    keys.derive("used", 1, DATE, REGION, "secret")
    for i in range(50):
        keys.derive(f"A{i}", 1, DATE, REGION, "secret")
        assert keys.get("used", 1, DATE, REGION) is not None
        assert len(keys) <= keys.capacity
        assert all(keys.get(f"A{j}", 1, DATE, REGION) for j in range(max(0, i - 1), i + 1))
    assert keys.get("A0", 1, DATE, REGION) is None


def test_signing_keys_of_the_least_capacity_keep_the_last_one() -> None:
    keys = SigningKeys(2)
    for name in ("A", "B", "C"):
        key = keys.derive(name, 1, DATE, REGION, name)
        assert keys.get(name, 1, DATE, REGION) is key
        assert keys.get(name, 1, DATE, REGION) is key
        assert len(keys) == 1


def test_signing_keys_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="two keys"):
        SigningKeys(1)


@pytest.mark.parametrize("made", [SigningKey, Authorization])
def test_objects_made_by_functions_cannot_be_called_into_being(made: type) -> None:
    with pytest.raises(TypeError, match="made by"):
        made()


def test_uri_encode_keeps_only_unreserved_bytes() -> None:
    everything = bytes(range(256))
    unreserved = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    expected = b"".join(
        bytes([byte]) if byte in unreserved else b"%%%02X" % byte for byte in everything
    )
    assert uri_encode(everything, keep_slash=False) == expected
    assert uri_encode(everything, keep_slash=True) == expected.replace(b"%2F", b"/")
    assert uri_encode(b"%" * 5000, keep_slash=True) == b"%25" * 5000


def test_compare_digest_tells_equal_from_different() -> None:
    assert compare_digest(b"", b"")
    assert compare_digest(b"abc", b"abc")
    assert not compare_digest(b"abc", b"abd")
    assert not compare_digest(b"abc", b"abcd")
    assert not compare_digest(b"\x00", b"\x80")
