"""Signature Version 2 against botocore, which signs it still."""

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.http1 import RequestHead
from s3proxy.s3.auth import Authenticator
from s3proxy.s3.hosts import Hosts
from s3proxy.s3.sigv2 import VersionTwo, sign
from tests.s3.heads import head_of, make_head, raises_s3
from tests.s3.signing import ACCESS_KEY, HOST, IDENTITY, REGION, SECRET_KEY, credential

HOSTS = Hosts(["s3.test"])
GATE = Authenticator(credential, REGION, version_two=VersionTwo(HOSTS))


def signed(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    host: str = HOST,
    auth_path: str | None = None,
    secret_key: str = SECRET_KEY,
) -> RequestHead:
    request = AWSRequest(method, f"http://{host}{target}", headers=dict(headers or {}))
    request.auth_path = auth_path
    HmacV1Auth(Credentials(ACCESS_KEY, secret_key)).add_auth(request)
    return head_of(method, target, [("Host", host), *request.headers.items()])


def presigned(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    expires_s: int = 600,
) -> RequestHead:
    request = AWSRequest(method, f"http://{HOST}{target}", headers=dict(headers or {}))
    HmacV1QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), expires_s).add_auth(request)
    return head_of(method, request.url.removeprefix(f"http://{HOST}"), [("Host", HOST)])


def by_hand(text: str, headers: list[tuple[str, str]], target: str = "/b/k") -> RequestHead:
    signature = sign(text.encode(), SECRET_KEY).decode()
    authorization = ("Authorization", f"AWS {ACCESS_KEY}:{signature}")
    return head_of("GET", target, [("Host", HOST), *headers, authorization])


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/bucket/key", {}),
        ("GET", "/", {}),
        ("PUT", "/bucket/a%20b%2Bc", {"Content-Type": "text/plain", "Content-MD5": "abc"}),
        ("PUT", "/bucket/k", {"x-amz-meta-B": "two  spaces", "X-Amz-Acl": "private"}),
        ("GET", "/bucket/?uploads&prefix=a&max-uploads=3", {}),
        ("PUT", "/bucket/k?uploadId=x%2By&partNumber=7", {}),
        ("POST", "/bucket/?delete", {"Content-MD5": "abc"}),
        ("GET", "/bucket/k?response-content-type=text%2Fplain%3B%20x&versionId=null", {}),
    ],
)
def test_version_two_takes_what_botocore_signs(
    method: str, target: str, headers: dict[str, str]
) -> None:
    found = GATE.authenticate(signed(method, target, headers))
    assert found.identity == IDENTITY
    assert found.key is None
    assert found.authorization.payload_hash == "UNSIGNED-PAYLOAD"
    assert GATE.authenticate(presigned(method, target, headers)).identity == IDENTITY


def test_version_two_signs_the_bucket_of_a_virtual_host() -> None:
    head = signed(target="/key", host="photos.s3.test:80", auth_path="/photos/key")
    assert GATE.authenticate(head).identity == IDENTITY
    with raises_s3("SignatureDoesNotMatch"):
        GATE.authenticate(signed(target="/key", host="videos.s3.test", auth_path="/photos/key"))


def test_version_two_signs_the_bucket_of_the_keys_tenant_alone() -> None:
    own = signed(target="/key", host="photos.main.s3.test", auth_path="/photos/key")
    assert GATE.authenticate(own).identity == IDENTITY
    other = signed(target="/key", host="photos.acme.s3.test", auth_path="/photos.acme/key")
    assert GATE.authenticate(other).identity == IDENTITY
    assert GATE.tenant_of(own) == GATE.tenant_of(other) == IDENTITY.tenant
    with raises_s3("SignatureDoesNotMatch"):
        head = signed(target="/key", host="photos.acme.s3.test", auth_path="/photos/key")
        GATE.authenticate(head)


@pytest.mark.parametrize("slash", ["", "/"])
def test_version_two_takes_a_bucket_signed_with_or_without_its_slash(slash: str) -> None:
    date = formatdate(usegmt=True)
    head = by_hand(f"GET\n\n\n{date}\n/bucket{slash}", [("Date", date)], "/bucket")
    assert GATE.authenticate(head).identity == IDENTITY


