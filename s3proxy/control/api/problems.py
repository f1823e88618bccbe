"""Errors of the API: problem documents (RFC 9457) with a code for programs.

An error that no row here knows is a bug: it is logged with its traceback, and tells nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response.base import ASGIResponse
from litestar.types import ExceptionHandlersMap
from msgspec import Struct

from s3proxy.catalog import errors
from s3proxy.log import get_logger
from s3proxy.ops.errors import as_s3_error

logger = get_logger("control")

# What was sent may be named, and no more of it than a person reads.
DETAIL_CHARACTERS_MAX: Final = 2000
MEDIA_TYPE = "application/problem+json"

# The code is the name of the exception.
_STATUSES: dict[type[Exception], int] = {
    errors.InvalidName: 400,
    errors.InvalidQuota: 400,
    errors.UnknownTenant: 404,
    errors.UnknownUser: 404,
    errors.UnknownKey: 404,
    errors.UnknownToken: 404,
    errors.UnknownDebt: 404,
    errors.UnknownBackend: 404,
    errors.TenantExists: 409,
    errors.UserExists: 409,
    errors.DeleteConflict: 409,
    errors.LimitExceeded: 409,
    errors.UnsupportedBucket: 409,
}

# Of the framework's own refusals, and what they are about where it does not say.
_CODES: Final = {
    400: ("BadRequest", ""),
    404: ("NotFound", "There is no such path; /schema tells of all."),
    405: ("MethodNotAllowed", "This path has no such method; the header Allow names those it has."),
    413: ("RequestEntityTooLarge", "The document is larger than any that is wanted here."),
}


class Problem(Struct, frozen=True):
    """An error as the API answers it.

    Attributes:
        code: for programs, such as `UnknownTenant`.
        detail: for people.
    """

    status: int
    title: str
    code: str
    detail: str


class ApiError(Exception):
    """What a handler refuses by itself."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}


def answer_of(path: str, error: Exception) -> Response[Problem]:
    """What is answered to a request that ended in an error."""
    if isinstance(error, ApiError):
        return _answer(error.status, error.code, str(error), error.headers)
    if isinstance(error, HTTPException):
        return _of_http(error)
    for kind in type(error).__mro__:
        if kind in _STATUSES:
            return _answer(_STATUSES[kind], type(error).__name__, str(error))
    known = as_s3_error(error)
    if known is not None:
        if known.status >= 500:
            logger.warning("control request failed", path=path, cause=str(error))
        return _answer(known.status, known.code, known.message)
    logger.error("unexpected error", path=path, exc_info=error)
    return _answer(500, "InternalError", "An internal error occurred; the log says more.")


def asgi_answer(path: str, error: Exception) -> ASGIResponse:
    """The same for a request that has not come to the application."""
    answer = answer_of(path, error)
    return ASGIResponse(
        body=msgspec.json.encode(answer.content),
        status_code=answer.status_code,
        headers=answer.headers,
        media_type=MEDIA_TYPE,
    )


def _of_http(error: HTTPException) -> Response[Problem]:
    """The framework's own refusals."""
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        named = (f"{found.get('key', '')}: {found.get('message', '')}" for found in error.extra)
        detail = "; ".join([detail, *named])
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    code, about = _CODES.get(error.status_code, _CODES[400])
    return _answer(error.status_code, code, about or detail, headers)


def _answer(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response[Problem]:
    if len(detail) > DETAIL_CHARACTERS_MAX:
        detail = f"{detail[:DETAIL_CHARACTERS_MAX]}…"
    problem = Problem(status, HTTPStatus(status).phrase, code, detail)
    return Response(problem, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def _handle(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    return answer_of(request.url.path, error)


HANDLERS: ExceptionHandlersMap = {Exception: _handle}
