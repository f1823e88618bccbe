"""Bucket notifications: which events of a bucket go to which destination.

Source: AWS, "Amazon S3 Event Notifications", "PutBucketNotificationConfiguration".
"""

import secrets
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import Node, parse

RULES_MAX: Final = 100
# So many rules with the longest filters fit.
NOTIFICATION_BYTES_MAX: Final = 512 * 1024
ID_CHARACTERS_MAX: Final = 255
_FILTER_BYTES_MAX: Final = 1024
_ID_BYTES: Final = 36

# Every type that S3 has, but annotations of objects.
_TYPES: Final = (
    "s3:ReducedRedundancyLostObject",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    *(f"s3:ObjectCreated:{what}" for what in ("Put", "Post", "Copy", "CompleteMultipartUpload")),
    *(f"s3:ObjectRemoved:{what}" for what in ("Delete", "DeleteMarkerCreated")),
    *(f"s3:ObjectRestore:{what}" for what in ("Post", "Completed", "Delete")),
    *(
        f"s3:Replication:Operation{what}"
        for what in (
            *("FailedReplication", "NotTracked"),
            *("MissedThreshold", "ReplicatedAfterThreshold"),
        )
    ),
    *("s3:ObjectAcl:Put", "s3:ObjectRetention:Put"),
    *(f"s3:LifecycleExpiration:{what}" for what in ("Delete", "DeleteMarkerCreated")),
    *(f"s3:ObjectTagging:{what}" for what in ("Put", "Delete")),
)
_FAMILIES: Final = (
    *("ObjectCreated", "ObjectRemoved", "ObjectRestore", "Replication"),
    *("LifecycleExpiration", "ObjectTagging"),
)
_NAMED: Final = {
    **{name: frozenset({name}) for name in _TYPES},
    **{
        f"s3:{family}:*": frozenset(t for t in _TYPES if t.startswith(f"s3:{family}:"))
        for family in _FAMILIES
    },
}
# Kind of destination: the element that names it.
_DESTINATIONS: Final = {"QueueConfiguration": "Queue", "TopicConfiguration": "Topic"}
_REFUSED: Final = {
    "CloudFunctionConfiguration": "functions cannot be invoked; a queue, topic or webhook can be"
    " told",
    "EventBridgeConfiguration": "there is no EventBridge; a queue, topic or webhook can be told",
}


class Rule(msgspec.Struct, frozen=True):
    """One configuration: the events that go to one destination.

    Attributes:
        kind: QueueConfiguration or TopicConfiguration.
        arn: of the destination.
        events: as they were named, some by `*`.
    """

    kind: str
    id: str
    arn: str
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""

    @property
    def types(self) -> frozenset[str]:
        """The types of events that `events` stand for."""
        return frozenset[str]().union(*(_NAMED[name] for name in self.events))


