"""Object lock: what keeps a version from being deleted, and who may loosen it.

A version is kept until a date (its retention), or until its legal hold is lifted. Retention in
COMPLIANCE mode may only grow; in GOVERNANCE mode a sender with the right to bypass it may do all.
Source: Amazon S3 User Guide, "Locking objects with Object Lock".
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.headers import Headers
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse

MODES: Final = frozenset({"GOVERNANCE", "COMPLIANCE"})
HOLDS: Final = frozenset({"ON", "OFF"})
_DAY_NS: Final = 86_400 * 1_000_000_000
_DAYS_A_YEAR: Final = 365
_YEARS_MAX: Final = 100
_LOCKED: Final = "Access Denied because object protected by object lock."
_MODE: Final = b"x-amz-object-lock-mode"
_UNTIL: Final = b"x-amz-object-lock-retain-until-date"
_UNTIL_NS_MAX: Final = (1 << 63) - 1  # what records can hold
_HOLD: Final = b"x-amz-object-lock-legal-hold"


class ObjectLock(msgspec.Struct, array_like=True, frozen=True):
    """What locks one version.

    Attributes:
        mode: "GOVERNANCE", "COMPLIANCE", or "" without retention.
        retain_until_ns: nanoseconds since the epoch.
        legal_hold: "ON", "OFF", or "" where none was ever put.
    """

    mode: str = ""
    retain_until_ns: int = 0
    legal_hold: str = ""

    def check_deletion(self, now_ns: int, *, bypass_governance: bool) -> None:
        """Refuse to let the version go.

        Raises:
            S3Error: AccessDenied.
        """
        held = self.legal_hold == "ON"
        retained = self.retain_until_ns > now_ns
        if held or (retained and not (self.mode == "GOVERNANCE" and bypass_governance)):
            raise S3Error("AccessDenied", _LOCKED)

    def retained(
        self, wanted: "Retention", now_ns: int, *, bypass_governance: bool
    ) -> "ObjectLock":
        """This lock with another retention.

        Raises:
            S3Error: AccessDenied where it would become looser.
        """
        loosened = wanted.mode != self.mode or wanted.until_ns < self.retain_until_ns
        if self.retain_until_ns > now_ns and loosened:
            governed = self.mode == "GOVERNANCE" and bypass_governance
            if not governed:
                raise S3Error("AccessDenied", _LOCKED)
        return msgspec.structs.replace(self, mode=wanted.mode, retain_until_ns=wanted.until_ns)


class Retention(msgspec.Struct, frozen=True):
    """A retention that is asked for; mode "" takes away the one that is there."""

    mode: str
    until_ns: int


class DefaultRetention(msgspec.Struct, frozen=True):
    """What a bucket gives to new objects: days or years, the other is 0."""

    mode: str
    days: int = 0
    years: int = 0

    def lock_from(self, now_ns: int) -> ObjectLock:
        """The lock of an object made now."""
        days = self.days + self.years * _DAYS_A_YEAR
        return ObjectLock(self.mode, now_ns + days * _DAY_NS)


def parse_lock_headers(headers: Headers, now_ns: int) -> ObjectLock | None:
    """The lock that the x-amz-object-lock-* headers of a write ask for; None: they do not.

    Raises:
        S3Error: InvalidArgument.
    """
    mode, until, hold = headers.get(_MODE), headers.get(_UNTIL), headers.get(_HOLD)
    if mode is None and until is None and hold is None:
        return None
    if (mode is None) != (until is None):
        missing, given = (_UNTIL, _MODE) if until is None else (_MODE, _UNTIL)
        message = f"{_UNTIL.decode()} and {_MODE.decode()} must both be supplied"
        raise invalid_argument(message, missing.decode(), headers.get(given) or "")
    if mode is not None and mode not in MODES:
        raise invalid_argument("Unknown wormMode directive.", _MODE.decode(), mode)
    if hold is not None and hold not in HOLDS:
        message = "Legal Hold must be either of 'ON' or 'OFF'"
        raise invalid_argument(message, _HOLD.decode(), hold)
    until_ns = 0
    if until is not None:
        found = parse_date(until)
        if found is None:
            message = "The retain until date must be provided in ISO 8601 format"
            raise invalid_argument(message, _UNTIL.decode(), until)
        until_ns = _in_future(found, now_ns, until)
    return ObjectLock(mode or "", until_ns, hold or "")


def parse_lock_enabled(headers: Headers) -> bool:
    """Whether CreateBucket asks for object lock.

    Raises:
        S3Error: InvalidArgument.
    """
    name = "x-amz-bucket-object-lock-enabled"
    value = headers.get(name.encode()) or "false"
    if value.lower() not in ("true", "false"):
        raise invalid_argument("Value must be either 'true' or 'false'", name, value)
    return value.lower() == "true"


def bypasses_governance(headers: Headers) -> bool:
    """Whether a request wants to pass a GOVERNANCE retention; it needs the right to."""
    return (headers.get(b"x-amz-bypass-governance-retention") or "").lower() == "true"


def lock_headers(lock: ObjectLock) -> list[tuple[str, str]]:
    """What GET and HEAD tell of a lock."""
    headers = []
    if lock.mode:
        headers.append((_MODE.decode(), lock.mode))
        headers.append((_UNTIL.decode(), iso8601(lock.retain_until_ns)))
    if lock.legal_hold:
        headers.append((_HOLD.decode(), lock.legal_hold))
    return headers


def read_retention(body: bytes, now_ns: int) -> Retention:
    """Body of PutObjectRetention.

    Raises:
        S3Error: MalformedXML; InvalidArgument for a date that has passed.
    """
    root = parse(body, "Retention", CONFIGURATION_BYTES_MAX)
    mode, until = root.child_text("Mode"), root.child_text("RetainUntilDate")
    if mode is None and until is None and not root.children:
        return Retention("", 0)
    until_ns = None if until is None else parse_date(until.strip())
    if mode not in MODES or mode is None or until is None or until_ns is None:
        raise S3Error("MalformedXML")
    return Retention(mode, _in_future(until_ns, now_ns, until))


def retention_document(lock: ObjectLock) -> bytes:
    """Answer of GetObjectRetention."""
    until = element("RetainUntilDate", iso8601(lock.retain_until_ns))
    return document("Retention", element("Mode", lock.mode) + until)


def read_legal_hold(body: bytes) -> str:
    """Body of PutObjectLegalHold: "ON" or "OFF".

    Raises:
        S3Error: MalformedXML.
    """
    status = parse(body, "LegalHold", CONFIGURATION_BYTES_MAX).child_text("Status")
    if status not in HOLDS or status is None:
        raise S3Error("MalformedXML")
    return status


def legal_hold_document(status: str) -> bytes:
    """Answer of GetObjectLegalHold."""
    return document("LegalHold", element("Status", status))


def read_lock_configuration(body: bytes) -> DefaultRetention | None:
    """Body of PutObjectLockConfiguration; None: object lock without a default retention.

    Raises:
        S3Error: MalformedXML, InvalidRetentionPeriod.
    """
    root = parse(body, "ObjectLockConfiguration", CONFIGURATION_BYTES_MAX)
    if root.child_text("ObjectLockEnabled") != "Enabled":
        raise S3Error("MalformedXML")
    rules = [child for child in root.children if child.name == "Rule"]
    if not rules:
        return None
    defaults = [child for child in rules[0].children if child.name == "DefaultRetention"]
    if len(rules) != 1 or len(defaults) != 1:
        raise S3Error("MalformedXML")
    return _default_retention(defaults[0])


def lock_configuration(default: DefaultRetention | None) -> bytes:
    """ObjectLockConfiguration of a bucket that has object lock."""
    content = element("ObjectLockEnabled", "Enabled")
    if default is not None:
        unit, count = ("Days", default.days) if default.days else ("Years", default.years)
        retention = element("Mode", default.mode) + element(unit, str(count))
        content += f"<Rule><DefaultRetention>{retention}</DefaultRetention></Rule>"
    return document("ObjectLockConfiguration", content)


def parse_date(text: str) -> int | None:
    """Nanoseconds since the epoch of an ISO 8601 time with its zone; None: it is none."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    if date.tzinfo is None or "T" not in text:
        return None
    since = date - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def _in_future(until_ns: int, now_ns: int, text: str) -> int:
    if until_ns <= now_ns:
        message = "The retain until date must be in the future!"
        raise invalid_argument(message, _UNTIL.decode(), text)
    if until_ns > _UNTIL_NS_MAX:
        message = "The retain until date must be before the year 2262"
        raise invalid_argument(message, _UNTIL.decode(), text)
    return until_ns


def _default_retention(node: Node) -> DefaultRetention:
    mode, days, years = (node.child_text(name) for name in ("Mode", "Days", "Years"))
    if mode not in MODES or mode is None or (days is None) == (years is None):
        raise S3Error("MalformedXML")
    if days is not None:
        return DefaultRetention(mode, days=_period(days, _YEARS_MAX * _DAYS_A_YEAR))
    return DefaultRetention(mode, years=_period(years or "", _YEARS_MAX))


def _period(text: str, maximum: int) -> int:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
        raise S3Error("MalformedXML")
    number = int(text)
    if number <= 0:
        message = "Default retention period must be a positive integer value."
        raise S3Error("InvalidRetentionPeriod", message)
    if number > maximum:
        raise S3Error("InvalidRetentionPeriod", "Default retention period is too large.")
    return number
