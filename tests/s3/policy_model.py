"""Another reading of AWS's rules of policies: slow, obvious, straight from the JSON.

Nothing is compiled and nothing is shared with the package. Each function says which page of the
IAM User Guide it is a reading of.
"""

import base64
import datetime
import fnmatch
import ipaddress
import json
from fractions import Fraction
from typing import Any

Context = dict[str, list[str]]  # lower-case key -> values; a key without values is not there
Sender = tuple[str, str, str] | None  # user id, user name, tenant


def decide(
    documents: list[dict[str, Any]], action: str, resource: str, sender: Sender, context: Context
) -> str:
    """ "Policy evaluation logic": an explicit deny in any policy overrides every allow."""
    effects = [
        statement["Effect"]
        for document in documents
        for statement in listed(document["Statement"])
        if concerns(document, statement, action, resource, sender, context)
    ]
    if "Deny" in effects:
        return "Deny"
    return "Allow" if "Allow" in effects else "none"


def concerns(
    document: dict[str, Any],
    statement: dict[str, Any],
    action: str,
    resource: str,
    sender: Sender,
    context: Context,
) -> bool:
    """ "IAM JSON policy element reference": all elements of a statement must match."""
    variables = document.get("Version") == "2012-10-17"
    if "Principal" in statement and not is_named(statement["Principal"], sender):
        return False
    if "NotPrincipal" in statement and is_named(statement["NotPrincipal"], sender):
        return False
    if "Action" in statement and not is_action(statement["Action"], action):
        return False
    if "NotAction" in statement and is_action(statement["NotAction"], action):
        return False
    if "Resource" in statement:
        if not is_resource(statement["Resource"], resource, variables, context):
            return False
    elif is_resource(statement["NotResource"], resource, variables, context):
        return False
    return all(
        holds(operator, key, listed(values), variables, context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def is_named(principal: Any, sender: Sender) -> bool:
    """ "Principal": `*` and {"AWS": "*"} are everyone, also without a signature."""
    if principal == "*":
        return True
    for kind, names in principal.items():
        for name in listed(names):
            if kind == "AWS" and name == "*":
                return True
            if sender is None:
                continue
            user_id, user_name, tenant = sender
            if kind == "CanonicalUser" and name == user_id:
                return True
            if kind != "AWS":
                continue
            if name in (user_id, tenant):
                return True
            parts = name.split(":", 5)
            if len(parts) == 6 and parts[2] == "iam":
                if parts[5] == "root" and parts[4] in (user_id, tenant):
                    return True
                here = not parts[4] or parts[4].isdigit() or parts[4] == tenant
                if here and parts[5] == "user/" + user_name:
                    return True
    return False


def is_action(names: Any, action: str) -> bool:
    """ "Action": wildcards, in any case of letters."""
    return any(like(symbols(name.lower()), action.lower()) for name in listed(names))


def is_resource(names: Any, resource: str, variables: bool, context: Context) -> bool:
    return any(
        pattern is not None and like(pattern, resource)
        for pattern in (expand(name, variables, context) for name in listed(names))
    )


# A pattern is a list of symbols: ("any",), ("one",) or ("is", character).
Symbol = tuple[str, str]


def symbols(text: str) -> list[Symbol]:
    kinds = {"*": "any", "?": "one"}
    return [(kinds.get(character, "is"), character) for character in text]


def literal(text: str) -> list[Symbol]:
    return [("is", character) for character in text]


def expand(text: str, variables: bool, context: Context) -> list[Symbol] | None:
    """ "Variables and tags": what a variable stands for has no wildcards."""
    found: list[Symbol] = []
    while variables and "${" in text:
        before, rest = text.split("${", 1)
        inside, text = rest.split("}", 1)
        found += symbols(before)
        value = variable(inside, context)
        if value is None:
            return None
        found += literal(value)
    return found + symbols(text)


def variable(inside: str, context: Context) -> str | None:
    if inside in ("*", "?", "$"):
        return inside
    name, comma, default = inside.partition(",")
    values = values_of(name.strip(), context)
    if len(values) == 1:
        return values[0]
    if values or not comma:
        return None
    return default.strip()[1:-1]


def plain(text: str, variables: bool, context: Context) -> str | None:
    """A text in which wildcards are nothing special."""
    found = expand(text, variables, context)
    return None if found is None else "".join(character for _, character in found)


def like(pattern: list[Symbol], text: str) -> bool:
    """Wildcards by the table of "does this start of the pattern match that start of the text"."""
    row = [True] + [False] * len(text)
    for kind, character in pattern:
        new = [row[0] and kind == "any"]
        for position in range(1, len(text) + 1):
            if kind == "any":
                new.append(row[position] or new[position - 1])
            else:
                same = kind == "one" or character == text[position - 1]
                new.append(row[position - 1] and same)
        row = new
    return row[-1]


def values_of(key: str, context: Context) -> list[str]:
    """Names of keys are compared in any case, but for the key of a tag."""
    stem, slash, tag = key.partition("/")
    return context.get(stem.lower() + slash + tag, [])


def holds(operator: str, key: str, wanted: list[Any], variables: bool, context: Context) -> bool:
    """ "Condition operators", "Conditions with multiple context keys or values"."""
    texts = [json.dumps(each) if isinstance(each, bool | int | float) else each for each in wanted]
    found = values_of(key, context)
    if operator == "Null":
        return any((text.lower() == "true") == (not found) for text in texts)
    for_all = operator.startswith("ForAllValues:")
    for_any = operator.startswith("ForAnyValue:")
    operator = operator.split(":")[-1]
    if operator.endswith("IfExists"):
        if not found:
            return True
        operator = operator.removesuffix("IfExists")
    negated = "Not" in operator
    operator = operator.replace("Not", "")
    results = [
        any(compare(operator, value, text, variables, context) for text in texts) for value in found
    ]
    if for_all:
        return all(result != negated for result in results)
    if for_any:
        return any(result != negated for result in results)
    return any(results) != negated


def compare(operator: str, value: str, text: str, variables: bool, context: Context) -> bool:
    """Whether one value of the request fits one of the policy, by the affirmative operator."""
    if operator in ("StringEquals", "StringEqualsIgnoreCase"):
        other = plain(text, variables, context)
        if other is None:
            return False
        if operator == "StringEquals":
            return other == value
        return other.casefold() == value.casefold()
    if operator == "StringLike":
        pattern = expand(text, variables, context)
        return pattern is not None and like(pattern, value)
    if operator in ("ArnEquals", "ArnLike"):
        return arn_like(text, value, variables, context)
    if operator.startswith("Numeric"):
        return ordered(operator.removeprefix("Numeric"), as_number(value), as_number(text))
    if operator.startswith("Date"):
        return ordered(operator.removeprefix("Date"), as_time(value), as_time(text))
    if operator == "Bool":
        return value.lower() == text.lower()
    if operator == "BinaryEquals":
        return value.encode() == base64.b64decode(text)
    assert operator == "IpAddress", operator
    return in_network(value, text)


def arn_like(text: str, value: str, variables: bool, context: Context) -> bool:
    """Each of the six components is compared by itself."""
    parts = value.split(":")
    parts = [*parts[:5], ":".join(parts[5:])] if len(parts) > 5 else []
    if text == "*":
        return True
    patterns: list[str] = [""]
    depth = 0
    for position, character in enumerate(text):
        if variables and text[position : position + 2] == "${":
            depth = 1
        if character == "}":
            depth = 0
        if character == ":" and not depth and len(patterns) < 6:
            patterns.append("")
        else:
            patterns[-1] += character
    expanded = [expand(pattern, variables, context) for pattern in patterns]
    return len(parts) == 6 and all(
        pattern is not None and like(pattern, part)
        for pattern, part in zip(expanded, parts, strict=True)
    )


def as_number(text: str) -> Fraction | None:
    digits = text.lstrip("+-") if text[:1] in ("+", "-") else text
    allowed = fnmatch.fnmatchcase(digits, "[0-9]*") and set(digits) <= set("0123456789.")
    if not allowed or digits.count(".") > 1 or digits.endswith("."):
        return None
    return Fraction(text) if text[:2] not in ("++", "--", "+-", "-+") else None


def as_time(text: str) -> Fraction | None:
    """ISO 8601 dates with a zone, dates without time (midnight UTC), or epoch seconds."""
    if text[:1].isdigit() and len(text) != 4 and set(text) <= set("0123456789."):
        return as_number(text)
    for form in ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%d"):
        try:
            moment = datetime.datetime.strptime(text, form)
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return Fraction(moment.timestamp()).limit_denominator(1_000_000)
    return None


def ordered(relation: str, found: Fraction | None, limit: Fraction | None) -> bool:
    if found is None or limit is None:
        return False
    return {
        "Equals": found == limit,
        "LessThan": found < limit,
        "LessThanEquals": found <= limit,
        "GreaterThan": found > limit,
        "GreaterThanEquals": found >= limit,
    }[relation]


def in_network(value: str, text: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if address.version == 6 and address.ipv4_mapped:  # type: ignore[union-attr]
        address = address.ipv4_mapped  # type: ignore[union-attr]
    return address in ipaddress.ip_network(text, strict=False)
