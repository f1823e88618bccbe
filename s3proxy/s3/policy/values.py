"""Numbers, times and addresses in conditions: of the policy, strictly; of the request, as they are.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators"; W3C, "Date and Time
Formats" (a profile of ISO 8601).
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = tuple[int, int]  # version, value
Network = tuple[int, int, int]  # version, mask, value under it

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)
_EPOCH: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def number(text: str) -> Decimal | None:
    """A decimal number of at most 30 digits before and behind the point."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def seconds(text: str) -> Decimal | None:
    """A date, or seconds since the epoch, as seconds since the epoch."""
    match = _DATE.fullmatch(text)
    # Four digits alone are a year.
    if match is None:
        return Decimal(text) if _EPOCH.fullmatch(text) else None
    if "T" not in text:
        text = "-".join((match[1], match[2] or "01", match[3] or "01")) + "T00:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
        since = moment - _START
    except (ValueError, OverflowError):
        return None
    return Decimal(since.days * 86_400 + since.seconds) + Decimal(since.microseconds) / 1_000_000


_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def address(text: str) -> Address | None:
    """An IP address; one of IPv4 in the clothes of IPv6 is one of IPv4."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.version, int(found)


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """An address, or a range in CIDR notation, whose host bits do not matter."""
    try:
        return ip_network(text, strict=False) if "%" not in text else None
    except ValueError:
        return None


def network(text: str) -> Network | None:
    """A range, ready to be compared with an address."""
    found = parse_network(text)
    if found is None:
        return None
    return found.version, int(found.netmask), int(found.network_address)
