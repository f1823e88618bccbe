"""Every document and request that can be made up: the package and the slow model agree."""

import base64
import json
import re
from typing import Any

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import Policy, PolicyRequest, Principal, evaluate, parse_policy
from tests.s3 import policy_model
from tests.s3.policy_model import Context, Sender

BUCKET = "b"
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetObjectVersion")
KEYS = (
    *("s3:prefix", "aws:sourceip", "aws:userid", "aws:username", "aws:epochtime"),
    *("s3:existingobjecttag/Team", "s3:requestobjecttagkeys", "aws:securetransport"),
)
GLOBAL_KEYS = tuple(key for key in KEYS if key.startswith("aws:"))
# Few letters and many wildcards, so that what is made up matches now and then.
word = st.text("ab/", max_size=4)
pattern = st.text("ab/*?", max_size=6)
variables = st.sampled_from(
    [
        *("${aws:username}", "${aws:UserID}", "${s3:prefix}", "${*}", "${?}", "${$}"),
        *("${aws:username, 'a'}", "${s3:ExistingObjectTag/Team,'*'}", "${s3:RequestObjectTagKeys}"),
    ]
)
text_value = st.lists(st.one_of(pattern, variables, st.just(":")), max_size=3).map("".join)
arn_value = st.lists(st.one_of(pattern, variables), min_size=6, max_size=7).map(":".join)
number_value = st.one_of(
    st.integers(-3, 3).map(str), st.integers(-3, 3), st.sampled_from(["0.5", "1.0", "+1", "-0"])
)
date_value = st.sampled_from(
    [
        *("1970-01-01T00:00:01Z", "1970-01-01T01:00:01+01:00", "1970-01-01", "0", "1", "2"),
        *("1970-01-01T00:00Z", "1969-12-31T23:59:59.500Z", "2024-02-29T12:00:00-05:30"),
    ]
)
address = st.sampled_from(
    ["10.0.0.1", "10.0.0.9", "11.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1", "no address"]
)
network = st.sampled_from(
    ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/29", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"]
)
request_value = st.one_of(
    word, pattern, address, date_value, number_value.map(str), st.sampled_from(["true", "False"])
)
arn_of_request = st.lists(word, min_size=5, max_size=7).map(":".join)
context_values = st.lists(st.one_of(request_value, arn_of_request), max_size=3)

_VALUES = {
    "String": text_value,
    "Arn": arn_value,
    "Numeric": number_value,
    "Date": date_value,
    "Bool": st.sampled_from(["true", "FALSE", True, False]),
    "Binary": word.map(lambda text: base64.b64encode(text.encode()).decode()),
    "IpAddress": network,
    "NotIpAddress": network,
    "Null": st.sampled_from(["true", "false", True, False]),
}
_RELATIONS = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan")
OPERATORS = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
    *(f"Numeric{relation}" for relation in (*_RELATIONS, "GreaterThanEquals")),
    *(f"Date{relation}" for relation in (*_RELATIONS, "GreaterThanEquals")),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
)


