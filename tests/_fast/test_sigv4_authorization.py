"""Refusals of malformed authorizations, in Amazon S3's codes and words."""

import pytest

from s3proxy._fast.errors import AuthError
from s3proxy._fast.sigv4 import SigningKeys, parse_authorization
from tests._fast.sigv4_requests import (
    ACCESS_KEY,
    AMZ_DATE,
    EMPTY_SHA256,
    REGION,
    SCOPE,
    SECRET_KEY,
    TIMESTAMP_S,
    credentials,
    head_of,
    parsed,
)

Headers = list[tuple[str, str]]
BASE: Headers = [("Host", "h"), ("x-amz-content-sha256", EMPTY_SHA256), ("x-amz-date", AMZ_DATE)]
CREDENTIAL = f"Credential={ACCESS_KEY}/{SCOPE}"
SIGNATURE = "Signature=" + "0" * 64
MALFORMED = "The authorization header is malformed; "
EXPECTING = (
    'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
)


def refusal(headers: Headers, target: str = "/k") -> AuthError:
    with pytest.raises(AuthError) as caught:
        parse_authorization(head_of("GET", target, headers))
    return caught.value


def refusal_of(authorization: str) -> AuthError:
    return refusal([*BASE, ("Authorization", authorization)])


def query_of(**changes: str | None) -> str:
    values: dict[str, str | None] = {
        "Algorithm": "AWS4-HMAC-SHA256",
        "Credential": f"{ACCESS_KEY}/{SCOPE}".replace("/", "%2F"),
        "Date": AMZ_DATE,
        "Expires": "60",
        "SignedHeaders": "host",
        "Signature": "0" * 64,
    }
    values.update(changes)
    return "&".join(f"X-Amz-{name}={value}" for name, value in values.items() if value is not None)


def query_refusal(**changes: str | None) -> AuthError:
    return refusal([("Host", "h")], f"/k?{query_of(**changes)}")


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        (f"SignedHeaders=host, {SIGNATURE}", "missing Credential."),
        (f"{CREDENTIAL}, {SIGNATURE}", "missing SignedHeaders."),
        (f"{CREDENTIAL}, SignedHeaders=host", "missing Signature."),
        ("", "missing Credential."),
        (f"{CREDENTIAL}, SignedHeaders=, {SIGNATURE}", "missing SignedHeaders."),
        (f"{CREDENTIAL} SignedHeaders=host", None),
        (
            f"{CREDENTIAL}, {CREDENTIAL}",
            f'the authorization component "{CREDENTIAL}" is malformed.',
        ),
        ("nonsense", 'the authorization component "nonsense" is malformed.'),
        ("Key=1", 'the authorization component "Key=1" is malformed.'),
        (f"credential={SCOPE}", f'the authorization component "credential={SCOPE}" is malformed.'),
        ("Credential=", EXPECTING),
        (f"Credential={ACCESS_KEY}", EXPECTING),
        (f"Credential={SCOPE}", EXPECTING),
        (f"Credential=/{SCOPE}", EXPECTING),
        (f"Credential=a/b/{SCOPE}", EXPECTING),
        (f"Credential=A/{SCOPE}/more", EXPECTING),
        ("Credential=A/20130524//s3/aws4_request", EXPECTING),
        (
            "Credential=A/2013-05-24/r/s3/aws4_request",
            'incorrect date format "2013-05-24". '
            'This date in the credential must be in the format "yyyyMMdd".',
        ),
        (
            "Credential=A/20130229/r/s3/aws4_request",
            'incorrect date format "20130229". '
            'This date in the credential must be in the format "yyyyMMdd".',
        ),
        (
            "Credential=A/20130524/r/ec2/aws4_request",
            'incorrect service "ec2". This endpoint belongs to "s3".',
        ),
        (
            "Credential=A/20130524/r/s3/aws2_request",
            'incorrect terminal "aws2_request". This endpoint uses "aws4_request".',
        ),
        (
            f"Credential=A/20130525/r/s3/aws4_request,SignedHeaders=host,{SIGNATURE}",
            'Invalid credential date "20130525". '
            'This date is not the same as X-Amz-Date: "20130524".',
        ),
    ],
)
def test_parse_malformed_header_is_refused(components: str, reason: str | None) -> None:
    error = refusal_of(f"AWS4-HMAC-SHA256 {components}")
    assert error.code == "AuthorizationHeaderMalformed"
    assert error.message.startswith(MALFORMED)
    if reason is not None:
        assert error.message == MALFORMED + reason


@pytest.mark.parametrize(
    "value",
    ["AWS AKID:signature", "AWS4-ECDSA-P256-SHA256 Credential=A/20130524/s3/aws4_request"],
)
def test_parse_other_signature_versions_are_refused(value: str) -> None:
    error = refusal_of(value)
    assert error.code == "InvalidRequest"
    assert error.message == (
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256."
    )


