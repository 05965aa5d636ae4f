"""How every handler asks the store: within the client's share, in time, measured, and only while the client waits."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from logsync_streams.metrics import query_seconds
from logsync_streams.query.limits import Slots, client_of, while_there
from logsync_streams.settings import QueryHttpSettings

T = TypeVar("T")


class JSON(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Asking:
    """Shared by the handlers that read the store."""

    def __init__(self, settings: QueryHttpSettings) -> None:
        self._seconds = settings.timeout_seconds
        self.slots = Slots(settings.max_concurrent_per_client)

    async def __call__(self, request: Request, operation: str, answer: Coroutine[Any, Any, T]) -> tuple[T, int]:
        """The answer, and the milliseconds it took. Raises TooMany, ClientGone, Unavailable, and what it raises."""
        try:
            give_back = self.slots.take(client_of(request), "requests")
            try:
                began = time.perf_counter()
                found = await while_there(request, self._seconds, answer)
            finally:
                give_back()
        finally:
            answer.close()  # it may not have begun
        took = time.perf_counter() - began
        query_seconds.labels(operation).observe(took)
        return found, round(took * 1000)
