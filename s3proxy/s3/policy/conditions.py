"""Conditions: an operator, a key, and the policy's values, compiled into one function.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple
context keys or values", "Single-valued vs. multivalued context keys".

What all operators share stands here: what a missing key means, negation, the set operators. How
one value of the request is compared is in comparisons.py.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from s3proxy.s3.policy.comparisons import COMPARISONS, ConditionValueError, Test
from s3proxy.s3.policy.variables import Context

Quantifier = Literal["", "ForAllValues", "ForAnyValue"]


class Operator(msgspec.Struct, frozen=True):
    """An operator as a Condition element names it.

    Attributes:
        name: without the word that negates it: StringEquals for StringNotEquals.
        quantifier: the set operator before the colon.
        if_exists: it ends in IfExists.
    """

    name: str
    negated: bool = False
    quantifier: Quantifier = ""
    if_exists: bool = False


class Condition(msgspec.Struct, frozen=True):
    """One key of a Condition element, under one operator.

    Attributes:
        key: in lower case, as `keys.canonical_key` gives it.
        values: as the policy has them.
        met: whether a request meets it.
    """

    operator: Operator
    key: str
    values: tuple[str, ...]
    met: Callable[[Context], bool]


_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def parse_operator(text: str) -> Operator | None:
    """The operator of that name, whose case matters; None: there is none."""
    prefix, colon, name = text.rpartition(":")
    quantifier: Quantifier = ""
    if prefix == "ForAllValues":
        quantifier = "ForAllValues"
    elif prefix == "ForAnyValue":
        quantifier = "ForAnyValue"
    elif colon:
        return None
    base = name.removesuffix("IfExists")
    if base == "Null":
        return Operator("Null") if text == "Null" else None
    negated = base in _NEGATED
    base = _NEGATED.get(base, base)
    if base not in COMPARISONS:
        return None
    return Operator(base, negated, quantifier, name.endswith("IfExists"))


def compile_condition(
    operator: Operator, key: str, values: Sequence[str], *, variables: bool
) -> Condition:
    """Compile one condition.

    Raises:
        ConditionValueError, VariableError: the operator cannot compare with one of the values.
    """
    if operator.name == "Null":
        met = _null(key, values)
    else:
        test = COMPARISONS[operator.name](values, variables)
        met = _quantified(operator, key, test)
    return Condition(operator, key, tuple(values), met)


def _null(key: str, values: Sequence[str]) -> Callable[[Context], bool]:
    wanted = frozenset(value.lower() for value in values)
    if not wanted <= {"true", "false"}:
        raise ConditionValueError(next(iter(values)))

    def met(context: Context) -> bool:
        return ("false" if context(key) else "true") in wanted

    return met


def _quantified(operator: Operator, key: str, test: Test) -> Callable[[Context], bool]:
    """A missing key: the condition holds with IfExists, for all values, or when negated."""
    negated = operator.negated
    when_absent = operator.if_exists or (
        operator.quantifier == "ForAllValues" or (negated and not operator.quantifier)
    )
    if operator.quantifier == "ForAllValues":

        def met(context: Context) -> bool:
            return all(test(value, context) is not negated for value in context(key))

    elif operator.quantifier == "ForAnyValue":

        def met(context: Context) -> bool:
            values = context(key)
            if not values:
                return when_absent
            return any(test(value, context) is not negated for value in values)

    else:

        def met(context: Context) -> bool:
            values = context(key)
            if not values:
                return when_absent
            return any(test(value, context) for value in values) is not negated

    return met