@pytest.mark.parametrize("value", ["Basic dXNlcjpwdw==", "Bearer x", "AWS4-HMAC-SHA512 x", "", "x"])
def test_parse_foreign_scheme_is_refused(value: str) -> None:
    error = refusal_of(value)
    assert error.code == "InvalidArgument"
    assert error.message == "Unsupported Authorization Type"
    assert error.fields["ArgumentName"] == "Authorization"


def test_parse_header_and_query_are_refused() -> None:
    error = refusal([*BASE, credentials("host", "0" * 64)], f"/k?{query_of()}")
    assert error.code == "InvalidArgument"
    assert error.message.startswith("Only one auth mechanism allowed")


def test_parse_header_without_payload_hash_is_refused() -> None:
    error = refusal([BASE[0], BASE[2], credentials("host", "0" * 64)])
    assert error.code == "InvalidRequest"
    assert error.message == "Missing required header for this request: x-amz-content-sha256"


@pytest.mark.parametrize(
    "dates",
    [
        [],
        [("x-amz-date", "")],
        [("x-amz-date", "2013-05-24T00:00:00Z")],
        [("x-amz-date", "20130524T000000")],
        [("x-amz-date", "20130524T240000Z")],
        [("x-amz-date", "20130524T006000Z")],
        [("x-amz-date", "20130524T000060Z")],
        [("x-amz-date", "20131324T000000Z")],
        [("x-amz-date", "19691231T235959Z")],
        [("x-amz-date", "2013052 T000000Z")],
        [("Date", "yesterday")],
        [("Date", "Fri, 24 May 2013 00:00:00")],
        [("Date", "Fri, 24 May 1913 00:00:00 GMT")],
    ],
)
def test_parse_header_without_a_valid_date_is_refused(dates: Headers) -> None:
    error = refusal([*BASE[:2], *dates, credentials("host", "0" * 64)])
    assert error.code == "AccessDenied"
    assert error.message == "AWS authentication requires a valid Date or x-amz-date header"


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 24 May 2013 00:00:00 GMT",
        "Fri, 24 May 2013 00:00:00 -0000",
        "Fri, 24 May 2013 02:00:00 +0200",
        AMZ_DATE,
    ],
)
def test_parse_date_header_stands_in_for_amz_date(date: str) -> None:
    authorization = parsed(
        head_of("GET", "/k", [*BASE[:2], ("Date", date), credentials("host;date", "0" * 64)])
    )
    assert authorization.timestamp_s == TIMESTAMP_S
    assert authorization.amz_date == AMZ_DATE


def test_parse_amz_date_goes_before_date() -> None:
    headers = [*BASE, ("Date", "Mon, 01 Jan 2001 00:00:00 GMT"), credentials("host", "0" * 64)]
    assert parsed(head_of("GET", "/k", headers)).timestamp_s == TIMESTAMP_S


@pytest.mark.parametrize(
    ("amz_date", "seconds"),
    [
        ("19700101T000000Z", 0),
        ("20000229T235959Z", 951868799),
        ("20240229T120000Z", 1709208000),
        ("21000301T000000Z", 4107542400),
        ("99991231T235959Z", 253402300799),
    ],
)
def test_parse_timestamp_is_in_seconds(amz_date: str, seconds: int) -> None:
    scope = f"{amz_date[:8]}/r/s3/aws4_request"
    headers = [*BASE[:2], ("x-amz-date", amz_date), credentials("host", "0", scope=scope)]
    authorization = parsed(head_of("GET", "/k", headers))
    assert authorization.timestamp_s == seconds
    assert authorization.date == amz_date[:8]
    assert authorization.region == "r"
    assert authorization.service == "s3"
    assert not authorization.presigned
    assert authorization.expires_s == 0


def test_parse_components_in_any_order_are_taken() -> None:
    value = f"AWS4-HMAC-SHA256 {SIGNATURE},SignedHeaders=host,{CREDENTIAL}"
    assert parsed(head_of("GET", "/k", [*BASE, ("Authorization", value)])).access_key == ACCESS_KEY


@pytest.mark.parametrize(
    "name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_parse_query_lacking_a_parameter_is_refused(name: str, value: str | None) -> None:
    error = query_refusal(**{name: value})
    assert error.code == "AuthorizationQueryParametersError"
    assert error.message.startswith("Query-string authentication version 4 requires the X-Amz-Algo")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Algorithm", "AWS4-HMAC-SHA1", 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"'),
        ("Credential", "A", f"Error parsing the X-Amz-Credential parameter; {EXPECTING}"),
        (
            "Credential",
            "A%2F20130524%2Fr%2Fsqs%2Faws4_request",
            "Error parsing the X-Amz-Credential parameter; "
            'incorrect service "sqs". This endpoint belongs to "s3".',
        ),
        ("Date", "today", "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""),
        (
            "Date",
            "20130525T000000Z",
            'Invalid credential date "20130524". '
            'This date is not the same as X-Amz-Date: "20130525".',
        ),
        ("Expires", "a", "X-Amz-Expires should be a number"),
        ("Expires", "1.5", "X-Amz-Expires should be a number"),
        ("Expires", "-1", "X-Amz-Expires must be non-negative"),
        ("Expires", "0", "X-Amz-Expires must be greater than 0"),
        (
            "Expires",
            "604801",
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            "must be less than 604800 seconds",
        ),
        (
            "Expires",
            "9" * 40,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            "must be less than 604800 seconds",
        ),
    ],
)
def test_parse_query_with_a_bad_value_is_refused(name: str, value: str, message: str) -> None:
    error = query_refusal(**{name: value})
    outside = message.startswith("X-Amz-Expires must")
    assert error.code == ("AccessDenied" if outside else "AuthorizationQueryParametersError")
    assert error.message == message


