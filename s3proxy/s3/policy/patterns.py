"""Wildcard patterns, compiled into functions whose time grows with pattern and text, never worse.

In a pattern a wildcard is a character that no text has, a lone surrogate; `*` and `?` are
themselves. So the value of a policy variable can be put into a pattern as it is: a user named `*`
matches only itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

Matcher = Callable[[str], bool]

ANY_RUN: Final = "\ud800"
ANY_ONE: Final = "\ud801"
# Room for an ARN, and for the source of a copy with its version.
RESOLVED_CHARACTERS_MAX: Final = 1280
_WILDCARDS: Final = str.maketrans({"*": ANY_RUN, "?": ANY_ONE})


def wildcards(text: str) -> str:
    """The pattern in which each `*` stands for any characters or none, each `?` for one."""
    return text.translate(_WILDCARDS)


def matcher(pattern: str) -> Matcher:
    """The function that tells whether a whole text matches the pattern."""
    if ANY_ONE in pattern:
        return _bitwise(pattern)
    first, *rest = pattern.split(ANY_RUN)
    if not rest:
        return first.__eq__
    *middle, last = rest
    inner = tuple(filter(None, middle))
    if not inner and not last:
        return partial(_starts, first)
    return partial(_pieces, first, inner, last)


def matches_resolved(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern that was made for this request.

    The sender has chosen much of both: work is not begun that could only be in vain, and a pattern
    with `?` matches no text that is longer than any name.
    """
    if len(pattern) - pattern.count(ANY_RUN) > len(text):
        return False
    if ANY_ONE in pattern and len(text) > RESOLVED_CHARACTERS_MAX:
        return False
    return matcher(pattern)(text)


def _starts(first: str, text: str) -> bool:
    return text.startswith(first)


def _pieces(first: str, inner: tuple[str, ...], last: str, text: str) -> bool:
    """The leftmost place of each piece is the best one: it leaves most to those behind it."""
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return False
    position = len(first)
    for piece in inner:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def _bitwise(pattern: str) -> Matcher:
    """Any pattern, as an automaton: bit i of the state says that i characters of it matched.

    A character moves each bit whose next one it fits; a bit before a run of any characters stays
    as well.
    """
    accepts: dict[str, int] = {}
    any_one = stays = position = 0
    for character in pattern:
        bit = 1 << position
        if character == ANY_RUN:
            stays |= bit
            continue
        if character == ANY_ONE:
            any_one |= bit
        else:
            accepts[character] = accepts.get(character, 0) | bit
        position += 1
    fits = {character: bits | any_one for character, bits in accepts.items()}
    accepted = 1 << position

    def match(text: str) -> bool:
        state = 1
        for character in text:
            state = (state & fits.get(character, any_one)) << 1 | state & stays
            if not state:
                return False
        return bool(state & accepted)

    return match
