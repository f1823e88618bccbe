"""What handlers ask for: the services, who asks, a part of a list."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation
from msgspec import Struct

from s3proxy.control.api.guard import Admin, asking
from s3proxy.control.api.problems import ApiError
from s3proxy.ops.call import Services

T = TypeVar("T")
LIMIT_MAX = 1000
SHOWN_CHARACTERS = 100

Using = NamedDependency[SkipValidation[Services]]
Asking = NamedDependency[SkipValidation[Admin]]
After = Annotated[str, QueryParameter(description="`next` of the part before", max_length=1024)]
Limit = Annotated[int, QueryParameter(description="how many at most", ge=1, le=LIMIT_MAX)]


class Page(Struct, Generic[T], frozen=True):
    """A part of a list.

    Attributes:
        next: what `after` of the next request is to be; "" at the end.
    """

    items: list[T]
    next: str = ""


def dependencies(services: Services) -> Mapping[str, Provide]:
    """`services: Using` and `admin: Asking` of handlers."""
    return {
        "services": Provide(lambda: services, sync_to_thread=False),
        "admin": Provide(asking, sync_to_thread=False),
    }


async def check_request(request: Request[Any, Any, Any]) -> None:
    """Refuse what a handler would not see, or not as it was meant.

    Of a query Litestar ignores what it does not know and takes the last of what comes twice, as it
    does in documents; of these it knows only some of the ways in which they can be no JSON: not
    text, or nested without end.

    Raises:
        ApiError: BadRequest.
    """
    wanted = request.route_handler.parsed_fn_signature.parameters
    said = [name for name, _ in request.query_params.multi_items()]
    for name in said:
        found = wanted.get(name)
        if found is None or not isinstance(found.kwarg_definition, QueryParameter):
            raise ApiError(400, "BadRequest", f"There is no query parameter {name!r} here.")
        if said.count(name) > 1:
            raise ApiError(400, "BadRequest", f"The query parameter {name!r} comes twice.")
    if "data" in wanted:
        _check_json(await request.body())


def _check_json(document: bytes) -> None:
    if not document:
        raise ApiError(400, "BadRequest", "A JSON document is needed, and there is none.")
    try:
        msgspec.json.decode(document)
        json.loads(document.decode(), object_pairs_hook=_check_names, parse_int=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "BadRequest", f"The document is not JSON: {error}") from error


def _check_names(fields: list[tuple[str, Any]]) -> None:
    """Refuse an object that names a field twice: two readers would see two values."""
    names: set[str] = set()
    for name, _ in fields:
        if name in names:
            raise ApiError(400, "BadRequest", f"The field {name[:SHOWN_CHARACTERS]!r} comes twice.")
        names.add(name)


def part_of(found: list[T], after: str, limit: int, name: Callable[[T], str]) -> Page[T]:
    """A part of a list that is whole here.

    Raises:
        ApiError: BadRequest; what the part is to come after is not in the list, or no longer.
    """
    names = [name(one) for one in found]
    if after and after not in names:
        detail = f"There is nothing called {after!r} that a part could come after."
        raise ApiError(400, "BadRequest", detail)
    start = names.index(after) + 1 if after else 0
    return page_of(found[start : start + limit + 1], limit, name)


def page_of(found: list[T], limit: int, name: Callable[[T], str]) -> Page[T]:
    """A part of a list.

    Args:
        found: one more than `limit` where there are more.
        name: what the next part comes after.
    """
    shown = found[:limit]
    return Page(shown, name(shown[-1]) if len(found) > limit else "")
