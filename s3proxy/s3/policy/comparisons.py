"""How one value of a request is compared with the values that a policy has for its key.

Each comparison takes the policy's values and gives a test: whether any of them fits. A template
whose variable has no value fits nothing.
"""

import operator
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from s3proxy.s3.policy.patterns import Matcher, matcher, wildcards
from s3proxy.s3.policy.values import address, network, number, seconds
from s3proxy.s3.policy.variables import Context, Template, parse_template, resolve

T = TypeVar("T")

Test = Callable[[str, Context], bool]
Comparison = Callable[[Sequence[str], bool], Test]

_ARN_PARTS: Final = 6


class ConditionValueError(Exception):
    """A value of the policy's that its operator cannot compare with."""


def _strings(values: Sequence[str], variables: bool, *, ignore_case: bool = False) -> Test:
    fixed, templates = _sorted(values, variables, str)
    if ignore_case:
        lower = frozenset(text.casefold() for text in fixed)

        def test_lower(value: str, context: Context) -> bool:
            folded = value.casefold()
            return folded in lower or any(
                text is not None and text.casefold() == folded
                for text in (resolve(template, context) for template in templates)
            )

        return test_lower
    known = frozenset(fixed)

    def test(value: str, context: Context) -> bool:
        return value in known or any(resolve(template, context) == value for template in templates)

    return test


def _patterns(values: Sequence[str], variables: bool) -> Test:
    return _matching(values, variables, matcher)


def _arns(values: Sequence[str], variables: bool) -> Test:
    """Each of the six parts of an ARN by itself: a wildcard does not reach over a colon."""
    for value in values:
        if value != "*" and value.count(":") < _ARN_PARTS - 1:
            raise ConditionValueError(value)
    return _matching(values, variables, _arn_matcher)


def _matching(values: Sequence[str], variables: bool, compiled: Callable[[str], Matcher]) -> Test:
    fixed, templates = _sorted(values, variables, wildcards)
    matchers = tuple(map(compiled, fixed))

    def test(value: str, context: Context) -> bool:
        for matches in matchers:
            if matches(value):
                return True
        for template in templates:
            pattern = resolve(template, context)
            if pattern is not None and compiled(pattern)(value):
                return True
        return False

    return test


def _arn_matcher(pattern: str) -> Matcher:
    if pattern == wildcards("*"):
        return matcher(pattern)
    matchers = tuple(map(matcher, pattern.split(":", _ARN_PARTS - 1)))

    def match(text: str) -> bool:
        parts = text.split(":", _ARN_PARTS - 1)
        return len(parts) == len(matchers) and all(
            matches(part) for matches, part in zip(matchers, parts, strict=True)
        )

    return match


def _ordered(
    read: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]
) -> Comparison:
    """Numbers or times; a value of the request that is none fits nothing."""

    def comparison(values: Sequence[str], variables: bool) -> Test:
        wanted = tuple(_read(read, value) for value in values)

        def test(value: str, context: Context) -> bool:
            found = read(value)
            return found is not None and any(compare(found, limit) for limit in wanted)

        return test

    return comparison


def _booleans(values: Sequence[str], variables: bool) -> Test:
    wanted = frozenset(value.lower() for value in values)
    if not wanted <= {"true", "false"}:
        raise ConditionValueError(values[0])

    def test(value: str, context: Context) -> bool:
        return value.lower() in wanted

    return test


def _bytes(values: Sequence[str], variables: bool) -> Test:
    wanted = frozenset(_read(_base64, value) for value in values)

    def test(value: str, context: Context) -> bool:
        return value.encode(errors="surrogatepass") in wanted

    return test


def _addresses(values: Sequence[str], variables: bool) -> Test:
    networks = tuple(_read(network, value) for value in values)

    def test(value: str, context: Context) -> bool:
        found = address(value)
        if found is None:
            return False
        version, bits = found
        return any(version == of and bits & mask == base for of, mask, base in networks)

    return test


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None


def _read(read: Callable[[str], T | None], value: str) -> T:
    found = read(value)
    if found is None:
        raise ConditionValueError(value)
    return found


def _sorted(
    values: Sequence[str], variables: bool, convert: Callable[[str], str]
) -> tuple[list[str], list[Template]]:
    """The values without variables, and those with."""
    fixed: list[str] = []
    templates: list[Template] = []
    for value in values:
        parsed = parse_template(value, variables=variables, convert=convert)
        if isinstance(parsed, str):
            fixed.append(parsed)
        else:
            templates.append(parsed)
    return fixed, templates


_ORDERS: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

# Operator, without negation -> its comparison.
COMPARISONS: Final[Mapping[str, Comparison]] = MappingProxyType(
    {
        "StringEquals": _strings,
        "StringEqualsIgnoreCase": partial(_strings, ignore_case=True),
        "StringLike": _patterns,
        "ArnEquals": _arns,
        "ArnLike": _arns,
        "Bool": _booleans,
        "BinaryEquals": _bytes,
        "IpAddress": _addresses,
        **{f"Numeric{name}": _ordered(number, compare) for name, compare in _ORDERS.items()},
        **{f"Date{name}": _ordered(seconds, compare) for name, compare in _ORDERS.items()},
    }
)
