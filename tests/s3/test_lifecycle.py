"""What lifecycle rules ask for, and when."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.lifecycle import (
    ALL_128K,
    DAY_NS,
    VARIES,
    WATERFALL,
    Due,
    Expiration,
    Filter,
    Lifecycle,
    NoncurrentExpiration,
    Rule,
    Transition,
    Verdict,
    Version,
    abort_headers,
    abortion_of,
    expiration_header,
    expiration_of,
    judge,
    midnight_after,
    storage_classes,
)

HOUR_NS = DAY_NS // 24
MADE_NS = 100 * DAY_NS + 10 * HOUR_NS  # 10:00 of day 100
BIG = 1 << 20


def one(**actions: object) -> Lifecycle:
    return Lifecycle((Rule("r", True, Filter(), **actions),))  # type: ignore[arg-type]


def version(**given: object) -> Version:
    defaults: dict[str, object] = {"key": "a/b", "size": BIG, "modified_ns": MADE_NS}
    return Version(**{**defaults, **given})  # type: ignore[arg-type]


def test_midnight_after_is_the_end_of_the_last_day() -> None:
    assert midnight_after(MADE_NS, 3) == 104 * DAY_NS
    assert midnight_after(100 * DAY_NS, 3) == 103 * DAY_NS
    assert midnight_after(MADE_NS, 0) == 101 * DAY_NS


@given(st.integers(0, 2**62), st.integers(0, 10**4))
def test_midnight_after_is_a_midnight_less_than_a_day_late(ns: int, days: int) -> None:
    found = midnight_after(ns, days)
    assert found % DAY_NS == 0
    assert 0 <= found - (ns + days * DAY_NS) < DAY_NS


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(prefix="a/"), True),
        (Filter(prefix="b"), False),
        (Filter(size_above=9), True),
        (Filter(size_above=10), False),
        (Filter(size_below=11), True),
        (Filter(size_below=10), False),
        (Filter(tags=(("k", "v"),)), True),
        (Filter(tags=(("k", "w"),)), False),
        (Filter(tags=(("l", ""),)), False),
        (Filter("a", (("k", "v"), ("m", ""))), True),
    ],
)
def test_filter_takes_what_has_all_it_names(wanted: Filter, fits: bool) -> None:
    assert wanted.matches("a/b", 10, {"k": "v", "m": ""}) is fits


def test_expiration_of_is_the_first_of_the_rules_that_apply() -> None:
    days = [
        Rule("late", True, Filter(), Expiration(days=9)),
        Rule("off", False, Filter(), Expiration(days=1)),
        Rule("soon", True, Filter("a/"), Expiration(days=2)),
        Rule("other", True, Filter("b/"), Expiration(days=1)),
        Rule("marker", True, Filter(), Expiration(lone_markers=True)),
    ]
    assert expiration_of(Lifecycle(tuple(days)), version()) == Due(103 * DAY_NS, "soon")
    dated = Rule("past", True, Filter(), Expiration(date_ns=7 * DAY_NS))
    assert expiration_of(Lifecycle((*days, dated)), version()) == Due(7 * DAY_NS, "past")
    assert expiration_of(Lifecycle(tuple(days[3:])), version()) is None


def test_headers_carry_any_id_safely() -> None:
    due = Due(1_356_220_800 * 10**9, 'a "b"\r\nX: ü')
    assert expiration_header(due) == (
        'expiry-date="Sun, 23 Dec 2012 00:00:00 GMT", rule-id="a%20%22b%22%0D%0AX%3A%20%C3%BC"'
    )
    assert abort_headers(due) == [
        ("x-amz-abort-date", "Sun, 23 Dec 2012 00:00:00 GMT"),
        ("x-amz-abort-rule-id", "a%20%22b%22%0D%0AX%3A%20%C3%BC"),
    ]


def test_abortion_of_counts_from_the_start_of_the_upload() -> None:
    lifecycle = Lifecycle(
        (
            Rule("r", True, Filter("a"), abort_days=2),
            Rule("s", True, Filter("b"), abort_days=1),
            Rule("t", True, Filter(size_above=0), Expiration(days=1)),
        )
    )
    assert abortion_of(lifecycle, "a/b", MADE_NS) == Due(103 * DAY_NS, "r")
    assert abortion_of(lifecycle, "c", MADE_NS) is None


@dataclass
class Case:
    lifecycle: Lifecycle
    version: Version
    day: int
    verdict: Verdict | None
    versioned: bool = False


EXPIRE, REMOVE = Verdict("expire"), Verdict("remove")
LONE = one(expiration=Expiration(lone_markers=True))
AGED = one(expiration=Expiration(days=2))
OLD = one(noncurrent_expiration=NoncurrentExpiration(2, 3))
MOVES = one(
    transitions=(Transition("GLACIER", 5), Transition("GLACIER_IR", 2)),
    expiration=Expiration(days=9),
)
OLD_MOVES = one(noncurrent_transitions=(Transition("GLACIER_IR", 2, newer=1),))


@pytest.mark.parametrize(
    "case",
    [
        Case(AGED, version(), 102, None),
        Case(AGED, version(), 103, EXPIRE),
        Case(AGED, version(noncurrent_ns=MADE_NS), 999, None),
        Case(AGED, version(marker=True, size=0), 102, None),
        Case(AGED, version(marker=True, size=0), 103, REMOVE),
        Case(AGED, version(marker=True, size=0, alone=False), 103, None),
        Case(LONE, version(marker=True, size=0), 100, REMOVE),
        Case(LONE, version(marker=True, size=0, alone=False), 999, None),
        Case(LONE, version(), 999, None),
        Case(one(expiration=Expiration(lone_markers=False)), version(marker=True), 999, None),
        Case(OLD, version(), 999, None),
        Case(OLD, version(noncurrent_ns=MADE_NS, newer=3), 102, None),
        Case(OLD, version(noncurrent_ns=MADE_NS, newer=3), 103, REMOVE),
        Case(OLD, version(noncurrent_ns=MADE_NS, newer=2), 999, None),
        Case(OLD, version(noncurrent_ns=MADE_NS, newer=3, marker=True), 103, REMOVE),
        Case(MOVES, version(), 102, None),
        Case(MOVES, version(), 103, Verdict("move", "GLACIER_IR")),
        Case(MOVES, version(), 106, Verdict("move", "GLACIER")),
        Case(MOVES, version(storage_class="GLACIER_IR"), 105, None),
        Case(MOVES, version(storage_class="GLACIER_IR"), 106, Verdict("move", "GLACIER")),
        Case(MOVES, version(storage_class="GLACIER"), 109, None),
        Case(MOVES, version(), 110, EXPIRE),
        Case(MOVES, version(), 110, Verdict("move", "GLACIER"), versioned=True),
        Case(MOVES, version(storage_class="GLACIER"), 110, EXPIRE, versioned=True),
        Case(MOVES, version(size=131_071), 106, None),
        Case(MOVES, version(size=131_072), 106, Verdict("move", "GLACIER")),
        Case(OLD_MOVES, version(), 999, None),
        Case(OLD_MOVES, version(noncurrent_ns=MADE_NS), 999, None),
        Case(
            OLD_MOVES, version(noncurrent_ns=MADE_NS, newer=1), 103, Verdict("move", "GLACIER_IR")
        ),
        Case(OLD_MOVES, version(noncurrent_ns=MADE_NS, newer=1, marker=True), 103, None),
    ],
)
def test_judge(case: Case) -> None:
    found = judge(case.lifecycle, case.version, case.day * DAY_NS, versioned=case.versioned)
    assert found == case.verdict


@pytest.mark.parametrize(
    ("minimum", "scope", "moved"),
    [
        (ALL_128K, Filter(), ""),
        (VARIES, Filter(), "GLACIER"),
        (ALL_128K, Filter(size_above=0), "DEEP_ARCHIVE"),
    ],
)
def test_judge_small_objects_move_where_the_rule_or_the_bucket_says(
    minimum: str, scope: Filter, moved: str
) -> None:
    classes = ["GLACIER_IR", "GLACIER"] + (["DEEP_ARCHIVE"] if scope.sized else [])
    rule = Rule("r", True, scope, transitions=tuple(Transition(name, 0) for name in classes))
    found = judge(Lifecycle((rule,), minimum), version(size=1), 200 * DAY_NS)
    assert (found.storage_class if found else "") == moved


@given(
    st.lists(st.tuples(st.sampled_from(WATERFALL[2:]), st.integers(0, 20)), max_size=6),
    st.sampled_from(WATERFALL),
    st.integers(100, 130),
)
def test_judge_moves_only_down_and_never_before_its_day(
    wanted: list[tuple[str, int]], start: str, day: int
) -> None:
    rules = Lifecycle(
        tuple(
            Rule(str(number), True, Filter(), transitions=(Transition(name, days),))
            for number, (name, days) in enumerate(wanted)
        )
    )
    assert storage_classes(rules.rules) == {name for name, _ in wanted}
    found = judge(rules, version(storage_class=start), day * DAY_NS)
    due = [name for name, days in wanted if 101 + days <= day]
    below = [name for name in due if WATERFALL.index(name) > WATERFALL.index(start)]
    if found is None:
        assert not below
    else:
        assert found.storage_class == max(below, key=WATERFALL.index)
