"""What lifecycle rules may not say, each for itself and together.

Source: Amazon S3 User Guide, "Lifecycle configuration elements", "Lifecycle general
considerations for transitions"; codes and wording as observed from the service.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.lifecycle import WATERFALL, Expiration, Filter, Rule, Transition

RULES_MAX: Final = 1000
ID_CHARACTERS_MAX: Final = 255
NEWER_MAX: Final = 100
_DAYS_MAX: Final = 2**31 - 1
_SIZE_MAX: Final = 50 * 2**40
TARGETS: Final = frozenset(WATERFALL) - {"STANDARD", "REDUCED_REDUNDANCY"}
_AT_LEAST_30_DAYS: Final = frozenset({"STANDARD_IA", "ONEZONE_IA"})


def check_rules(rules: Sequence[Rule]) -> None:
    """Check what holds between rules.

    Raises:
        S3Error: InvalidRequest (too many, two kinds of rule mixed, overlaps of the old kind),
            InvalidArgument (an id twice).
    """
    if len(rules) > RULES_MAX:
        message = (
            f"The number of lifecycle rules must not exceed the allowed limit of {RULES_MAX} rules"
        )
        raise S3Error("InvalidRequest", message)
    ids = set()
    for rule in rules:
        if rule.id in ids:
            message = "Rule ID must be unique. Found same ID for more than one rule"
            raise invalid_argument(message, "ID", rule.id)
        ids.add(rule.id)
    old = [rule for rule in rules if rule.filter.form == "prefix"]
    if old and len(old) < len(rules):
        raise S3Error("InvalidRequest", "Filter element can only be used in Lifecycle V2.")
    for action in ("Expiration", "Transition"):
        _check_overlap(action, [rule for rule in old if _has(rule, action)])


def check_rule(rule: Rule) -> None:
    """Check one rule.

    Raises:
        S3Error: InvalidRequest, InvalidArgument, MalformedXML (an unknown storage class).
    """
    if len(rule.id) > ID_CHARACTERS_MAX:
        message = f"ID length should not exceed allowed limit of {ID_CHARACTERS_MAX}"
        raise invalid_argument(message, "ID", rule.id)
    _check_filter(rule)
    if not (
        rule.expiration
        or rule.noncurrent_expiration
        or rule.abort_days is not None
        or rule.transitions
        or rule.noncurrent_transitions
    ):
        raise S3Error("InvalidRequest", "At least one action needs to be specified in a rule")
    _check_days(rule)
    _check_transitions(rule, "Transition", "Days", rule.transitions)
    name = "NoncurrentVersionTransition"
    _check_transitions(rule, name, "NoncurrentDays", rule.noncurrent_transitions)
    _check_order(rule)


def _has(rule: Rule, action: str) -> bool:
    return bool(rule.expiration if action == "Expiration" else rule.transitions)


def _check_overlap(action: str, rules: Sequence[Rule]) -> None:
    """Of rules of the old kind none may begin where another does.

    In order of their prefixes, one that begins another's stands before it, with only such between
    them that it begins, too: neighbours are all that has to be compared.
    """
    prefixes = sorted(rule.filter.prefix or "" for rule in rules)
    for before, prefix in pairwise(prefixes):
        if prefix.startswith(before):
            message = (
                f"Found overlapping prefixes '{prefix}' and '{before}' for same action type"
                f" '{action}'"
            )
            raise S3Error("InvalidRequest", message)


def _check_filter(rule: Rule) -> None:
    wanted = rule.filter
    if wanted.prefix is not None and len(wanted.prefix.encode()) > 1024:
        message = "The maximum size of a prefix is 1024."
        raise S3Error("InvalidRequest", message)
    for name, size in (
        ("ObjectSizeGreaterThan", wanted.size_above),
        ("ObjectSizeLessThan", wanted.size_below),
    ):
        if size is not None and not 0 <= size <= _SIZE_MAX:
            raise S3Error("InvalidRequest", f"'{name}' must be between 0 and {_SIZE_MAX} bytes")
    above, below = wanted.size_above, wanted.size_below
    if above is not None and below is not None and below <= above:
        message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        raise S3Error("InvalidRequest", message)
    if rule.abort_days is not None:
        _refuse_object_filter("AbortIncompleteMultipartUpload", wanted)
    if rule.expiration is not None and rule.expiration.lone_markers is not None:
        _refuse_object_filter("ExpiredObjectDeleteMarker", wanted)


def _refuse_object_filter(action: str, wanted: Filter) -> None:
    """What has no tags and no size cannot be chosen by them."""
    if wanted.tags:
        raise S3Error("InvalidRequest", f"{action} cannot be specified with Tags.")
    if wanted.sized:
        raise S3Error("InvalidRequest", f"{action} cannot be specified with Object Size.")


def _check_days(rule: Rule) -> None:
    for action, name, days in _days_of(rule):
        if not 0 < days <= _DAYS_MAX:
            message = f"'{name}' for {action} action must be a positive integer"
            raise invalid_argument(message, name, str(days))
    newer = rule.noncurrent_expiration.newer if rule.noncurrent_expiration else None
    _check_newer("NoncurrentVersionExpiration", newer, rule.filter)


def _days_of(rule: Rule) -> Iterator[tuple[str, str, int]]:
    if rule.expiration is not None and rule.expiration.days is not None:
        yield "Expiration", "Days", rule.expiration.days
    if rule.noncurrent_expiration is not None:
        yield "NoncurrentVersionExpiration", "NoncurrentDays", rule.noncurrent_expiration.days
    if rule.abort_days is not None:
        yield "AbortIncompleteMultipartUpload", "DaysAfterInitiation", rule.abort_days


def _check_newer(action: str, newer: int | None, wanted: Filter) -> None:
    if newer is None:
        return
    if not 0 < newer <= NEWER_MAX:
        message = f"'NewerNoncurrentVersions' for {action} action must be between 1 and {NEWER_MAX}"
        raise invalid_argument(message, "NewerNoncurrentVersions", str(newer))
    if wanted.form == "prefix":
        message = "NewerNoncurrentVersions can only be used with the Filter element."
        raise S3Error("InvalidRequest", message)


def _check_transitions(
    rule: Rule, action: str, name: str, transitions: Sequence[Transition]
) -> None:
    classes = set()
    for transition in transitions:
        if transition.storage_class not in TARGETS:
            raise S3Error("MalformedXML")
        if transition.storage_class in classes:
            message = (
                f"'StorageClass' must be different for '{action}' actions in same 'Rule' with"
                f" {_named(rule.filter)}"
            )
            raise S3Error("InvalidRequest", message)
        classes.add(transition.storage_class)
        _check_transition_days(action, name, transition)
        _check_newer(action, transition.newer, rule.filter)


def _check_transition_days(action: str, name: str, transition: Transition) -> None:
    days = transition.days
    if days is None:
        return
    if not 0 <= days <= _DAYS_MAX:
        message = f"'{name}' in {action} action must be nonnegative"
        raise invalid_argument(message, name, str(days))
    if transition.storage_class in _AT_LEAST_30_DAYS and days < 30:
        message = (
            f"'{name}' in {action} action must be greater than or equal to 30 for storageClass"
            f" '{transition.storage_class}'"
        )
        raise invalid_argument(message, name, str(days))


def _check_order(rule: Rule) -> None:
    """Expiration comes after every transition, and all count days, or all have dates."""
    last = rule.expiration or Expiration()
    dated = {transition.date_ns is not None for transition in rule.transitions}
    if last.days is not None or last.date_ns is not None:
        dated.add(last.date_ns is not None)
    if len(dated) > 1:
        message = (
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle"
            f" rule for {_named(rule.filter)}"
        )
        raise S3Error("InvalidRequest", message)
    for transition in rule.transitions:
        if _not_after(last.days, transition.days):
            raise _too_early("Days", "Expiration", "Transition", rule)
        if _not_after(last.date_ns, transition.date_ns):
            raise _too_early("Date", "Expiration", "Transition", rule)
    final = rule.noncurrent_expiration
    for transition in rule.noncurrent_transitions:
        if final is not None and final.days <= (transition.days or 0):
            name = "NoncurrentDays"
            raise _too_early(
                name, "NoncurrentVersionExpiration", "NoncurrentVersionTransition", rule
            )


def _not_after(last: int | None, first: int | None) -> bool:
    return last is not None and first is not None and last <= first


def _too_early(name: str, last: str, first: str, rule: Rule) -> S3Error:
    message = (
        f"'{name}' in the {last} action for {_named(rule.filter)} must be greater than '{name}' in"
        f" the {first} action"
    )
    return S3Error("InvalidArgument", message)


def _named(wanted: Filter) -> str:
    prefix = wanted.prefix or ""
    return f"prefix '{prefix}'" if wanted.form == "prefix" else f"filter '(prefix={prefix})'"
