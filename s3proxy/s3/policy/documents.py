"""Policy documents: read strictly, refused by name, compiled into statements.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; the wording of refusals is that
of PutBucketPolicy's answers.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from s3proxy.s3.policy.actions import ACTIONS, find_actions
from s3proxy.s3.policy.comparisons import ConditionValueError
from s3proxy.s3.policy.conditions import (
    Condition,
    Operator,
    compile_condition,
    parse_operator,
)
from s3proxy.s3.policy.json_text import Json, Number, malformed, read_json
from s3proxy.s3.policy.keys import canonical_key, carriers
from s3proxy.s3.policy.patterns import matcher, wildcards
from s3proxy.s3.policy.principals import read_principals
from s3proxy.s3.policy.statements import Principals, Statement
from s3proxy.s3.policy.variables import Template, VariableError, parse_template

# Of a document without the white space between its tokens.
POLICY_BYTES_MAX: Final = 20 * 1024
# Of a document as it is sent.
POLICY_BODY_BYTES_MAX: Final = 4 * POLICY_BYTES_MAX

_VERSIONS: Final = {"2012-10-17": True, "2008-10-17": False}
_DOCUMENT_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS: Final = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition"),
    }
)
_ARN_PREFIX: Final = "arn:aws:s3:::"
_MAY_HOLD_SLASH: Final = re.compile(r"[/*?]|\$\{")


class Policy(msgspec.Struct, frozen=True):
    """A policy, compiled."""

    statements: tuple[Statement, ...]


def parse_policy(document: bytes, *, bucket: str = "") -> Policy:
    """Read the policy of a bucket or of a user.

    Args:
        bucket: whose policy it is: each statement names principals, and resources of this bucket.
            "": the policy of a user, which names no principal.

    Raises:
        S3Error: MalformedPolicy, with what is wrong as message, and where it helps the text in
            Detail.
    """
    root = read_json(document, POLICY_BYTES_MAX, POLICY_BODY_BYTES_MAX)
    _check_elements(root, _DOCUMENT_ELEMENTS)
    version = root.get("Version", "2008-10-17")
    if not isinstance(version, str) or version not in _VERSIONS:
        raise malformed("The policy must contain a valid version string")
    _check_text(root, "Id")
    if "Statement" not in root:
        raise malformed("Missing required field Statement")
    statements = root["Statement"]
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        raise malformed("Invalid policy syntax.")
    if not statements:
        raise malformed("Could not parse the policy: Statement is empty!")
    reader = _Reader(bucket, _VERSIONS[version])
    return Policy(tuple(reader.statement(node) for node in statements))


class _Reader(msgspec.Struct, frozen=True):
    """Reads the statements of one document."""

    bucket: str
    variables: bool

    def statement(self, node: Json) -> Statement:
        if not isinstance(node, dict):
            raise malformed("Invalid policy syntax.")
        _check_elements(node, _STATEMENT_ELEMENTS)
        _check_text(node, "Sid")
        deny = _is_deny(node)
        principals = self._principals(node, deny)
        actions, patterns = _actions(node)
        excluded, resources = self._resources(node)
        if deny and not excluded:
            self._check_reach(patterns, resources)
        templates = [self._template(text) for text in resources]
        return Statement(
            deny=deny,
            actions=actions,
            principals=principals,
            excluded_resources=excluded,
            matchers=tuple(matcher(text) for text in templates if isinstance(text, str)),
            templates=tuple(text for text in templates if not isinstance(text, str)),
            conditions=self._conditions(node.get("Condition", {}), patterns),
        )

    def _principals(self, node: Mapping[str, Json], deny: bool) -> Principals | None:
        name, value = _either(node, "Principal")
        if not self.bucket:
            if name is not None:
                raise malformed("Policy document should not specify a principal.")
            return None
        if name is None:
            raise malformed("Missing required field Principal")
        excluded = name == "NotPrincipal"
        # To allow all but some is to allow everyone else in the world: AWS refuses it.
        if excluded and not deny:
            raise malformed("Invalid principal in policy", "NotPrincipal with Effect Allow")
        return read_principals(value, excluded=excluded)

    def _resources(self, node: Mapping[str, Json]) -> tuple[bool, list[str]]:
        name, value = _either(node, "Resource")
        if name is None:
            raise malformed("Missing required field Resource")
        resources = _texts(value, "resources")
        for text in resources:
            if not self._is_resource(text):
                raise malformed("Policy has invalid resource", text)
        return name == "NotResource", resources

    def _is_resource(self, text: str) -> bool:
        """Whether it may be a resource of this bucket; of any, in the policy of a user."""
        if text == "*":
            return not self.bucket
        path = text.removeprefix(_ARN_PREFIX)
        if path == text or not path:
            return False
        template = self._template(path)
        if not self.bucket or not isinstance(template, str):
            return True
        return matcher(template.partition("/")[0])(self.bucket)

    def _check_reach(self, patterns: list[frozenset[str]], resources: list[str]) -> None:
        """A denial that no request can meet would protect nothing."""
        paths = [text.removeprefix(_ARN_PREFIX) for text in resources]
        levels = set()
        if any("/" not in path for path in paths):
            levels.add("bucket")
            if not self.bucket:
                levels.add("account")
        if any(_MAY_HOLD_SLASH.search(path) for path in paths):
            levels.add("object")
        for named in patterns:
            if not any(ACTIONS[action] in levels for action in named):
                raise malformed("Action does not apply to any resource(s) in statement")

    def _template(self, text: str) -> str | Template:
        try:
            return parse_template(text, variables=self.variables, convert=wildcards)
        except VariableError:
            raise malformed("Policy has invalid resource", text) from None

    def _conditions(self, node: Json, patterns: list[frozenset[str]]) -> tuple[Condition, ...]:
        if not isinstance(node, dict):
            raise malformed("Invalid policy syntax.", "Condition")
        found: list[Condition] = []
        for name, keys in node.items():
            operator = parse_operator(name)
            if operator is None:
                raise malformed(f"Invalid Condition type : {name[:100]}")
            if not isinstance(keys, dict):
                raise malformed("Invalid policy syntax.", name)
            found += [self._condition(operator, key, value) for key, value in keys.items()]
        if self.bucket:
            _check_carriers(found, patterns)
        return tuple(found)

    def _condition(self, operator: Operator, key_text: str, node: Json) -> Condition:
        key = canonical_key(key_text)
        if key is None:
            raise malformed("Policy has an invalid condition key", key_text)
        values = node if isinstance(node, list) else [node]
        texts = [_condition_text(value) for value in values]
        if not texts:
            raise malformed("Invalid policy syntax.", key_text)
        try:
            return compile_condition(operator, key, texts, variables=self.variables)
        except (ConditionValueError, VariableError) as error:
            if operator.name == "IpAddress":
                raise malformed("Invalid IP address in Conditions", str(error)) from None
            raise malformed("Policy has an invalid condition value", str(error)) from None


def _check_elements(node: Mapping[str, Json], known: frozenset[str]) -> None:
    for name in node:
        if name not in known:
            raise malformed(f"Unknown field {name[:100]}")


def _check_text(node: Mapping[str, Json], name: str) -> None:
    value = node.get(name, "")
    if not isinstance(value, str) or isinstance(value, Number):
        raise malformed("Invalid policy syntax.", name)


def _is_deny(node: Mapping[str, Json]) -> bool:
    if "Effect" not in node:
        raise malformed("Missing required field Effect")
    effect = node["Effect"]
    if effect not in ("Allow", "Deny"):
        raise malformed(f"Invalid effect: {str(effect)[:100]}")
    return effect == "Deny"


def _either(node: Mapping[str, Json], name: str) -> tuple[str | None, Json]:
    """The element of that name, or of the one that excludes; not both."""
    found = [each for each in (name, f"Not{name}") if each in node]
    if len(found) > 1:
        raise malformed("Invalid policy syntax.", " and ".join(found))
    return (found[0], node[found[0]]) if found else (None, None)


def _texts(value: Json, what: str) -> list[str]:
    """A text, or a list of at least one."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise malformed(f"Policy statement must contain {what}.")
    found = []
    for text in values:
        if not isinstance(text, str) or isinstance(text, Number):
            raise malformed("Invalid policy syntax.", what)
        found.append(text)
    return found


def _actions(node: Mapping[str, Json]) -> tuple[frozenset[str], list[frozenset[str]]]:
    """The actions that a statement concerns, and those of each text of its Action element."""
    name, value = _either(node, "Action")
    if name is None:
        raise malformed("Missing required field Action")
    named = []
    for text in _texts(value, "actions"):
        found = find_actions(text)
        if not found:
            raise malformed("Policy has invalid action", text)
        named.append(found)
    together = frozenset().union(*named)
    if name == "Action":
        return together, named
    rest = frozenset(ACTIONS) - together
    return rest, [rest]


def _check_carriers(conditions: list[Condition], patterns: list[frozenset[str]]) -> None:
    """Each text of the Action element must name an action whose requests may have the key."""
    for condition in conditions:
        known = carriers(condition.key)
        if known is not None and any(known.isdisjoint(named) for named in patterns):
            message = "Conditions do not apply to combination of actions and resources in statement"
            raise malformed(message, condition.key)


def _condition_text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise malformed("Invalid policy syntax.", "Condition")
    return str(value)
