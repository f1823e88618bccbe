"""Whether a bucket policy is public, as GetBucketPolicyStatus and Block Public Access mean it.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of
'public'": a policy is public unless each grant is to fixed principals, or to fixed values, without
wildcards and variables, of a key that tells where a request comes from.
"""

from ipaddress import IPv4Network
from typing import Final

from s3proxy.s3.policy.conditions import Condition
from s3proxy.s3.policy.documents import Policy
from s3proxy.s3.policy.statements import Statement
from s3proxy.s3.policy.values import parse_network

_FIXING_NAMES: Final = """
    aws:principalaccount aws:principalarn aws:principalorgid aws:principalservicename
    aws:sourceaccount aws:sourcearn aws:sourceowner aws:sourcevpc aws:sourcevpce aws:userid
    s3:dataaccesspointaccount s3:dataaccesspointarn
"""
_FIXING: Final = frozenset(_FIXING_NAMES.split())
_EQUALITIES: Final = frozenset(
    {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"}
)
# Broader ranges are as good as everyone.
_PREFIX_BITS_MIN: Final = {4: 8, 6: 32}
_ACCESS_POINT: Final = "s3:dataaccesspointarn"


def is_public(policy: Policy) -> bool:
    """Whether some statement grants something to everyone."""
    return any(map(_is_public, policy.statements))


def _is_public(statement: Statement) -> bool:
    principals = statement.principals
    if statement.deny or principals is None or not principals.anyone:
        return False
    return not any(map(_restricts, statement.conditions))


def _restricts(condition: Condition) -> bool:
    """Whether it holds for senders from fixed places only; not if a missing key meets it."""
    operator = condition.operator
    if operator.negated or operator.if_exists or operator.quantifier == "ForAllValues":
        return False
    if condition.key == "aws:sourceip":
        return operator.name == "IpAddress" and all(map(_is_narrow, condition.values))
    if condition.key not in _FIXING or operator.name not in _EQUALITIES:
        return False
    return all(_is_fixed(condition.key, value) for value in condition.values)


def _is_narrow(text: str) -> bool:
    found = parse_network(text)
    if found is None:
        return False
    bits_min = _PREFIX_BITS_MIN[4 if isinstance(found, IPv4Network) else 6]
    return found.prefixlen >= bits_min


def _is_fixed(key: str, value: str) -> bool:
    """No wildcard, no variable; but an access point's name may have wildcards, its account not."""
    if key == _ACCESS_POINT:
        account_end = value.count(":") >= 5 and value.split(":", 5)[4]
        return bool(account_end) and not _is_open(":".join(value.split(":", 5)[:5]))
    return not _is_open(value)


def _is_open(value: str) -> bool:
    return "*" in value or "?" in value or "${" in value
