"""Rules of placement as they are told and said."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from s3proxy.s3.placement import NAMES_MAX, REPLICAS_MAX, Rules

Names = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=63)]], Meta(max_length=NAMES_MAX)
]
Copies = Annotated[int, Meta(ge=0, le=REPLICAS_MAX)]


class Placement(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of placement; what is not said comes from the tenant, then from the server."""

    regions: Names = []
    replicas: Copies = 0
    write_quorum: Copies = 0
    countries: Names = []
    countries_forbidden: Names = []
    jurisdictions: Names = []
    jurisdictions_forbidden: Names = []
    features: Names = []
    certifications: Names = []


def placement_of(rules: Rules | None) -> Placement:
    """Rules as they are told: what is kept, however much, is not refused."""
    said = msgspec.structs.asdict(rules or Rules())
    lists = {name: list(value) for name, value in said.items() if isinstance(value, tuple)}
    return Placement(**{**said, **lists})


def rules_from(placement: Placement) -> Rules | None:
    """Rules as they are kept; None: nothing is said."""
    rules = msgspec.convert(msgspec.structs.astuple(placement), Rules)
    return rules or None
