"""Lifecycle rules of a bucket: what they apply to, and when they ask for what.

A rule counts days from when an object was made, or became noncurrent, or an upload began, and acts
at the midnight (UTC) that ends the last of them. Nothing here knows the time of day or a bucket.

Source: Amazon S3 User Guide, "Lifecycle configuration elements", "Setting an S3 Lifecycle
configuration", "Conflicts in lifecycle configurations"; API Reference, "LifecycleRule".
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from s3proxy.s3.time import http_date

DAY_NS: Final = 24 * 3600 * 1_000_000_000
# From dear to cheap: a transition goes this way only.
WATERFALL: Final = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA"),
    *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
)
ALL_128K: Final = "all_storage_classes_128K"
VARIES: Final = "varies_by_storage_class"
_SMALL_BYTES: Final = 128 * 1024
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Filter(msgspec.Struct, frozen=True):
    """Which objects a rule applies to: all that have everything that is named here.

    Attributes:
        form: how the document says it: "prefix" (the rule's own Prefix, of the first version of
            these rules), "filter", or "and" within a filter.
    """

    prefix: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    size_above: int | None = None
    size_below: int | None = None
    form: Literal["prefix", "filter", "and"] = "filter"

    @property
    def sized(self) -> bool:
        """Whether it looks at the size."""
        return self.size_above is not None or self.size_below is not None

    def matches(self, key: str, size: int, tags: Mapping[str, str]) -> bool:
        """Whether the rule applies to such an object."""
        return (
            (not self.prefix or key.startswith(self.prefix))
            and (self.size_above is None or size > self.size_above)
            and (self.size_below is None or size < self.size_below)
            and all(tags.get(name) == value for name, value in self.tags)
        )


class Expiration(msgspec.Struct, frozen=True):
    """When current versions expire: after days, from a date on, or markers that hide nothing."""

    days: int | None = None
    date_ns: int | None = None
    lone_markers: bool | None = None


class NoncurrentExpiration(msgspec.Struct, frozen=True):
    """When noncurrent versions are removed; `newer` of them are kept whatever their age."""

    days: int
    newer: int | None = None


class Transition(msgspec.Struct, frozen=True):
    """When versions move to another storage class; `newer` as in NoncurrentExpiration."""

    storage_class: str
    days: int | None = None
    date_ns: int | None = None
    newer: int | None = None


class Rule(msgspec.Struct, frozen=True):
    """One rule; what it does not ask for is None or empty."""

    id: str
    enabled: bool
    filter: Filter
    expiration: Expiration | None = None
    noncurrent_expiration: NoncurrentExpiration | None = None
    abort_days: int | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()


class Lifecycle(msgspec.Struct, frozen=True):
    """The rules of a bucket; `minimum` says which objects are too small to be moved."""

    rules: tuple[Rule, ...]
    minimum: str = ALL_128K


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What rules look at of an object's version.

    Attributes:
        noncurrent_ns: when it became noncurrent; None: it is the current one.
        newer: noncurrent versions of the key that are newer than this noncurrent one.
        alone: it is the only version of its key.
    """

    key: str
    size: int
    modified_ns: int
    tags: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    marker: bool = False
    noncurrent_ns: int | None = None
    newer: int = 0
    alone: bool = True


class Verdict(msgspec.Struct, frozen=True):
    """What is to be done with a version.

    Attributes:
        action: "expire" what is current, "remove" one version for good, "move" it.
        storage_class: where to.
    """

    action: Literal["expire", "remove", "move"]
    storage_class: str = ""


class Due(msgspec.Struct, frozen=True, order=True):
    """When a rule acts."""

    at_ns: int
    rule_id: str


