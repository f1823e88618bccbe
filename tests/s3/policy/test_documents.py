import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import POLICY_BODY_BYTES_MAX, POLICY_BYTES_MAX, Policy, parse_policy
from tests.s3.policies import ALICE, ARN, BOB, BUCKET, allow, ask, bucket_policy, deny, document

OBJECTS = f"{ARN}/*"
GOOD = {**allow("s3:GetObject", OBJECTS), "Principal": "*"}


def refusal(body: bytes, bucket: str = BUCKET) -> S3Error:
    with pytest.raises(S3Error) as caught:
        parse_policy(body, bucket=bucket)
    assert caught.value.code == "MalformedPolicy"
    assert caught.value.status == 400
    return caught.value


def with_(**elements: Any) -> bytes:
    """GOOD with other elements; None takes one away."""
    merged = {**GOOD, **elements}
    return document({name: value for name, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Policies must be valid JSON and the first byte must be '{'"),
        (b" {}", "Policies must be valid JSON and the first byte must be '{'"),
        (b"[]", "Policies must be valid JSON and the first byte must be '{'"),
        (b"{", "This policy contains invalid Json"),
        (b"{}{}", "This policy contains invalid Json"),
        (b'{"Id": "\xff"}', "This policy contains invalid Json"),
        (b'{"Id": "\\ud800"}', "This policy contains invalid Json"),
        (b'{"Id": NaN}', "This policy contains invalid Json"),
        (b'{"Id": "a", "Id": "b"}', "This policy contains invalid Json"),
        (b'{"Version": "2012-10-17"}', "Missing required field Statement"),
        (b'{"Statement": []}', "Could not parse the policy: Statement is empty!"),
        (b'{"Statement": "x"}', "Invalid policy syntax."),
        (b'{"Statement": ["x"]}', "Invalid policy syntax."),
        (b'{"Statement": [[]]}', "Invalid policy syntax."),
        (b'{"Id": 1, "Statement": []}', "Invalid policy syntax."),
        (b'{"statement": []}', "Unknown field statement"),
        (b'{"Version": "2012-10-18"}', "The policy must contain a valid version string"),
        (b'{"Version": 2012}', "The policy must contain a valid version string"),
        (b'{"Version": ["2012-10-17"]}', "The policy must contain a valid version string"),
        (with_(Effect=None), "Missing required field Effect"),
        (with_(Effect="allow"), "Invalid effect: allow"),
        (with_(Effect=True), "Invalid effect: True"),
        (with_(Principal=None), "Missing required field Principal"),
        (with_(Action=None), "Missing required field Action"),
        (with_(Resource=None), "Missing required field Resource"),
        (with_(Sid=7), "Invalid policy syntax."),
        (with_(Resources=OBJECTS), "Unknown field Resources"),
        (with_(NotAction="s3:*"), "Invalid policy syntax."),
        (with_(NotResource=OBJECTS), "Invalid policy syntax."),
        (with_(NotPrincipal="*"), "Invalid policy syntax."),
        (with_(Action=[]), "Policy statement must contain actions."),
        (with_(Action=5), "Invalid policy syntax."),
        (with_(Action=[None]), "Invalid policy syntax."),
        (with_(Action="s3:GetObjekt"), "Policy has invalid action"),
        (with_(Action="s3:Xy*"), "Policy has invalid action"),
        (with_(Action="GetObject"), "Policy has invalid action"),
        (with_(Action="iam:GetUser"), "Policy has invalid action"),
        (with_(Action=["s3:GetObject", ""]), "Policy has invalid action"),
        (with_(Resource=[]), "Policy statement must contain resources."),
        (with_(Resource={"a": "b"}), "Invalid policy syntax."),
        (with_(Resource="*"), "Policy has invalid resource"),
        (with_(Resource="arn:aws:s3:::"), "Policy has invalid resource"),
        (with_(Resource=BUCKET), "Policy has invalid resource"),
        (with_(Resource="arn:aws:s3:::other/*"), "Policy has invalid resource"),
        (with_(Resource=f"{ARN}2/*"), "Policy has invalid resource"),
        (with_(Resource="arn:aws:sns:::x"), "Policy has invalid resource"),
        (with_(Resource=f"{ARN}/${{aws:nobody}}"), "Policy has invalid resource"),
        (with_(Resource=f"{ARN}/${{aws:username"), "Policy has invalid resource"),
        (with_(Resource=f"{ARN}/${{aws:username,a}}"), "Policy has invalid resource"),
        (with_(Principal=[]), "Invalid principal in policy"),
        (with_(Principal={}), "Invalid principal in policy"),
        (with_(Principal="1111"), "Invalid principal in policy"),
        (with_(Principal={"AWS": []}), "Invalid principal in policy"),
        (with_(Principal={"AWS": 1111}), "Invalid principal in policy"),
        (with_(Principal={"AWS": {}}), "Invalid principal in policy"),
        (with_(Principal={"AWS": "arn:aws:iam::1:user/*"}), "Invalid principal in policy"),
        (with_(Principal={"AWS": "arn:aws:iam::1:user/"}), "Invalid principal in policy"),
        (with_(Principal={"AWS": "arn:aws:s3:::b"}), "Invalid principal in policy"),
        (with_(Principal={"Robot": "*"}), "Invalid principal in policy"),
        (with_(Principal={"Service": "*"}), "Invalid principal in policy"),
        (with_(Principal=None, NotPrincipal="*"), "Invalid principal in policy"),
        (with_(Condition=[]), "Invalid policy syntax."),
        (with_(Condition={"Bool": "x"}), "Invalid policy syntax."),
        (with_(Condition={"stringequals": {}}), "Invalid Condition type : stringequals"),
        (with_(Condition={"NullIfExists": {}}), "Invalid Condition type : NullIfExists"),
        (with_(Condition={"ForAny:Bool": {}}), "Invalid Condition type : ForAny:Bool"),
        (with_(Condition={":Bool": {}}), "Invalid Condition type : :Bool"),
        (with_(Condition={"BoolNot": {}}), "Invalid Condition type : BoolNot"),
        (with_(Condition={"Bool": {"aws:x": "true"}}), "Policy has an invalid condition key"),
        (with_(Condition={"Bool": {"s3:x": "true"}}), "Policy has an invalid condition key"),
        (with_(Condition={"Bool": {"x": "true"}}), "Policy has an invalid condition key"),
        (
            with_(Condition={"StringEquals": {"s3:ExistingObjectTag/": "a"}}),
            "Policy has an invalid condition key",
        ),
        (with_(Condition={"Bool": {"aws:SecureTransport": []}}), "Invalid policy syntax."),
        (with_(Condition={"Bool": {"aws:SecureTransport": None}}), "Invalid policy syntax."),
        (with_(Condition={"Bool": {"aws:SecureTransport": {}}}), "Invalid policy syntax."),
    ],
)
def test_parse_policy_malformed_document_is_refused(body: bytes, message: str) -> None:
    assert refusal(body).message == message


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("Bool", "yes"),
        ("Null", "no"),
        ("NumericEquals", "ten"),
        ("NumericEquals", "1e9"),
        ("NumericEquals", "0x10"),
        ("NumericEquals", "${aws:username}"),
        ("NumericEquals", "1" * 31),
        ("DateLessThan", "yesterday"),
        ("DateLessThan", "2020-13-01"),
        ("DateLessThan", "2020-02-30T00:00:00Z"),
        ("DateLessThan", "2020-01-01T00:00:00"),
        ("DateLessThan", "2020-01-01 00:00:00Z"),
        ("BinaryEquals", "%%%"),
        ("ArnLike", "arn:aws:s3"),
        ("ArnLike", "${aws:PrincipalArn}"),
        ("StringLike", "${aws:nobody}"),
        ("StringEquals", "${"),
    ],
)
def test_parse_policy_value_that_the_operator_cannot_compare_is_refused(
    operator: str, value: str
) -> None:
    error = refusal(with_(Condition={operator: {"aws:UserAgent": value}}))
    assert error.message == "Policy has an invalid condition value"


