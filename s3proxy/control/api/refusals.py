"""What OpenAPI tells of refusals: of each route which statuses, all of them problem documents.

The rules here hold for all routes; what a handler refuses beyond them it says by itself, with
`responses=refusals(502)`. Litestar would tell of a 400 of its own form alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.routes import HTTPRoute
from litestar.routes.base import BaseRoute

from s3proxy.control.api.problems import MEDIA_TYPE, Problem

# The query, the token, its role, many wrong secrets, a bug.
_ALWAYS: Final = (400, 401, 403, 429, 500)
# What it changes may be in another state; the catalog takes no writes.
_OF_CHANGES: Final = (409, 503)


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """Refusals as a route's `responses`."""
    return {
        status: ResponseSpec(
            Problem,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def describe_refusals(routes: Iterable[BaseRoute], below: str) -> None:
    """Have the routes below a path tell of the refusals that are common to all."""
    for route in routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(below):
            for handler in route.route_handlers:
                own = handler.responses or {}
                handler.responses = {**refusals(*_common(route, handler)), **own}


def _common(route: HTTPRoute, handler: HTTPRouteHandler) -> set[int]:
    statuses = set(_ALWAYS)
    if route.path_parameters:
        statuses.add(404)
    if "data" in handler.parsed_fn_signature.parameters:
        statuses.add(413)
    if not handler.http_methods <= {"GET", "OPTIONS"}:
        statuses.update(_OF_CHANGES)
    return statuses
