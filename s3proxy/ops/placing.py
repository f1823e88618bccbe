"""Where the objects of a bucket go: its rules, what they make of the backends, its containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.ops.containers import make_container
from s3proxy.placement import (
    Decision,
    Facts,
    contradiction,
    decide,
    known_places,
    reasons,
    unsatisfied,
)
from s3proxy.s3.errors import S3Error
from s3proxy.s3.placement import REPLICAS_MAX, REPLICAS_TAG, Rules

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord, TenantRecord
    from s3proxy.ops.call import Services

STANDARD: Final = "STANDARD"
NAMED_MAX: Final = 10  # buckets, in a refusal
_NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


class Plan(msgspec.Struct, frozen=True):
    """Where an object goes.

    Attributes:
        replicas_tag: how many copies its tag asks for; 0: it has none.
        targets: the backends that new copies may go to, best first, those that are up before the
            others.
    """

    decision: Decision
    replicas_tag: int
    targets: tuple[str, ...]


def rules_of(services: Services, bucket: BucketRecord) -> Rules | None:
    """The rules in force for a bucket: its own over its tenant's over the server's; None: none."""
    tenant = services.catalog.get_tenant(bucket.tenant)
    middle = None if tenant is None else tenant.placement
    own, default = bucket.placement, services.default_rules
    if own is None and middle is None and default is None:
        return None
    return _over(own, _over(middle, default))


def place_of(bucket: BucketRecord) -> tuple[str, ...]:
    """What holds in place of rules, where none are in force: the backend that its client named.

    Neither a tag nor a drain takes its objects elsewhere, until an operator has given it rules, or
    taken them away.
    """
    named = bucket.kind == "managed" and bucket.location == bucket.backend
    return (bucket.backend,) if named and not bucket.placement_revision else ()


def _over(rules: Rules | None, base: Rules | None) -> Rules | None:
    if rules is None or base is None:
        return base if rules is None else rules
    return rules.over(base)


def plan_of(
    services: Services,
    bucket: BucketRecord,
    tags: Mapping[str, str] = _NO_TAGS,
    storage_class: str = STANDARD,
) -> Plan | None:
    """Where an object with these tags goes; None: no rules are in force, so to the bucket's own.

    Raises:
        S3Error: InvalidRequest, naming the rule, where too few backends are left;
            InvalidStorageClass where the class is on one that may not hold it; InvalidTag;
            InvalidBucketState where all that are allowed are being emptied.
    """
    replicas = replicas_tag(tags) if tags else 0
    home = services.settings.storage_classes.get(storage_class, bucket.backend)
    if not replicas and home not in services.draining and rules_of(services, bucket) is None:
        return None
    decision = decision_of(services, bucket, replicas, storage_class)
    whole = decision
    if services.draining:
        whole = decision_of(services, bucket, replicas, storage_class, drained=False)
    check(whole)
    if storage_class in services.settings.storage_classes and home not in decision.order:
        raise refused_class(storage_class)
    if not decision.writable:
        raise refused_write(services, *decision.order)
    return Plan(decision, replicas, tuple(services.health.order_to_write(decision.writable)))


def decision_of(
    services: Services,
    bucket: BucketRecord,
    replicas: int = 0,
    storage_class: str = STANDARD,
    *,
    drained: bool = True,
) -> Decision:
    """What the rules of a bucket make of the backends, enough of them left or not.

    Args:
        replicas: what the object's tag says; 0: nothing.
        storage_class: whose backend comes first.
        drained: backends that are being emptied take no new data.
    """
    rules = rules_of(services, bucket)
    home = services.settings.storage_classes.get(storage_class)
    first = home or ("" if rules else bucket.backend)
    asked = rules or _without_rules(bucket, home)
    if replicas:
        asked = msgspec.structs.replace(asked, replicas=replicas)
    facts = _facts(services) if drained else tuple(services.facts.values())
    return decide(asked, facts, spread_of(bucket), first=first)


def _without_rules(bucket: BucketRecord, home: str | None) -> Rules:
    """What holds for an object of a bucket that no rules are in force for: one copy.

    Args:
        home: the backend of its storage class, which it may lie on whatever the bucket's place.
    """
    regions = place_of(bucket)
    if regions and home:
        regions = (home, *regions)
    return Rules(replicas=1, regions=regions)


def _facts(services: Services) -> tuple[Facts, ...]:
    if not services.draining:
        return tuple(services.facts.values())
    return tuple(
        msgspec.structs.replace(one, read_only=True) if one.name in services.draining else one
        for one in services.facts.values()
    )


def check(decision: Decision) -> None:
    """Refuse what too few backends are left for.

    Raises:
        S3Error: InvalidRequest, naming the rule.
    """
    wrong = unsatisfied(decision)
    if wrong:
        raise S3Error("InvalidRequest", wrong)


def is_read_only(services: Services, backend: str) -> bool:
    """Whether the configuration says that a backend takes no new data."""
    facts = services.facts.get(backend)
    return facts is not None and facts.read_only


def check_writable(services: Services, backend: str) -> None:
    """Refuse new data for a backend that takes none.

    Raises:
        S3Error: InvalidBucketState.
    """
    if is_read_only(services, backend):
        raise refused_write(services, backend)


def refused_write(services: Services, *backends: str) -> S3Error:
    """The refusal of new data for backends that take none."""
    said = [
        f"{name} is {'being emptied' if name in services.draining else 'read-only'}"
        for name in backends
    ]
    return S3Error("InvalidBucketState", f"No new data is taken: {', '.join(said)}.")


def refused_class(storage_class: str) -> S3Error:
    """The refusal of a class whose backend may not hold the bucket's objects."""
    message = f"The bucket's rules of placement do not allow the backend of {storage_class}."
    return S3Error("InvalidStorageClass", message, StorageClassRequested=storage_class)