@pytest.mark.parametrize("value", ["10.0.0.0/33", "10.0.0", "::/129", "fe80::1%eth0", "x", "${*}"])
def test_parse_policy_bad_address_is_refused(value: str) -> None:
    error = refusal(with_(Condition={"IpAddress": {"aws:SourceIp": value}}))
    assert error.message == "Invalid IP address in Conditions"


def test_parse_policy_refusal_names_what_is_meant() -> None:
    assert refusal(with_(Action="s3:GetObjekt")).fields == {"Detail": "s3:GetObjekt"}
    long = refusal(with_(Resource="arn:aws:s3:::" + "x" * 2000))
    assert len(long.fields["Detail"]) == 256


def test_parse_policy_of_user_names_no_principal() -> None:
    statement = allow("s3:GetObject", "*")
    assert len(parse_policy(document(statement)).statements) == 1
    for principal in ({"Principal": "*"}, {"NotPrincipal": "*"}):
        error = refusal(document({**statement, **principal}), bucket="")
        assert error.message == "Policy document should not specify a principal."


def test_parse_policy_denial_that_could_never_apply_is_refused() -> None:
    never = "Action does not apply to any resource(s) in statement"
    for statement in (
        deny("s3:GetObject", ARN, Principal="*"),
        deny("s3:ListBucket", OBJECTS, Principal="*"),
        deny("s3:ListAllMyBuckets", ARN, Principal="*"),
        deny(["s3:ListBucket", "s3:GetObject"], OBJECTS, Principal="*"),
    ):
        assert refusal(document(statement)).message == never
    parse_policy(document(deny("s3:ListAllMyBuckets", "*")))
    # It would grant nothing, which is what it says.
    bucket_policy(allow("s3:GetObject", ARN))
    bucket_policy(deny("s3:*", ARN), deny("s3:Get*", OBJECTS), deny("s3:GetObject", f"{ARN}*"))


