"""Times as they are told."""

from s3proxy.s3.time import iso8601


def told_time(time_ns: int) -> str | None:
    """ISO 8601 in UTC; None for a time that there is not, which is kept as 0."""
    return iso8601(time_ns) if time_ns else None
