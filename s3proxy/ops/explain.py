"""Why the objects of a bucket are where they are: what is asked, of each backend why, each copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from s3proxy.ops.placing import decision_of, place_of, replicas_tag, rules_of
from s3proxy.placement import Decision, contradiction, merit, unsatisfied
from s3proxy.s3.errors import S3Error
from s3proxy.s3.placement import Rules

if TYPE_CHECKING:
    from s3proxy.catalog.records import BlobRef, BucketRecord, ObjectRecord
    from s3proxy.ops.call import Services

PIECES_MAX: Final = 100  # of an object's, that are told one by one


class SaidRule(msgspec.Struct, frozen=True):
    """One rule in force, and who says so.

    Attributes:
        source: bucket, tenant, server or object (its tag); LocationConstraint: of a backend, where
            none of these says anything.
    """

    rule: str
    value: Any
    source: str


class Verdict(msgspec.Struct, frozen=True):
    """One backend.

    Attributes:
        position: in the order of those that may hold objects, from 1; 0: it may not.
        chosen: copies are to go there first.
        rule: that refuses it.
        container: the bucket's name there, if it has been used.
        state: of its circuit breaker; None where nobody knows.
    """

    backend: str
    position: int
    chosen: bool
    rule: str
    reason: str
    container: str
    state: str | None


class Piece(msgspec.Struct, frozen=True):
    """A blob of an object, by the backends that hold it; `owed`: those that a copy is due to."""

    size: int
    backends: tuple[str, ...]
    owed: tuple[str, ...]


class Explained(msgspec.Struct, frozen=True):
    """Where the objects of a bucket, or one of them, should be and are.

    Attributes:
        home: the backend of what no rules are in force for.
        wanted: how many copies; quorum: before a write is answered. Both 1 without rules.
        problem: why the rules cannot be kept; "": they can.
        key: of the object; "": of none.
        pieces: the first PIECES_MAX of the object's blobs, which are `piece_count`.
    """

    tenant: str
    bucket: str
    home: str
    rules: list[SaidRule]
    wanted: int
    quorum: int
    problem: str
    backends: list[Verdict]
    key: str = ""
    pieces: list[Piece] = []
    piece_count: int = 0


def explain(
    services: Services, bucket: BucketRecord, key: str = "", *, live: bool = True
) -> Explained:
    """Explain a bucket, or the current version of an object in it.

    Args:
        live: the health of backends is known here.
    Raises:
        S3Error: NoSuchKey; InvalidTag; NotImplemented for objects of an attached bucket.
    """
    record = None
    managed = bucket.kind == "managed"
    if key and not managed:
        raise S3Error("NotImplemented", "Objects of an attached bucket are where the bucket is.")
    if key:
        record = services.catalog.get_object(bucket, key)
        if record is None:
            raise S3Error("NoSuchKey", Key=key)
    replicas = replicas_tag(record.tags) if record is not None else 0
    storage_class = record.storage_class if record is not None else "STANDARD"
    decision = decision_of(services, bucket, replicas, storage_class)
    rules = rules_of(services, bucket)
    placed = managed and (rules is not None or replicas > 0)
    return Explained(
        tenant=bucket.tenant,
        bucket=bucket.name,
        home=bucket.backend,
        rules=list(_said(services, bucket, replicas)) if managed else [],
        wanted=decision.wanted if placed else 1,
        quorum=decision.quorum if placed else 1,
        problem=(contradiction(rules or Rules()) or unsatisfied(decision)) if placed else "",
        backends=list(_verdicts(services, bucket, decision if placed else None, live=live)),
        key=key,
        pieces=[] if record is None else list(_pieces(services, record)),
        piece_count=0 if record is None else len(record.blobs),
    )


def _said(services: Services, bucket: BucketRecord, replicas: int) -> Iterator[SaidRule]:
    tenant = services.catalog.get_tenant(bucket.tenant)
    sources = {
        "object": Rules(replicas=replicas),
        "bucket": bucket.placement,
        "tenant": None if tenant is None else tenant.placement,
        "server": services.default_rules,
    }
    if rules_of(services, bucket) is None:
        sources["LocationConstraint"] = Rules(regions=place_of(bucket))
    for name in Rules.__struct_fields__:
        for source, rules in sources.items():
            value = getattr(rules, name, None)
            if value:
                yield SaidRule(name, value, source)
                break


def _verdicts(
    services: Services, bucket: BucketRecord, decision: Decision | None, *, live: bool
) -> Iterator[Verdict]:
    """All backends, best first, then those that are refused; None: the bucket has no rules."""
    containers = {bucket.backend: bucket.container, **bucket.names}

    def verdict(backend: str, position: int, rule: str, reason: str) -> Verdict:
        chosen = position > 0 and (decision is None or backend in _chosen(decision))
        known = live and backend in services.backends
        state = services.health.state(backend) if known else None
        container = containers.get(backend, "")
        return Verdict(backend, position, chosen, rule, reason, container, state)

    if decision is None:
        yield verdict(bucket.backend, 1, "", "the bucket is there; no rules are in force")
        for name in services.facts:
            if name != bucket.backend:
                yield verdict(name, 0, "", "the bucket is elsewhere, and no rules are in force")
        return
    rules = rules_of(services, bucket) or Rules()
    for position, name in enumerate(decision.order, 1):
        emptied = ", is being emptied" if name in services.draining else ""
        yield verdict(name, position, "", merit(rules, services.facts[name]) + emptied)
    for refusal in decision.refused:
        yield verdict(refusal.backend, 0, refusal.rule, refusal.reason)


def _chosen(decision: Decision) -> tuple[str, ...]:
    return decision.writable[: decision.wanted]


def _pieces(services: Services, record: ObjectRecord) -> Iterator[Piece]:
    catalog = services.catalog
    for blob in record.blobs[:PIECES_MAX]:
        debt = catalog.get_debt(blob.id)
        places = catalog.places_of(blob) if blob.backend else (blob,)
        owed = () if debt is None else debt.targets
        yield Piece(blob.size, tuple(map(_backend, places)), owed)


def _backend(blob: BlobRef) -> str:
    return blob.backend or "the catalog"
