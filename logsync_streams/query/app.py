"""The query API and the page as one ASGI application, assembled from the parts that are handed in."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from logsync_streams.query.asking import Asking
from logsync_streams.query.guard import Guard
from logsync_streams.query.live import Live
from logsync_streams.query.pages import STATIC, Pages
from logsync_streams.query.problems import HANDLERS
from logsync_streams.query.retention import Retention, ViewRetention
from logsync_streams.query.routes import Routes
from logsync_streams.query.saved import FilePlace, SavedSearches, SharesSearches
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings
from logsync_streams.storage.api import EventReader


def _now() -> int:
    return time.time_ns() // 1_000_000


def create_app(
    reader: EventReader,
    settings: Settings,
    *,
    rates: Callable[[], dict[str, object]] | None = None,
    hub: Hub | None = None,
    retention: ViewRetention | None = None,
    now: Callable[[], int] = _now,
) -> Starlette:
    """The application. reader: what searches are answered from; the caller opens and closes it.

    rates: what `GET /api/error-rates` answers, None when this process does not know (503). hub: where live tails
    listen, None when this process sees no logs pass (503); whoever feeds it closes it before the server stops.
    retention: what `GET /api/retention` answers, None as for the rates. now: epoch ms, for times such as now-15m.
    """
    asking = Asking(settings.query)
    stored = Routes(reader, settings.query, asking, now)
    live = Live(hub, settings.query)
    place = reader.saved_searches() if isinstance(reader, SharesSearches) else FilePlace(settings.data_dir)
    pages = Pages(rates, SavedSearches(place, settings.query.max_saved_searches))
    return Starlette(
        routes=[
            Route("/api/logs/search", stored.search),
            Route("/api/logs/histogram", stored.histogram),
            Route("/api/logs/facets", stored.facets),
            Route("/api/logs/fields", stored.fields),
            Route("/api/logs/tail", live.tail),
            Route("/api/logs/export", stored.export),
            Route("/api/logs/{id}", stored.log),
            Route("/api/logs/{id}/context", stored.context),
            Route("/api/error-rates", pages.error_rates),
            Route("/api/retention", Retention(retention, asking).answer),
            Route("/api/saved-searches", pages.saved_searches),
            Route("/api/saved-searches/{name:path}", pages.saved_search, methods=["GET", "PUT", "DELETE"]),
            Route("/healthz", pages.healthz),
            Route("/readyz", stored.readyz),
            Route("/metrics", pages.metrics),
            Route("/openapi.json", pages.openapi),
            Route("/", pages.page),
            Route("/docs", pages.docs),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Guard, allowed_hosts=settings.query.allowed_hosts),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
        ],
        exception_handlers=HANDLERS,
    )
