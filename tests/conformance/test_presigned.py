"""Signatures in the query: expiry, bounds, and headers that the URL does or does not cover."""

from __future__ import annotations

import pytest

from tests.conformance.asking import Asker, Signing, error, field

BAD_PARAMETERS = (400, "AuthorizationQueryParametersError")
NO_MATCH = (403, "SignatureDoesNotMatch")
PARAMETERS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_presigned_read_is_answered(s3: Asker, method: str) -> None:
    answer = s3.open(method, s3.presign(method, "digits"))
    assert (answer.status, answer.headers["content-length"]) == (200, "10")


def test_presigned_url_that_expired_is_denied(s3: Asker) -> None:
    answer = s3.open("GET", s3.presign("GET", "digits", signing=Signing(skew_s=-301)))
    assert error(answer) == (403, "AccessDenied")
    assert field(answer, "Message") == "Request has expired"
    assert field(answer, "X-Amz-Expires") == "300"
    assert field(answer, "Expires") < field(answer, "ServerTime")


def test_presigned_url_of_the_far_future_is_not_yet_valid(s3: Asker) -> None:
    near = s3.presign("GET", "digits", signing=Signing(skew_s=14 * 60))
    far = s3.presign("GET", "digits", signing=Signing(skew_s=16 * 60))
    assert s3.open("GET", near).status == 200
    assert error(s3.open("GET", far)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("expires", "code"),
    [
        ("1", (200, "")),
        ("604800", (200, "")),
        ("604801", (403, "AccessDenied")),
        ("0", (403, "AccessDenied")),
        ("-1", (403, "AccessDenied")),
        ("soon", BAD_PARAMETERS),
        ("", BAD_PARAMETERS),
    ],
)
def test_presigned_life_is_bounded_to_a_week(
    s3: Asker, expires: str, code: tuple[int, str]
) -> None:
    # A clock that is ahead, so that a second of life does not end on the way.
    target = s3.presign("GET", "digits", expires=expires, signing=Signing(skew_s=60))
    assert error(s3.open("GET", target)) == code


@pytest.mark.parametrize(
    ("signing", "code"),
    [
        (Signing(region="eu-west-1"), BAD_PARAMETERS),
        (Signing(service="ec2"), BAD_PARAMETERS),
        (Signing(date="20200101"), BAD_PARAMETERS),
        (Signing(access_key="AKIANOBODY"), (403, "InvalidAccessKeyId")),
        (Signing(secret_key="another"), NO_MATCH),
    ],
)
def test_presigned_by_another_scope_or_key_is_refused(
    s3: Asker, signing: Signing, code: tuple[int, str]
) -> None:
    assert error(s3.open("GET", s3.presign("GET", "digits", signing=signing))) == code


@pytest.mark.parametrize("name", PARAMETERS)
def test_presigned_url_lacking_a_parameter_is_refused(s3: Asker, name: str) -> None:
    path, _, query = s3.presign("GET", "digits").partition("?")
    kept = [piece for piece in query.split("&") if not piece.startswith(f"X-Amz-{name}=")]
    assert error(s3.open("GET", f"{path}?{'&'.join(kept)}")) == BAD_PARAMETERS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        ("X-Amz-Signature=", "extra=1&X-Amz-Signature="),
        ("?", "?response-content-type=text%2Fhtml&"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Brange"),
        ("/digits", "/other"),
    ],
)
def test_presigned_url_that_was_edited_does_not_match(s3: Asker, old: str, new: str) -> None:
    assert error(s3.open("GET", s3.presign("GET", "digits").replace(old, new))) == NO_MATCH


def test_presigned_url_is_of_one_method(s3: Asker) -> None:
    assert error(s3.open("DELETE", s3.presign("GET", "digits"))) == NO_MATCH


def test_presigned_url_beside_an_authorization_header_is_refused(s3: Asker) -> None:
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a"}
    answer = s3.open("GET", s3.presign("GET", "digits"), headers)
    assert error(answer) == (400, "InvalidArgument")


def test_presigned_put_keeps_the_headers_that_were_signed(s3: Asker) -> None:
    headers = {"x-amz-meta-color": "red", "content-type": "text/plain"}
    target = s3.presign("PUT", "new", headers=headers)
    assert error(s3.open("PUT", target, body=b"x")) == NO_MATCH
    assert s3.open("PUT", target, headers, b"x").status == 200
    kept = s3.head("new").headers
    assert (kept["x-amz-meta-color"], kept["content-type"]) == ("red", "text/plain")


def test_presigned_put_with_another_amz_header_is_denied(s3: Asker) -> None:
    answer = s3.open("PUT", s3.presign("PUT", "new"), {"x-amz-meta-evil": "1"}, b"x")
    assert error(answer) == (403, "AccessDenied")
    assert field(answer, "HeadersNotSigned") == "x-amz-meta-evil"
    assert s3.head("new").status == 404


def test_presigned_put_with_another_plain_header_is_taken(s3: Asker) -> None:
    answer = s3.open("PUT", s3.presign("PUT", "new"), {"Content-Type": "text/plain"}, b"x")
    assert answer.status == 200
    assert s3.head("new").headers["content-type"] == "text/plain"


def test_presigned_parameters_count_as_headers(s3: Asker) -> None:
    kept = s3.presign("PUT", "new", query="x-amz-meta-color=red")
    refused = s3.presign("PUT", "other", query="x-amz-acl=public-read")
    assert s3.open("PUT", kept, body=b"x").status == 200
    assert s3.head("new").headers["x-amz-meta-color"] == "red"
    refusal = (400, "AccessControlListNotSupported")
    assert error(s3.open("PUT", refused, body=b"x")) == refusal


def test_presigned_overrides_are_answered(s3: Asker) -> None:
    query = (
        "response-content-type=text%2Fplain&response-content-language=de"
        "&response-content-disposition=attachment%3B%20filename%3D%22a%22"
        "&response-cache-control=no-store&response-expires=0&response-content-encoding=identity"
    )
    headers = s3.open("GET", s3.presign("GET", "digits", query=query)).headers
    names = ("content-type", "content-language", "cache-control", "expires", "content-encoding")
    assert [headers[name] for name in names] == ["text/plain", "de", "no-store", "0", "identity"]
    assert headers["content-disposition"] == 'attachment; filename="a"'


def test_presigned_override_with_a_line_end_is_refused(s3: Asker) -> None:
    target = s3.presign("GET", "digits", query="response-content-type=a%0D%0Ab%3A%20c")
    assert error(s3.open("GET", target)) == (400, "InvalidArgument")


def test_presigned_of_signature_version_2_is_refused(s3: Asker) -> None:
    target = s3.path("digits?AWSAccessKeyId=A&Expires=9999999999&Signature=c2ln")
    assert error(s3.open("GET", target)) == (400, "InvalidRequest")
