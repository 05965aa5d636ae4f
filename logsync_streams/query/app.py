"""The query API and the page as one ASGI application, assembled from the parts that are handed in."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from logsync_streams.query.guard import Guard
from logsync_streams.query.problems import HANDLERS
from logsync_streams.query.routes import STATIC, Routes
from logsync_streams.settings import Settings
from logsync_streams.storage.api import EventReader


def _now() -> int:
    return time.time_ns() // 1_000_000


def create_app(
    reader: EventReader,
    settings: Settings,
    *,
    rates: Callable[[], dict[str, object]] | None = None,
    now: Callable[[], int] = _now,
) -> Starlette:
    """The application. reader: what searches are answered from; the caller opens and closes it.

    rates: what `GET /api/error-rates` answers, None when this process does not know (503). now: epoch ms, for times
    such as now-15m.
    """
    routes = Routes(reader, settings.query, rates, now)
    return Starlette(
        routes=[
            Route("/api/logs/search", routes.search),
            Route("/api/logs/{id}", routes.log),
            Route("/api/error-rates", routes.error_rates),
            Route("/healthz", routes.healthz),
            Route("/readyz", routes.readyz),
            Route("/metrics", routes.metrics),
            Route("/openapi.json", routes.openapi),
            Route("/", routes.page),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Guard, allowed_hosts=settings.query.allowed_hosts),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
        ],
        exception_handlers=HANDLERS,
    )
