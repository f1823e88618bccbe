"""What an operation gets: the request, who sent it, and the services it may use.

The gateway builds one `Call` per request and runs the function that `OPERATIONS` has for its route.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from s3proxy.backends.health import Health
from s3proxy.catalog.elsewhere import PREFIX
from s3proxy.catalog.records import ObjectRecord
from s3proxy.catalog.tables import MARKS
from s3proxy.ops.bucket_access import Access, AccessTable
from s3proxy.ops.held_payload import HeldBytes
from s3proxy.ops.key_locks import KeyLocks
from s3proxy.ops.region_table import Region, relaying_backend
from s3proxy.ops.storage_classes import PlainWriters
from s3proxy.placement import Facts
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml_acl import ENFORCED

if TYPE_CHECKING:
    from s3proxy.backends.store import Backend
    from s3proxy.catalog.catalog import Catalog
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.delivery.target import Target
    from s3proxy.http.client import Client
    from s3proxy.http.handler import Request
    from s3proxy.ops.backups import Backups
    from s3proxy.s3.auth import Verified
    from s3proxy.s3.placement import Rules
    from s3proxy.s3.routing import Route

MIB = 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and names that operations obey; the defaults are AWS's where AWS has one."""

    region: str = "us-east-1"
    default_backend: str = ""  # the backend of new buckets; empty: the first configured
    container_seed: int = 0  # keeps the physical bucket names of two deployments apart
    inline_bytes_max: int = 16 * 1024  # one LMDB overflow run of 4 pages; a blob costs two fsyncs
    put_bytes_max: int = 5 * 1024 * MIB
    object_bytes_max: int = 5 * 1024 * 1024 * MIB
    part_bytes_min: int = 5 * MIB
    storage_classes: dict[str, str] = {}  # those beside STANDARD, by the backend that holds them
    backup_backend: str = ""  # has the backups of the catalog; empty: none does
    sosapi: bool = False  # answer for Veeam's documents where a bucket has none
    spool_dir: str = ""  # where uploads of unknown length wait; empty: the system's for temporaries
    sse_c_over_http: bool = False
    encrypted_chunk_bytes: int = 64 * 1024  # as stored; at most what chunk_cipher.py takes
    held_bytes_max: int = 64 * MIB  # of payloads that are kept until a backend has them
    default_ownership: str = ENFORCED  # of new buckets, which decides on their other defaults, too


class Services:
    """The open parts of the process that operations use; one object for its whole life.

    Attributes:
        backups: of the catalog; None: none are made here.
        facts: what rules of placement ask, by backend.
        default_rules: of placement, for buckets and tenants that have none; None: there are none.
        targets: whom buckets may tell of events, by ARN.
        health: which backends work.
        regions: of other gateways, by name.
        held: memory for payloads of placed writes.
        draining: backends that are to hold nothing; what they have is owed to others.
        plain_writers: of the buckets that have no rules of placement.
    """

    __slots__ = (
        *("access", "backends", "backups", "catalog", "client", "clock_ns", "default_rules"),
        *("draining", "facts", "health", "held", "key_locks", "plain_writers", "regions"),
        *("settings", "targets"),
    )

    def __init__(
        self,
        catalog: Catalog,
        backends: Mapping[str, Backend],
        settings: Settings,
        *,
        client: Client | None = None,
        facts: Mapping[str, Facts] | None = None,
        default_rules: Rules | None = None,
        targets: Mapping[str, Target] | None = None,
        health: Health | None = None,
        regions: Mapping[str, Region] | None = None,
        backups: Backups | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.catalog = catalog
        self.access = AccessTable(catalog)
        self.backends = backends
        self.settings = settings
        self.client = client
        self.facts = facts or {name: Facts(name) for name in backends}
        self.default_rules = default_rules
        self.targets = targets or {}
        self.health = health or Health(backends)
        self.regions = regions or {}
        self.backups = backups
        self.held = HeldBytes(settings.held_bytes_max)
        self.clock_ns = clock_ns
        self.key_locks = KeyLocks()
        self.draining = catalog.draining()
        catalog.engine.on_change(self._look_for_draining, MARKS)
        self.plain_writers = PlainWriters(self)

    def _look_for_draining(self) -> None:
        self.draining = self.catalog.draining()

    def backend(self, name: str) -> Backend:
        """The backend of that name, or by which the buckets of another gateway are reached.

        Raises:
            S3Error: ServiceUnavailable; a bucket or blob is on one that is no longer configured.
                InvalidRequest for another gateway that clients have to ask themselves.
        """
        backend = self.backends.get(name)
        if backend is None and name.startswith(PREFIX):
            return relaying_backend(self.regions, name)
        if backend is None:
            message = "The backend that holds this data is not configured."
            raise S3Error("ServiceUnavailable", message)
        return backend

    def now_ns(self) -> int:
        """The time in nanoseconds, whole milliseconds: what object times are kept in."""
        return self.clock_ns() // 1_000_000 * 1_000_000


class LookedAt(msgspec.Struct, frozen=True):
    """An object as it was when a decision was taken about it.

    Attributes:
        record: None: it was not there.
        by_acl, by_tags: whether these had a say, beside the owner.
    """

    record: ObjectRecord | None
    by_acl: bool = False
    by_tags: bool = False

    def require(self, record: ObjectRecord | None) -> None:
        """Check that the decision holds for what is there now.

        Raises:
            S3Error: ServiceUnavailable.
        """
        if not self.holds_for(record):
            raise S3Error("ServiceUnavailable", "The object was replaced meanwhile.")

    def holds_for(self, record: ObjectRecord | None) -> bool:
        """Whether all that the decision was about is the same."""
        before = self.record
        if record is None or before is None:
            return record is before
        return (
            record.owner == before.owner
            and (not self.by_acl or record.acl == before.acl)
            and (not self.by_tags or record.tags == before.tags)
        )


# Of what the table of operations finds: whoever looks for it before meets a bug, and fails.
_NOT_YET: Any = msgspec.UNSET


class Call(msgspec.Struct, eq=False):
    """One authenticated request on its way through an operation.

    Attributes:
        sender: who signed the request; ANONYMOUS, where nobody did.
        bucket, access: of the route; set by the operation table before the function of an operation
            on a bucket runs.
        configured: the bucket may have configurations that are not about access; False spares every
            look at one.
        batch: key, version id and error code of each object that a DeleteObjects named.
        target, source: the object of the route, and that of a copy's source, where authorisation
            was about them; None: whichever is there.
        document: the verified body, where authorisation had to read it.
        request_tags: the tags in it.
    """

    request: Request
    route: Route
    services: Services
    sender: Verified
    bucket: BucketRecord = _NOT_YET
    access: Access = _NOT_YET
    configured: bool = True
    batch: Sequence[tuple[str, str, str]] = ()
    target: LookedAt | None = None
    source: LookedAt | None = None
    document: bytes | None = None
    request_tags: dict[str, str] | None = None

    @property
    def on_bucket(self) -> bool:
        """Whether the bucket is found."""
        return self.bucket is not _NOT_YET
