"""What is owed to which backend, and debts that were given up."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from s3proxy.control.api.dependencies import After, Limit, Page, Using, page_of, part_of
from s3proxy.control.api.refusals import refusals
from s3proxy.views.replication import Debt, Lag, lags, shown_debt

Dead = Annotated[bool, QueryParameter(description="those that were given up")]


class Retried(Struct, frozen=True):
    """How many debts are due again."""

    retried: int


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """Which debts to try again: by id; none: all that were given up."""

    ids: list[str] = msgspec.field(default_factory=list)


@get("/")
async def show_replication(services: Using, after: After = "", limit: Limit = 100) -> Page[Lag]:
    """What is owed to each backend."""
    found = lags(services.catalog, time.time_ns(), services.backends)
    return part_of(found, after, limit, lambda lag: lag.backend)


@get("/debts")
async def list_debts(
    services: Using, after: After = "", limit: Limit = 100, dead: Dead = False
) -> Page[Debt]:
    """Debts, or those that were given up, a part at a time."""
    found = services.catalog.list_debts(after, limit + 1, dead=dead)
    return page_of([shown_debt(record) for record in found], limit, lambda debt: debt.id)


@post("/retry", status_code=200, responses=refusals(404))
async def retry_debts(services: Using, data: JSONBody[Retry]) -> Retried:
    """Try debts again now, as if they had never been tried."""
    return Retried(await services.catalog.retry_debts(data.ids))


def router() -> Router:
    """The routes of this module."""
    handlers = [show_replication, list_debts, retry_debts]
    return Router("/replication", route_handlers=handlers, tags=["replication"])
