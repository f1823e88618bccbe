"""Buckets as they are told."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BucketRecord
from s3proxy.views.placement import Placement, placement_of
from s3proxy.views.quotas import Held, held_in_bucket
from s3proxy.views.times import told_time


class Bucket(Struct, frozen=True):
    """A bucket.

    Attributes:
        kind: "managed", or "attached".
        owner: the name of a user, or an id of one who is gone; "" for every user of the tenant.
    """

    name: str
    tenant: str
    kind: str
    owner: str
    created: str | None
    backend: str
    versioning: str
    held: Held


class BucketDetails(Bucket, frozen=True):
    """A bucket and all that is known of it.

    Attributes:
        containers: what holds its objects, by the backend.
        location: the LocationConstraint that it was made with.
        placement: rules of its own.
        configurations: kinds of configuration that it has.
    """

    containers: dict[str, str]
    location: str
    object_lock: bool
    placement: Placement
    configurations: list[str]


def bucket_of(catalog: Catalog, record: BucketRecord) -> Bucket:
    """A bucket as it is told in a list."""
    return Bucket(**_told(catalog, record))


def details_of(catalog: Catalog, record: BucketRecord) -> BucketDetails:
    """A bucket as it is told by itself."""
    return BucketDetails(
        **_told(catalog, record),
        containers={record.backend: record.container, **record.names},
        location=record.location,
        object_lock=record.object_lock,
        placement=placement_of(record.placement),
        configurations=sorted(record.configs or ()),
    )


def _told(catalog: Catalog, record: BucketRecord) -> dict[str, Any]:
    owner = catalog.get_user_by_id(record.owner) if record.owner else None
    return {
        "name": record.name,
        "tenant": record.tenant,
        "kind": record.kind,
        "owner": record.owner if owner is None else owner.name,
        "created": told_time(record.created_ns),
        "backend": record.backend,
        "versioning": record.versioning,
        "held": held_in_bucket(catalog, record),
    }
