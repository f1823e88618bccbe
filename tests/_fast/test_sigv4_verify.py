"""What a signature covers: each changed element must break it, each harmless spelling must not."""

import pytest

from s3proxy._fast.errors import AuthError
from s3proxy._fast.sigv4 import derive_signing_key, parse_authorization, verify
from tests._fast.sigv4_requests import (
    ACCESS_KEY,
    AMZ_DATE,
    EMPTY_SHA256,
    KEY,
    REGION,
    SCOPE,
    SECRET_KEY,
    check,
    credentials,
    head_of,
    parsed,
    python_request_signature,
)

HOST = "s3.example"
Headers = list[tuple[str, str]]
BASE: Headers = [
    ("Host", HOST),
    ("x-amz-content-sha256", EMPTY_SHA256),
    ("x-amz-date", AMZ_DATE),
]


def canonical(path: str, query: str, lines: list[str], names: str, method: str = "GET") -> str:
    return "\n".join([method, path, query, *lines, "", names, EMPTY_SHA256])


def signed(target: str | bytes, path: str, query: str, headers: Headers = BASE) -> None:
    """Check a request whose canonical path and query are as given."""
    lines = [f"{name.lower()}:{value}" for name, value in sorted(headers)]
    names = ";".join(sorted(name.lower() for name, _ in headers))
    signature = python_request_signature(canonical(path, query, lines, names))
    check(head_of("GET", target, [*headers, credentials(names, signature)]))


def refused(head_headers: Headers, *, method: str = "GET", target: str = "/k?a=1") -> AuthError:
    head = head_of(method, target, head_headers)
    with pytest.raises(AuthError) as caught:
        verify(head, parsed(head), KEY)
    return caught.value


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/./b/../c//d", "/a/./b/../c//d", ""),
        ("/a%2fb", "/a/b", ""),
        ("/a%20b", "/a%20b", ""),
        ("/a+b", "/a%2Bb", ""),
        ("/a%2bb", "/a%2Bb", ""),
        ("/%7Etilde~-._", "/~tilde~-._", ""),
        ("/a%zz%4", "/a%25zz%254", ""),
        ("/%e4%bd%a0", "/%E4%BD%A0", ""),
        ("/a%2520b", "/a%2520b", ""),
        ("/!$&'()*,;=:@", "/%21%24%26%27%28%29%2A%2C%3B%3D%3A%40", ""),
        ("/k?acl", "/k", "acl="),
        ("/k?b=2&a=1", "/k", "a=1&b=2"),
        ("/k?a=2&a=1&a=", "/k", "a=&a=1&a=2"),
        ("/k?a-b=1&a=2", "/k", "a=2&a-b=1"),
        ("/k?a=b=c", "/k", "a=b%3Dc"),
        ("/k?p=a+b", "/k", "p=a%20b"),
        ("/k?p=a%2Bb", "/k", "p=a%2Bb"),
        ("/k?p=a/b", "/k", "p=a%2Fb"),
        ("/k?p=a%2fb", "/k", "p=a%2Fb"),
        ("/k?&a=1&&b=2&", "/k", "a=1&b=2"),
        ("/k?=v", "/k", "=v"),
        ("/k?A=1&a=2&%41=0", "/k", "A=0&A=1&a=2"),
    ],
)
def test_verify_target_spelling_is_canonicalised(target: str, path: str, query: str) -> None:
    signed(target, path, query)


def test_verify_many_parameters_are_sorted() -> None:
    names = [f"p{i:03d}" for i in range(900)]
    target = "/k?" + "&".join(f"{name}=1" for name in reversed(names))
    signed(target, "/k", "&".join(f"{name}=1" for name in names))


def test_verify_long_request_outgrows_the_stack() -> None:
    long = "x" * 5000
    signed(f"/{long}?p={long}", f"/{long}", f"p={long}", [*BASE, ("x-amz-meta-l", long)])