def midnight_after(ns: int, days: int) -> int:
    """The first midnight (UTC) that is at least `days` days after a time."""
    return -(-(ns + days * DAY_NS) // DAY_NS) * DAY_NS


def expiration_of(lifecycle: Lifecycle, version: Version) -> Due | None:
    """When the current version, which is no marker, expires, and by which rule: the first."""
    return min(_expirations(lifecycle, version), default=None)


def abortion_of(lifecycle: Lifecycle, key: str, initiated_ns: int) -> Due | None:
    """When an upload that is still unfinished is aborted, and by which rule."""
    found = (
        Due(midnight_after(initiated_ns, rule.abort_days), rule.id)
        for rule in lifecycle.rules
        if rule.enabled and rule.abort_days is not None and rule.filter.matches(key, 0, {})
    )
    return min(found, default=None)


def judge(
    lifecycle: Lifecycle, version: Version, now_ns: int, *, versioned: bool = False
) -> Verdict | None:
    """What the rules ask to be done with a version now; None: nothing.

    Of several actions the lasting removal goes first, then the move, and only then the expiry that
    merely hides the object, in a bucket with versions.
    """
    if version.noncurrent_ns is not None:
        return _judge_noncurrent(lifecycle, version, version.noncurrent_ns, now_ns)
    if version.marker:
        lone = version.alone and _lone_marker_due(lifecycle, version, now_ns)
        return Verdict("remove") if lone else None
    due = expiration_of(lifecycle, version)
    expires = due is not None and due.at_ns <= now_ns
    if expires and not versioned:
        return Verdict("expire")
    target = _target(lifecycle, version, version.modified_ns, now_ns)
    if target:
        return Verdict("move", target)
    return Verdict("expire") if expires else None


def expiration_header(due: Due) -> str:
    """Value of x-amz-expiration; the rule's id is percent-encoded, as by S3."""
    return f'expiry-date="{http_date(due.at_ns)}", rule-id="{quote(due.rule_id, safe="")}"'


def abort_headers(due: Due) -> list[tuple[str, str]]:
    """The headers that tell when an upload is aborted."""
    return [
        ("x-amz-abort-date", http_date(due.at_ns)),
        ("x-amz-abort-rule-id", quote(due.rule_id, safe="")),
    ]


def _applying(lifecycle: Lifecycle, version: Version) -> Iterator[Rule]:
    for rule in lifecycle.rules:
        if rule.enabled and rule.filter.matches(version.key, version.size, version.tags):
            yield rule


def _expirations(lifecycle: Lifecycle, version: Version) -> Iterator[Due]:
    for rule in _applying(lifecycle, version):
        if rule.expiration is None:
            continue
        if rule.expiration.date_ns is not None:
            yield Due(rule.expiration.date_ns, rule.id)
        elif rule.expiration.days is not None:
            yield Due(midnight_after(version.modified_ns, rule.expiration.days), rule.id)


def _lone_marker_due(lifecycle: Lifecycle, version: Version, now_ns: int) -> bool:
    """A marker that hides nothing goes with ExpiredObjectDeleteMarker, or when old enough."""
    return any(due.at_ns <= now_ns for due in _expirations(lifecycle, version)) or any(
        rule.expiration is not None and rule.expiration.lone_markers
        for rule in _applying(lifecycle, version)
    )


def _judge_noncurrent(
    lifecycle: Lifecycle, version: Version, since_ns: int, now_ns: int
) -> Verdict | None:
    for rule in _applying(lifecycle, version):
        wanted = rule.noncurrent_expiration
        if (
            wanted is not None
            and version.newer >= (wanted.newer or 0)
            and midnight_after(since_ns, wanted.days) <= now_ns
        ):
            return Verdict("remove")
    if version.marker:
        return None
    target = _target(lifecycle, version, since_ns, now_ns)
    return Verdict("move", target) if target else None


def _target(lifecycle: Lifecycle, version: Version, since_ns: int, now_ns: int) -> str:
    """The cheapest class that a rule wants the version in by now; "" when it stays."""
    best = _rank(version.storage_class)
    target = ""
    for rule in _applying(lifecycle, version):
        noncurrent = version.noncurrent_ns is not None
        for wanted in rule.noncurrent_transitions if noncurrent else rule.transitions:
            if (
                _rank(wanted.storage_class) > best
                and version.newer >= (wanted.newer or 0)
                and _start_ns(wanted, since_ns) <= now_ns
                and _large_enough(lifecycle, rule, wanted.storage_class, version.size)
            ):
                best, target = _rank(wanted.storage_class), wanted.storage_class
    return target


def _start_ns(wanted: Transition, since_ns: int) -> int:
    if wanted.date_ns is not None:
        return wanted.date_ns
    return midnight_after(since_ns, wanted.days or 0)


def _large_enough(lifecycle: Lifecycle, rule: Rule, storage_class: str, size: int) -> bool:
    """Small objects cost more to move than they save; a rule that looks at the size decides."""
    if size >= _SMALL_BYTES or rule.filter.sized:
        return True
    return lifecycle.minimum == VARIES and storage_class in _ARCHIVES


def walked_prefixes(lifecycle: Lifecycle) -> list[str]:
    """The prefixes of the keys whose versions some rule may do something with, none twice."""
    wanted = {
        rule.filter.prefix or ""
        for rule in lifecycle.rules
        if rule.enabled
        and (
            rule.expiration
            or rule.noncurrent_expiration
            or rule.transitions
            or rule.noncurrent_transitions
        )
    }
    kept: list[str] = []
    for prefix in sorted(wanted):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def _rank(storage_class: str) -> int:
    return WATERFALL.index(storage_class) if storage_class in WATERFALL else 0


def storage_classes(rules: Iterable[Rule]) -> set[str]:
    """The classes that rules move objects to."""
    return {
        transition.storage_class
        for rule in rules
        for transition in (*rule.transitions, *rule.noncurrent_transitions)
    }
