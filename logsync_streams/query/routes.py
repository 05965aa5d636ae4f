"""The handlers over stored logs: read the request, ask the reader, write the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from logsync_streams.query import context, export, facets, histograms
from logsync_streams.query.asking import JSON, Asking
from logsync_streams.query.highlight import Highlighter
from logsync_streams.query.limits import Held, client_of
from logsync_streams.query.parameters import (
    MAX_SHOWN_FIELDS,
    encode_cursor,
    flag_of,
    known_only,
    names_of,
    search_request,
)
from logsync_streams.query.shown import shown
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import EventReader


class Routes:
    """One method a route; what they share is handed in. now: epoch ms."""

    def __init__(
        self, reader: EventReader, settings: QueryHttpSettings, asking: Asking, now: Callable[[], int]
    ) -> None:
        self._reader, self._settings, self._ask, self._now = reader, settings, asking, now

    async def search(self, request: Request) -> Response:
        parameters = request.query_params
        wanted = search_request(parameters, self._settings, self._now())
        fields = names_of(parameters, "fields", MAX_SHOWN_FIELDS)
        with_highlights = flag_of(parameters, "highlight", default=True)
        page, took_ms = await self._ask(request, "search", self._reader.search(wanted))
        answer: dict[str, Any] = {
            "total": {"value": page.total, "relation": page.relation},
            "took_ms": took_ms,
            "hits": [shown(hit, fields) for hit in page.hits],
            "cursor": None if page.cursor is None else encode_cursor(page.cursor),
        }
        if with_highlights:
            mark = Highlighter(wanted.query)
            answer["highlights"] = {hit.id: ranges for hit in page.hits if (ranges := mark(hit.document))}
        return JSON(answer)

    async def histogram(self, request: Request) -> Response:
        made = histograms.histogram(request.query_params, self._settings, self._now(), self._reader)
        answer, took_ms = await self._ask(request, "histogram", made)
        return JSON({"took_ms": took_ms, **answer})

    async def facets(self, request: Request) -> Response:
        made = facets.facets(request.query_params, self._settings, self._now(), self._reader)
        answer, took_ms = await self._ask(request, "facets", made)
        return JSON({"took_ms": took_ms, **answer})

    async def fields(self, request: Request) -> Response:
        made = facets.fields(request.query_params, self._settings, self._now(), self._reader)
        answer, took_ms = await self._ask(request, "fields", made)
        return JSON({"took_ms": took_ms, **answer})

    async def log(self, request: Request) -> Response:
        known_only(request.query_params, ())
        hit, _ = await self._ask(request, "log", self._reader.get(request.path_params["id"]))
        if hit is None:
            raise HTTPException(404, "there is no log with this id")
        return JSON(shown(hit))

    async def context(self, request: Request) -> Response:
        made = context.context(request.path_params["id"], request.query_params, self._settings, self._reader)
        answer, took_ms = await self._ask(request, "context", made)
        return JSON({"took_ms": took_ms, **answer})

    async def export(self, request: Request) -> Response:
        wanted = export.export_of(request.query_params, self._settings, self._now())
        first, _ = await self._ask(request, "export", self._reader.search(wanted.request))
        media_type = export.MEDIA_TYPES[wanted.format]
        if request.method == "HEAD":
            return Response(media_type=media_type)
        return Held(
            # The slot is held as long as the client takes; when it goes away, the next page is not asked for.
            self._ask.slots.take(client_of(request), "requests"),
            export.pages(wanted, first, self._reader.search),
            media_type=media_type,
            headers={"Content-Disposition": f'attachment; filename="logs.{wanted.format}"'},
        )

    async def readyz(self, request: Request) -> Response:
        await self._ask(request, "ready", self._reader.ready())
        return JSON({"status": "ready"})
