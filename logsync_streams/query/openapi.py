"""The OpenAPI 3.1 document of the query API, kept by hand; tests hold it against the routes and their answers."""

from __future__ import annotations

from typing import Any

from logsync_streams.query.context import DEFAULT_SAME
from logsync_streams.query.facets import DEFAULT_FACETS
from logsync_streams.query.histograms import DEFAULT_BUCKETS
from logsync_streams.query.openapi_schemas import (
    SCHEMAS,
    TEXT,
    Schema,
    answer,
    number,
    parameter,
    problem,
    ref,
    thing,
)
from logsync_streams.query.parameters import DEFAULT_LIMIT, FILTERS
from logsync_streams.query.retention import SCHEMA as RETENTION
from logsync_streams.query.saved import MAX_NAME_LENGTH
from logsync_streams.version import VERSION

_TIME = "ISO 8601 (UTC without an offset), milliseconds since 1970, now, or now-15m (s, m, h, d, w)"

_AWAY = problem("The store cannot answer now; Retry-After says when to ask again.")
_AWAY["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
_BUSY = problem("This client has as many requests under way as it may.")
_WRONG = problem("The query or a parameter is wrong: column, parameter and hint say where.")
_NOT_OURS = problem("The Host header does not name this server.")
_ID: Schema = {"name": "id", "in": "path", "required": True, "description": "event.id", "schema": TEXT}
_NAME: Schema = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
}

_FILTERS = [
    {
        "name": name,
        "in": "query",
        "description": f"{field} is exactly this; given more than once: any of them",
        "schema": {"type": "array", "items": TEXT},
    }
    for name, field in FILTERS.items()
]
_Q = parameter("q", "query text: words, phrases, field:value, ranges, AND, OR, NOT; empty = every log")
_WHAT = [
    _Q,
    parameter("from", f"earliest @timestamp, included: {_TIME}"),
    parameter("to", f"@timestamp before this: {_TIME}"),
    *_FILTERS,
]
_SORT = parameter("sort", "desc = newest first", enum=["desc", "asc"], default="desc")
_FIELDS = parameter("fields", "only these fields, by commas (an object's name means all in it); none = all")


def _get(
    id: str, summary: str, ok: Schema, parameters: list[Schema] | None = None, *, missing: str = "", store: bool = True
) -> Schema:
    """A path that is only read. store: whether it asks the store or what it needs may be away."""
    responses: dict[str, Schema] = {"200": ok, "400": _WRONG, "421": _NOT_OURS}
    if missing:
        responses["404"] = problem(missing)
    if store:
        responses |= {"429": _BUSY, "503": _AWAY}
    operation: Schema = {"operationId": id, "summary": summary, "responses": responses}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _streamed(description: str, *media_types: str) -> Schema:
    return {"description": description, "content": {kind: {"schema": TEXT} for kind in media_types}}


_STATUS = thing({"status": TEXT})
_SAVED_ERRORS = {"400": _WRONG, "403": problem("Asked by another site."), "421": _NOT_OURS, "503": _AWAY}