class Notification:
    """The rules of a bucket, ready to be asked about an event."""

    __slots__ = ("_by_type", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_type: dict[str, list[Rule]] = {}
        for rule in rules:
            for name in rule.types:
                self._by_type.setdefault(name, []).append(rule)

    def find(self, name: str, key: str) -> Rule | None:
        """The rule for an event of the type `s3:<name>` about `key`; there is never a second."""
        for rule in self._by_type.get(f"s3:{name}", ()):
            if key.startswith(rule.prefix) and key.endswith(rule.suffix):
                return rule
        return None


def read_notification(body: bytes) -> list[Rule]:
    """Body of PutBucketNotificationConfiguration; none: the bucket tells nobody.

    Raises:
        S3Error: MalformedXML; InvalidArgument for events, filters, ARNs and ids that S3 does not
            take, and for rules that an event could meet two of; NotImplemented for functions and
            EventBridge.
    """
    root = parse(body, "NotificationConfiguration", NOTIFICATION_BYTES_MAX)
    for child in root.children:
        if child.name in _REFUSED:
            message = f"{child.name} is not implemented: {_REFUSED[child.name]}."
            raise S3Error("NotImplemented", message, Element=child.name)
        if child.name not in _DESTINATIONS:
            raise S3Error("MalformedXML")
    rules = [_rule(child) for child in root.children]
    if len(rules) > RULES_MAX:
        message = f"A bucket has at most {RULES_MAX} notification configurations."
        raise invalid_argument(message, "NotificationConfiguration", str(len(rules)))
    _check_ids(rules)
    _check_overlaps(rules)
    return rules


def notification(rules: Iterable[Rule]) -> bytes:
    """The document of GetBucketNotificationConfiguration."""
    return document("NotificationConfiguration", "".join(map(_element, rules)))


def _rule(node: Node) -> Rule:
    known = ("Id", "Event", "Filter", _DESTINATIONS[node.name])
    if any(child.name not in known for child in node.children):
        raise S3Error("MalformedXML")
    events = tuple(child.text.strip() for child in node.children if child.name == "Event")
    arn = node.child_text(_DESTINATIONS[node.name])
    if not events or arn is None:
        raise S3Error("MalformedXML")
    for event in events:
        if event not in _NAMED:
            message = f"The event '{event}' is not supported for notifications"
            raise invalid_argument(message, "Event", event)
    rule_id = (node.child_text("Id") or "").strip()
    if len(rule_id) > ID_CHARACTERS_MAX:
        message = f"The ID of a configuration has at most {ID_CHARACTERS_MAX} characters"
        raise invalid_argument(message, "Id", rule_id)
    prefix, suffix = _filter(node)
    return Rule(
        node.name, rule_id or secrets.token_urlsafe(_ID_BYTES), _arn(arn), events, prefix, suffix
    )


def _arn(text: str) -> str:
    arn = text.strip()
    pieces = arn.split(":", 5)
    if len(pieces) != 6 or pieces[0] != "arn" or not all((pieces[1], pieces[2], pieces[5])):
        raise invalid_argument("The ARN could not be parsed", "ARN", arn)
    return arn


def _filter(node: Node) -> tuple[str, str]:
    """Prefix and suffix of a configuration's filter."""
    found: dict[str, str] = {}
    for rule in _filter_rules(node):
        if {child.name for child in rule.children} != {"Name", "Value"} or len(rule.children) != 2:
            raise S3Error("MalformedXML")
        name = (rule.child_text("Name") or "").strip().lower()
        value = rule.child_text("Value") or ""
        if name not in ("prefix", "suffix"):
            message = "filter rule name must be either prefix or suffix"
            raise invalid_argument(message, "FilterRule.Name", name)
        if name in found:
            message = f"Cannot specify more than one {name} rule in a filter."
            raise invalid_argument(message, "FilterRule.Name", name)
        if len(value.encode()) > _FILTER_BYTES_MAX:
            message = f"Size of filter rule value cannot exceed {_FILTER_BYTES_MAX} bytes in UTF-8"
            raise invalid_argument(message, "FilterRule.Value", value)
        found[name] = value
    return found.get("prefix", ""), found.get("suffix", "")


def _filter_rules(node: Node) -> list[Node]:
    nodes = [node]
    for name in ("Filter", "S3Key", "FilterRule"):
        children = [child for parent in nodes for child in parent.children]
        if name != "Filter" and any(child.name != name for child in children):
            raise S3Error("MalformedXML")
        nodes = [child for child in children if child.name == name]
        if name != "FilterRule" and len(nodes) > 1:
            raise S3Error("MalformedXML")
    return nodes


def _check_ids(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            message = "Same ID used for multiple configurations. IDs must be unique"
            raise invalid_argument(message, "Id", rule.id)
        seen.add(rule.id)


def _check_overlaps(rules: Sequence[Rule]) -> None:
    """Refuse two rules that one event could meet, wherever they lead.

    Raises:
        S3Error: InvalidArgument.
    """
    typed = [(rule, rule.types) for rule in rules]
    for (rule, types), (other, other_types) in combinations(typed, 2):
        if types.isdisjoint(other_types) or not _may_meet(rule, other):
            continue
        message = (
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if"
            " the prefixes are overlapping for the same event type."
        )
        if not any((rule.prefix, rule.suffix, other.prefix, other.suffix)):
            message = (
                "Configurations overlap. Configurations on the same bucket cannot share a common"
                " event type."
            )
        raise invalid_argument(message, rule.id, other.id)


def _may_meet(rule: Rule, other: Rule) -> bool:
    """Whether there is a key that both filters take."""
    prefixes = rule.prefix.startswith(other.prefix) or other.prefix.startswith(rule.prefix)
    return prefixes and (rule.suffix.endswith(other.suffix) or other.suffix.endswith(rule.suffix))


def _element(rule: Rule) -> str:
    parts = [element("Id", rule.id), element(_DESTINATIONS[rule.kind], rule.arn)]
    parts += [element("Event", event) for event in rule.events]
    filters = [("Prefix", rule.prefix), ("Suffix", rule.suffix)]
    kept = "".join(
        f"<FilterRule>{element('Name', name)}{element('Value', value)}</FilterRule>"
        for name, value in filters
        if value
    )
    if kept:
        parts.append(f"<Filter><S3Key>{kept}</S3Key></Filter>")
    return f"<{rule.kind}>{''.join(parts)}</{rule.kind}>"
