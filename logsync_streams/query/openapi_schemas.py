"""The schemas of the API's answers, and the small parts that its OpenAPI document is put together from."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TIME_MS: Schema = {"type": "integer", "description": "milliseconds since 1970"}
TEXTS: Schema = {"type": "array", "items": TEXT}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def thing(properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object whose properties are all there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties, **more}


def many(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def parameter(name: str, description: str, **schema: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


def number(name: str, description: str, default: int, most: int, least: int = 1) -> Schema:
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": default}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def answer(description: str, schema: Schema, media_type: str = "application/json") -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def problem(description: str) -> Schema:
    return answer(description, ref("Problem"), "application/problem+json")


_RANGES = {
    "type": "object",
    "description": "field -> ranges in its text: first character and the one after the last, in Unicode code points",
    "additionalProperties": many({"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}),
}

SCHEMAS: dict[str, Schema] = {
    "Log": thing(
        {
            "id": TEXT,
            "index": TEXT,
            "@timestamp": {"type": "string", "format": "date-time"},
            "message": TEXT,
        },
        optional=("@timestamp", "message"),
        description="The stored document (ECS names, nested) with its id and the index it is in.",
        additionalProperties=True,
    ),
    "Page": thing(
        {
            "total": thing(
                {"value": NUMBER, "relation": {"enum": ["eq", "gte"], "description": "gte: at least so many"}}
            ),
            "took_ms": NUMBER,
            "hits": many(ref("Log")),
            "cursor": {"type": ["string", "null"], "description": "of the next page; null at the end"},
            "highlights": {
                "type": "object",
                "description": "id of a hit -> where the query's words are in it",
                "additionalProperties": _RANGES,
            },
        },
        optional=("highlights",),
    ),
    "Histogram": thing(
        {
            "took_ms": NUMBER,
            "from": TIME_MS,
            "to": TIME_MS,
            "interval_ms": {"type": "integer", "minimum": 1},
            "total": NUMBER,
            "split": {"oneOf": [{"type": "null"}, thing({"field": TEXT, "values": TEXTS})]},
            "buckets": many(
                thing(
                    {
                        "start": TIME_MS,
                        "count": NUMBER,
                        "split": many(NUMBER, description="of each of split.values, in their order"),
                    },
                    optional=("split",),
                )
            ),
        }
    ),
    "Facets": thing(
        {
            "took_ms": NUMBER,
            "facets": many(
                thing(
                    {
                        "field": TEXT,
                        "values": many(thing({"value": TEXT, "count": NUMBER})),
                        "more": {"type": "boolean", "description": "there are further values"},
                        "exact": {"type": "boolean", "description": "false: counts may be too low"},
                    }
                )
            ),
        }
    ),
    "Fields": thing(
        {
            "took_ms": NUMBER,
            "sampled": {**NUMBER, "description": "how many of the newest logs were looked at"},
            "fields": many(
                thing(
                    {
                        "name": TEXT,
                        "type": {"enum": ["text", "keyword", "long", "date", "ip"]},
                        "aliases": TEXTS,
                        "facet": {"type": "boolean", "description": "its values can be counted"},
                        "present": {**NUMBER, "description": "in how many of the sampled logs"},
                    }
                )
            ),
        }
    ),
    "Context": thing(
        {
            "took_ms": NUMBER,
            "same": {
                "type": "object",
                "description": "what the logs have in common",
                "additionalProperties": TEXT,
            },
            "before": many(ref("Log"), description="oldest first"),
            "log": ref("Log"),
            "after": many(ref("Log"), description="oldest first"),
        }
    ),
    "Search": thing(
        dict.fromkeys(("q", "from", "to", "sort", "columns"), TEXT),
        optional=("q", "from", "to", "sort", "columns"),
        description="What the page's address holds.",
        additionalProperties=False,
    ),
    "SavedSearch": thing({"name": TEXT, "search": ref("Search")}),
    "SavedSearches": thing({"searches": many(ref("SavedSearch"))}),
    "Problem": thing(
        {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "instance": TEXT,
            "request_id": TEXT,
            "parameter": TEXT,
            "column": {"type": "integer", "minimum": 1, "description": "1-based, in characters of q"},
            "hint": TEXT,
        },
        optional=("instance", "request_id", "parameter", "column", "hint"),
    ),
}
