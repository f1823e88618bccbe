from typing import Any

import pytest

from s3proxy.s3.policy import is_public
from tests.s3.policies import ARN, allow, bucket_policy, deny

OBJECTS = f"{ARN}/*"


@pytest.mark.parametrize(
    ("principal", "public"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ["1111", "*"]}, True),
        ({"AWS": "1111"}, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, False),
        ({"CanonicalUser": "1111"}, False),
        ({"Service": "cloudtrail.amazonaws.com"}, False),
    ],
)
def test_is_public_by_principal(principal: Any, public: bool) -> None:
    policy = bucket_policy(allow("s3:GetObject", OBJECTS, Principal=principal))
    assert is_public(policy) is public


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/32"}}, False),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.1"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"IpAddress": {"aws:SourceIp": "8.0.0.0/7"}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "0.0.0.0/0"]}}, True),
        ({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, False),
        ({"IpAddress": {"aws:SourceIp": "2001::/31"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"IpAddressIfExists": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"StringLike": {"aws:SourceIp": "192.0.2.*"}}, True),
        ({"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}, False),
        ({"StringLike": {"aws:SourceVpc": "vpc-*"}}, True),
        ({"StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-91237329"}}, True),
        ({"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}, True),
        ({"ForAnyValue:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}, False),
        ({"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:eu-west-1:1:topic"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, False),
        ({"StringEquals": {"aws:SourceOwner": "123456789012"}}, False),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, False),
        ({"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::1:user/a"}}, False),
        ({"StringEquals": {"aws:userid": "1111"}}, False),
        ({"StringLike": {"aws:userid": "AROLEID:*"}}, True),
        ({"StringEquals": {"aws:userid": "${aws:username}"}}, True),
        ({"StringNotEquals": {"aws:userid": "1111"}}, True),
        ({"Null": {"aws:userid": "true"}}, True),
        ({"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:1:accesspoint/*"}}, False),
        ({"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:*:accesspoint/a"}}, True),
        ({"StringEquals": {"s3:DataAccessPointArn": "*"}}, True),
        ({"StringEquals": {"s3:DataAccessPointAccount": "1"}}, False),
        ({"StringLike": {"aws:Referer": "http://www.example.com/*"}}, True),
        ({"StringEquals": {"aws:UserAgent": "secret"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2000-01-01"}}, True),
        (
            {
                "StringEquals": {"aws:SourceVpc": "vpc-1"},
                "Bool": {"aws:SecureTransport": "true"},
            },
            False,
        ),
    ],
)
def test_is_public_by_condition(condition: dict[str, Any], public: bool) -> None:
    policy = bucket_policy(allow("s3:GetObject", OBJECTS, Condition=condition))
    assert is_public(policy) is public


def test_is_public_if_one_statement_is() -> None:
    private = allow("s3:GetObject", OBJECTS, Principal={"AWS": "1111"})
    public = allow("s3:GetObject", f"{ARN}/public/*")
    assert not is_public(bucket_policy(private))
    assert is_public(bucket_policy(private, public))
    # What is denied besides does not make it less public.
    assert is_public(bucket_policy(public, deny("s3:*", [ARN, OBJECTS])))
    assert not is_public(bucket_policy(deny("s3:*", [ARN, OBJECTS])))
    assert not is_public(bucket_policy(deny("s3:*", OBJECTS, NotPrincipal={"AWS": "1111"})))
