"""Policy: which backends may hold an object."""

from s3proxy.placement.choose import choose_backend, container_name, is_container_of
from s3proxy.placement.decide import (
    Decision,
    Facts,
    Refusal,
    contradiction,
    decide,
    known_places,
    merit,
    reasons,
    unsatisfied,
)

__all__ = [
    "Decision",
    "Facts",
    "Refusal",
    "choose_backend",
    "container_name",
    "contradiction",
    "decide",
    "is_container_of",
    "known_places",
    "merit",
    "reasons",
    "unsatisfied",
]
