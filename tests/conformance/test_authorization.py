"""Signatures in headers: what S3 answers to each way of getting them wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from tests.conformance.asking import Asker, Signing, error, field, head
from tests.faults.wire import UNSIGNED

MALFORMED = (400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize("skew_s", [-14 * 60, 14 * 60])
def test_signature_of_a_clock_within_15_minutes_is_taken(s3: Asker, skew_s: int) -> None:
    assert s3.ask("GET", s3.path("digits"), signing=Signing(skew_s)).status == 200


@pytest.mark.parametrize("skew_s", [-16 * 60, 16 * 60])
def test_signature_of_a_clock_beyond_15_minutes_is_too_skewed(s3: Asker, skew_s: int) -> None:
    answer = s3.ask("GET", s3.path("digits"), signing=Signing(skew_s))
    assert error(answer) == (403, "RequestTimeTooSkewed")
    assert field(answer, "RequestTime")[:8].isdecimal()
    assert field(answer, "ServerTime").startswith(time.strftime("%Y-%m-%dT", time.gmtime()))
    assert field(answer, "MaxAllowedSkewMilliseconds") == "900000"


@pytest.mark.parametrize(
    ("signing", "code"),
    [
        (Signing(region="eu-west-1"), MALFORMED),
        (Signing(region=""), MALFORMED),
        (Signing(service="ec2"), MALFORMED),
        (Signing(terminal="aws4"), MALFORMED),
        (Signing(date="20200101"), MALFORMED),
        (Signing(date="today"), MALFORMED),
        (Signing(access_key=""), MALFORMED),
        (Signing(access_key="AKIANOBODY"), (403, "InvalidAccessKeyId")),
        (Signing(secret_key="another"), (403, "SignatureDoesNotMatch")),
    ],
)
def test_signature_of_another_scope_or_key_is_refused(
    s3: Asker, signing: Signing, code: tuple[int, str]
) -> None:
    assert error(s3.ask("GET", s3.path("digits"), signing=signing)) == code


def test_signature_of_another_region_is_told_the_right_one(s3: Asker) -> None:
    answer = s3.ask("GET", s3.path("digits"), signing=Signing(region="eu-west-1"))
    assert field(answer, "Region") == "us-east-1"
    assert "the region 'eu-west-1' is wrong; expecting 'us-east-1'" in field(answer, "Message")


def test_signature_that_differs_is_answered_with_what_was_signed(s3: Asker) -> None:
    answer = s3.ask("GET", s3.path("digits"), signing=Signing(secret_key="another"))
    assert field(answer, "StringToSign").startswith("AWS4-HMAC-SHA256\n")
    assert field(answer, "CanonicalRequest").startswith(f"GET\n{s3.path('digits')}\n")
    assert len(field(answer, "SignatureProvided")) == 64


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", (400, "InvalidArgument")),
        ("AWS AKIA:c2ln", (400, "InvalidRequest")),
        ("Basic Zm9vOmJhcg==", (400, "InvalidArgument")),
        ("Bearer token", (400, "InvalidArgument")),
        ("aws4-hmac-sha256 Credential=a", (400, "InvalidArgument")),
        ("AWS4-ECDSA-P256-SHA256 Credential=a", (400, "InvalidRequest")),
        ("AWS4-HMAC-SHA256", MALFORMED),
        ("AWS4-HMAC-SHA256 nonsense", MALFORMED),
        ("AWS4-HMAC-SHA256 Credential=AKIA", MALFORMED),
        ("AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request", MALFORMED),
        ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00", MALFORMED),
    ],
)
def test_authorization_that_is_none_is_refused(
    s3: Asker, value: str, code: tuple[int, str]
) -> None:
    sent = s3.signed("GET", s3.path("digits"), {})
    sent["Authorization"] = value
    assert error(s3.send("GET", head("GET", s3.path("digits"), sent))) == code


EDITS: dict[str, tuple[Callable[[str], str], tuple[int, str]]] = {
    "no spaces": (lambda text: text.replace(", ", ","), (200, "")),
    "another component": (lambda text: text + ", Extra=1", MALFORMED),
    "a component twice": (lambda text: text + ", Signature=00", MALFORMED),
    "upper case signature": (
        lambda text: text[:-64] + text[-64:].upper().replace("0", "A"),
        (403, "SignatureDoesNotMatch"),
    ),
    "short signature": (lambda text: text[:-2], (403, "SignatureDoesNotMatch")),
    "host not signed": (lambda text: text.replace("host;", ""), (403, "AccessDenied")),
    "a header signed that is not there": (
        lambda text: text.replace("host;", "host;if-match;"),
        (403, "SignatureDoesNotMatch"),
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_authorization_that_was_edited_gets_its_answer(s3: Asker, case: str) -> None:
    edit, code = EDITS[case]
    sent = s3.signed("GET", s3.path("digits"), {})
    sent["Authorization"] = edit(sent["Authorization"])
    assert error(s3.send("GET", head("GET", s3.path("digits"), sent))) == code


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_date_header_stands_in_for_amz_date(s3: Asker, zone: str) -> None:
    assert s3.ask("GET", s3.path("digits"), signing=Signing(zone=zone)).status == 200


def test_date_header_of_no_zone_is_denied(s3: Asker) -> None:
    answer = s3.ask("GET", s3.path("digits"), signing=Signing(zone="somewhere"))
    assert error(answer) == (403, "AccessDenied")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_amz_header_outside_the_signature_is_denied(s3: Asker, method: str) -> None:
    sent = s3.signed(method, s3.path("digits"), {"Content-Length": "0"})
    answer = s3.send(method, head(method, s3.path("digits"), {**sent, "x-amz-meta-a": "1"}))
    assert error(answer) == (403, "AccessDenied")
    assert field(answer, "HeadersNotSigned") == "x-amz-meta-a"


def test_plain_header_outside_the_signature_counts(s3: Asker) -> None:
    sent = {**s3.signed("GET", s3.path("digits"), {}), "Range": "bytes=0-1"}
    assert s3.send("GET", head("GET", s3.path("digits"), sent)).body == b"01"


def test_session_token_is_invalid(s3: Asker) -> None:
    assert error(s3.get("digits", x_amz_security_token="token")) == (400, "InvalidToken")


@pytest.mark.parametrize(
    ("payload_hash", "code"),
    [
        (UNSIGNED, (200, "")),
        (hashlib.sha256(b"body").hexdigest(), (200, "")),
        (hashlib.sha256(b"body").hexdigest().upper(), (200, "")),
        (hashlib.sha256(b"other").hexdigest(), (400, "XAmzContentSHA256Mismatch")),
        ("", (400, "InvalidRequest")),
        ("unsigned-payload", (400, "InvalidArgument")),
        ("0" * 63, (400, "InvalidArgument")),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", (411, "MissingContentLength")),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", (411, "MissingContentLength")),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", (501, "NotImplemented")),
    ],
)
def test_payload_hash_decides_over_the_body(
    s3: Asker, payload_hash: str, code: tuple[int, str]
) -> None:
    signing = Signing(payload_hash=payload_hash)
    assert error(s3.ask("PUT", s3.path("new"), None, b"body", signing)) == code
    assert s3.get("new").status == (200 if code[0] == 200 else 404)


def test_payload_hash_that_is_none_is_refused_without_a_body(s3: Asker) -> None:
    answer = s3.ask("GET", s3.path("digits"), signing=Signing(payload_hash="nonsense"))
    assert error(answer) == (400, "InvalidArgument")


def test_payload_hash_missing_is_refused(s3: Asker) -> None:
    sent = s3.signed("GET", s3.path("digits"), {})
    del sent["x-amz-content-sha256"]
    assert error(s3.send("GET", head("GET", s3.path("digits"), sent))) == (400, "InvalidRequest")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("target", ["", "digits", "none"])
def test_anonymous_request_is_denied(s3: Asker, method: str, target: str) -> None:
    path = target if target[:1] == "/" else s3.path(target)
    answer = s3.open(method, path, body=b"x" if method == "PUT" else b"")
    assert error(answer) == (403, "" if method == "HEAD" else "AccessDenied")
    assert s3.get("digits").body == b"0123456789"


def test_anonymous_list_of_buckets_is_denied(s3: Asker) -> None:
    assert error(s3.open("GET", "/")) == (403, "AccessDenied")


def test_anonymous_request_cannot_override_headers(s3: Asker) -> None:
    answer = s3.open("GET", s3.path("digits?response-content-type=text%2Fhtml"))
    assert error(answer) == (400, "InvalidRequest")
