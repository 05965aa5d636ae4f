"""Every error of the API as application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from logsync_streams.errors import InvalidQuery, Unavailable
from logsync_streams.query.limits import ClientGone, TooMany


class BadParameter(Exception):
    """Answer 400: a parameter of the request is unknown or cannot be read. name: the parameter's."""

    def __init__(self, name: str, detail: str, *, hint: str | None = None) -> None:
        self.name, self.detail, self.hint = name, detail, hint
        super().__init__(detail)


def problem(request: Request, status: int, title: str, detail: str, **extra: object) -> Response:
    """A problem document; members of `extra` that are None are left out."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": request.scope.get("logsync.request_id"),
        **extra,
    }
    content = orjson.dumps({name: value for name, value in body.items() if value is not None})
    return Response(content, status, media_type="application/problem+json")


async def invalid_query(request: Request, error: InvalidQuery) -> Response:
    return problem(
        request,
        400,
        "The query cannot be understood",
        error.detail,
        parameter="q",
        column=error.column,
        hint=error.hint,
    )


async def bad_parameter(request: Request, error: BadParameter) -> Response:
    return problem(request, 400, "A parameter is wrong", error.detail, parameter=error.name, hint=error.hint)


async def unavailable(request: Request, error: Unavailable) -> Response:
    response = problem(request, 503, "The store cannot answer now", error.detail)
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


async def too_many(request: Request, error: TooMany) -> Response:
    response = problem(request, 429, "Too many requests at a time", str(error))
    response.headers["Retry-After"] = "1"
    return response


async def client_gone(request: Request, error: ClientGone) -> Response:
    """Nobody reads it; the status is what proxies log for such a request."""
    return Response(status_code=499)


async def http_error(request: Request, error: HTTPException) -> Response:
    title = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != title else f"{request.method} {request.url.path}"
    response = problem(request, error.status_code, title, detail)
    response.headers.update(error.headers or {})
    return response


async def unforeseen(request: Request, error: Exception) -> Response:
    """Starlette raises the error again after this answer, so that the server logs it; the client learns no more."""
    return problem(request, 500, "An error of this server", "the server's log has more under this request id")


# Starlette types a handler as one of any Exception; it calls each with the class that it is registered for.
HANDLERS: Mapping[Any, Any] = {
    InvalidQuery: invalid_query,
    BadParameter: bad_parameter,
    Unavailable: unavailable,
    TooMany: too_many,
    ClientGone: client_gone,
    HTTPException: http_error,
    Exception: unforeseen,
}