def test_version_two_with_an_amz_date_signs_no_date_line() -> None:
    date = formatdate(usegmt=True)
    headers = [("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("X-Amz-Date", date)]
    head = by_hand(f"GET\n\n\n\nx-amz-date:{date}\n/b/k", headers)
    assert GATE.authenticate(head).identity == IDENTITY


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_version_two_with_any_other_signature_is_refused(a: bytes, b: bytes) -> None:
    text = (a.hex() + ":" + b.hex()).encode()
    head = make_head(Date=formatdate(usegmt=True), Authorization=f"AWS {ACCESS_KEY}:{text.hex()}")
    with raises_s3("SignatureDoesNotMatch") as caught:
        GATE.authenticate(head)
    assert caught.value.fields["StringToSign"].startswith("GET\n\n\n")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (partial(signed, secret_key="other"), "SignatureDoesNotMatch"),
        (partial(make_head, Authorization="AWS HAHAHA"), "InvalidArgument"),
        (partial(make_head, Authorization=f"AWS {ACCESS_KEY}:"), "InvalidArgument"),
        (partial(make_head, Authorization="AWS nobody:c2ln"), "InvalidAccessKeyId"),
        (partial(make_head, Authorization=f"AWS {ACCESS_KEY}:c2ln"), "AccessDenied"),
        (partial(make_head, Authorization=f"AWS {ACCESS_KEY}:c2ln", Date="never"), "AccessDenied"),
        (
            partial(make_head, target=f"/b/k?AWSAccessKeyId={ACCESS_KEY}&Signature=x"),
            "AccessDenied",
        ),
        (
            partial(make_head, target=f"/b/k?AWSAccessKeyId={ACCESS_KEY}&Signature=x&Expires=soon"),
            "AccessDenied",
        ),
        (partial(presigned, expires_s=-1), "AccessDenied"),
        (partial(signed, headers={"x-amz-security-token": "t"}), "InvalidToken"),
        (partial(signed, "PUT", "/b/k?legal-hold"), "AccessDenied"),
        (partial(signed, "PUT", "/b/k?%6cegal-hold"), "AccessDenied"),
        (partial(signed, "PUT", "/b/k?X-Amz-Acl=public-read"), "AccessDenied"),
        (partial(presigned, "GET", "/b/k?attributes"), "AccessDenied"),
        (
            partial(
                signed,
                "PUT",
                headers={"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
            ),
            "InvalidRequest",
        ),
    ],
)
def test_version_two_refusals(make: Callable[[], RequestHead], code: str) -> None:
    head = make()  # signed now: these tests may come long after they were collected
    with raises_s3(code):
        GATE.authenticate(head)


@pytest.mark.parametrize(
    ("date", "code"),
    [
        ("Tue, 07 Jul 2010 21:53:04 GMT", "RequestTimeTooSkewed"),
        ("Tue, 07 Jul 9999 21:53:04 GMT", "RequestTimeTooSkewed"),
        ("Tue, 07 Jul 1950 21:53:04 GMT", "AccessDenied"),
        ("20100707T215304Z", "RequestTimeTooSkewed"),
        ("2010Z707T215304Z", "AccessDenied"),
        ("", "AccessDenied"),
    ],
)
def test_version_two_dates_that_are_refused(date: str, code: str) -> None:
    with raises_s3(code):
        GATE.authenticate(make_head(Authorization=f"AWS {ACCESS_KEY}:eA==", X_Amz_Date=date))


def test_version_two_url_expires_at_its_second() -> None:
    now_s = time.time()
    gate = Authenticator(credential, REGION, clock=lambda: now_s, version_two=VersionTwo(HOSTS))
    head = presigned(expires_s=100)
    assert gate.authenticate(head).identity == IDENTITY
    now_s += 102
    with raises_s3("AccessDenied") as caught:
        gate.authenticate(head)
    assert caught.value.message == "Request has expired"


def test_version_two_in_a_header_may_read_what_sdks_ask_for_unsigned() -> None:
    assert GATE.authenticate(signed("GET", "/bucket/?publicAccessBlock")).identity == IDENTITY


def test_version_two_is_refused_by_name_unless_it_is_configured() -> None:
    for head in (signed(), presigned()):
        with raises_s3("InvalidRequest") as caught:
            Authenticator(credential, REGION).authenticate(head)
        assert "AWS4-HMAC-SHA256" in caught.value.message


def test_version_two_with_both_ways_is_refused() -> None:
    target = f"/b/k?AWSAccessKeyId={ACCESS_KEY}&Signature=x&Expires=1"
    with raises_s3("InvalidArgument"):
        GATE.authenticate(make_head(target=target, Authorization=f"AWS {ACCESS_KEY}:eA=="))
