"""The rules of placement read once more, slowly and apart: what a decision is measured against."""

from __future__ import annotations

from hypothesis import strategies as st

from s3proxy.placement import Facts
from s3proxy.s3.placement import Rules

COUNTRIES = ("fi", "de", "us", "FI")
LAWS = ("eu", "us", "EU")
FEATURES = ("object-lock", "versions")
NAMES = ("a", "b", "c", "d", "e", "f")


def may_hold(rules: Rules, fact: Facts) -> bool:
    """Whether a backend may hold an object, by each rule as docs/placement.md states it."""
    country, law = fact.country.lower(), fact.jurisdiction.lower()
    if rules.countries and (not country or country not in lower(rules.countries)):
        return False
    if rules.countries_forbidden and (not country or country in lower(rules.countries_forbidden)):
        return False
    if rules.jurisdictions and (not law or law not in lower(rules.jurisdictions)):
        return False
    if rules.jurisdictions_forbidden and (not law or law in lower(rules.jurisdictions_forbidden)):
        return False
    if not lower(rules.features) <= lower(fact.features):
        return False
    if not lower(rules.certifications) <= lower(fact.certifications):
        return False
    return not rules.regions or region_of(rules, fact) is not None


def region_of(rules: Rules, fact: Facts) -> int | None:
    """The first of the regions that a backend is in."""
    for number, region in enumerate(rules.regions):
        if region.lower() in (fact.name.lower(), fact.region.lower(), fact.country.lower()):
            return number
    return None


def lower(names: tuple[str, ...] | frozenset[str]) -> set[str]:
    return {name.lower() for name in names}


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Few of the names, often none."""
    return st.lists(st.sampled_from(names), max_size=3, unique=True).map(tuple)


RULES = st.builds(
    Rules,
    regions=some(("fi", "DE", "us", "north", "a", "b", "mars")),
    replicas=st.integers(0, 4),
    write_quorum=st.integers(0, 4),
    countries=some(COUNTRIES),
    countries_forbidden=some(COUNTRIES),
    jurisdictions=some(LAWS),
    jurisdictions_forbidden=some(LAWS),
    features=some(FEATURES),
    certifications=some(("c5", "C5", "iso-27001")),
)


def fact_named(name: str) -> st.SearchStrategy[Facts]:
    return st.builds(
        Facts,
        name=st.just(name),
        region=st.sampled_from(("", "north", "South")),
        country=st.sampled_from(("", *COUNTRIES)),
        jurisdiction=st.sampled_from(("", *LAWS)),
        features=st.frozensets(st.sampled_from(FEATURES)),
        certifications=st.frozensets(st.sampled_from(("c5", "iso-27001"))),
        weight=st.sampled_from((0, 100, 200)),
        read_only=st.sampled_from((False, False, False, True)),
    )


FACTS = st.tuples(*map(fact_named, NAMES)).flatmap(
    lambda facts: st.lists(st.sampled_from(facts), unique_by=lambda fact: fact.name)
)