@pytest.mark.parametrize(("value", "seconds"), [("1", 1), ("604800", 604800), ("00060", 60)])
def test_parse_query_expiry_within_bounds_is_taken(value: str, seconds: int) -> None:
    head = head_of("GET", f"/k?{query_of(Expires=value)}", [("Host", "h")])
    assert parsed(head).expires_s == seconds


def test_parse_query_first_of_repeated_parameters_counts() -> None:
    head = head_of("GET", f"/k?{query_of()}&X-Amz-Expires=9&X-Amz-Signature=1", [("Host", "h")])
    authorization = parsed(head)
    assert authorization.expires_s == 60
    assert authorization.signature == "0" * 64


def test_parse_query_payload_hash_comes_from_header_or_parameter() -> None:
    target = f"/k?{query_of()}&X-Amz-Content-Sha256={EMPTY_SHA256}"
    assert parsed(head_of("GET", target, [("Host", "h")])).payload_hash == EMPTY_SHA256
    headers = [("Host", "h"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
    assert parsed(head_of("PUT", target, headers)).payload_hash == "UNSIGNED-PAYLOAD"


def test_parse_query_of_version_2_is_refused() -> None:
    target = "/k?AWSAccessKeyId=AKID&Expires=1&Signature=abc%3D"
    assert refusal([("Host", "h")], target).code == "InvalidRequest"


@pytest.mark.parametrize(
    "query", ["X-Amz-Meta=1", "x-amz-signature=1", "prefix=X-Amz-Signature", "X-Amz-Date=1"]
)
def test_parse_query_that_only_resembles_one_is_anonymous(query: str) -> None:
    assert parse_authorization(head_of("GET", f"/k?{query}", [("Host", "h")])) is None


IN_ORDER = [
    ("Host", "h"),
    ("x-amz-date", AMZ_DATE),
    ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    credentials("host", "0" * 64),
]


def test_in_order_of_a_usual_request_within_the_skew() -> None:
    authorization = parsed(head_of("GET", "/k?prefix=a", IN_ORDER))
    for off_s, held in [(0, True), (900, True), (-900, True), (901, False), (-900.5, False)]:
        assert authorization.in_order(REGION, TIMESTAMP_S + off_s, 900) is held


@pytest.mark.parametrize(
    ("target", "extra", "region"),
    [
        ("/k", (), "eu-west-1"),
        ("/k", [("x-amz-security-token", "t")], REGION),
        ("/k?X-Amz-Security-Token=t", (), REGION),
    ],
)
def test_in_order_with_another_region_or_a_token_is_left_to_the_caller(
    target: str, extra: list[tuple[str, str]], region: str
) -> None:
    authorization = parsed(head_of("GET", target, [*IN_ORDER, *extra]))
    assert not authorization.in_order(region, TIMESTAMP_S, 900)


def test_in_order_of_a_presigned_request_is_left_to_the_caller() -> None:
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS_KEY}%2F{SCOPE}"
        f"&X-Amz-Date={AMZ_DATE}&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
        f"&X-Amz-Signature={'0' * 64}"
    ).replace("/", "%2F")
    authorization = parsed(head_of("GET", f"/k?{query}", [("Host", "h")]))
    assert authorization.presigned
    assert authorization.payload_plain
    assert not authorization.in_order(REGION, TIMESTAMP_S, 900)


@pytest.mark.parametrize(
    ("payload_hash", "plain"),
    [("UNSIGNED-PAYLOAD", True), (EMPTY_SHA256, True), ("0" * 64, False), ("UNSIGNED", False)],
)
def test_payload_plain_is_none_or_unsigned(payload_hash: str, plain: bool) -> None:
    headers = [(n, payload_hash if n == "x-amz-content-sha256" else v) for n, v in IN_ORDER]
    assert parsed(head_of("GET", "/k", headers)).payload_plain is plain


def test_find_gives_the_key_that_was_derived_for_the_claim() -> None:
    keys = SigningKeys()
    claim = parsed(head_of("GET", "/k", IN_ORDER))
    assert keys.find(claim, 1) is None
    key = keys.derive(ACCESS_KEY, 1, claim.date, claim.region, SECRET_KEY)
    assert keys.find(claim, 1) is key
    assert keys.find(claim, 2) is None
