import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.policy.patterns import matcher, wildcards
from tests.s3 import policy_model


@given(st.text("ab*?", max_size=12), st.text("ab*?", max_size=12))
def test_matcher_any_pattern_agrees_with_model(pattern: str, text: str) -> None:
    expected = policy_model.like(policy_model.symbols(pattern), text)
    assert matcher(wildcards(pattern))(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("*", "", True),
        ("*", "a\nb", True),
        ("?", "", False),
        ("?", "\n", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ab", "abab", True),
        ("*ab*ab", "xab", False),
        ("a?c*", "abcd", True),
        (".*", "ab", False),
        ("[a]", "a", False),
        ("ü*", "über", True),
    ],
)
def test_matcher_gives_whole_matches(pattern: str, text: str, matches: bool) -> None:
    assert matcher(wildcards(pattern))(text) is matches


def test_matcher_wildcards_in_the_text_are_plain() -> None:
    assert not matcher("a*")("ab")
    assert matcher("a*")("a*")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 10_000 + "b", "a" * 8192),
        ("?*" * 10_000, "a" * 8192),
        ("*" * 20_000 + "b", "a" * 8192),
        ("*" + "a" * 10_000 + "?b", "a" * 8192),
        ("*" + ("ab" * 30 + "*") * 300 + "c", "ab" * 4096),
    ],
)
def test_matcher_bomb_is_answered_soon(pattern: str, text: str) -> None:
    matches = matcher(wildcards(pattern))
    started = time.process_time()
    assert not matches(text)
    # Backtracking would take longer than the universe has been there.
    assert time.process_time() - started < 2