_PATHS: dict[str, Any] = {
    "/api/logs/search": _get(
        "searchLogs",
        "Logs that a query finds, ordered by (@timestamp, event.id)",
        answer("One page.", ref("Page")),
        [
            *_WHAT,
            _SORT,
            number("limit", "hits on one page; the query.max_hits setting may allow fewer", DEFAULT_LIMIT, 10_000),
            parameter("cursor", "the cursor of the page before, to go on with the same query and order"),
            _FIELDS,
            parameter("highlight", "where the query's words are in each hit", enum=["true", "false"], default="true"),
        ],
    ),
    "/api/logs/histogram": _get(
        "logHistogram",
        "How many logs a query finds in each interval of time",
        answer("Every interval, the empty ones too.", ref("Histogram")),
        [
            *_WHAT,
            parameter("interval", "auto, or 30s, 5m, 1h, 1d (ms, s, m, h, d, w)", default="auto"),
            number("buckets", "how many intervals auto may make", DEFAULT_BUCKETS, 2000),
            parameter("split", "a field by whose commonest values each interval is split"),
            number("split_limit", "how many of its values", 8, 20),
        ],
    ),
    "/api/logs/facets": _get(
        "logFacets",
        "The commonest values of several fields in what a query finds",
        answer("One facet a field.", ref("Facets")),
        [
            *_WHAT,
            parameter("fields", "by commas", default=DEFAULT_FACETS),
            number("limit", "values of each field", 10, 100),
            parameter("prefix", "only values of the one field that begin so, for completion"),
        ],
    ),
    "/api/logs/fields": _get(
        "logFields",
        "The fields that a query may name, and how common each is in the newest logs that it finds",
        answer("All fields.", ref("Fields")),
        [*_WHAT, number("sample", "logs to look at", 200, 10_000)],
    ),
    "/api/logs/tail": _get(
        "tailLogs",
        "Live tail, as server-sent events, before logs are stored",
        _streamed(
            "Events `log` (data: the document, id: its id) and `skipped` (data: logs, at_least, reason) for ever.",
            "text/event-stream",
        ),
        [
            _Q,
            *_FILTERS,
            _FIELDS,
            parameter("last_event_id", "go on after this log, as the header Last-Event-ID does", maxLength=100),
        ],
    ),
    "/api/logs/export": _get(
        "exportLogs",
        "Every log that a query finds, streamed; an answer that breaks off is not complete",
        _streamed("The logs.", "application/x-ndjson", "text/csv"),
        [
            *_WHAT,
            _SORT,
            number("limit", "logs in all; the query.max_export_logs setting may allow fewer", 10_000_000, 10_000_000),
            _FIELDS,
            parameter("format", "csv: safe to open as a spreadsheet", enum=["ndjson", "csv"], default="ndjson"),
        ],
    ),
    "/api/logs/{id}": _get(
        "getLog",
        "The log with this event.id",
        answer("The log.", ref("Log")),
        [_ID],
        missing="There is no log with this id.",
    ),
    "/api/logs/{id}/context": _get(
        "logContext",
        "What came before and after a log, from the same host and service",
        answer("The log among its neighbours.", ref("Context")),
        [
            _ID,
            number("before", "logs before it", 10, 1000, least=0),
            number("after", "logs after it", 10, 1000, least=0),
            parameter(
                "same",
                "fields whose values they share: service, host, source, keyword fields; or none",
                default=DEFAULT_SAME,
            ),
        ],
        missing="There is no log with this id.",
    ),
    "/api/error-rates": _get(
        "getErrorRates",
        "Events and errors by service, counted by receive time before any filter",
        answer("The rates.", {"type": "object"}),
    ),
    "/api/retention": _get(
        "getRetention",
        "What the retention will archive and drop, and why, as of its last run; and its last runs",
        answer("The plan and the runs.", RETENTION),
    ),
    "/api/saved-searches": _get(
        "savedSearches", "Searches saved under a name", answer("All, by name.", ref("SavedSearches"))
    ),
    "/api/saved-searches/{name}": _get(
        "savedSearch",
        "One saved search",
        answer("The search.", ref("SavedSearch")),
        [_NAME],
        missing="There is no saved search of this name.",
    )
    | {
        "put": {
            "operationId": "saveSearch",
            "summary": "Save a search, or replace one",
            "parameters": [_NAME],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ref("Search")}}},
            "responses": {
                "200": answer("As it was saved.", ref("SavedSearch")),
                "404": problem("A name has no line breaks."),
                "413": problem("The body is too long."),
                "415": problem("The body is not declared as JSON."),
                **_SAVED_ERRORS,
            },
        },
        "delete": {
            "operationId": "deleteSearch",
            "summary": "Delete a saved search",
            "parameters": [_NAME],
            "responses": {
                "204": {"description": "It is gone."},
                "404": problem("There is no saved search of this name."),
                **_SAVED_ERRORS,
            },
        },
    },
    "/healthz": _get("health", "This process is alive", answer("Alive.", _STATUS), store=False),
    "/readyz": _get("readiness", "The store answers", answer("Ready.", _STATUS)),
    "/metrics": _get(
        "metrics", "Metrics of this process for Prometheus", answer("Metrics.", TEXT, "text/plain"), store=False
    ),
    "/openapi.json": _get("openapi", "This document", answer("OpenAPI 3.1.", {"type": "object"}), store=False),
    "/docs": _get("docs", "This document for people", answer("A page.", TEXT, "text/html"), store=False),
}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "LogSync query API",
        "version": VERSION,
        "description": "Search of stored logs. Errors are RFC 9457 problem documents.",
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "paths": _PATHS,
    "components": {"schemas": SCHEMAS},
}
