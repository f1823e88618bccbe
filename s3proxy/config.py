"""Typed configuration: defaults, then a TOML file, then the environment.

The structs below are the whole of what can be configured; loading, overriding and the error
messages are in config_loading.py, so that this file reads as the reference. Units are last in
every name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from s3proxy.backends.breaker import HealthSettings
from s3proxy.config_backends import (
    BackendConfig,
    LocalBackendConfig,
    Names,
    RegionConfig,
    S3BackendConfig,
    names_in,
)
from s3proxy.http.limits import ServerLimits
from s3proxy.http.origin import ClientLimits
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.placement import Rules

__all__ = [
    "BackendConfig",
    "LocalBackendConfig",
    "Names",
    "RegionConfig",
    "S3BackendConfig",
    "names_in",
]

Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]  # what the kernel's calls take
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Copies = Annotated[int, Meta(ge=0, le=64)]


class ServerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The S3 port."""

    listen: str = "127.0.0.1:9000"
    region: str = "us-east-1"
    domain: Names = ""  # below which host names are buckets; empty: path style only
    website_domain: Names = ""  # below which host names are websites; empty: none are
    default_tenant: str = "main"  # of requests without a signature whose host names none
    trusted_proxies: Names = ""  # networks whose X-Forwarded headers count
    proxy_protocol: bool = False  # their connections begin with a header of the PROXY protocol
    tolerate_accept_encoding: bool = False  # a signed one may have been changed by a CDN
    tls_cert: str = ""
    tls_key: str = ""
    grace_s: Seconds = 30.0  # how long SIGTERM lets requests in flight go on
    connections_max: Count = 10_000
    backlog: Count = 1024
    head_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 75.0
    progress_timeout_s: Seconds = 60.0

    def limits(self) -> ServerLimits:
        """The part of this section that the HTTP server takes."""
        return ServerLimits(
            connections_max=self.connections_max,
            head_timeout_s=self.head_timeout_s,
            idle_timeout_s=self.idle_timeout_s,
            progress_timeout_s=self.progress_timeout_s,
        )


class ControlConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The control port: health, readiness, metrics. An empty `listen` turns it off."""

    listen: str = "127.0.0.1:8080"


class S3Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What S3 clients are allowed, where AWS has a newer way or none."""

    sosapi: bool = False  # Veeam's system.xml and capacity.xml in every bucket
    sigv2: bool = False  # take Signature Version 2 too; it signs no body
    sse_c_over_http: bool = False  # take customers' encryption keys where others may read them
    default_ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] = (
        "BucketOwnerEnforced"  # of new buckets; public access to them is blocked with this one only
    )


class DataConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The catalog and the small objects kept in it."""

    dir: str = "./data"
    map_size_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 42)] = 1 << 28  # grows by itself
    inline_bytes_max: Annotated[int, Meta(ge=0, le=1 << 20)] = 16 << 10
    garbage_grace_s: Seconds = (
        300.0  # how long a replaced blob stays readable for requests under way
    )
    # What a rebuild needs beside blobs: of buckets with rules of placement, or of every bucket.
    manifests: Literal["placed", "all"] = "placed"


class UpstreamConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections to S3 backends."""

    connections_max: Count = 256  # for each origin
    connect_timeout_s: Seconds = 10.0
    first_byte_timeout_s: Seconds = 60.0
    progress_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 15.0  # AWS closes after 20 s
    ca_file: str = ""  # PEM file of the only authorities to trust; empty: the system's

    def limits(self) -> ClientLimits:
        """The same as the HTTP client takes it."""
        return ClientLimits(
            connections_max=self.connections_max,
            connect_timeout_s=self.connect_timeout_s,
            first_byte_timeout_s=self.first_byte_timeout_s,
            progress_timeout_s=self.progress_timeout_s,
            idle_timeout_s=self.idle_timeout_s,
        )


class LifecycleConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How buckets' lifecycle rules are carried out."""

    objects_per_s: Count = 5000  # versions and uploads looked at, at most


class HealthConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a backend counts as down; probed are backends of which there are several."""

    probe_interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0
    probe_timeout_s: Annotated[float, Meta(ge=0.1, le=600)] = 2.0  # two in a row: it is down
    failures_to_open: Count = 3  # attempts in a row that failed: it is down
    open_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0  # how long it is left alone then
    hedge_reads: bool = False  # ask a second copy where the first takes longer than 95 of 100 do
    held_bytes_max: Annotated[int, Meta(ge=0, le=1 << 40)] = 64 << 20  # to be sent again elsewhere

    def settings(self) -> HealthSettings:
        """The same as the breakers take it."""
        return HealthSettings(
            probe_interval_s=self.probe_interval_s,
            probe_timeout_s=self.probe_timeout_s,
            failures_to_open=self.failures_to_open,
            open_s=self.open_s,
            hedge_reads=self.hedge_reads,
        )


class InventoryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How buckets' inventory reports are written."""

    objects_per_s: Count = 5000  # versions looked at, at most


class ReplicationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How copies that are owed are made."""

    workers: Annotated[int, Meta(ge=1, le=1024)] = 16  # blobs copied at once
    tries_max: Count = 60  # a copy that failed so often is a dead letter
    retry_s_max: Annotated[float, Meta(ge=0.1, le=86_400)] = 20.0  # longest pause between tries
    objects_per_s: Count = 5000  # versions looked at where rules have changed, at most


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast access keys without limits of their own may be used; 0: as fast as they like."""

    requests_per_s: Rate = 0.0
    requests_burst: Rate = 0.0  # at once, after a rest; 0: those of a second
    bytes_per_s: Rate = 0.0  # bodies, in both directions
    bytes_burst: Rate = 0.0

    def rate_limits(self) -> RateLimits:
        """The same as the limiter takes it."""
        return RateLimits(
            requests_per_s=self.requests_per_s,
            requests_burst=self.requests_burst,
            bytes_per_s=self.bytes_per_s,
            bytes_burst=self.bytes_burst,
        )


class ScrubConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How what the catalog has is compared with what backends hold."""

    interval_s: Seconds = 7 * 86_400.0  # 0: never by itself
    objects_per_s: Count = 500  # places looked at, at most
    deep: bool = False  # read all bytes, and compare them
    remove_unknown: bool = False  # else blobs nobody knows are only reported
    unknown_grace_s: Annotated[float, Meta(ge=3600)] = 86_400.0  # longer than any write takes


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Structured logs on standard error and, for requests, a file of their own."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    access: str = "-"  # "-": standard error; "": none; else a path, appended to


class BucketConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attached bucket: `target` is the bucket or directory at the backend.

    With `region`, instead of these, another gateway serves it.
    """

    name: str
    backend: str = ""
    target: str = ""  # empty: the same as name
    region: str = ""


class BucketLoggingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Access logs of buckets, which are kept in memory until they are delivered."""

    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    buffer_bytes_max: Annotated[int, Meta(ge=1 << 16, le=1 << 30)] = 16 << 20


class EventsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events are delivered, and when one is given up."""

    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 10.0  # for one message
    age_s_max: Seconds = 24 * 3600.0
    tries_max: Count = 20  # of an event that its target refuses; one it cannot take counts none
    pending_max: Count = 1_000_000  # for one target; above, the oldest are given up
    dead_letters_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 10_000  # of one target


class WebhookTargetConfig(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="webhook"
):
    """An HTTP endpoint that is told of events, each signed with the secret."""

    name: str
    url: str
    secret: str = ""
    secret_file: str = ""
    secret_env: str = ""


class AwsTargetConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What queues and topics have in common; shown behind the fields of their own."""

    region: str = ""  # empty: that of the ARN
    access_key: str = ""
    access_key_file: str = ""
    access_key_env: str = ""
    secret_key: str = ""
    secret_key_file: str = ""
    secret_key_env: str = ""


# Not kw_only: so their fields come before those of their base.
class SqsTargetConfig(
    AwsTargetConfig, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="sqs"
):
    """A queue of SQS, or of what speaks its protocol."""

    name: str
    arn: str
    queue_url: str


class SnsTargetConfig(
    AwsTargetConfig, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="sns"
):
    """A topic of SNS, or of what speaks its protocol."""

    name: str
    arn: str
    endpoint: str


EventTargetConfig = WebhookTargetConfig | SqsTargetConfig | SnsTargetConfig


class StorageClassConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The backend that holds objects of a storage class; STANDARD is the bucket's own."""

    name: str
    backend: str


class PlacementConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where objects lie whose bucket and tenant say nothing else.

    All empty: on the backend of their bucket alone.
    """

    regions: Names = ""  # in order; regions, countries or backends
    replicas: Copies = 0
    write_quorum: Copies = 0  # copies before a write is answered
    countries: Names = ""
    countries_forbidden: Names = ""
    jurisdictions: Names = ""
    jurisdictions_forbidden: Names = ""
    features: Names = ""
    certifications: Names = ""

    def rules(self) -> Rules | None:
        """The same as rules; None: there are none."""
        rules = Rules(
            regions=names_in(self.regions),
            replicas=self.replicas,
            write_quorum=self.write_quorum,
            countries=names_in(self.countries),
            countries_forbidden=names_in(self.countries_forbidden),
            jurisdictions=names_in(self.jurisdictions),
            jurisdictions_forbidden=names_in(self.jurisdictions_forbidden),
            features=names_in(self.features),
            certifications=names_in(self.certifications),
        )
        return rules or None


class BackupConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Backups of the catalog on a schedule; an empty `backend` turns them off."""

    backend: str = ""
    container: str = "s3proxy-backups"  # a bucket, or a directory of a local backend
    prefix: str = "catalog/"
    interval_s: Annotated[float, Meta(ge=1, le=1e8)] = 3600.0
    keep: Count = 24
    protect_s: Seconds = 0.0  # how long the collector leaves what a backup may name; 0: see below

    def protected_s(self) -> float:
        """How old a backup may be that is restored whole: twice the interval, if not said."""
        if self.protect_s or not self.backend:
            return self.protect_s
        return 2 * self.interval_s


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All sections; what is absent has its default."""

    server: ServerConfig = field(default_factory=ServerConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    s3: S3Config = field(default_factory=S3Config)
    data: DataConfig = field(default_factory=DataConfig)
    upstream: UpstreamConfig = field(default_factory=UpstreamConfig)
    events: EventsConfig = field(default_factory=EventsConfig)
    bucket_logging: BucketLoggingConfig = field(default_factory=BucketLoggingConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    lifecycle: LifecycleConfig = field(default_factory=LifecycleConfig)
    scrub: ScrubConfig = field(default_factory=ScrubConfig)
    inventory: InventoryConfig = field(default_factory=InventoryConfig)
    replication: ReplicationConfig = field(default_factory=ReplicationConfig)
    backup: BackupConfig = field(default_factory=BackupConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    backend: tuple[BackendConfig, ...] = ()  # none: one local backend "disk" in <data.dir>/blobs
    bucket: tuple[BucketConfig, ...] = ()
    region: tuple[RegionConfig, ...] = ()
    storage_class: tuple[StorageClassConfig, ...] = ()
    event_target: tuple[EventTargetConfig, ...] = ()

    def backends(self) -> tuple[BackendConfig, ...]:
        """The backends in order; the first takes new buckets that name none."""
        if self.backend:
            return self.backend
        root = self.data.dir.rstrip("/") + "/blobs"
        return (LocalBackendConfig(name="disk", root=root),)


SECRETS = frozenset({"secret", "secret_key"})  # fields that `config show` masks
# Fields that may come from `*_file` and `*_env`.
TWINS = frozenset({"access_key", "secret", "secret_key"})
