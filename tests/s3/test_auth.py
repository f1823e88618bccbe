import time
from collections.abc import Callable
from functools import partial

import pytest

from s3proxy._fast.http1 import RequestHead
from s3proxy._fast.sigv4 import SigningKeys
from s3proxy.s3.auth import ANONYMOUS, Authenticator, Credential
from tests.s3.heads import head_of, make_head, raises_s3
from tests.s3.signing import (
    ACCESS_KEY,
    IDENTITY,
    REGION,
    SECRET_KEY,
    authenticator,
    credential,
    presign,
    sign,
)

DAY_S = 24 * 3600


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/bucket/key"),
        ("PUT", "/bucket/a%20b%2Bc"),
        ("GET", "/bucket?list-type=2&prefix=a%2Fb&max-keys=10"),
        ("POST", "/bucket?delete"),
        ("GET", "/"),
    ],
)
def test_authenticate_of_a_signed_request_names_its_user(method: str, target: str) -> None:
    found = authenticator().authenticate(sign(method, target))
    assert found.identity == IDENTITY
    assert found.authorization.payload_hash == "UNSIGNED-PAYLOAD"
    assert len(found.key.sign(b"x")) == 64


def test_authenticate_of_a_presigned_request_names_its_user() -> None:
    found = authenticator().authenticate(presign())
    assert found.identity == IDENTITY
    assert found.authorization.presigned


def test_authenticate_unseals_a_secret_once_per_day() -> None:
    unsealed = []

    def secret() -> str:
        unsealed.append(1)
        return SECRET_KEY

    gate = Authenticator(lambda _: Credential(IDENTITY, 1, secret), REGION, keys=SigningKeys(4))
    for _ in range(3):
        gate.authenticate(sign())
    # The first of them may have been signed just before midnight UTC.
    assert len(unsealed) <= 2


def test_authenticate_after_a_new_secret_misses_the_old_signing_key() -> None:
    generation, secret_key = 1, SECRET_KEY
    gate = Authenticator(lambda _: Credential(IDENTITY, generation, lambda: secret_key), REGION)
    gate.authenticate(sign())
    generation, secret_key = 2, "another"
    gate.authenticate(sign(secret_key="another"))
    with raises_s3("SignatureDoesNotMatch"):
        gate.authenticate(sign())


