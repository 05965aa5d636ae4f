"""The OpenAPI 3.1 document of the query API, kept by hand; a test holds it against the routes."""

from __future__ import annotations

from typing import Any

from logsync_streams.query.parameters import DEFAULT_LIMIT, FILTERS
from logsync_streams.version import VERSION

_TIME = "ISO 8601 (UTC without an offset), milliseconds since 1970, now, or now-15m (s, m, h, d, w)"


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


def _answer(description: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _problem(description: str) -> dict[str, Any]:
    return _answer(description, _ref("Problem"), "application/problem+json")


_AWAY = _problem("The store cannot answer now; Retry-After says when to ask again.")
_AWAY["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}

_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "LogSync query API",
        "version": VERSION,
        "description": "Search of stored logs. Errors are RFC 9457 problem documents.",
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "paths": {
        "/api/logs/search": {
            "get": {
                "operationId": "searchLogs",
                "summary": "Logs that a query finds, ordered by (@timestamp, event.id)",
                "parameters": [
                    _parameter("q", "query text: words, phrases, field:value, ranges, AND, OR, NOT; empty = every log"),
                    _parameter("from", f"earliest @timestamp, included: {_TIME}"),
                    _parameter("to", f"@timestamp before this: {_TIME}"),
                    _parameter("sort", "desc = newest first", enum=["desc", "asc"], default="desc"),
                    {
                        "name": "limit",
                        "in": "query",
                        "description": "hits on one page; more than the query.max_hits setting is refused",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": DEFAULT_LIMIT},
                    },
                    _parameter("cursor", "the cursor of the page before, to go on with the same query and order"),
                    *(
                        {
                            "name": name,
                            "in": "query",
                            "description": f"{field} is exactly this; given more than once: any of them",
                            "schema": {"type": "array", "items": {"type": "string"}},
                        }
                        for name, field in FILTERS.items()
                    ),
                ],
                "responses": {
                    "200": _answer("One page.", _ref("Page")),
                    "400": _problem("The query or a parameter is wrong: column, parameter and hint say where."),
                    "503": _AWAY,
                },
            }
        },
        "/api/logs/{id}": {
            "get": {
                "operationId": "getLog",
                "summary": "The log with this event.id",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": _answer("The log.", _ref("Log")),
                    "400": _problem("This route has no parameters."),
                    "404": _problem("There is no log with this id."),
                    "503": _AWAY,
                },
            }
        },
        "/api/error-rates": {
            "get": {
                "operationId": "getErrorRates",
                "summary": "Events and errors by service, counted by receive time before any filter",
                "responses": {
                    "200": _answer("The rates.", {"type": "object"}),
                    "400": _problem("This route has no parameters."),
                    "503": _AWAY,
                },
            }
        },
        "/healthz": {
            "get": {
                "operationId": "health",
                "summary": "This process is alive",
                "responses": {"200": _answer("Alive.", _STATUS)},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "readiness",
                "summary": "The store answers",
                "responses": {"200": _answer("Ready.", _STATUS), "503": _AWAY},
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "Metrics of this process for Prometheus",
                "responses": {"200": _answer("Metrics.", {"type": "string"}, "text/plain")},
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object"})},
            }
        },
    },
    "components": {
        "schemas": {
            "Log": {
                "type": "object",
                "description": "The stored document (ECS names, nested) with its id and the index it is in.",
                "required": ["id", "index"],
                "properties": {
                    "id": {"type": "string"},
                    "index": {"type": "string"},
                    "@timestamp": {"type": "string", "format": "date-time"},
                    "message": {"type": "string"},
                },
                "additionalProperties": True,
            },
            "Page": {
                "type": "object",
                "required": ["total", "took_ms", "hits", "cursor"],
                "properties": {
                    "total": {
                        "type": "object",
                        "required": ["value", "relation"],
                        "properties": {
                            "value": {"type": "integer", "minimum": 0},
                            "relation": {"enum": ["eq", "gte"], "description": "gte: at least so many"},
                        },
                    },
                    "took_ms": {"type": "integer", "minimum": 0},
                    "hits": {"type": "array", "items": _ref("Log")},
                    "cursor": {"type": ["string", "null"], "description": "of the next page; null at the end"},
                },
            },
            "Problem": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                    "request_id": {"type": "string"},
                    "parameter": {"type": "string"},
                    "column": {"type": "integer", "minimum": 1, "description": "1-based, in characters of q"},
                    "hint": {"type": "string"},
                },
            },
        }
    },
}
