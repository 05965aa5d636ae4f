"""The handlers: read the request, ask the reader, write the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from logsync_streams.errors import Unavailable
from logsync_streams.metrics import REGISTRY, query_seconds
from logsync_streams.query.openapi import DOCUMENT
from logsync_streams.query.parameters import encode_cursor, known_only, search_request
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import EventReader, Hit

STATIC = Path(__file__).parent / "static"

T = TypeVar("T")


class JSON(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Routes:
    """One method a route; what they share is handed in."""

    def __init__(
        self,
        reader: EventReader,
        settings: QueryHttpSettings,
        rates: Callable[[], dict[str, object]] | None,
        now: Callable[[], int],
    ) -> None:
        self._reader, self._settings, self._rates, self._now = reader, settings, rates, now

    async def search(self, request: Request) -> Response:
        wanted = search_request(request.query_params, self._settings, self._now())
        began = time.perf_counter()
        page = await self._in_time(self._reader.search(wanted))
        took = time.perf_counter() - began
        query_seconds.labels("search").observe(took)
        return JSON(
            {
                "total": {"value": page.total, "relation": page.relation},
                "took_ms": round(took * 1000),
                "hits": [_hit(hit) for hit in page.hits],
                "cursor": None if page.cursor is None else encode_cursor(page.cursor),
            }
        )

    async def log(self, request: Request) -> Response:
        known_only(request.query_params, ())
        began = time.perf_counter()
        hit = await self._in_time(self._reader.get(request.path_params["id"]))
        query_seconds.labels("log").observe(time.perf_counter() - began)
        if hit is None:
            raise HTTPException(404, "there is no log with this id")
        return JSON(_hit(hit))

    async def error_rates(self, request: Request) -> Response:
        known_only(request.query_params, ())
        if self._rates is None:
            raise Unavailable(
                "error rates are not counted in this process; the worker answers them", retry_after_seconds=60
            )
        return JSON(self._rates())

    async def healthz(self, request: Request) -> Response:
        return JSON({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        await self._in_time(self._reader.ready())
        return JSON({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})

    async def openapi(self, request: Request) -> Response:
        return JSON(DOCUMENT)

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _in_time(self, answer: Awaitable[T]) -> T:
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise Unavailable(
                f"the store did not answer within {seconds:g} s; a shorter time range is found faster",
                retry_after_seconds=5,
            ) from error


def _hit(hit: Hit) -> dict[str, Any]:
    return {**hit.document, "id": hit.id, "index": hit.index}