def test_verify_values_are_trimmed_and_collapsed() -> None:
    headers = [*BASE, ("x-amz-meta-a", "  one   two  \t "), ("x-amz-meta-b", "")]
    lines = [f"host:{HOST}", f"x-amz-content-sha256:{EMPTY_SHA256}", f"x-amz-date:{AMZ_DATE}"]
    lines += ["x-amz-meta-a:one two", "x-amz-meta-b:"]
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b"
    signature = python_request_signature(canonical("/k", "", lines, names))
    check(head_of("GET", "/k", [*headers, credentials(names, signature)]))


def test_verify_repeated_headers_are_joined_in_order() -> None:
    headers = [("X-Amz-Meta-A", "2"), *BASE, ("x-amz-meta-a", "1")]
    lines = [f"host:{HOST}", f"x-amz-content-sha256:{EMPTY_SHA256}", f"x-amz-date:{AMZ_DATE}"]
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a"
    signature = python_request_signature(canonical("/k", "", [*lines, "x-amz-meta-a:2,1"], names))
    check(head_of("GET", "/k", [*headers, credentials(names, signature)]))


def test_verify_non_ascii_value_is_taken_byte_for_byte() -> None:
    signed("/k", "/k", "", [*BASE, ("x-amz-meta-name", "caf\u00e9")])


def good_request() -> tuple[Headers, str]:
    headers = [*BASE, ("x-amz-meta-a", "one")]
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a"
    lines = [f"{name.lower()}:{value}" for name, value in headers]
    return headers, python_request_signature(canonical("/k", "a=1", lines, names))


NAMES = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a"


def test_verify_untouched_request_passes() -> None:
    headers, signature = good_request()
    check(head_of("GET", "/k?a=1", [*headers, credentials(NAMES, signature)]))


@pytest.mark.parametrize(
    ("method", "target"),
    [("PUT", "/k?a=1"), ("GET", "/K?a=1"), ("GET", "/k?a=2"), ("GET", "/k?a=1&b"), ("GET", "/k")],
)
def test_verify_changed_request_line_is_refused(method: str, target: str) -> None:
    headers, signature = good_request()
    error = refused([*headers, credentials(NAMES, signature)], method=method, target=target)
    assert error.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("position", range(4))
def test_verify_changed_header_is_refused(position: int) -> None:
    headers, signature = good_request()
    name, value = headers[position]
    changed = value[:-1] + "0" if name != "x-amz-date" else "20130524T000001Z"
    headers[position] = (name, changed)
    assert refused([*headers, credentials(NAMES, signature)]).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("position", range(64))
def test_verify_each_changed_digit_of_the_signature_is_refused(position: int) -> None:
    headers, signature = good_request()
    digit = "0" if signature[position] != "0" else "1"
    changed = signature[:position] + digit + signature[position + 1 :]
    assert refused([*headers, credentials(NAMES, changed)]).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s + "0", str.upper, lambda s: "x", lambda s: s * 2]
)
def test_verify_signature_of_another_form_is_refused(change: object) -> None:
    headers, signature = good_request()
    assert callable(change)
    error = refused([*headers, credentials(NAMES, change(signature))])
    assert error.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "names",
    [
        "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b",
        "host;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a",
        "x-amz-meta-a;host;x-amz-content-sha256;x-amz-date",
        "Host;X-Amz-Content-Sha256;x-amz-date;x-amz-meta-a",
        "host;;x-amz-content-sha256;x-amz-date;x-amz-meta-a",
    ],
)
def test_verify_other_list_of_signed_headers_is_refused(names: str) -> None:
    headers, signature = good_request()
    error = refused([*headers, credentials(names, signature)])
    assert error.code in ("SignatureDoesNotMatch", "AccessDenied")


