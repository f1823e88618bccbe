import base64
import json
from typing import Any

import pytest

from s3proxy.s3.post_policy import parse_policy
from tests.s3.heads import raises_s3

NOON = "2026-01-02T12:00:00.000Z"
NOON_S = 1767355200


def encode(document: object) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode()).decode()


def policy(*conditions: Any, expiration: Any = NOON) -> str:
    return encode({"expiration": expiration, "conditions": list(conditions)})


FIELDS = {
    "bucket": "b",
    "key": "user/eric/a.jpg",
    "content-type": "image/jpeg",
    "x-amz-signature": "s",
    "policy": "p",
    "awsaccesskeyid": "a",
    "signature": "s",
    "x-ignore-this": "x",
}
CONDITIONS: list[Any] = [
    {"bucket": "b"},
    ["starts-with", "$key", "user/eric/"],
    ["eq", "$Content-Type", "image/jpeg"],
]


def test_policy_of_a_form_that_it_covers_passes() -> None:
    found = parse_policy(policy(*CONDITIONS, ["content-length-range", 1, "10"]))
    found.check(FIELDS, NOON_S - 1)
    assert found.length_range == (1, 10)


def test_policy_names_fields_and_operators_in_any_case() -> None:
    conditions = [
        {"BuCkEt": "b"},
        ["StArTs-WiTh", "$KeY", ""],
        ["Eq", "$content-TYPE", "image/jpeg"],
    ]
    parse_policy(policy(*conditions)).check(FIELDS, 0)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([{"bucket": "c"}, *CONDITIONS[1:]], 'Policy Condition failed: ["eq", "$bucket", "c"]'),
        (CONDITIONS[1:], "Extra input fields: bucket"),
        (CONDITIONS[:2], "Extra input fields: content-type"),
        (
            [*CONDITIONS, ["starts-with", "$name", "a"]],
            'Policy Condition failed: ["starts-with", "$name", "a"]',
        ),
        ([*CONDITIONS, {"key": "USER/eric/a.jpg"}], 'failed: ["eq", "$key", "USER/eric/a.jpg"]'),
        ([*CONDITIONS, ["starts-with", "$key", "user/eric/b"]], "Policy Condition failed"),
    ],
)
def test_policy_that_a_form_breaks_denies_it(conditions: list[Any], message: str) -> None:
    with raises_s3("AccessDenied") as caught:
        parse_policy(policy(*conditions)).check(FIELDS, 0)
    assert caught.value.message.startswith("Invalid according to Policy: ")
    assert message in caught.value.message


def test_policy_expires_at_its_second() -> None:
    found = parse_policy(policy(*CONDITIONS))
    found.check(FIELDS, NOON_S - 0.5)
    with raises_s3("AccessDenied") as caught:
        found.check(FIELDS, NOON_S)
    assert caught.value.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(("value", "passes"), [("image/a, image/b", True), ("image/a,x/b", False)])
def test_policy_starts_with_of_content_types_holds_for_each(value: str, passes: bool) -> None:
    (condition,) = parse_policy(policy(["starts-with", "$Content-Type", "image/"])).conditions
    assert condition.holds({"content-type": value}) == passes


def test_policy_may_escape_dollars_and_break_its_base64() -> None:
    text = f'{{"expiration":"{NOON}","conditions":[["eq","$key","\\$a\\\\$b"]]}}'
    encoded = encode(text)
    (condition,) = parse_policy(encoded[:20] + "\r\n" + encoded[20:]).conditions
    assert condition.value == "$a\\$b"


def test_policy_with_two_ranges_means_both() -> None:
    ranges = [["content-length-range", 0, 10], ["Content-Length-Range", 5, 20]]
    assert parse_policy(policy(*ranges)).length_range == (5, 10)


@pytest.mark.parametrize(
    "encoded",
    [
        "no base64",
        "ä",
        encode("{"),
        encode("[]"),
        encode("[" * 15_000),
        encode({"conditions": []}),
        encode({"expiration": NOON}),
        encode({"EXPIRATION": NOON, "conditions": []}),
        encode({"expiration": NOON, "CONDITIONS": []}),
        policy(expiration="2026-01-02 12:00:00+00:00"),
        policy(expiration="2026-13-02T12:00:00Z"),
        policy(expiration="2026-01-02T12:00:00"),
        policy(expiration=5),
        policy({}),
        policy({"a": "1", "b": "2"}),
        policy({"a": 1}),
        policy("a"),
        policy([]),
        policy(["eq", "$a"]),
        policy(["eq", "$a", "b", "c"]),
        policy(["eq", "$a", 1]),
        policy(["eq", "a", "b"]),
        policy(["eq", "$", "b"]),
        policy(["ends-with", "$a", "b"]),
        policy(["content-length-range", 0]),
        policy(["content-length-range", -1, 0]),
        policy(["content-length-range", 0, True]),
        policy(["content-length-range", 0, 1.5]),
        policy(["content-length-range", 0, "1" * 16]),
    ],
)
def test_policy_that_is_malformed_is_refused(encoded: str) -> None:
    with raises_s3("InvalidPolicyDocument"):
        parse_policy(encoded)
