"""Which backends may hold an object, in which order, and why the others may not: one pure function.

What is not known of a backend counts against it: a rule that forbids a country refuses a backend
whose country nobody stated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec
import xxhash

from s3proxy.s3.placement import Rules

_COUNTRY = re.compile("[A-Za-z]{2}")


class Facts(msgspec.Struct, frozen=True, cache_hash=True):
    """What a backend is, as far as rules ask.

    Attributes:
        weight: of backends that are as good, the heavier comes first.
        read_only: it takes no new data.
    """

    name: str
    type: str = ""
    provider: str = ""
    region: str = ""
    country: str = ""
    jurisdiction: str = ""
    features: frozenset[str] = frozenset()
    certifications: frozenset[str] = frozenset()
    weight: int = 100
    read_only: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """Why a backend may not hold an object: the rule, as it is called in Rules, and a reason."""

    backend: str
    rule: str
    reason: str


class Decision(msgspec.Struct, frozen=True):
    """What rules make of backends.

    Attributes:
        order: those that may hold the object, best first.
        wanted: how many copies there should be; quorum: how many before a write is answered.
        refused: all others.
        read_only: those of `order` that take no new data: a copy there counts and stays.
    """

    order: tuple[str, ...]
    wanted: int
    quorum: int
    refused: tuple[Refusal, ...]
    read_only: tuple[str, ...] = ()

    @property
    def writable(self) -> tuple[str, ...]:
        """Those that new copies may go to, best first."""
        return tuple(name for name in self.order if name not in self.read_only)


def decide(rules: Rules, facts: Sequence[Facts], spread: str = "", *, first: str = "") -> Decision:
    """Decide; the same for the same arguments, and whatever the order of `facts`.

    Args:
        facts: of every backend there is, each name once.
        spread: of those that are as good, another comes first for another text; so that buckets
            share them.
        first: a backend to be preferred to all others, if it may hold the object.
    Returns:
        A decision; where `unsatisfied` says something of it, the rules cannot be kept.
    """
    return _decided(rules, tuple(facts), spread, first)


def merit(rules: Rules, fact: Facts) -> str:
    """Say what gives a backend that may hold an object its place in the order."""
    said = [f"weight {fact.weight}"]
    if rules.regions:
        number = _region_rank(rules, fact)
        said.insert(0, f"region {rules.regions[number]} is number {number + 1}")
    if fact.read_only:
        said.append("read-only: takes no new data")
    return ", ".join(said)


def known_places(facts: Iterable[Facts]) -> set[str]:
    """What rules may call a place: backends, their regions and countries; in lower case."""
    return {place for fact in facts for place in _places(fact)}


def contradiction(rules: Rules) -> str:
    """Say which rule no backends at all could keep; "": none."""
    copies = max(rules.replicas, 1)
    if rules.write_quorum > copies:
        return (
            f"The placement rule write_quorum cannot be kept: {rules.write_quorum} copies before a"
            f" write is answered, where replicas is {copies}."
        )
    for rule in ("countries", "countries_forbidden"):
        for name in getattr(rules, rule):
            if not _COUNTRY.fullmatch(name):
                return f"The placement rule {rule} wants two letters of ISO 3166, not {name!r}."
    return ""


def unsatisfied(decision: Decision) -> str:
    """Say which rule leaves too few backends, and of these nothing; "": there are enough."""
    left = decision.writable
    if len(left) >= decision.wanted:
        return ""
    copies = f"{decision.wanted} copies" if decision.wanted > 1 else "one copy"
    rules = list(dict.fromkeys(refusal.rule for refusal in decision.refused))
    named = " and ".join(rules or ["replicas"])
    return (
        f"The placement rule {named} cannot be kept: {copies} wanted, backends left: {len(left)}."
    )


def reasons(decision: Decision) -> str:
    """Say of each backend that is not left why; for operators, as it tells of the backends."""
    said = [f"{refusal.backend}: {refusal.reason}" for refusal in decision.refused]
    said += [f"{name}: it is read-only" for name in decision.read_only]
    return f"Refused: {'; '.join(said)}." if said else "There are no others."


@lru_cache(maxsize=4096)
def _decided(rules: Rules, facts: tuple[Facts, ...], spread: str, first: str) -> Decision:
    wanted = max(rules.replicas, 1)
    allowed, refused = [], []
    for fact in sorted(facts, key=lambda fact: fact.name):
        refusal = next(_refusals(rules, fact), None)
        if refusal is None:
            allowed.append(fact)
        else:
            refused.append(Refusal(fact.name, *refusal))
    allowed.sort(key=lambda fact: (fact.name != first, *_rank(rules, fact, spread)))
    return Decision(
        order=tuple(fact.name for fact in allowed),
        wanted=wanted,
        quorum=min(max(rules.write_quorum, 1), wanted),
        refused=tuple(refused),
        read_only=tuple(fact.name for fact in allowed if fact.read_only),
    )


def _refusals(rules: Rules, fact: Facts) -> Iterator[tuple[str, str]]:
    """The rules that refuse a backend, each with its reason."""
    if rules.regions and _region_rank(rules, fact) == len(rules.regions):
        places = ", ".join(dict.fromkeys(filter(None, (fact.region, fact.country)))) or "not stated"
        yield "regions", f"its region ({places}) is none of {', '.join(rules.regions)}"
    for one, many, said in (
        ("country", "countries", fact.country),
        ("jurisdiction", "jurisdictions", fact.jurisdiction),
    ):
        yield from _residency(one, many, said, lambda name: getattr(rules, name))
    for what, wanted, there in (
        ("features", rules.features, fact.features),
        ("certifications", rules.certifications, fact.certifications),
    ):
        lacking = [name for name in wanted if not _is_one_of(name, there)]
        if lacking:
            yield what, f"it does not have {', '.join(lacking)}"


def _residency(
    one: str, many: str, said: str, rule: Callable[[str], tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    allowed, forbidden = rule(many), rule(f"{many}_forbidden")
    if allowed and not _is_one_of(said, allowed):
        yield many, f"its {one} ({said or 'not stated'}) is none of {', '.join(allowed)}"
    if forbidden and not said:
        yield f"{many}_forbidden", f"its {one} is not stated"
    elif _is_one_of(said, forbidden):
        yield f"{many}_forbidden", f"its {one} is {said}"


def _is_one_of(name: str, names: Collection[str]) -> bool:
    return bool(name) and name.casefold() in {other.casefold() for other in names}


def _region_rank(rules: Rules, fact: Facts) -> int:
    """Which of the regions a backend is in, from 0; as many as there are where it is in none."""
    places = _places(fact)
    found = (n for n, name in enumerate(rules.regions) if name.casefold() in places)
    return next(found, len(rules.regions))


def _places(fact: Facts) -> set[str]:
    return {place.casefold() for place in (fact.name, fact.region, fact.country) if place}


def _rank(rules: Rules, fact: Facts, spread: str) -> tuple[int, int, int, str]:
    share = xxhash.xxh3_64_intdigest(f"{spread}\0{fact.name}".encode())
    return _region_rank(rules, fact), -fact.weight, share, fact.name
