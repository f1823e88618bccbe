"""What handlers ask for: the services, who asks, a part of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from s3proxy.control.api.guard import Admin, admin_of
from s3proxy.control.api.models import Page
from s3proxy.control.api.problems import ApiError
from s3proxy.ops.call import Services

T = TypeVar("T")
LIMIT_MAX = 1000

Using = NamedDependency[SkipValidation[Services]]
Asking = NamedDependency[SkipValidation[Admin]]
After = Annotated[str, QueryParameter(description="`next` of the part before", max_length=1024)]
Limit = Annotated[int, QueryParameter(description="how many at most", ge=1, le=LIMIT_MAX)]


def dependencies(services: Services) -> Mapping[str, Provide]:
    """`services: Using` and `admin: Asking` of handlers."""
    return {
        "services": Provide(lambda: services, sync_to_thread=False),
        "admin": Provide(admin_of, sync_to_thread=False),
    }


async def check_document(request: Request[Any, Any, Any]) -> None:
    """Refuse a document that is no JSON, before a handler's model takes it.

    Litestar knows only some of the ways in which it can be none: not text, or nested without end.

    Raises:
        ApiError: BadRequest.
    """
    if "data" not in request.route_handler.parsed_fn_signature.parameters:
        return
    try:
        msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "BadRequest", f"The document is not JSON: {error}") from error


def page_of(found: list[T], limit: int, name: Callable[[T], str]) -> Page[T]:
    """A part of a list.

    Args:
        found: one more than `limit` where there are more.
        name: what the next part comes after.
    """
    shown = found[:limit]
    return Page(shown, name(shown[-1]) if len(found) > limit else "")