def spread_of(bucket: BucketRecord) -> str:
    """What makes the bucket's order of equal backends its own."""
    return f"{bucket.tenant}/{bucket.name}"


def replicas_tag(tags: Mapping[str, str]) -> int:
    """How many copies an object's tags ask for; 0: they do not say.

    Raises:
        S3Error: InvalidTag.
    """
    value = tags.get(REPLICAS_TAG)
    if value is None:
        return 0
    if re.fullmatch("[1-9][0-9]?", value) and int(value) <= REPLICAS_MAX:
        return int(value)
    message = f"The tag {REPLICAS_TAG} is a whole number from 1 to {REPLICAS_MAX}."
    raise S3Error("InvalidTag", message, TagKey=REPLICAS_TAG)


def unknown_places(services: Services, regions: Iterable[str]) -> list[str]:
    """The regions that no backend is in."""
    known = known_places(services.facts.values())
    return [name for name in regions if name.casefold() not in known]


def check_rules(services: Services, rules: Rules) -> None:
    """Refuse rules that contradict themselves, or that too few backends can keep.

    Raises:
        S3Error: InvalidRequest; the message tells of the backends.
    """
    wrong = contradiction(rules)
    if wrong:
        raise S3Error("InvalidRequest", wrong)
    unknown = unknown_places(services, rules.regions)
    if unknown:
        known = ", ".join(sorted(known_places(services.facts.values())))
        message = f"No backend is in the region {unknown[0]}; known are {known}."
        raise S3Error("InvalidRequest", message)
    decision = decide(rules, tuple(services.facts.values()))
    wrong = unsatisfied(decision)
    if wrong:
        raise S3Error("InvalidRequest", f"{wrong} {reasons(decision)}")


async def set_rules(services: Services, bucket: BucketRecord, rules: Rules | None) -> BucketRecord:
    """Give a bucket rules of its own in place of those before; None: none. Objects move later.

    Raises:
        S3Error: InvalidRequest where what is then in force cannot be kept; NotImplemented for an
            attached bucket.
        NoSuchBucket: it is gone.
    """
    if bucket.kind != "managed":
        message = "An attached bucket is where it is: it has no rules of placement."
        raise S3Error("NotImplemented", message)
    replaced = rules_of(services, msgspec.structs.replace(bucket, placement=rules))
    if replaced is not None:
        check_rules(services, replaced)

    def change(now: BucketRecord) -> BucketRecord:
        revision = now.placement_revision + 1
        return msgspec.structs.replace(now, placement=rules, placement_revision=revision)

    return await services.catalog.update_bucket(bucket, change)


async def set_tenant_rules(services: Services, tenant: str, rules: Rules | None) -> TenantRecord:
    """Give a tenant rules for its buckets in place of those before; None: none.

    Raises:
        S3Error: InvalidRequest where they cannot be kept, or buckets whose own rules are over them
            would take no writes any more; the message names these.
        UnknownTenant: there is none.
    """
    in_force = _over(rules, services.default_rules)
    if in_force is not None:
        check_rules(services, in_force)
    await _check_buckets(services, tenant, in_force)

    def change(now: TenantRecord) -> TenantRecord:
        revision = now.placement_revision + 1
        return msgspec.structs.replace(now, placement=rules, placement_revision=revision)

    return await services.catalog.update_tenant(tenant, change)


async def _check_buckets(services: Services, tenant: str, base: Rules | None) -> None:
    """Refuse rules under those of buckets that can be kept now, and could not be kept then."""
    broken: list[str] = []
    for bucket in services.catalog.scan_buckets():
        if bucket.tenant != tenant or bucket.kind != "managed" or bucket.placement is None:
            continue
        now, then = rules_of(services, bucket), _over(bucket.placement, base)
        if now is not None and then is not None:
            facts = tuple(services.facts.values())
            if unsatisfied(decide(then, facts)) and not unsatisfied(decide(now, facts)):
                broken.append(bucket.name)
        if len(broken) == NAMED_MAX:
            break
        await trio.lowlevel.checkpoint()
    if broken:
        message = f"With the buckets' own rules they cannot be kept: {', '.join(broken)}."
        raise S3Error("InvalidRequest", message)


async def container_on(services: Services, bucket: BucketRecord, backend: str) -> str:
    """The physical container of a managed bucket on a backend, made if it has none there yet.

    Raises:
        NoSuchBucket: the bucket is gone.
        BackendError: the container could not be made.
    """
    known = _known(bucket, backend)
    if known:
        return known
    catalog = services.catalog
    async with services.key_locks.hold_bucket(bucket.tenant, bucket.name):
        current = catalog.get_bucket(bucket.name, bucket.tenant)
        if current is None or current.id != bucket.id:
            raise NoSuchBucket(bucket.name)
        known = _known(current, backend)
        if known:
            return known
        # Ended when the backend stops answering, so that the name of the bucket is not held long.
        make = partial(make_container, services, bucket.tenant, bucket.name, backend)
        container = await services.health.attempt(backend, make, last_resort=True)
        await catalog.update_bucket(bucket, lambda now: _with_name(now, backend, container))
    return container


def _known(bucket: BucketRecord, backend: str) -> str:
    return bucket.container if backend == bucket.backend else bucket.names.get(backend, "")


def _with_name(bucket: BucketRecord, backend: str, container: str) -> BucketRecord:
    return msgspec.structs.replace(bucket, names={**bucket.names, backend: container})
