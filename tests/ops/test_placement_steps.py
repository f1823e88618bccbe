"""What is to be done about a blob, from where it is and where it should be."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from s3proxy.ops.placement_steps import Steps, steps_of

NAMES = "abcde"


def decide(
    held: Sequence[str], order: str, wanted: int, *, up: str = NAMES, read_only: str = ""
) -> Steps:
    return steps_of(
        held,
        order,
        wanted,
        writable=lambda name: name not in read_only,
        is_up=lambda name: name in up,
    )


def kept(held: Sequence[str], steps: Steps) -> str:
    return "".join(sorted(held[position] for position in steps.keep))


def test_steps_of_missing_ideal_one_adds_it() -> None:
    assert decide("a", "abc", 2) == Steps(("b",), frozenset({0}), True, ())


def test_steps_of_ideal_one_that_is_down_adds_the_next_and_waits() -> None:
    assert decide("a", "abc", 2, up="ac") == Steps(("c",), frozenset({0}), True, ("b",))


def test_steps_of_ideal_one_that_is_back_replaces_the_stand_in() -> None:
    steps = decide("ac", "abc", 2)
    assert (steps.add, kept("ac", steps), steps.enough) == (("b",), "a", True)


def test_steps_of_stand_in_in_place_adds_no_other() -> None:
    steps = decide("ac", "abcd", 2, up="acd")
    assert (steps.add, kept("ac", steps), steps.away) == ((), "ac", ("b",))


def test_steps_of_forbidden_place_keeps_it_until_there_are_enough() -> None:
    steps = decide("x", "ab", 2, up="a")
    assert (steps.add, steps.enough) == (("a",), False)
    assert decide("x", "ab", 2).enough


def test_steps_of_read_only_backend_keeps_what_is_there_and_adds_nothing() -> None:
    assert decide("b", "abc", 2, read_only="a").add == ("c",)
    assert decide("ab", "abc", 2, read_only="a") == Steps((), frozenset({0, 1}), True, ())


def test_steps_of_two_places_on_one_backend_keeps_one() -> None:
    steps = decide("aab", "abc", 2)
    assert (steps.add, steps.keep) == ((), frozenset({0, 2}))


def test_steps_of_rules_without_backends_removes_nothing() -> None:
    assert decide("ab", "", 2) == Steps((), frozenset(), False, ())


@given(
    held=st.lists(st.sampled_from(NAMES + "xy"), min_size=1, max_size=6),
    order=st.permutations(NAMES).flatmap(
        lambda names: st.integers(0, len(names)).map(lambda n: "".join(names[:n]))
    ),
    wanted=st.integers(1, 5),
    up=st.sets(st.sampled_from(NAMES)),
    read_only=st.sets(st.sampled_from(NAMES)),
)
def test_steps_of_anything_is_safe_and_never_too_much(
    held: list[str], order: str, wanted: int, up: set[str], read_only: set[str]
) -> None:
    steps = decide(held, order, wanted, up="".join(up), read_only="".join(read_only))
    names = kept(held, steps)
    assert len(set(names)) == len(names), "one place on each backend"
    assert set(names) <= set(order), "nothing forbidden is kept as one of the copies"
    assert set(steps.add) <= set(order) & up - read_only - set(held)
    assert len(steps.keep) + len(steps.add) <= wanted
    if steps.enough:
        possible = [name for name in order if name in held or name not in read_only]
        assert len(steps.keep) + len(steps.add) == min(wanted, len(possible)) > 0
    else:
        assert len(steps.keep) + len(steps.add) < wanted


@given(
    held=st.lists(st.sampled_from(NAMES + "xy"), min_size=1, max_size=6),
    order=st.permutations(NAMES).map("".join),
    wanted=st.integers(1, 5),
)
def test_steps_of_all_up_comes_to_the_ideal_in_one_round(
    held: list[str], order: str, wanted: int
) -> None:
    steps = decide(held, order, wanted)
    assert steps.enough and not steps.away
    after = [*kept(held, steps), *steps.add]
    assert sorted(after) == sorted(order[:wanted])
    again = decide(after, order, wanted)
    assert (again.add, len(again.keep)) == ((), wanted)
