"""What the types of config.py cannot say: rules on values, and across fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from s3proxy.config import (
    BackendConfig,
    BucketConfig,
    Config,
    EventTargetConfig,
    S3BackendConfig,
    SnsTargetConfig,
    SqsTargetConfig,
    names_in,
)
from s3proxy.delivery.options import webhook_arn
from s3proxy.placement import contradiction, decide, known_places, reasons, unsatisfied
from s3proxy.s3.lifecycle import WATERFALL
from s3proxy.s3.names import is_addressable_bucket, is_creatable_bucket
from s3proxy.s3.proxies import Networks
from s3proxy.s3.tenants import is_tenant_name

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
COUNTRY = re.compile(r"[A-Za-z]{2}")
REGION = re.compile(r"[A-Za-z0-9._-]{1,63}")
# S3 tells no FIFO queues and topics.
QUEUE_ARN = re.compile(r"arn:[a-z0-9-]{1,20}:sqs:[a-z0-9-]{1,40}:[0-9]{1,20}:[A-Za-z0-9_-]{1,80}")
TOPIC_ARN = re.compile(r"arn:[a-z0-9-]{1,20}:sns:[a-z0-9-]{1,40}:[0-9]{1,20}:[A-Za-z0-9_-]{1,256}")
BACKUP_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/){0,9}")
DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")

SIGNING = frozenset(
    f"{name}{twin}" for name in ("access_key", "secret_key") for twin in ("", "_file", "_env")
)
STORAGE_CLASSES = tuple(name for name in WATERFALL if name != "STANDARD")

Origin = Callable[[str], str]


class ConfigError(Exception):
    """One wrong thing in the configuration, ready to show to a person."""

    def __init__(self, origin: str, key: str, found: str, allowed: str) -> None:
        self.origin = origin
        self.key = key
        self.found = found
        self.allowed = allowed
        super().__init__(f"{origin}: {key}: found {found}; allowed: {allowed}")


def check(config: Config, origin: Origin) -> None:
    """Check every rule.

    Args:
        origin: the file or variable that a key such as `backend.fast.region` came from.
    Raises:
        ConfigError: the first rule that is broken.
    """
    _check_server(config, origin)
    _check_backends(config, origin)
    _check_buckets(config, origin)
    _check_regions(config, origin)
    _check_backup(config, origin)
    _check_limits(config, origin)
    _check_storage_classes(config, origin)
    _check_event_targets(config, origin)


def _check_limits(config: Config, origin: Origin) -> None:
    idle = config.limits.rate_limits().idle_burst
    if idle:
        key = f"limits.{idle}"
        rate = idle.replace("burst", "per_s")
        found = str(getattr(config.limits, idle))
        raise ConfigError(origin(key), key, found, f"0, where limits.{rate} is 0")


def variable_name(name: object) -> str:
    """How an entry's name stands in variables and keys."""
    return re.sub(r"[^a-z0-9]", "_", str(name).lower())


def _check_server(config: Config, origin: Origin) -> None:
    server = config.server
    _check_address(origin, "server.listen", server.listen)
    if config.control.listen:
        _check_address(origin, "control.listen", config.control.listen)
    _check_match(origin, "server.region", server.region, REGION, "a-z, 0-9, -, . and _")
    _check_domains(config, origin)
    if not is_tenant_name(server.default_tenant):
        key, allowed = "server.default_tenant", "the name of a tenant"
        raise ConfigError(origin(key), key, repr(server.default_tenant), allowed)
    _check_proxies(config, origin)
    if bool(server.tls_cert) != bool(server.tls_key):
        key, allowed = "server.tls_cert", "tls_cert and tls_key together"
        raise ConfigError(origin(key), key, "one without the other", allowed)
    if not config.data.dir:
        raise ConfigError(origin("data.dir"), "data.dir", "''", "a directory")


def _check_domains(config: Config, origin: Origin) -> None:
    server = config.server
    domains, websites = names_in(server.domain), names_in(server.website_domain)
    for domain in domains:
        _check_match(origin, "server.domain", domain, DOMAIN, "a host name without a port")
    for domain in websites:
        key = "server.website_domain"
        _check_match(origin, key, domain, DOMAIN, "a host name without a port")
        if domain.lower() in {other.lower() for other in domains}:
            raise ConfigError(origin(key), key, repr(domain), "another domain than server.domain")


def _check_proxies(config: Config, origin: Origin) -> None:
    server = config.server
    networks = names_in(server.trusted_proxies)
    for network in networks:
        try:
            Networks((network,))
        except ValueError as error:
            key, allowed = "server.trusted_proxies", 'networks, as in "10.0.0.0/8" or "::1"'
            raise ConfigError(origin(key), key, f"{network!r}: {error}", allowed) from error
    if server.proxy_protocol and not networks:
        key, allowed = "server.proxy_protocol", "trusted_proxies to say whose connections"
        raise ConfigError(origin(key), key, "true", allowed)


