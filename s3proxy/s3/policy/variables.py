"""Texts of a policy in which `${key}` stands for a value of the request.

Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from s3proxy.s3.policy.keys import canonical_key
from s3proxy.s3.policy.patterns import RESOLVED_CHARACTERS_MAX

Context = Callable[[str], tuple[str, ...]]

# `${key}`, `${key, 'default'}`, `${*}`, `${?}`, `${$}`.
_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_REFERENCE: Final = re.compile(r"\s*([^\s,']+)\s*(?:,\s*'([^']*)'\s*)?")
_LITERALS: Final = frozenset("*?$")


class Variable(msgspec.Struct, frozen=True):
    """A place for the one value of a condition key.

    Attributes:
        default: for requests that have no such key; None: nothing can stand there then.
    """

    key: str
    default: str | None

    def value(self, context: Context) -> str | None:
        """What stands there; None if the request has no value, or several."""
        values = context(self.key)
        if len(values) == 1:
            return values[0]
        return self.default if not values else None


# A text is its pieces in order.
Template = tuple[str | Variable, ...]


class VariableError(Exception):
    """`${` without an end, or without a condition key that can be evaluated."""


def parse_template(
    text: str, *, variables: bool, convert: Callable[[str], str] = str
) -> str | Template:
    """A text, or the template it is.

    Args:
        variables: whether `${` means anything; it does in documents of version 2012-10-17.
        convert: applied to what is outside of `${}`.
    Raises:
        VariableError: there is no such variable.
    """
    if not variables or "${" not in text:
        return convert(text)
    pieces: list[str | Variable] = []
    # The groups of a split stand between the texts: every other piece is a variable's inside.
    for number, piece in enumerate(_VARIABLE.split(text)):
        if number % 2:
            pieces.append(piece if piece in _LITERALS else _variable(piece))
        elif "${" in piece:
            raise VariableError(text)
        else:
            pieces.append(convert(piece))
    return _joined(pieces)


def resolve(template: Template, context: Context) -> str | None:
    """The template's text for one request.

    None when a variable has no value, or a longer one than could be in a name: a text may have a
    thousand variables, and headers are as long as their sender likes.
    """
    found = []
    for piece in template:
        if isinstance(piece, str):
            found.append(piece)
            continue
        value = piece.value(context)
        if value is None or len(value) > RESOLVED_CHARACTERS_MAX:
            return None
        found.append(value)
    return "".join(found)


def split_text(text: str, separator: str, times: int) -> list[str]:
    """The parts of a text between separators outside of `${}`; at most times + 1."""
    parts = [""]
    for number, piece in enumerate(_VARIABLE.split(text)):
        if number % 2:
            parts[-1] += f"${{{piece}}}"
            continue
        first, *rest = piece.split(separator, times + 1 - len(parts))
        parts[-1] += first
        parts += rest
    return parts


def _variable(inside: str) -> Variable:
    match = _REFERENCE.fullmatch(inside)
    key = None if match is None else canonical_key(match[1])
    if match is None or key is None:
        raise VariableError(inside)
    return Variable(key, match[2])


def _joined(pieces: list[str | Variable]) -> str | Template:
    if any(isinstance(piece, Variable) for piece in pieces):
        return tuple(piece for piece in pieces if piece != "")
    return "".join(piece for piece in pieces if isinstance(piece, str))
