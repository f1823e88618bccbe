import pytest

from s3proxy.placement import Facts, contradiction, decide, reasons, unsatisfied
from s3proxy.s3.placement import Rules

FI = Facts("hel", "s3", region="fi-north", country="FI", jurisdiction="eu")
DE = Facts("nbg", "s3", region="de-1", country="DE", jurisdiction="eu")
US = Facts("iad", "s3", region="us-1", country="US", jurisdiction="us", weight=900)
UNKNOWN = Facts("disk", "local")
ALL = (US, UNKNOWN, FI, DE)


def test_decide_regions_are_countries_regions_or_backends_in_their_order() -> None:
    for regions in (("de", "fi"), ("de-1", "FI-north"), ("nbg", "fi"), ("de", "nbg", "hel")):
        assert decide(Rules(regions=regions), ALL).order == ("nbg", "hel")


def test_decide_refuses_each_backend_by_its_first_rule() -> None:
    rules = Rules(jurisdictions=("EU",), countries_forbidden=("de",), replicas=2)
    decision = decide(rules, ALL)
    assert decision.order == ("hel",)
    assert [(r.backend, r.rule, r.reason) for r in decision.refused] == [
        ("disk", "countries_forbidden", "its country is not stated"),
        ("iad", "jurisdictions", "its jurisdiction (us) is none of EU"),
        ("nbg", "countries_forbidden", "its country is DE"),
    ]
    said = unsatisfied(decision)
    assert "countries_forbidden and jurisdictions cannot be kept: 2 copies wanted" in said
    assert said.endswith("backends left: 1.")
    assert reasons(decision).startswith("Refused: disk: its country is not stated; iad: its")


def test_decide_without_rules_allows_all_by_weight_and_shares_the_rest() -> None:
    orders = {decide(Rules(), ALL, f"bucket-{n}").order for n in range(50)}
    assert {order[0] for order in orders} == {"iad"}
    assert {order[1] for order in orders} == {"disk", "hel", "nbg"}


def test_decide_read_only_backend_counts_but_takes_nothing() -> None:
    closed = Facts("old", country="fi", read_only=True)
    decision = decide(Rules(countries=("fi",), replicas=2), (FI, closed))
    assert set(decision.order) == {"hel", "old"}
    assert decision.writable == ("hel",)
    assert "backends left: 1." in unsatisfied(decision)
    assert reasons(decision) == "Refused: old: it is read-only."


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        (Rules(write_quorum=2, replicas=1), "write_quorum cannot be kept: 2 copies before a write"),
        (Rules(write_quorum=2), "where replicas is 1."),
        (Rules(write_quorum=64, replicas=63), "where replicas is 63."),
        (
            Rules(countries=("fi", "usa")),
            "rule countries wants two letters of ISO 3166, not 'usa'",
        ),
        (Rules(countries_forbidden=("u",)), "rule countries_forbidden wants two letters"),
        (Rules(countries=("fi\n",)), "rule countries wants two letters"),
    ],
)
def test_contradiction_names_the_rule(rules: Rules, wrong: str) -> None:
    assert wrong in contradiction(rules)


@pytest.mark.parametrize(
    "rules",
    [Rules(), Rules(write_quorum=1), Rules(write_quorum=3, replicas=3), Rules(countries=("FI",))],
)
def test_contradiction_of_what_can_be_kept_is_none(rules: Rules) -> None:
    assert contradiction(rules) == ""


def test_decide_quorum_is_at_most_the_copies() -> None:
    decision = decide(Rules(write_quorum=3, replicas=2), ALL)
    assert (decision.wanted, decision.quorum) == (2, 2)
    assert decide(Rules(), ALL).quorum == 1


def test_decide_features_and_certifications_are_all_required() -> None:
    locking = Facts("a", features=frozenset({"Object-Lock", "x"}))
    certified = Facts("b", features=frozenset({"object-lock"}), certifications=frozenset({"c5"}))
    rules = Rules(features=("object-lock",), certifications=("C5",))
    decision = decide(rules, (locking, certified))
    assert decision.order == ("b",)
    assert decision.refused[0].reason == "it does not have C5"


def test_unsatisfied_names_replicas_where_backends_are_too_few() -> None:
    assert unsatisfied(decide(Rules(replicas=4), ALL)) == ""
    said = unsatisfied(decide(Rules(replicas=5), ALL))
    assert said.startswith("The placement rule replicas cannot be kept: 5 copies wanted")
