"""Records of events on their way; the rules for records are in catalog/records.py."""

from s3proxy.catalog.records import Record
from s3proxy.s3.events import Event


class EventRecord(Record, frozen=True, kw_only=True):
    """An event on its way to a destination, or one that did not get there.

    Attributes:
        queued_ns: when it was put into the queue; what its age is counted from.
        tries, error, died_ns: of a dead letter: how often it was refused, why at last, and when it
            was given up.
    """

    event: Event
    queued_ns: int
    tries: int = 0
    error: str = ""
    died_ns: int = 0


class EventCounts(Record, frozen=True, kw_only=True):
    """How many events of a destination wait and are dead letters, and how many are lost."""

    pending: int = 0
    dead: int = 0
    lost: int = 0
