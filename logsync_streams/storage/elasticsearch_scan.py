"""Reading one whole index of Elasticsearch: what it is made of, and its documents by id, page by page.

Needs nothing beyond a search: no scroll, whose context a long archive run would have to keep alive, and no point in
time, which 7.10 has not; the index takes no more writes, so `search_after` on the id is exact.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.storage.api import Portion, Stored
from logsync_streams.storage.elasticsearch_client import Connection
from logsync_streams.storage.elasticsearch_templates import NOT_SHOWN
from logsync_streams.storage.portions import FIELDS, ordered

_PARAMS = {"allow_partial_search_results": "false", "filter_path": "timed_out,_shards.failed,hits.hits,aggregations"}
_BUCKETS = 1000


async def portions(connection: Connection, index: str) -> list[Portion]:
    """IndexAdmin.portions."""
    sources = [{field: {"terms": {"field": field, "missing_bucket": True}}} for field in FIELDS]
    composite: dict[str, Any] = {"size": _BUCKETS, "sources": sources}
    counts: dict[tuple[str, str, str], int] = {}
    while True:
        body = {"size": 0, "track_total_hits": False, "aggs": {"portions": {"composite": composite}}}
        found = (await _search(connection, index, body)).get("aggregations", {}).get("portions", {})
        for bucket in found.get("buckets", []):
            service, level, environment = (bucket["key"][field] or "" for field in FIELDS)
            key = (service, level, environment)
            counts[key] = counts.get(key, 0) + bucket["doc_count"]
        if len(found.get("buckets", [])) < _BUCKETS:
            return ordered(counts)
        composite = {**composite, "after": found["after_key"]}


async def scan(connection: Connection, index: str, after: str, limit: int) -> list[Stored]:
    """IndexAdmin.scan."""
    body: dict[str, Any] = {
        "size": limit,
        "track_total_hits": False,
        "sort": [{"event.id": "asc"}],
        "_source": {"excludes": list(NOT_SHOWN)},
    }
    if after:
        body["search_after"] = [after]
    hits = (await _search(connection, index, body)).get("hits", {}).get("hits", [])
    return [Stored(hit["_id"], orjson.dumps(_shown(hit["_source"]))) for hit in hits]


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    if document.get("logsync") == {}:  # it held only what is left out
        del document["logsync"]
    return document


async def _search(connection: Connection, index: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = (await connection.ask("POST", f"/{quote(index, safe='')}/_search", params=_PARAMS, body=body)).body
    if answer.get("timed_out") or answer.get("_shards", {}).get("failed"):
        raise Unavailable(f"the store did not answer completely for {index}")
    return answer
