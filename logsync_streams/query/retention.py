"""`GET /api/retention`: the plan and the last runs of the retention; only read here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from logsync_streams.errors import Unavailable
from logsync_streams.query.asking import JSON, Asking
from logsync_streams.query.openapi_schemas import NUMBER, TEXT, TEXTS, Schema, many, thing
from logsync_streams.query.parameters import known_only

# Answers the plan as of the last run, and the last runs. Raises Unavailable.
ViewRetention = Callable[[], Coroutine[Any, Any, dict[str, Any]]]

_TIME: Schema = {"type": "string", "format": "date-time"}
_DAY = thing(
    {
        "alias": TEXT,
        "day": {"type": "string", "format": "date"},
        "dataset": TEXT,
        "action": {"type": "string", "enum": ["keep", "held", "archive", "wait", "drop"]},
        "policy": TEXT,
        "due_at": {"type": ["string", "null"], "format": "date-time"},
        "documents": NUMBER,
        "size_bytes": NUMBER,
        "reasons": TEXTS,
    }
)
_RUN = thing(
    {
        "begun_at": _TIME,
        "ended_at": _TIME,
        "archived_documents": NUMBER,
        "archived_bytes": NUMBER,
        "dropped_documents": NUMBER,
        "held_days": NUMBER,
        "problems": TEXTS,
        "more_problems": NUMBER,
        "unfinished": {"type": "string", "description": "why it ended before its end"},
    }
)
_PLAN = thing({"made_at": _TIME, "days": many(_DAY), "more_days": NUMBER})
SCHEMA = thing({"plan": {"anyOf": [_PLAN, {"type": "null"}]}, "runs": many(_RUN, description="the newest first")})


class Retention:
    """view: None when this process does not know."""

    def __init__(self, view: ViewRetention | None, asking: Asking) -> None:
        self._view, self._ask = view, asking

    async def answer(self, request: Request) -> Response:
        known_only(request.query_params, ())
        if self._view is None:
            raise Unavailable("this process does not know the retention; the worker does", retry_after_seconds=60)
        answer, _ = await self._ask(request, "retention", self._view())
        return JSON(answer)
