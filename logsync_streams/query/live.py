"""The handler of live tail: server-sent events out of the hub."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from logsync_streams.errors import Unavailable
from logsync_streams.query.highlight import Highlighter
from logsync_streams.query.limits import Held, Slots, client_of
from logsync_streams.query.parameters import FILTERS, MAX_SHOWN_FIELDS, check_names, names_of, query_of
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.shown import shown_document
from logsync_streams.query.tail import Hub, Passing, events
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.documents import without_words

PARAMETERS = ("q", *FILTERS, "fields", "last_event_id")
# A client that takes nothing for so long is gone, or as good as gone.
_SEND_SECONDS = 60.0
_MAX_ID_LENGTH = 100


class Live:
    """hub: None where this process sees no logs pass (503)."""

    def __init__(self, hub: Hub | None, settings: QueryHttpSettings) -> None:
        self._hub, self._settings = hub, settings
        self._slots = Slots(settings.max_tails_per_client, settings.max_tails)

    async def tail(self, request: Request) -> Response:
        parameters = request.query_params
        check_names(parameters, PARAMETERS)
        fields = names_of(parameters, "fields", MAX_SHOWN_FIELDS)
        query = query_of(parameters, self._settings)
        # A browser's EventSource sends the header when it connects again, others may name it in the URL.
        last = request.headers.get("last-event-id") or parameters.get("last_event_id") or None
        if last is not None and len(last) > _MAX_ID_LENGTH:
            raise BadParameter("last_event_id", "this is no id of a log")
        hub = self._hub
        if hub is None or hub.closed:
            raise Unavailable(
                "this process sees no logs pass; the worker and `logsync query` do", retry_after_seconds=60
            )
        mark = Highlighter(query)

        def show(log: Passing) -> dict[str, Any]:
            document = without_words(log.document)
            ranges = mark(document)
            return {**shown_document(document, log.id, fields), **({"highlights": ranges} if ranges else {})}

        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        give_back = self._slots.take(client_of(request), "live tails")
        try:
            listener = hub.listen(query, last)
        except BaseException:
            give_back()
            raise

        def leave() -> None:
            hub.leave(listener)
            give_back()

        options = {"media_type": "text/event-stream", "headers": {"X-Accel-Buffering": "no"}}
        return _Events(leave, events(hub, listener, show), **options)


class _Events(Held):
    # Not a library for it: the one there is takes over the server's signal handling, which is ours.
    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(_SEND_SECONDS):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            return  # it will connect again when it is back
