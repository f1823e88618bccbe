"""Debts for tests of those that show them."""

from __future__ import annotations

import msgspec

from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.records import BucketRecord, DebtRecord, Owed
from s3proxy.catalog.settling import Settlement
from tests.catalog.catalogs import blob, object_record


async def owe(catalog: Catalog, bucket: BucketRecord, key: str, target: str) -> DebtRecord:
    """An object that owes a copy."""
    place = blob()
    owed = Owed(place, targets=(target,))
    await catalog.put_object(bucket, key, object_record(place), owed=[owed])
    debt = catalog.get_debt(place.id)
    assert debt is not None
    return debt


async def give_up(catalog: Catalog, debt: DebtRecord, error: str = "no") -> None:
    """Make a debt a dead letter."""
    dead = msgspec.structs.replace(debt, dead=True, tries=20, error=error)
    await catalog.settle_debt(Settlement(debt, catalog.places_of(debt.blob), rest=dead))