def test_parse_policy_key_that_no_action_has_is_refused() -> None:
    never = "Conditions do not apply to combination of actions and resources in statement"
    condition = {"StringEquals": {"s3:prefix": "a"}}
    for actions in ("s3:GetObject", ["s3:ListBucket", "s3:GetBucketLocation"]):
        resources = [ARN, OBJECTS]
        statement = allow(actions, resources, Principal="*", Condition=condition)
        assert refusal(document(statement)).message == never
    bucket_policy(allow("s3:List*", ARN, Condition=condition))
    # As on AWS, the policy of a user may have it: the key is absent then.
    parse_policy(document(allow("s3:GetObject", "*", Condition=condition)))


def test_parse_policy_too_large_is_refused_white_space_not_counted() -> None:
    text = json.dumps({"Id": "", "Statement": GOOD}, separators=(",", ":"))
    room = POLICY_BYTES_MAX - len(text)
    fits = text.replace('"Id":""', f'"Id":"{"x" * room}"')
    spaced = ("{" + " " * (POLICY_BODY_BYTES_MAX - len(fits)) + fits[1:]).encode()
    for body in (fits.encode(), spaced):
        parse_policy(body, bucket=BUCKET)
    message = "Normalized policy document exceeds the maximum allowed size of 20480 bytes"
    for body in (fits.replace("xx", "xxx", 1).encode(), b"{ " + spaced[1:]):
        assert refusal(body).message == message


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b'"a":{' * 10_000,
        b'{"Statement":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"Id":' + b"1" * 70_000 + b"}",
        b'{"Statement":' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"Id":"\\u0000' + b"\\" * 999 + b"}",
        b"{" * POLICY_BODY_BYTES_MAX,
    ],
)
def test_parse_policy_hostile_json_is_refused_soon(body: bytes) -> None:
    started = time.process_time()
    refusal(body)
    assert time.process_time() - started < 1


def test_parse_policy_of_the_most_wildcards_is_read_and_evaluated_soon() -> None:
    bomb = ("*?" * 500, "*a" * 500, "*" * 1000)
    condition = {"StringLike": {"aws:UserAgent": [text + str(n) for text in bomb for n in (1, 2)]}}
    statements = [allow("s3:*?*?*?*", [f"{ARN}/{text}x" for text in bomb], Condition=condition)]
    started = time.process_time()
    policy = bucket_policy(*statements)
    context: dict[str, str | list[str]] = {"aws:UserAgent": "a" * 8000}
    assert ask(policy, "s3:GetObject", "/" + "a" * 1023 + "x", context=context) == "none"
    assert time.process_time() - started < 1


