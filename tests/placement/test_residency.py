"""No decision breaks a rule about where objects may be, whatever backends there are and fail.

What a rule means is said here once more, backend by backend, in the plainest words.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from s3proxy.placement import Decision, Facts, decide, unsatisfied
from s3proxy.s3.placement import Rules

COUNTRIES = ("FI", "fi", "DE", "US", "CH", "")
JURISDICTIONS = ("eu", "EU", "us", "")
FEATURES = ("object-lock", "Object-Lock", "versioning")
CERTIFICATIONS = ("c5", "C5", "iso-27001")
REGIONS = ("north", "south", "")


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    said = [name for name in names if name]
    return st.lists(st.sampled_from(said), max_size=2, unique=True).map(tuple)


@st.composite
def backends(draw: st.DrawFn) -> tuple[Facts, ...]:
    return tuple(
        Facts(
            f"b{number}",
            region=draw(st.sampled_from(REGIONS)),
            country=draw(st.sampled_from(COUNTRIES)),
            jurisdiction=draw(st.sampled_from(JURISDICTIONS)),
            features=frozenset(draw(some(FEATURES))),
            certifications=frozenset(draw(some(CERTIFICATIONS))),
            weight=draw(st.integers(0, 3)),
            read_only=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 6)))
    )


RULES = st.builds(
    Rules,
    regions=st.lists(
        st.sampled_from(("FI", "de", "us", "north", "SOUTH", "b0", "b1")), max_size=3
    ).map(tuple),
    replicas=st.integers(0, 4),
    write_quorum=st.integers(0, 4),
    countries=some(COUNTRIES),
    countries_forbidden=some(COUNTRIES),
    jurisdictions=some(JURISDICTIONS),
    jurisdictions_forbidden=some(JURISDICTIONS),
    features=some(FEATURES),
    certifications=some(CERTIFICATIONS),
)


def lower(names: object) -> set[str]:
    assert isinstance(names, tuple | frozenset)
    return {str(name).lower() for name in names}


def may_hold(rules: Rules, fact: Facts) -> bool:
    """Whether the rules let an object lie there."""
    country, jurisdiction = fact.country.lower(), fact.jurisdiction.lower()
    if rules.regions:
        places = {fact.name.lower(), fact.region.lower(), country} - {""}
        if not places & lower(rules.regions):
            return False
    if rules.countries and country not in lower(rules.countries):
        return False
    if rules.jurisdictions and jurisdiction not in lower(rules.jurisdictions):
        return False
    if rules.countries_forbidden and (not country or country in lower(rules.countries_forbidden)):
        return False
    if rules.jurisdictions_forbidden and (
        not jurisdiction or jurisdiction in lower(rules.jurisdictions_forbidden)
    ):
        return False
    return lower(rules.features) <= lower(fact.features) and lower(rules.certifications) <= lower(
        fact.certifications
    )


def check(decision: Decision, rules: Rules, facts: tuple[Facts, ...]) -> None:
    allowed = {fact.name for fact in facts if may_hold(rules, fact)}
    assert set(decision.order) == allowed
    assert len(decision.order) == len(allowed)
    assert {refusal.backend for refusal in decision.refused} == {f.name for f in facts} - allowed
    assert all(refusal.rule and refusal.reason for refusal in decision.refused)
    closed = {fact.name for fact in facts if fact.read_only}
    assert set(decision.writable) == allowed - closed
    assert decision.wanted == max(rules.replicas, 1)
    assert 1 <= decision.quorum <= decision.wanted
    assert bool(unsatisfied(decision)) == (len(decision.writable) < decision.wanted)


@given(rules=RULES, facts=backends(), spread=st.text(max_size=3))
def test_decision_allows_what_the_rules_allow_and_nothing_else(
    rules: Rules, facts: tuple[Facts, ...], spread: str
) -> None:
    check(decide(rules, facts, spread), rules, facts)


@given(rules=RULES, facts=backends(), spread=st.text(max_size=3), chance=st.randoms())
def test_decision_is_as_strict_when_backends_are_gone_and_in_any_order(
    rules: Rules, facts: tuple[Facts, ...], spread: str, chance: random.Random
) -> None:
    """Whichever are taken away: the others keep their order, and none comes in for them."""
    whole = decide(rules, facts, spread)
    shuffled = list(facts)
    chance.shuffle(shuffled)
    assert decide(rules, shuffled, spread) == whole
    left = tuple(shuffled[: len(shuffled) // 2])
    names = {fact.name for fact in left}
    reduced = decide(rules, left, spread)
    check(reduced, rules, left)
    assert list(reduced.order) == [name for name in whole.order if name in names]


@given(own=RULES, base=RULES, facts=backends())
def test_rules_over_others_never_loosen_what_they_do_not_say(
    own: Rules, base: Rules, facts: tuple[Facts, ...]
) -> None:
    merged = own.over(base)
    for name in Rules.__struct_fields__:
        assert getattr(merged, name) == (getattr(own, name) or getattr(base, name))
    check(decide(merged, facts), merged, facts)


@given(rules=RULES, facts=backends(), regions=st.permutations(("fi", "de", "us")))
def test_decision_follows_the_order_of_the_regions(
    rules: Rules, facts: tuple[Facts, ...], regions: list[str]
) -> None:
    stated = Rules(*(tuple(regions), *(getattr(rules, n) for n in Rules.__struct_fields__[1:])))
    order = decide(stated, facts).order
    ranks = {fact.name: regions.index(fact.country.lower()) for fact in facts if fact.name in order}
    assert [ranks[name] for name in order] == sorted(ranks[name] for name in order)
