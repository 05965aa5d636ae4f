"""The Faust web views of a worker: `/metrics`, `/rates`, `/rates/<service>`, `/status`, `/search`, and its health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust
import httpx
import orjson
from faust.web import Request, Response, View
from prometheus_client.exposition import choose_encoder

from logsync_streams.metrics import REGISTRY

Answer = Callable[[], dict[str, Any]]


def _json(view: View, content: Any, status: int = 200) -> Response:
    return view.bytes(orjson.dumps(content), content_type="application/json", status=status)


def mount(app: faust.App, *, rates: Answer, status: Answer, ready: Callable[[], bool]) -> None:
    """Put the views on the app that owns the web."""

    @app.page("/metrics")
    async def metrics_(view: View, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))  # OpenMetrics has the exemplars
        headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff"}
        return view.bytes(encode(REGISTRY), headers=headers)

    @app.page("/rates")
    async def rates_(view: View, request: Request) -> Response:
        return _json(view, rates())

    @app.page("/rates/{service}")
    async def rates_of_service(view: View, request: Request, service: str) -> Response:
        view_ = rates()
        for row in view_["services"]:
            if row["service"] == service:
                return _json(view, {**view_, "services": [row]})
        problem = {"title": "Not Found", "status": 404, "detail": f"no log of service {service!r} in the last hour"}
        return _json(view, problem, 404)

    @app.page("/status")
    async def status_(view: View, request: Request) -> Response:
        return _json(view, status())

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        return _json(view, {"status": "ok"})

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        return _json(view, {"status": "ready"}) if ready() else _json(view, {"status": "starting"}, 503)


def mount_search(app: faust.App, api: Any) -> None:
    """`/search`: the query API's own handler, with its limits and its answers, for who only knows the worker's port."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://127.0.0.1")

    @app.page("/search")
    async def search(view: View, request: Request) -> Response:
        answer = await client.get("/api/logs/search", params=str(request.query_string).encode())
        content_type, _, _ = answer.headers["content-type"].partition(";")
        return view.bytes(answer.content, content_type=content_type, status=answer.status_code)