@pytest.mark.parametrize("payload_hash", ["0" * 64, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
def test_authenticate_takes_every_form_of_payload(payload_hash: str) -> None:
    head = sign("PUT", headers={"X-Amz-Content-SHA256": payload_hash})
    assert authenticator().authenticate(head).authorization.payload_hash == payload_hash


@pytest.mark.parametrize("payload_hash", ["unsigned-payload", "0" * 63, "0" * 63 + "x"])
def test_authenticate_of_no_payload_hash_is_refused_without_a_payload_too(
    payload_hash: str,
) -> None:
    with raises_s3("InvalidArgument") as caught:
        authenticator().authenticate(sign(headers={"X-Amz-Content-SHA256": payload_hash}))
    assert caught.value.fields["ArgumentName"] == "x-amz-content-sha256"


def test_authenticate_of_an_anonymous_request_names_nobody() -> None:
    found = authenticator().authenticate(make_head("GET", "/bucket/key"))
    assert found.identity is ANONYMOUS
    assert found.authorization.payload_hash == "UNSIGNED-PAYLOAD"


def test_authenticate_of_an_anonymous_request_needs_no_signature_further_on() -> None:
    signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    with raises_s3("InvalidRequest"):
        authenticator().authenticate(make_head("PUT", "/bucket/key", x_amz_content_sha256=signed))
    with raises_s3("InvalidToken"):
        authenticator().authenticate(make_head("GET", "/bucket/key", x_amz_security_token="t"))


def test_authenticate_of_an_unknown_or_disabled_key_is_invalid() -> None:
    with raises_s3("InvalidAccessKeyId") as caught:
        authenticator().authenticate(sign(access_key="AKIDNOBODY"))
    assert caught.value.fields == {"AWSAccessKeyId": "AKIDNOBODY"}


def test_authenticate_with_a_wrong_secret_does_not_match() -> None:
    with raises_s3("SignatureDoesNotMatch") as caught:
        authenticator().authenticate(sign(secret_key="wrong"))
    fields = caught.value.fields
    assert fields["AWSAccessKeyId"] == ACCESS_KEY
    assert fields["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert "SignatureProvided" in fields


def test_authenticate_of_a_changed_path_does_not_match() -> None:
    signed = sign("GET", "/bucket/key")
    changed = make_head(
        "GET", "/bucket/other", **{n.replace("-", "_"): v for n, v in signed.items() if n != "host"}
    )
    with raises_s3("SignatureDoesNotMatch"):
        authenticator().authenticate(changed)


def test_authenticate_of_another_region_names_the_right_one() -> None:
    with raises_s3("AuthorizationHeaderMalformed") as caught:
        authenticator().authenticate(sign(region="us-east-1"))
    assert caught.value.fields == {"Region": REGION}
    assert caught.value.message == (
        "The authorization header is malformed; the region 'us-east-1' is wrong;"
        " expecting 'eu-north-1'"
    )


def test_authenticate_presigned_for_another_region_names_the_right_one() -> None:
    with raises_s3("AuthorizationQueryParametersError") as caught:
        authenticator().authenticate(presign(region="us-east-1"))
    assert caught.value.fields == {"Region": REGION}
    assert caught.value.message == (
        "Error parsing the X-Amz-Credential parameter; the region 'us-east-1' is wrong;"
        " expecting 'eu-north-1'"
    )


def test_authenticate_of_a_garbled_header_is_malformed() -> None:
    with raises_s3("AuthorizationHeaderMalformed"):
        authenticator().authenticate(make_head(authorization="AWS4-HMAC-SHA256 nonsense"))


@pytest.mark.parametrize("ahead_s", [14 * 60, -14 * 60])
def test_authenticate_within_a_quarter_of_an_hour_passes(ahead_s: int) -> None:
    authenticator(clock=lambda: time.time() + ahead_s).authenticate(sign())


@pytest.mark.parametrize("ahead_s", [16 * 60, -16 * 60])
def test_authenticate_beyond_it_is_too_skewed_with_both_times(ahead_s: int) -> None:
    head = sign()
    with raises_s3("RequestTimeTooSkewed") as caught:
        authenticator(clock=lambda: time.time() + ahead_s).authenticate(head)
    assert caught.value.fields["RequestTime"] == head.get(b"x-amz-date")
    assert caught.value.fields["MaxAllowedSkewMilliseconds"] == "900000"
    assert len(caught.value.fields["ServerTime"]) == len("2013-05-24T00:00:00Z")


def test_authenticate_presigned_within_its_life_passes() -> None:
    gate = authenticator(clock=lambda: time.time() + 6 * DAY_S)
    gate.authenticate(presign(expires_s=7 * DAY_S))


def test_authenticate_presigned_after_its_life_is_denied_with_times() -> None:
    with raises_s3("AccessDenied") as caught:
        authenticator(clock=lambda: time.time() + 62).authenticate(presign(expires_s=60))
    assert caught.value.message == "Request has expired"
    assert caught.value.fields.keys() == {"X-Amz-Expires", "Expires", "ServerTime"}
    assert caught.value.fields["X-Amz-Expires"] == "60"
    assert caught.value.fields["Expires"] < caught.value.fields["ServerTime"]


def test_authenticate_presigned_for_the_future_is_denied() -> None:
    with raises_s3("AccessDenied") as caught:
        authenticator(clock=lambda: time.time() - 16 * 60).authenticate(presign())
    assert caught.value.message == "Request is not yet valid"


def test_authenticate_presigned_for_more_than_a_week_is_refused() -> None:
    with raises_s3("AccessDenied"):
        authenticator().authenticate(presign(expires_s=7 * DAY_S + 1))


@pytest.mark.parametrize("make", [sign, presign])
def test_authenticate_with_a_session_token_is_an_invalid_token(
    make: Callable[..., RequestHead],
) -> None:
    with raises_s3("InvalidToken"):
        authenticator().authenticate(make(token="t"))


def test_authenticate_with_an_unsigned_amz_header_is_denied() -> None:
    signed = sign()
    headers = {n.replace("-", "_"): v for n, v in signed.items() if n != "host"}
    with raises_s3("AccessDenied"):
        authenticator().authenticate(make_head(x_amz_meta_extra="1", **headers))


def tolerant() -> Authenticator:
    return Authenticator(credential, REGION, tolerate_accept_encoding=True)


@pytest.mark.parametrize("signed", ["identity", "gzip", "", "gzip, deflate, br"])
@pytest.mark.parametrize("sent", ["gzip, br", "zstd", None])
def test_authenticate_tolerates_an_accept_encoding_that_was_replaced(
    signed: str, sent: str | None
) -> None:
    head = sign(headers={"Accept-Encoding": signed})
    pairs = [(name, value) for name, value in head.items() if name != "accept-encoding"]
    pairs += [] if sent is None else [("accept-encoding", sent)]
    replaced = head_of("GET", "/bucket/key", pairs)
    assert tolerant().authenticate(replaced).identity == IDENTITY
    with raises_s3("SignatureDoesNotMatch"):
        authenticator().authenticate(replaced)


@pytest.mark.parametrize(
    "make",
    [
        partial(sign, headers={"Accept-Encoding": "identity"}, secret_key="another"),
        partial(sign, headers={"Accept-Encoding": "snappy"}),
        partial(sign, secret_key="another"),
    ],
)
def test_authenticate_tolerates_nothing_else_that_does_not_match(
    make: Callable[[], RequestHead],
) -> None:
    head = make()  # signed now: these tests may come long after they were collected
    pairs = [(name, "x" if name == "accept-encoding" else value) for name, value in head.items()]
    with raises_s3("SignatureDoesNotMatch"):
        tolerant().authenticate(head_of("GET", "/bucket/key", pairs))


def test_authenticate_that_tolerates_still_wants_a_payload_hash() -> None:
    names = {"Accept-Encoding": "identity", "X-Amz-Content-SHA256": "garbage"}
    head = sign(headers=names)
    pairs = [(name, "x" if name == "accept-encoding" else value) for name, value in head.items()]
    with raises_s3("InvalidArgument"):
        tolerant().authenticate(head_of("GET", "/bucket/key", pairs))


def test_authenticate_that_tolerates_still_wants_every_other_header_as_signed() -> None:
    head = sign(headers={"Accept-Encoding": "identity", "X-Amz-Meta-A": "1"})
    changed = {"accept-encoding": "gzip, br", "x-amz-meta-a": "2"}
    pairs = [(name, changed.get(name, value)) for name, value in head.items()]
    with raises_s3("SignatureDoesNotMatch"):
        tolerant().authenticate(head_of("GET", "/bucket/key", pairs))