def one_or_more(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


_REQUEST_VALUES = {
    "String": word,
    "Arn": arn_of_request,
    "Numeric": number_value.map(str),
    "Date": date_value,
    "Bool": st.sampled_from(["true", "False"]),
    "Binary": word,
    "IpAddress": address,
    "NotIpAddress": address,
    "Null": word,
}


@st.composite
def condition_and_values(
    draw: st.DrawFn, keys: tuple[str, ...] = KEYS
) -> tuple[dict[str, Any], Context]:
    """A condition, and values for its key that are of its kind, or not, or the policy's own."""
    operator = draw(st.sampled_from(OPERATORS))
    kind = next(kind for kind in _VALUES if operator.startswith(kind))
    if operator != "Null":
        operator = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"])) + operator
        operator += draw(st.sampled_from(["", "", "IfExists"]))
    key = draw(st.sampled_from(keys))
    cased = key if "/" in key else draw(st.sampled_from([key, key.upper()]))
    wanted = draw(one_or_more(_VALUES[kind]))
    own = [str(value) for value in (wanted if isinstance(wanted, list) else [wanted])]
    own += [re.sub(r"[*?]|\$\{[^}]*\}", "a", value) for value in own]
    value = st.one_of(_REQUEST_VALUES[kind], st.sampled_from(own), word)
    sizes = draw(st.sampled_from([(0, 0), (1, 1), (1, 1), (2, 3)]))
    values = draw(st.lists(value, min_size=sizes[0], max_size=sizes[1]))
    return {operator: {cased: wanted}}, {key: values}


@st.composite
def conditions(draw: st.DrawFn, keys: tuple[str, ...]) -> dict[str, Any]:
    count = draw(st.sampled_from([0, 0, 1, 2]))
    found: dict[str, Any] = {}
    for _ in range(count):
        found.update(draw(condition_and_values(keys))[0])
    return found


principals = one_or_more(
    st.sampled_from(
        [
            *("*", "ida", "tenant", "arn:aws:iam::123456789012:user/a", "arn:aws:iam:::user/b"),
            *("arn:aws:iam::tenant:root", "arn:aws:iam::idb:root", "arn:aws:iam::1:role/a"),
            *("arn:aws:iam::tenant:user/a", "arn:aws:iam::another:user/b"),
            "arn:aws:sts::1:assumed-role/a/b",
        ]
    )
)
principal_element = st.one_of(
    st.just("*"),
    st.fixed_dictionaries({"AWS": principals}),
    st.fixed_dictionaries(
        {"CanonicalUser": one_or_more(st.sampled_from(["ida", "idb"]))},
        optional={"AWS": principals, "Service": st.just("ses.amazonaws.com")},
    ),
)
action_element = one_or_more(
    st.sampled_from(["s3:*", "*", "s3:Get*", "S3:getobject", "s3:?utObject", *ACTIONS])
)
path = st.lists(st.one_of(pattern, variables), max_size=3).map("".join)
resource_element = one_or_more(
    st.one_of(
        st.sampled_from(["arn:aws:s3:::b", "arn:aws:s3:::*", "arn:aws:s3:::?/*"]),
        path.map(lambda text: f"arn:aws:s3:::b/{text}"),
    )
)


@st.composite
def statements(draw: st.DrawFn, with_principal: bool) -> dict[str, Any]:
    effect = draw(st.sampled_from(["Allow", "Deny"]))
    names = ("", "", "", "Not")
    found = {
        "Effect": effect,
        draw(st.sampled_from(names)) + "Action": draw(action_element),
        draw(st.sampled_from(names)) + "Resource": draw(resource_element),
        "Condition": draw(conditions(GLOBAL_KEYS if with_principal else KEYS)),
    }
    if with_principal:
        name = draw(st.sampled_from(names)) if effect == "Deny" else ""
        found[name + "Principal"] = draw(principal_element)
    return found


@st.composite
def documents(draw: st.DrawFn, with_principal: bool) -> dict[str, Any]:
    version = draw(st.sampled_from([{}, *({"Version": name} for name in VERSIONS)]))
    return {**version, "Statement": draw(one_or_more(statements(with_principal)))}


VERSIONS = ("2012-10-17", "2012-10-17", "2008-10-17")
senders = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(["ida", "idb"]), st.sampled_from(["a", "b", "*"]), st.just("tenant")),
)
resources = st.one_of(st.just("arn:aws:s3:::b"), word.map(lambda key: f"arn:aws:s3:::b/{key}"))
contexts = st.dictionaries(st.sampled_from(KEYS), context_values, max_size=5)


# Statements that could never apply are refused, which is the subject of other tests.
NEVER = ("Action does not apply", "Conditions do not apply")


def compiled(document: dict[str, Any], bucket: str) -> Policy:
    try:
        return parse_policy(json.dumps(document).encode(), bucket=bucket)
    except S3Error as error:
        assert error.message.startswith(NEVER), error.message
        reject()


def decide(
    policies: list[Policy], action: str, resource: str, sender: Sender, context: Context
) -> str:
    asked: list[str] = []

    def look_up(key: str) -> tuple[str, ...]:
        asked.append(key)
        return tuple(context.get(key, ()))

    principal = None if sender is None else Principal(*sender)
    request = PolicyRequest(action, resource, principal, look_up)
    decision = evaluate(policies, request).value
    assert set(asked) <= set(KEYS)
    return decision


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(documents(with_principal=False), max_size=2),
    st.sampled_from(ACTIONS),
    resources,
    senders,
    contexts,
)
def test_evaluate_policies_of_users_agrees_with_model(
    texts: list[dict[str, Any]], action: str, resource: str, sender: Sender, context: Context
) -> None:
    policies = [compiled(text, "") for text in texts]
    expected = policy_model.decide(texts, action, resource, sender, context)
    assert decide(policies, action, resource, sender, context) == expected


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(documents(with_principal=True), st.sampled_from(ACTIONS), resources, senders, contexts)
def test_evaluate_policy_of_bucket_agrees_with_model(
    text: dict[str, Any], action: str, resource: str, sender: Sender, context: Context
) -> None:
    policy = compiled(text, BUCKET)
    expected = policy_model.decide([text], action, resource, sender, context)
    assert decide([policy], action, resource, sender, context) == expected


@settings(max_examples=800, deadline=None)
@given(condition_and_values(), contexts)
def test_evaluate_one_condition_agrees_with_model(
    condition_and_values: tuple[dict[str, Any], Context], others: Context
) -> None:
    condition, values = condition_and_values
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": statement}
    question = ("s3:GetObject", "arn:aws:s3:::b/k", None, {**others, **values})
    expected = policy_model.decide([document], *question)
    assert decide([compiled(document, "")], *question) == expected
