"""Times on the wire: HTTP dates (RFC 9110 §5.6.7) and the ISO 8601 form of S3's documents.

Inside, a time is an integer of nanoseconds since the epoch.
"""

from calendar import timegm
from functools import lru_cache
from time import gmtime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "",
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS) if name}
_SECONDS_AND_MILLISECONDS: Final = tuple(f"{number:02}." for number in range(60))
_MILLISECONDS: Final = tuple(f"{number:03}Z" for number in range(1000))


def http_date(ns: int) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`; a second's text is made once."""
    return _http_date(ns // 1_000_000_000)


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    t = gmtime(seconds)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon]} {t.tm_year:04}"
        f" {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def iso8601(ns: int) -> str:
    """`1994-11-06T08:49:37.000Z`, milliseconds truncated."""
    minute, ms = divmod(ns // 1_000_000, 60_000)
    second, ms = divmod(ms, 1000)
    return _iso_minute(minute) + _SECONDS_AND_MILLISECONDS[second] + _MILLISECONDS[ms]


def iso_seconds(seconds: float) -> str:
    """ISO 8601 in whole seconds, the form of error documents."""
    return iso8601(int(seconds) * 1_000_000_000)[:19] + "Z"


@lru_cache(maxsize=4096)
def _iso_minute(minute: int) -> str:
    t = gmtime(minute * 60)
    return f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:"


def parse_http_date(value: str) -> int | None:
    """Seconds since the epoch of an HTTP date in any of its three forms; None: not a date."""
    tokens = value.replace(",", " ").split()
    try:
        if len(tokens) == 6 and tokens[5] in ("GMT", "UTC", "+0000"):
            return _seconds(tokens[1], tokens[2], tokens[3], tokens[4])
        if len(tokens) == 4 and tokens[3] == "GMT":
            day, month, year = tokens[1].split("-")
            return _seconds(day, month, _full_year(year), tokens[2])
        if len(tokens) == 5:
            return _seconds(tokens[2], tokens[1], tokens[4], tokens[3])
    except (ValueError, KeyError):
        return None
    return None


def _full_year(two_digits: str) -> str:
    """RFC 850 years: a date more than 50 years ahead means the last century."""
    year = int(two_digits) + 2000
    return str(year - 100 if year > gmtime().tm_year + 50 else year)


def _seconds(day: str, month: str, year: str, clock: str) -> int:
    hour, minute, second = (int(piece) for piece in clock.split(":"))
    day_number, month_number, year_number = int(day), _MONTH_NUMBERS[month.lower()], int(year)
    if not (1 <= day_number <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(clock)
    return timegm((year_number, month_number, day_number, hour, minute, second))