@given(st.binary(max_size=60).map(lambda junk: b"{" + junk))
def test_parse_policy_junk_is_refused(body: bytes) -> None:
    refusal(body)


json_values = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        st.sampled_from(
            ["*", "Allow", "Deny", "s3:*", OBJECTS, ARN, "2012-10-17", "${aws:userid}"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["AWS", "Bool", "StringLike", "aws:userid", "Sid", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
                *("Resource", "NotResource", "Condition"),
            ]
        ),
        json_values,
    )
)
def test_parse_policy_any_json_is_read_or_refused(elements: dict[str, Any]) -> None:
    for base in ({}, GOOD):
        try:
            policy = parse_policy(document({**base, **elements}), bucket=BUCKET)
        except S3Error as error:
            assert error.code == "MalformedPolicy"
        else:
            assert isinstance(policy, Policy)


def test_principals_name_users_ids_and_tenants() -> None:
    for principal, alice, bob, anonymous in (
        ("*", True, True, True),
        ({"AWS": "*"}, True, True, True),
        ({"AWS": ["1111"]}, True, False, False),
        ({"AWS": "main"}, True, True, False),
        ({"AWS": "arn:aws:iam::main:root"}, True, True, False),
        ({"AWS": "arn:aws:iam::2222:root"}, False, True, False),
        ({"AWS": "arn:aws:iam::123456789012:user/alice"}, True, False, False),
        ({"AWS": "arn:aws:iam:::user/bob"}, False, True, False),
        ({"AWS": "arn:aws:iam::main:user/alice"}, True, False, False),
        ({"AWS": "arn:aws:iam::acme:user/alice"}, False, False, False),
        ({"AWS": "arn:aws:iam::acme:root"}, False, False, False),
        ({"AWS": "acme"}, False, False, False),
        ({"AWS": "arn:aws-cn:iam::1:user/bob"}, False, True, False),
        ({"AWS": "arn:aws:iam::1:user/division/bob"}, False, False, False),
        ({"CanonicalUser": "1111"}, True, False, False),
        ({"CanonicalUser": "alice"}, False, False, False),
        ({"AWS": "arn:aws:iam::1:role/alice"}, False, False, False),
        ({"AWS": "arn:aws:sts::1:assumed-role/alice/s"}, False, False, False),
        ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin"}, False, False, False),
        ({"Service": "s3.amazonaws.com"}, False, False, False),
        ({"Federated": "accounts.google.com"}, False, False, False),
        ({"AWS": "1111", "CanonicalUser": "2222"}, True, True, False),
    ):
        policy = bucket_policy({**GOOD, "Principal": principal})
        answers = [ask(policy, "s3:GetObject", "/k", each) for each in (ALICE, BOB, None)]
        expected = ["Allow" if named else "none" for named in (alice, bob, anonymous)]
        assert answers == expected, principal


def test_version_of_2008_knows_no_variables() -> None:
    statement = allow("s3:GetObject", f"{ARN}/${{aws:username}}")
    for version, named, written in (
        ("2012-10-17", "Allow", "none"),
        ("2008-10-17", "none", "Allow"),
    ):
        policy = bucket_policy(statement, version=version)
        assert ask(policy, "s3:GetObject", "/alice") == named
        assert ask(policy, "s3:GetObject", "/${aws:username}") == written


def test_resource_with_a_wildcard_for_the_bucket_is_of_this_bucket() -> None:
    for resource in ("arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:s3:::amzn-s3-demo-?ucket/*"):
        bucket_policy(allow("s3:GetObject", resource))
    policy = bucket_policy(allow("s3:ListBucket", ["arn:aws:s3:::*", "arn:aws:s3:::*/*"]))
    assert ask(policy, "s3:ListBucket") == "Allow"
