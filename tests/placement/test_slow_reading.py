"""Whatever the rules, the backends, and which of them fail: no decision breaks a rule."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from s3proxy.placement import Facts, decide, unsatisfied
from s3proxy.s3.placement import Rules
from tests.placement.slow_reading import FACTS, NAMES, RULES, may_hold, region_of


@given(RULES, FACTS)
def test_decide_allows_exactly_what_the_rules_do(rules: Rules, facts: list[Facts]) -> None:
    decision = decide(rules, facts)
    assert set(decision.order) == {fact.name for fact in facts if may_hold(rules, fact)}
    assert len(decision.order) == len(set(decision.order))
    assert 1 <= decision.quorum <= decision.wanted


@given(RULES, FACTS, st.sets(st.sampled_from(NAMES)))
def test_decide_whatever_fails_what_is_left_breaks_no_rule(
    rules: Rules, facts: list[Facts], failed: set[str]
) -> None:
    by_name = {fact.name: fact for fact in facts}
    decision = decide(rules, facts)
    # A writer goes on to the next of the order, never beside it.
    for name in decision.writable:
        if name not in failed:
            assert may_hold(rules, by_name[name])
            assert not by_name[name].read_only
    # Without those that failed, the rest keep their order.
    left = decide(rules, [fact for fact in facts if fact.name not in failed])
    assert left.order == tuple(name for name in decision.order if name not in failed)


@given(RULES, FACTS, st.randoms(use_true_random=False), st.text(max_size=5))
def test_decide_is_the_same_whatever_the_order_of_facts(
    rules: Rules, facts: list[Facts], shuffler: random.Random, spread: str
) -> None:
    shuffled = list(facts)
    shuffler.shuffle(shuffled)
    assert decide(rules, shuffled, spread) == decide(rules, facts, spread)


@given(RULES, FACTS, st.text(max_size=5), st.sampled_from(NAMES))
def test_decide_order_is_by_region_then_weight(
    rules: Rules, facts: list[Facts], spread: str, first: str
) -> None:
    by_name = {fact.name: fact for fact in facts}
    order = decide(rules, facts, spread).order
    ranks = [(region_of(rules, by_name[name]) or 0, -by_name[name].weight) for name in order]
    assert ranks == sorted(ranks)
    led = decide(rules, facts, spread, first=first).order
    assert led == tuple(sorted(order, key=lambda name: name != first))


@given(RULES, FACTS)
def test_decide_names_a_refusal_for_every_backend_not_in_order(
    rules: Rules, facts: list[Facts]
) -> None:
    decision = decide(rules, facts)
    refused = {refusal.backend: refusal for refusal in decision.refused}
    assert set(refused) == {fact.name for fact in facts} - set(decision.order)
    for refusal in refused.values():
        assert getattr(rules, refusal.rule)
        assert refusal.reason


@given(RULES, FACTS)
def test_unsatisfied_says_so_exactly_where_too_few_take_data(
    rules: Rules, facts: list[Facts]
) -> None:
    decision = decide(rules, facts)
    takes = [fact for fact in facts if may_hold(rules, fact) and not fact.read_only]
    said = unsatisfied(decision)
    assert bool(said) == (len(takes) < max(rules.replicas, 1))
    if said:
        named = {refusal.rule for refusal in decision.refused} or {"replicas"}
        assert any(rule in said for rule in named)


@given(RULES, RULES)
def test_rules_over_base_say_what_either_says(own: Rules, base: Rules) -> None:
    for name in Rules.__struct_fields__:
        said = getattr(own, name)
        assert getattr(own.over(base), name) == (said or getattr(base, name))
