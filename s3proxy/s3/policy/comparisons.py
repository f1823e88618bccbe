"""How one value of a request is compared with the values that a policy has for its key.

Each comparison takes the policy's values and gives a test: whether any of them fits. A template
whose variable has no value fits nothing.
"""

import operator
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from s3proxy.s3.policy.patterns import matcher, matches_resolved, wildcards
from s3proxy.s3.policy.values import address, network, number, seconds
from s3proxy.s3.policy.variables import Context, parse_template, resolve, split_text

T = TypeVar("T")

Test = Callable[[str, Context], bool]
Comparison = Callable[[Sequence[str], bool], Test]

_ARN_PARTS: Final = 6


class ConditionValueError(Exception):
    """A value of the policy's that its operator cannot compare with."""


def _strings(values: Sequence[str], variables: bool, *, fold: Callable[[str], str] = str) -> Test:
    """Whole texts, compared as `fold` gives them."""
    parsed = [parse_template(value, variables=variables) for value in values]
    known = frozenset(fold(text) for text in parsed if isinstance(text, str))
    templates = tuple(text for text in parsed if not isinstance(text, str))

    def test(value: str, context: Context) -> bool:
        folded = fold(value)
        if folded in known:
            return True
        resolved = (resolve(template, context) for template in templates)
        return any(text is not None and fold(text) == folded for text in resolved)

    return test


def _patterns(values: Sequence[str], variables: bool) -> Test:
    return _any(_pattern(value, variables) for value in values)


def _pattern(value: str, variables: bool) -> Test:
    template = parse_template(value, variables=variables, convert=wildcards)
    if isinstance(template, str):
        matches = matcher(template)
        return lambda value, context: matches(value)

    def test(value: str, context: Context) -> bool:
        pattern = resolve(template, context)
        return pattern is not None and matches_resolved(pattern, value)

    return test


def _arns(values: Sequence[str], variables: bool) -> Test:
    return _any(_arn(value, variables) for value in values)


def _arn(value: str, variables: bool) -> Test:
    """Each part of an ARN by itself: neither a wildcard nor a variable reaches over a colon."""
    if value == "*":
        return _pattern(value, variables)
    last = _ARN_PARTS - 1
    texts = split_text(value, ":", last) if variables else value.split(":", last)
    if len(texts) != _ARN_PARTS:
        raise ConditionValueError(value)
    tests = tuple(_pattern(text, variables) for text in texts)

    def test(value: str, context: Context) -> bool:
        parts = value.split(":", last)
        return len(parts) == _ARN_PARTS and all(
            fits(part, context) for fits, part in zip(tests, parts, strict=True)
        )

    return test


def _any(tests: Iterable[Test]) -> Test:
    found = tuple(tests)
    if len(found) == 1:
        return found[0]
    return lambda value, context: any(fits(value, context) for fits in found)


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
        "StringEqualsIgnoreCase": partial(_strings, fold=str.casefold),
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