def _check_backends(config: Config, origin: Origin) -> None:
    for backend in config.backends():
        allowed = "a-z, 0-9 and -, at most 31 characters"
        _check_match(origin, "backend.name", backend.name, NAME, allowed)
        where = f"backend.{variable_name(backend.name)}"
        if isinstance(backend, S3BackendConfig):
            _check_endpoint(origin, f"{where}.endpoint", backend.endpoint)
            _check_prefix_mode(origin, where, backend)
        elif not backend.root:
            key = f"{where}.root"
            raise ConfigError(origin(key), key, "''", "a directory")
        _check_facts(origin, where, backend)
    _check_unique(origin, "backend.name", [backend.name for backend in config.backends()])
    _check_placement(config, origin)


def _check_placement(config: Config, origin: Origin) -> None:
    rules = config.placement.rules()
    if rules is None:
        return
    facts = [backend.facts() for backend in config.backends()]
    known = known_places(facts)
    for name in rules.regions:
        if name.casefold() not in known:
            key, allowed = "placement.regions", "of backends: " + ", ".join(sorted(known))
            raise ConfigError(origin(key), key, repr(name), allowed)
    decision = decide(rules, facts)
    found = contradiction(rules)
    wrong = unsatisfied(decision)
    if wrong and not found:
        found = f"{wrong} {reasons(decision)}"
    if found:
        raise ConfigError(origin("placement"), "placement", found, "what backends can keep")


def _check_facts(origin: Origin, where: str, backend: BackendConfig) -> None:
    if backend.country:
        allowed = "two letters of ISO 3166"
        _check_match(origin, f"{where}.country", backend.country, COUNTRY, allowed)
    named = {
        "region": backend.region,
        "signing_region": getattr(backend, "signing_region", ""),
        "jurisdiction": backend.jurisdiction,
    }
    for key, value in named.items():
        if value:
            _check_match(origin, f"{where}.{key}", value, REGION, "a-z, 0-9, -, . and _")


def _check_prefix_mode(origin: Origin, where: str, backend: S3BackendConfig) -> None:
    key = f"{where}.physical_bucket"
    if (backend.bucket_mode == "prefix") != bool(backend.physical_bucket):
        found = repr(backend.physical_bucket)
        raise ConfigError(origin(key), key, found, 'a bucket with bucket_mode = "prefix", only')
    if backend.physical_bucket and not is_creatable_bucket(backend.physical_bucket):
        found = repr(backend.physical_bucket)
        raise ConfigError(origin(key), key, found, "3 to 63 of a-z, 0-9, . and -")
    if backend.bucket_mode == "prefix" and backend.new_buckets == "attached":
        key = f"{where}.new_buckets"
        raise ConfigError(origin(key), key, "'attached'", '"managed" with bucket_mode = "prefix"')


def _check_buckets(config: Config, origin: Origin) -> None:
    names = [backend.name for backend in config.backends()]
    for bucket in config.bucket:
        if not is_addressable_bucket(bucket.name):
            allowed = "3 to 255 of A-Z, a-z, 0-9, ., - and _"
            raise ConfigError(origin("bucket.name"), "bucket.name", repr(bucket.name), allowed)
        if bucket.region:
            _check_bucket_elsewhere(config, origin, bucket)
        elif bucket.backend not in names:
            key = f"bucket.{variable_name(bucket.name)}.backend"
            allowed = "one of " + ", ".join(names)
            raise ConfigError(origin(key), key, repr(bucket.backend), allowed)
    _check_unique(origin, "bucket.name", [bucket.name for bucket in config.bucket])


def _check_bucket_elsewhere(config: Config, origin: Origin, bucket: BucketConfig) -> None:
    where = f"bucket.{variable_name(bucket.name)}"
    if bucket.backend or bucket.target:
        key = f"{where}.{'backend' if bucket.backend else 'target'}"
        found = repr(bucket.backend or bucket.target)
        raise ConfigError(origin(key), key, found, "nothing beside a region")
    regions = [region.name for region in config.region]
    if bucket.region not in regions:
        key, allowed = f"{where}.region", "the name of a [[region]]"
        raise ConfigError(origin(key), key, repr(bucket.region), allowed)


def _check_regions(config: Config, origin: Origin) -> None:
    here = {config.server.region, *(backend.name for backend in config.backends())}
    for region in config.region:
        where = f"region.{variable_name(region.name)}"
        _check_match(origin, "region.name", region.name, REGION, "a-z, 0-9, -, . and _")
        if region.name in here:
            allowed = "other names than server.region and the backends have"
            raise ConfigError(origin("region.name"), "region.name", repr(region.name), allowed)
        _check_endpoint(origin, f"{where}.endpoint", region.endpoint)
        given = [name for name in sorted(SIGNING) if getattr(region, name)]
        if given and region.mode == "redirect":
            key = f"{where}.{given[0]}"
            raise ConfigError(origin(key), key, "a key", 'none, or mode = "forward"')
    _check_unique(origin, "region.name", [region.name for region in config.region])


