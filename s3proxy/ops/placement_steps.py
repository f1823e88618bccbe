"""What is to be done about a blob, from where it is and where its rules want it; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class Steps(msgspec.Struct, frozen=True):
    """What to do about a blob.

    Attributes:
        add: backends to copy it to, the first first.
        keep: which of its places stay, by their position; the others are surplus or not allowed.
        enough: once all of `add` have it, the others may go.
        away: backends that should have it and cannot take it now.
        instead: others that cannot either, and would do, as there are too few copies.
    """

    add: tuple[str, ...]
    keep: frozenset[int]
    enough: bool
    away: tuple[str, ...]
    instead: tuple[str, ...] = ()


def steps_of(
    held: Sequence[str],
    order: Sequence[str],
    wanted: int,
    *,
    writable: Callable[[str], bool],
    is_up: Callable[[str], bool],
) -> Steps:
    """Decide; pure.

    The first `wanted` backends of the order are the ideal ones. While one of them cannot take a
    copy, the next that can stands in for it; later it gets its copy after all, and that one goes.

    Args:
        held: the backends of the blob's places.
        order: backends that may hold it, best first.
    """
    there: dict[str, int] = {}
    for position, backend in enumerate(held):
        if backend in order:
            there.setdefault(backend, position)
    possible = [name for name in order if name in there or writable(name)]
    ideal = possible[:wanted]
    add = [name for name in ideal if name not in there and is_up(name)]
    away = [name for name in ideal if name not in there and not is_up(name)]
    spare = [name for name in possible if name not in there and name not in ideal and is_up(name)]
    lacking = wanted - len(there) - len(add)
    add += spare[: max(lacking, 0)]
    down = [name for name in possible if name not in there and name not in (*add, *ideal, *spare)]
    chosen = [name for name in ideal if name not in away]
    chosen += [name for name in possible if name not in ideal and (name in there or name in add)]
    chosen = chosen[:wanted]
    return Steps(
        add=tuple(name for name in add if name in chosen),
        keep=frozenset(there[name] for name in chosen if name in there),
        enough=bool(chosen) and len(chosen) >= min(wanted, len(possible)),
        away=tuple(away),
        instead=tuple(down) if lacking > len(spare) else (),
    )
