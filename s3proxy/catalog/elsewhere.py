"""Buckets that other gateways serve: what their records have as their backend."""

from typing import Final

# `region:NAME` stands for the backend. No backend has such a name.
PREFIX: Final = "region:"


def backend_name(region: str) -> str:
    """What the records of a region's buckets have as their backend."""
    return PREFIX + region


def region_of(backend: str) -> str:
    """The region whose buckets have this as their backend; "": it is one here."""
    return backend.removeprefix(PREFIX) if backend.startswith(PREFIX) else ""
