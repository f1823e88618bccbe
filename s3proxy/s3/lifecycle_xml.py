"""The LifecycleConfiguration document: read strictly, written as it was read.

Source: Amazon S3 API Reference, "PutBucketLifecycleConfiguration", "GetBucketLifecycle"; errors as
observed from the service. An element that S3 does not know is MalformedXML: a rule that is not
obeyed may cost objects, or keep them.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.headers import Headers
from s3proxy.s3.lifecycle import (
    ALL_128K,
    VARIES,
    Expiration,
    Filter,
    Lifecycle,
    NoncurrentExpiration,
    Rule,
    Transition,
)
from s3proxy.s3.lifecycle_checks import check_rule, check_rules
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import Node, parse, single_children

# A thousand rules of some 500 bytes.
LIFECYCLE_BYTES_MAX: Final = 512 * 1024
# Where the bucket keeps the value of the header, which is no part of the document that S3 gives.
_MINIMUM: Final = "TransitionDefaultMinimumObjectSize"
_MINIMUM_HEADER: Final = "x-amz-transition-default-minimum-object-size"
_INTEGER: Final = re.compile("-?[0-9]{1,18}")
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_RULE: Final = frozenset({"ID", "Status", "Prefix", "Filter", "Expiration"})
_LISTS: Final = frozenset({"Transition", "NoncurrentVersionTransition"})
_OTHERS: Final = frozenset({"NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"})


def read_lifecycle(body: bytes, minimum: str = "") -> Lifecycle:
    """The rules of a document, checked.

    Args:
        minimum: value of the header beside it; "": the kept one's own, or S3's default.
    Raises:
        S3Error: MalformedXML, InvalidRequest, InvalidArgument.
    """
    root = parse(body, "LifecycleConfiguration", LIFECYCLE_BYTES_MAX)
    kept = root.child_text(_MINIMUM) or ""
    nodes = [child for child in root.children if child.name != _MINIMUM]
    if not nodes or any(node.name != "Rule" for node in nodes):
        raise S3Error("MalformedXML")
    rules = tuple(_rule(node, place) for place, node in enumerate(nodes))
    check_rules(rules)
    return Lifecycle(rules, minimum or kept or ALL_128K)


def read_minimum(headers: Headers) -> str:
    """x-amz-transition-default-minimum-object-size of a put.

    Raises:
        S3Error: InvalidRequest for another value than S3's two.
    """
    value = headers.get(_MINIMUM_HEADER.encode()) or ALL_128K
    if value not in (ALL_128K, VARIES):
        raise S3Error("InvalidRequest", f"Invalid {_MINIMUM_HEADER}: {value}")
    return value


def minimum_header(lifecycle: Lifecycle) -> tuple[str, str]:
    """The header of the answers to put and get."""
    return _MINIMUM_HEADER, lifecycle.minimum


def lifecycle_configuration(lifecycle: Lifecycle, *, kept: bool = False) -> bytes:
    """The document of these rules; `kept`: with what the header said."""
    content = "".join(map(_rule_element, lifecycle.rules))
    if kept and lifecycle.minimum != ALL_128K:
        content += element(_MINIMUM, lifecycle.minimum)
    return document("LifecycleConfiguration", content)


def _rule(node: Node, place: int) -> Rule:
    singles = single_children(node, _RULE | _OTHERS, repeated=_LISTS)
    status = _text(singles, "Status")
    if status not in ("Enabled", "Disabled") or ("Prefix" in singles) == ("Filter" in singles):
        raise S3Error("MalformedXML")
    rule = Rule(
        id=_text(singles, "ID") or _made_id(node, place),
        enabled=status == "Enabled",
        filter=_filter(singles["Filter"]) if "Filter" in singles else _prefix(singles["Prefix"]),
        expiration=_expiration(singles.get("Expiration")),
        noncurrent_expiration=_noncurrent_expiration(singles.get("NoncurrentVersionExpiration")),
        abort_days=_abort_days(singles.get("AbortIncompleteMultipartUpload")),
        transitions=tuple(
            _transition(child) for child in node.children if child.name == "Transition"
        ),
        noncurrent_transitions=tuple(
            _noncurrent_transition(child)
            for child in node.children
            if child.name == "NoncurrentVersionTransition"
        ),
    )
    check_rule(rule)
    return rule


def _made_id(node: Node, place: int) -> str:
    """An id for a rule without one: the same for the same rules, so that a put may be repeated."""
    return hashlib.blake2b(f"{place} {node}".encode(), digest_size=18).hexdigest()


def _prefix(node: Node) -> Filter:
    return Filter(prefix=_leaf(node), form="prefix")


def _filter(node: Node) -> Filter:
    """Filter, which has one predicate, or none, or several within And."""
    if len(node.children) > 1:
        raise S3Error("MalformedXML")
    if node.children and node.children[0].name == "And":
        found = _predicates(node.children[0], "and")
        count = len(found.tags) + sum(
            value is not None for value in (found.prefix, found.size_above, found.size_below)
        )
        if count < 2:
            raise S3Error("MalformedXML")
        return found
    return _predicates(node, "filter")


def _predicates(node: Node, form: str) -> Filter:
    names = {"Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"}
    singles = single_children(node, names, repeated={"Tag"})
    tags = [_tag(child) for child in node.children if child.name == "Tag"]
    if len({key for key, _ in tags}) < len(tags):
        raise S3Error("InvalidRequest", "Duplicate Tag Keys are not allowed.")
    return Filter(
        prefix=_leaf(singles["Prefix"]) if "Prefix" in singles else None,
        tags=tuple(tags),
        size_above=_integer(singles, "ObjectSizeGreaterThan"),
        size_below=_integer(singles, "ObjectSizeLessThan"),
        form="and" if form == "and" else "filter",
    )


def _tag(node: Node) -> tuple[str, str]:
    singles = single_children(node, {"Key", "Value"})
    if len(singles) != 2:
        raise S3Error("MalformedXML")
    key, value = _leaf(singles["Key"]), _leaf(singles["Value"])
    if not 0 < len(key) <= 128:
        raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
    if len(value) > 256:
        raise S3Error("InvalidTag", "The TagValue you have provided is invalid", TagKey=key)
    return key, value


def _expiration(node: Node | None) -> Expiration | None:
    if node is None:
        return None
    singles = single_children(node, {"Days", "Date", "ExpiredObjectDeleteMarker"})
    if len(singles) != 1:
        raise S3Error("MalformedXML")
    return Expiration(_integer(singles, "Days"), _date_ns(singles), _lone_markers(singles))


def _lone_markers(singles: dict[str, Node]) -> bool | None:
    if "ExpiredObjectDeleteMarker" not in singles:
        return None
    text = _text(singles, "ExpiredObjectDeleteMarker")
    if text not in ("true", "false"):
        raise S3Error("MalformedXML")
    return text == "true"


def _noncurrent_expiration(node: Node | None) -> NoncurrentExpiration | None:
    if node is None:
        return None
    singles = single_children(node, {"NoncurrentDays", "NewerNoncurrentVersions"})
    days = _integer(singles, "NoncurrentDays")
    if days is None:
        raise S3Error("MalformedXML")
    return NoncurrentExpiration(days, _integer(singles, "NewerNoncurrentVersions"))


def _abort_days(node: Node | None) -> int | None:
    if node is None:
        return None
    days = _integer(single_children(node, {"DaysAfterInitiation"}), "DaysAfterInitiation")
    if days is None:
        raise S3Error("MalformedXML")
    return days


def _transition(node: Node) -> Transition:
    singles = single_children(node, {"Days", "Date", "StorageClass"})
    if "StorageClass" not in singles or len(singles) != 2:
        raise S3Error("MalformedXML")
    return Transition(_text(singles, "StorageClass"), _integer(singles, "Days"), _date_ns(singles))


def _noncurrent_transition(node: Node) -> Transition:
    names = {"NoncurrentDays", "StorageClass", "NewerNoncurrentVersions"}
    singles = single_children(node, names)
    days = _integer(singles, "NoncurrentDays")
    if "StorageClass" not in singles or days is None:
        raise S3Error("MalformedXML")
    newer = _integer(singles, "NewerNoncurrentVersions")
    return Transition(_text(singles, "StorageClass"), days, newer=newer)


def _leaf(node: Node) -> str:
    if node.children:
        raise S3Error("MalformedXML")
    return node.text


def _text(singles: dict[str, Node], name: str) -> str:
    return _leaf(singles[name]).strip() if name in singles else ""


def _integer(singles: dict[str, Node], name: str) -> int | None:
    if name not in singles:
        return None
    text = _text(singles, name)
    if not _INTEGER.fullmatch(text):
        raise S3Error("MalformedXML")
    return int(text)


def _date_ns(singles: dict[str, Node]) -> int | None:
    if "Date" not in singles:
        return None
    text = _text(singles, "Date")
    if not _DATE.fullmatch(text):
        raise S3Error("MalformedXML")
    try:
        date = datetime.fromisoformat(text)
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, OverflowError):
        raise S3Error("MalformedXML") from None
    if date.year < 1970 or (date.hour, date.minute, date.second, date.microsecond) != (0, 0, 0, 0):
        raise invalid_argument("'Date' must be at midnight GMT", "Date", text)
    return int(date.timestamp()) * 1_000_000_000


def _rule_element(rule: Rule) -> str:
    content = element("ID", rule.id) + _filter_element(rule.filter)
    content += element("Status", "Enabled" if rule.enabled else "Disabled")
    for transition in rule.transitions:
        content += f"<Transition>{_when(transition.days, transition.date_ns)}"
        content += element("StorageClass", transition.storage_class) + "</Transition>"
    if rule.expiration is not None:
        wanted = rule.expiration
        marker = {None: "", True: "true", False: "false"}[wanted.lone_markers]
        content += f"<Expiration>{_when(wanted.days, wanted.date_ns)}"
        content += element("ExpiredObjectDeleteMarker", marker) if marker else ""
        content += "</Expiration>"
    for transition in rule.noncurrent_transitions:
        content += f"<NoncurrentVersionTransition>{_noncurrent(transition)}"
        content += element("StorageClass", transition.storage_class)
        content += "</NoncurrentVersionTransition>"
    if rule.noncurrent_expiration is not None:
        kept = _noncurrent(rule.noncurrent_expiration)
        content += f"<NoncurrentVersionExpiration>{kept}</NoncurrentVersionExpiration>"
    if rule.abort_days is not None:
        days = element("DaysAfterInitiation", str(rule.abort_days))
        content += f"<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>"
    return f"<Rule>{content}</Rule>"


def _when(days: int | None, date_ns: int | None) -> str:
    found = "" if days is None else element("Days", str(days))
    return found if date_ns is None else found + element("Date", iso8601(date_ns))


def _noncurrent(wanted: Transition | NoncurrentExpiration) -> str:
    newer = wanted.newer
    found = element("NoncurrentDays", str(wanted.days))
    return found if newer is None else found + element("NewerNoncurrentVersions", str(newer))


def _filter_element(found: Filter) -> str:
    content = "" if found.prefix is None else element("Prefix", found.prefix)
    if found.form == "prefix":
        return content
    for key, value in found.tags:
        content += f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>"
    if found.size_above is not None:
        content += element("ObjectSizeGreaterThan", str(found.size_above))
    if found.size_below is not None:
        content += element("ObjectSizeLessThan", str(found.size_below))
    if found.form == "and":
        content = f"<And>{content}</And>"
    return f"<Filter>{content}</Filter>"
