"""The handlers that ask no store: the page, the API's document, health, metrics, error rates, saved searches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import orjson
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from logsync_streams.errors import Unavailable
from logsync_streams.metrics import REGISTRY
from logsync_streams.query.asking import JSON
from logsync_streams.query.openapi import DOCUMENT
from logsync_streams.query.parameters import known_only
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.saved import MAX_BODY_BYTES, SavedSearches

STATIC = Path(__file__).parent / "static"
_OPENAPI = orjson.dumps(DOCUMENT)
_OPENAPI_TAG = f'"{hashlib.sha256(_OPENAPI).hexdigest()[:16]}"'


class Pages:
    """One method a route. rates: None when this process does not know the error rates."""

    def __init__(self, rates: Callable[[], dict[str, object]] | None, saved: SavedSearches) -> None:
        self._rates, self._saved = rates, saved

    async def error_rates(self, request: Request) -> Response:
        known_only(request.query_params, ())
        if self._rates is None:
            raise Unavailable(
                "error rates are not counted in this process; the worker answers them", retry_after_seconds=60
            )
        return JSON(self._rates())

    async def saved_searches(self, request: Request) -> Response:
        known_only(request.query_params, ())
        found = await self._saved.all()
        return JSON({"searches": [{"name": name, "search": search} for name, search in found.items()]})

    async def saved_search(self, request: Request) -> Response:
        known_only(request.query_params, ())
        name = request.path_params["name"]
        if request.method == "PUT":
            _refuse_other_sites(request)
            search = await _json_body(request)
            return JSON({"name": name, "search": await self._saved.put(name, search)})
        if request.method == "DELETE":
            _refuse_other_sites(request)
            if await self._saved.delete(name):
                return Response(status_code=204)
        else:
            found = await self._saved.all()
            if name in found:
                return JSON({"name": name, "search": found[name]})
        raise HTTPException(404, "there is no saved search of this name")

    async def healthz(self, request: Request) -> Response:
        return JSON({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})

    async def openapi(self, request: Request) -> Response:
        headers = {"ETag": _OPENAPI_TAG}
        if request.headers.get("if-none-match") == _OPENAPI_TAG:
            return Response(status_code=304, headers=headers)
        return Response(_OPENAPI, media_type="application/json", headers=headers)

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def docs(self, request: Request) -> Response:
        return FileResponse(STATIC / "docs.html")


def _refuse_other_sites(request: Request) -> None:
    """A page of another site may send requests here, but a browser says so."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "searches are saved from our own page only")


async def _json_body(request: Request) -> object:
    # The media type is what a form of another site cannot have.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "application/json is expected")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"at most {MAX_BODY_BYTES} bytes are taken")
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise BadParameter("body", f"the body is no JSON: {error}") from error
