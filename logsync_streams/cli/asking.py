"""The query API, asked from the command line: pages of a search, and what a refusal means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TextIO

import httpx
import orjson

from logsync_streams.cli.printing import escape, stop_printing

FOUND, NOTHING_FOUND, FAILED = 0, 1, 2  # exit codes of the commands that read

_PAGE = 200
_TIMEOUT_SECONDS = 60  # the server's own limit is shorter; this one is for a server that hangs


class Refused(Exception):
    """The server answered, and not with what was asked for."""


def client(url: str) -> httpx.Client:
    """Raises httpx.InvalidURL."""
    return httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS)


def given(parameters: dict[str, str | None]) -> dict[str, str]:
    """Those that are not empty."""
    return {name: value for name, value in parameters.items() if value}


def exit_code(url: str, errors: TextIO, act: Callable[[], int], nothing: str = "no log was found") -> int:
    """What `act` answers; FAILED, with what went wrong on `errors`, when the server is away or refuses.

    nothing: said on `errors` for NOTHING_FOUND, if that is a terminal: a person would wonder at the silence.
    """
    try:
        code = act()
        if code == NOTHING_FOUND and errors.isatty():
            errors.write(f"logsync: {nothing}\n")
        return code
    except BrokenPipeError:
        stop_printing()
        return FOUND
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        detail = escape(str(error) or type(error).__name__)
        errors.write(f"logsync: {url} cannot be asked: {detail}; is `logsync query` or the worker running?\n")
        return FAILED
    except Refused as refused:
        errors.write(f"logsync: {refused}\n")
        return FAILED


def body_of(response: httpx.Response, member: str, q: str = "") -> dict[str, Any]:
    """The answer, which must have this member. Raises Refused. q: the query, to point at what is wrong in it."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if response.status_code != 200 or not isinstance(body, dict) or member not in body:
        raise Refused(explained(response.status_code, body, q))
    return body


def hits(asking: httpx.Client, parameters: dict[str, str], limit: int) -> Iterator[dict[str, Any]]:
    """The logs that a search finds, page by page, at most `limit`. Raises Refused, httpx.HTTPError."""
    cursor = ""
    while limit > 0:
        asked = {**parameters, "limit": str(min(limit, _PAGE)), "cursor": cursor, "highlight": "false"}
        body = body_of(asking.get("/api/logs/search", params=given({**asked})), "hits", parameters.get("q", ""))
        yield from body["hits"]
        limit -= len(body["hits"])
        cursor = body["cursor"] or ""
        if not cursor:
            return


def explained(status: int, body: Any, q: str) -> str:
    """What a refusal says, with the place in the query that it is about."""
    if not isinstance(body, dict) or "detail" not in body:
        return f"the answer is not one of a query API (status {status}); is the URL right?"
    lines = [escape(str(body["detail"]))]
    column = body.get("column")
    if isinstance(column, int):
        # The escaped beginning is as wide as what is printed above it.
        lines += [f"  {escape(q)}", "  " + " " * len(escape(q[: column - 1])) + "^"]
    if body.get("hint"):
        lines.append(f"  {escape(str(body['hint']))}")
    return "\n".join(lines)
