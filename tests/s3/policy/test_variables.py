"""Variables of policies, whose values their senders choose."""

import json
import time

import pytest

from s3proxy.s3.policy import Decision, PolicyRequest, evaluate, parse_policy
from s3proxy.s3.policy.patterns import RESOLVED_CHARACTERS_MAX

ARN = "arn:aws:s3:::b/"
AGENT = "${aws:useragent}"


def decide(agent: str, resources: list[str], condition: dict[str, str]) -> Decision:
    """What a policy of the bucket `b` says to anybody who reads 1000 times `a`."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": [ARN + resource for resource in resources],
        **({"Condition": {"StringLike": condition}} if condition else {}),
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": statement}).encode()
    values = {"aws:useragent": (agent,), "aws:referer": (agent,)}
    request = PolicyRequest(
        "s3:GetObject", f"{ARN}{'a' * 1000}", None, lambda name: values.get(name, ())
    )
    return evaluate((parse_policy(document, bucket="b"),), request)


@pytest.mark.parametrize(
    ("resources", "condition"),
    [
        (["?*" + AGENT * 1000 + "?b"], {}),
        ([f"?{AGENT}*{number}" for number in range(380)], {}),
        (["*"], {"aws:referer": "?*" + f"{AGENT}*" * 1000 + "?b"}),
    ],
)
@pytest.mark.parametrize("size", [1, 900, 30_000])
def test_variable_bomb_is_answered_soon(
    resources: list[str], condition: dict[str, str], size: int
) -> None:
    started = time.process_time()
    assert decide("a" * size, resources, condition) is Decision.NONE
    assert time.process_time() - started < 2


def test_variable_longer_than_any_name_has_no_value() -> None:
    longest = RESOLVED_CHARACTERS_MAX
    assert decide("a" * longest, ["*"], {"aws:referer": AGENT}) is Decision.ALLOW
    assert decide("a" * (longest + 1), ["*"], {"aws:referer": AGENT}) is Decision.NONE
