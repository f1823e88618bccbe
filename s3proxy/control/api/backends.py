"""Backends: what they are, and whether they answer."""

from __future__ import annotations

from litestar import Router, get
from msgspec import Struct

from s3proxy.control.api.dependencies import After, Limit, Page, Using, part_of
from s3proxy.ops.call import Services
from s3proxy.views.times import told_time


class Backend(Struct, frozen=True):
    """One backend.

    Attributes:
        state: of its circuit breaker: "closed" (it is used), "open" (it is down), "half-open" (it
            is tried again).
        draining_since: when emptying it began; null: it is not emptied.
        last_error: the last failure, which may be long ago.
        latency_ms: to the first byte, a moving average; 0: not measured.
        opened: how often the breaker opened since the start.
        failures: attempts and probes that failed since the start.
        active: attempts and bodies under way.
    """

    name: str
    type: str
    provider: str
    region: str
    country: str
    jurisdiction: str
    features: list[str]
    certifications: list[str]
    weight: int
    read_only: bool
    draining_since: str | None
    state: str
    last_error: str
    latency_ms: float
    opened: int
    failures: int
    active: int


def shown_backends(services: Services) -> list[Backend]:
    """All backends, as they are configured and found."""
    found = []
    for report in services.health.report():
        facts = services.facts[report.name]
        found.append(
            Backend(
                name=report.name,
                type=services.backends[report.name].type,
                provider=facts.provider,
                region=facts.region,
                country=facts.country,
                jurisdiction=facts.jurisdiction,
                features=sorted(facts.features),
                certifications=sorted(facts.certifications),
                weight=facts.weight,
                read_only=facts.read_only,
                draining_since=told_time(services.catalog.draining_since(report.name) or 0),
                state=report.state,
                last_error=report.last_error,
                latency_ms=round(report.latency_s * 1000, 3),
                opened=report.opened,
                failures=report.failures,
                active=report.active,
            )
        )
    return found


@get("/")
async def list_backends(services: Using, after: After = "", limit: Limit = 100) -> Page[Backend]:
    """All backends, in the order of the configuration, with what their circuit breakers know."""
    return part_of(shown_backends(services), after, limit, lambda backend: backend.name)


def router() -> Router:
    """The routes of this module."""
    return Router("/backends", route_handlers=[list_backends], tags=["backends"])
