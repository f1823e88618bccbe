"""Where a new bucket is made, by its LocationConstraint and the rules in force."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from s3proxy.backends.errors import BackendError
from s3proxy.ops.containers import make_container
from s3proxy.ops.placing import (
    check,
    check_writable,
    decision_of,
    is_read_only,
    refused_write,
    rules_of,
    unknown_places,
)
from s3proxy.placement import choose_backend
from s3proxy.s3.errors import S3Error
from s3proxy.s3.placement import NAMES_MAX, Rules

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services


def placed(services: Services, record: BucketRecord, location: str) -> BucketRecord:
    """A new bucket as its LocationConstraint wants it: its backend, and its rules.

    The names of a constraint are regions, best first. The name of a backend alone is no rule where
    none is in force: the bucket is there, and stays.

    Raises:
        S3Error: InvalidLocationConstraint for a place that nobody knows, or too many of them;
            InvalidRequest, naming the rule, for one that too few backends are left for.
    """
    settings = services.settings
    location = "" if location == settings.region else location
    named = bool(location) and location not in services.backends
    rules = Rules(regions=_regions(services, location)) if location else None
    record = msgspec.structs.replace(record, location=location, placement=rules)
    if not named and rules_of(services, msgspec.structs.replace(record, placement=None)) is None:
        backend = _chosen(services, location)
        return msgspec.structs.replace(record, backend=backend, placement=None)
    decision = decision_of(services, record)
    check(decision)
    return msgspec.structs.replace(record, backend=decision.writable[0])


def check_open(services: Services, record: BucketRecord) -> None:
    """Refuse a new bucket whose backend is being emptied: nothing could be written into it.

    Raises:
        S3Error: InvalidBucketState.
    """
    if record.backend in services.draining:
        raise refused_write(services, record.backend)


async def make_home(services: Services, record: BucketRecord) -> BucketRecord:
    """Make the container of a new managed bucket; on its next backend where one fails.

    Raises:
        BackendError: no backend that may have it makes it.
    """
    backends = [record.backend]
    if rules_of(services, record) is not None:
        writable = decision_of(services, record).writable
        backends = services.health.order_to_write(writable)
    for backend in backends:
        last = backend == backends[-1]
        make = partial(make_container, services, record.tenant, record.name, backend)
        try:
            container = await services.health.attempt(backend, make, last_resort=last)
        except BackendError:
            if last:
                raise
        else:
            return msgspec.structs.replace(record, backend=backend, container=container)
    raise AssertionError("a decision that was checked has backends")


def _chosen(services: Services, location: str) -> str:
    """The backend of a bucket without rules: the one it names, else the first that takes data.

    Raises:
        S3Error: InvalidBucketState; that is read-only, or all are.
    """
    if location:
        check_writable(services, location)
        return location
    closed = services.draining
    writable = [
        name
        for name in services.backends
        if name not in closed and not is_read_only(services, name)
    ]
    backends = dict.fromkeys(writable or services.backends)
    chosen = choose_backend(backends, "", services.settings.default_backend)
    check_writable(services, chosen)
    return chosen


def _regions(services: Services, location: str) -> tuple[str, ...]:
    """The places that a LocationConstraint names; in ASCII, as no client signs for others."""
    named = location.split(",")
    regions = tuple(dict.fromkeys(name.strip(" ") for name in named))
    bad = len(named) > NAMES_MAX or not location.isascii()
    if bad or unknown_places(services, regions):
        raise S3Error("InvalidLocationConstraint", LocationConstraint=location)
    return regions
