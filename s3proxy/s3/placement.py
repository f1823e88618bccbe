"""Rules of placement: where objects may and should lie, as buckets, tenants and the server say it.

A rule that is not said is empty. Names are compared without regard to case.
"""

from __future__ import annotations

from typing import Final

import msgspec

REPLICAS_TAG: Final = "replica-count"  # of an object: how many copies, whatever its bucket says
REPLICAS_MAX: Final = 64
NAMES_MAX: Final = 64  # of one rule


class Rules(msgspec.Struct, frozen=True, array_like=True, cache_hash=True):
    """What is asked of the backends that hold an object; kept in records, so fields only come last.

    Attributes:
        regions: the only places, best first; each is a region, a country or a backend.
        replicas: how many copies, each on a backend of its own; 0: one.
        write_quorum: how many of them before a write is answered; 0: one.
        countries, jurisdictions: one of them has to be the backend's.
        countries_forbidden, jurisdictions_forbidden: a backend must be known to be in none.
        features, certifications: the backend has to have all of them.
    """

    regions: tuple[str, ...] = ()
    replicas: int = 0
    write_quorum: int = 0
    countries: tuple[str, ...] = ()
    countries_forbidden: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    jurisdictions_forbidden: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    certifications: tuple[str, ...] = ()

    def over(self, base: Rules) -> Rules:
        """These rules; what they do not say comes from `base`."""
        names = self.__struct_fields__
        return Rules(*(getattr(self, name) or getattr(base, name) for name in names))

    def __bool__(self) -> bool:
        return self != _NOTHING_SAID


_NOTHING_SAID = Rules()
