"""The policy document of a browser's upload: what its form may say.

Field names match in any case, values exactly. Each field has to be covered by a condition, but for
those that cannot be: the signature, the policy itself, and `x-ignore-*`.

Source: Amazon S3 API Reference, "POST Policy".
"""

import base64
import binascii
import re
from calendar import timegm
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from s3proxy.s3.errors import S3Error

_EXPIRATION: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?Z", re.ASCII
)
_UNCOVERED: Final = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_DIGITS_MAX: Final = 15


class Condition(msgspec.Struct, frozen=True):
    """`eq` or `starts-with` on one field."""

    operator: str
    field: str
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Whether the field has such a value; one that is missing starts with "" alone."""
        found = fields.get(self.field)
        if found is None:
            return self.operator != "eq" and not self.value
        if self.operator == "eq":
            return found == self.value
        if self.field == "content-type" and "," in found:
            return all(part.strip().startswith(self.value) for part in found.split(","))
        return found.startswith(self.value)


class PostPolicy(msgspec.Struct, frozen=True):
    """A policy document.

    Attributes:
        expires_s: seconds since the epoch.
        length_range: least and greatest size of the file; None: any.
    """

    expires_s: int
    conditions: tuple[Condition, ...]
    length_range: tuple[int, int] | None

    def check(self, fields: Mapping[str, str], now_s: float) -> None:
        """Check a form, all but the size of its file.

        Args:
            fields: by lower-case name, the bucket of the request among them, variables expanded.
        Raises:
            S3Error: AccessDenied.
        """
        if now_s >= self.expires_s:
            raise S3Error("AccessDenied", "Invalid according to Policy: Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                shown = [condition.operator, f"${condition.field}", condition.value]
                text = ", ".join(msgspec.json.encode(word).decode() for word in shown)
                message = f"Invalid according to Policy: Policy Condition failed: [{text}]"
                raise S3Error("AccessDenied", message)
        covered = {condition.field for condition in self.conditions} | _UNCOVERED
        extra = [name for name in fields if name not in covered and name[:9] != "x-ignore-"]
        if extra:
            message = f"Invalid according to Policy: Extra input fields: {', '.join(extra)}"
            raise S3Error("AccessDenied", message)


def parse_policy(encoded: str) -> PostPolicy:
    """Read the `policy` field.

    Raises:
        S3Error: InvalidPolicyDocument.
    """
    document = _document(encoded)
    expiration = document.get("expiration")
    if not isinstance(expiration, str):
        raise _invalid("Policy missing expiration.")
    listed = document.get("conditions")
    if not isinstance(listed, list):
        raise _invalid("Policy missing conditions.")
    conditions = []
    length_range = None
    for entry in listed:
        if isinstance(entry, list) and _is_length_range(entry):
            length_range = _narrowed(length_range, entry)
        else:
            conditions.append(_condition(entry))
    return PostPolicy(_seconds(expiration), tuple(conditions), length_range)


def _document(encoded: str) -> dict[str, Any]:
    try:
        text = base64.b64decode("".join(encoded.split()), validate=True)
        # "\$" stands for a dollar sign in these documents, and is no JSON.
        text = _ESCAPE.sub(lambda found: b"$" if found[1] == b"$" else found[0], text)
        document = msgspec.json.decode(text)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _condition(entry: object) -> Condition:
    if isinstance(entry, dict):
        if len(entry) != 1:
            message = "Invalid Simple-Condition: Simple-Conditions must have exactly one property"
            raise _invalid(f"{message} specified.")
        ((field, value),) = entry.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", field.lower(), value)
    if not isinstance(entry, list) or not all(isinstance(word, str) for word in entry):
        raise _invalid("Invalid Condition.")
    if len(entry) != 3:
        raise _invalid("Invalid Condition: wrong number of arguments.")
    operator, field, value = entry
    if operator.lower() not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{operator}'.")
    if field[:1] != "$" or len(field) == 1:
        raise _invalid("Invalid Condition: the second argument must start with '$'.")
    return Condition(operator.lower(), field[1:].lower(), value)


def _is_length_range(entry: list[object]) -> bool:
    name = entry[0] if entry else None
    return isinstance(name, str) and name.lower() == "content-length-range"


def _narrowed(before: tuple[int, int] | None, entry: list[object]) -> tuple[int, int]:
    if len(entry) != 3:
        raise _invalid("Invalid content-length-range: wrong number of arguments.")
    least, greatest = _size(entry[1]), _size(entry[2])
    if before is not None:
        return max(before[0], least), min(before[1], greatest)
    return least, greatest


def _size(value: object) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX):
        raise _invalid("Invalid content-length-range: not a number of bytes.")
    return int(text)


def _seconds(expiration: str) -> int:
    match = _EXPIRATION.fullmatch(expiration)
    if match is None:
        raise _invalid(f"Invalid 'expiration' value: '{expiration}'")
    year, month, day, hour, minute, second = (int(digits) for digits in match.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise _invalid(f"Invalid 'expiration' value: '{expiration}'")
    return timegm((max(year, 1), month, day, hour, minute, second))


def _invalid(reason: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {reason}")