def _check_backup(config: Config, origin: Origin) -> None:
    backup = config.backup
    names = [backend.name for backend in config.backends()]
    if backup.backend not in ("", *names):
        key, allowed = "backup.backend", "one of " + ", ".join(names)
        raise ConfigError(origin(key), key, repr(backup.backend), allowed)
    if not is_addressable_bucket(backup.container):
        key, allowed = "backup.container", "3 to 255 of A-Z, a-z, 0-9, ., - and _"
        raise ConfigError(origin(key), key, repr(backup.container), allowed)
    if not BACKUP_PREFIX.fullmatch(backup.prefix):
        key, allowed = (
            "backup.prefix",
            "names of a-z, A-Z, 0-9, -, . and _, each with a / behind it",
        )
        raise ConfigError(origin(key), key, repr(backup.prefix), allowed)
    for bucket in config.bucket:
        if (bucket.backend, bucket.target or bucket.name) == (backup.backend, backup.container):
            key, found = "backup.container", f"the target of [[bucket]] {bucket.name}"
            raise ConfigError(origin(key), key, found, "a place that no bucket shows to clients")
    if backup.backend and 0 < backup.protect_s < backup.interval_s:
        key, found = "backup.protect_s", str(backup.protect_s)
        allowed = "0, or at least interval_s: else the newest backup would name blobs that are gone"
        raise ConfigError(origin(key), key, found, allowed)


def _check_storage_classes(config: Config, origin: Origin) -> None:
    names = [backend.name for backend in config.backends()]
    for entry in config.storage_class:
        if entry.name not in STORAGE_CLASSES:
            allowed = "one of " + ", ".join(STORAGE_CLASSES)
            key = "storage_class.name"
            raise ConfigError(origin(key), key, repr(entry.name), allowed)
        if entry.backend not in names:
            key = f"storage_class.{variable_name(entry.name)}.backend"
            allowed = "one of " + ", ".join(names)
            raise ConfigError(origin(key), key, repr(entry.backend), allowed)
    classes = [entry.name for entry in config.storage_class]
    _check_unique(origin, "storage_class.name", classes)


def _check_event_targets(config: Config, origin: Origin) -> None:
    targets = config.event_target
    for target in targets:
        allowed = "a-z, 0-9 and -, at most 31 characters"
        _check_match(origin, "event_target.name", target.name, NAME, allowed)
        _check_event_target(origin, f"event_target.{variable_name(target.name)}", target)
    _check_unique(origin, "event_target.name", [target.name for target in targets])
    _check_unique(origin, "event_target.arn", [target_arn(target) for target in targets])


def _check_event_target(origin: Origin, where: str, target: EventTargetConfig) -> None:
    if isinstance(target, SqsTargetConfig):
        _check_match(origin, f"{where}.arn", target.arn, QUEUE_ARN, "the ARN of a standard queue")
        _check_url(origin, f"{where}.queue_url", target.queue_url)
    elif isinstance(target, SnsTargetConfig):
        _check_match(origin, f"{where}.arn", target.arn, TOPIC_ARN, "the ARN of a standard topic")
        _check_endpoint(origin, f"{where}.endpoint", target.endpoint)
    else:
        _check_url(origin, f"{where}.url", target.url)
        return
    if target.region:
        _check_match(origin, f"{where}.region", target.region, REGION, "a-z, 0-9, -, . and _")


def target_arn(target: EventTargetConfig) -> str:
    """How buckets name a target of events."""
    if isinstance(target, SqsTargetConfig | SnsTargetConfig):
        return target.arn
    return webhook_arn(target.name)


def _check_url(origin: Origin, key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        named = False
    if not named or not url.isascii() or not re.fullmatch(r"https?://[^/?#@\s]+(/[!-~]*)?", url):
        raise ConfigError(
            origin(key), key, repr(url), "http://… or https://…, no user, no fragment"
        )


def _check_address(origin: Origin, key: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        allowed = '"host:port", as in "127.0.0.1:9000"'
        raise ConfigError(origin(key), key, repr(address), allowed)


def _check_endpoint(origin: Origin, key: str, endpoint: str) -> None:
    try:
        form = re.fullmatch(r"https?://[^/?#@\s]+/?", endpoint)
        valid = form and endpoint.isascii() and urlsplit(endpoint).port != 0
    except ValueError:
        valid = False
    if not valid:
        allowed = "http://host[:port] or https://host[:port]"
        raise ConfigError(origin(key), key, repr(endpoint), allowed)


def _check_match(
    origin: Origin, key: str, value: str, pattern: re.Pattern[str], allowed: str
) -> None:
    if not pattern.fullmatch(value):
        raise ConfigError(origin(key), key, repr(value), allowed)


def _check_unique(origin: Origin, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(origin(key), key, f"{name!r} twice", "each name once")
        seen.add(name)