def test_verify_signed_header_that_is_absent_is_refused_though_signed_as_empty() -> None:
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-z"
    lines = [f"{name.lower()}:{value}" for name, value in BASE]
    signature = python_request_signature(canonical("/k", "", [*lines, "x-amz-meta-z:"], names))
    error = refused([*BASE, credentials(names, signature)], target="/k")
    assert error.code == "SignatureDoesNotMatch"


def test_verify_unsigned_amz_headers_are_refused_and_named() -> None:
    headers, signature = good_request()
    added = [("X-Amz-Copy-Source", "/b/k"), ("x-amz-acl", "public-read"), ("Range", "bytes=0-0")]
    error = refused([*headers, *added, credentials(NAMES, signature)])
    assert error.code == "AccessDenied"
    assert error.message == "There were headers present in the request which were not signed"
    assert error.fields == {"HeadersNotSigned": "x-amz-copy-source, x-amz-acl"}


def test_verify_second_line_of_a_signed_header_is_refused() -> None:
    headers, signature = good_request()
    error = refused([*headers, ("X-AMZ-META-A", "two"), credentials(NAMES, signature)])
    assert error.code == "SignatureDoesNotMatch"


def test_verify_unsigned_host_is_refused() -> None:
    names = "x-amz-content-sha256;x-amz-date"
    lines = [f"{name.lower()}:{value}" for name, value in BASE[1:]]
    signature = python_request_signature(canonical("/k", "", lines, names))
    error = refused([*BASE, credentials(names, signature)], target="/k")
    assert error.fields == {"HeadersNotSigned": "host"}


def test_verify_mismatch_shows_what_was_signed() -> None:
    headers, signature = good_request()
    wrong = "0" * 64
    error = refused([*headers, credentials(NAMES, wrong)])
    lines = [f"{name.lower()}:{value}" for name, value in headers]
    request = canonical("/k", "a=1", lines, NAMES)
    assert error.fields["AWSAccessKeyId"] == ACCESS_KEY
    assert error.fields["SignatureProvided"] == wrong
    assert error.fields["CanonicalRequest"] == request
    assert error.fields["CanonicalRequestBytes"] == request.encode().hex(" ")
    assert error.fields["StringToSign"].startswith(f"AWS4-HMAC-SHA256\n{AMZ_DATE}\n{SCOPE}\n")
    assert error.fields["StringToSignBytes"] == error.fields["StringToSign"].encode().hex(" ")
    assert signature not in str(error.fields)


def test_verify_mismatch_of_a_long_request_is_not_echoed() -> None:
    headers = [*BASE, ("x-amz-meta-long", "x" * 9000)]
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-long"
    error = refused([*headers, credentials(names, "0" * 64)])
    assert "CanonicalRequest" not in error.fields
    assert len(str(error.fields)) < 2000


def test_verify_long_list_of_unknown_names_ends_early() -> None:
    names = "host;" + ";".join(f"n{i}" for i in range(9000))
    error = refused([*BASE, credentials(names, "0" * 64)])
    assert error.code in ("SignatureDoesNotMatch", "AccessDenied")


@pytest.mark.parametrize(
    ("secret", "date", "region"),
    [
        (SECRET_KEY[:-1], "20130524", REGION),
        (SECRET_KEY, "20130525", REGION),
        (SECRET_KEY, "20130524", "eu-west-1"),
    ],
)
def test_verify_with_another_key_is_refused(secret: str, date: str, region: str) -> None:
    headers, signature = good_request()
    head = head_of("GET", "/k?a=1", [*headers, credentials(NAMES, signature)])
    with pytest.raises(AuthError, match="SignatureDoesNotMatch"):
        verify(head, parsed(head), derive_signing_key(secret, date, region))


def test_verify_authorization_of_another_head_is_refused() -> None:
    headers, signature = good_request()
    sent = [*headers, credentials(NAMES, signature)]
    authorization = parse_authorization(head_of("GET", "/k?a=1", sent))
    assert authorization is not None
    with pytest.raises(ValueError, match="another head"):
        verify(head_of("GET", "/other", sent), authorization, KEY)
