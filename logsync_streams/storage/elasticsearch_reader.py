"""Reading from Elasticsearch: searches over all our indices, single documents, and which ids are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Literal

import structlog

from logsync_streams.errors import Unavailable
from logsync_streams.storage.api import (
    All,
    Bucket,
    Cursor,
    Equals,
    Facet,
    FacetsRequest,
    HistogramRequest,
    Hit,
    Page,
    SearchRequest,
)
from logsync_streams.storage.elasticsearch_client import Answer, Connection
from logsync_streams.storage.elasticsearch_counts import facets_body, facets_of, histogram_body, histogram_of
from logsync_streams.storage.elasticsearch_generations import held_ids, indices_behind
from logsync_streams.storage.elasticsearch_query import search_body
from logsync_streams.storage.elasticsearch_saved import ElasticsearchSavedSearches
from logsync_streams.storage.naming import ALL_INDICES

log = structlog.get_logger(__name__)

_ANSWER = (
    "timed_out,_shards.failed,hits.total,hits.hits._index,hits.hits._id,hits.hits._source,hits.hits.sort,aggregations"
)
SEARCH_PARAMS = {
    "filter_path": _ANSWER,
    "ignore_unavailable": "true",  # an index dropped in this moment
    "allow_no_indices": "true",
    "allow_partial_search_results": "false",  # a shard's logs missing without a word would be a wrong answer
}
_SEARCH = f"/{ALL_INDICES}/_search"
_STARTING_TRIES, _STARTING_PAUSE_SECONDS = 15, 0.2


class ElasticsearchReader:
    """An EventReader. Closing it closes the connection that it shares."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def search(self, request: SearchRequest) -> Page:
        timeout_seconds = self._connection.store.request_timeout_seconds
        answer = (await self._search(search_body(request, timeout_seconds))).get("hits", {})
        found = [_hit(hit) for hit in answer.get("hits", [])]
        hits = found[: request.limit]
        total = answer.get("total", {"value": 0, "relation": "eq"})
        relation: Literal["eq", "gte"] = "eq" if total["relation"] == "eq" else "gte"
        more = len(found) > len(hits) > 0
        cursor = Cursor(hits[-1].timestamp, hits[-1].id) if more else None
        return Page(hits=hits, total=total["value"], relation=relation, cursor=cursor)

    async def get(self, id: str) -> Hit | None:
        timeout_seconds = self._connection.store.request_timeout_seconds
        request = SearchRequest(Equals("event.id", id), limit=1)
        answer = await self._search(search_body(request, timeout_seconds))
        hits = answer.get("hits", {}).get("hits", [])
        return _hit(hits[0]) if hits else None

    async def histogram(self, request: HistogramRequest) -> list[Bucket]:
        body = histogram_body(request, self._connection.store.request_timeout_seconds)
        return histogram_of(request, (await self._search(body)).get("aggregations", {}))

    async def facets(self, request: FacetsRequest) -> list[Facet]:
        body = facets_body(request, self._connection.store.request_timeout_seconds)
        return facets_of(request, (await self._search(body)).get("aggregations", {}))

    async def existing(self, indices: Collection[str], ids: Collection[str]) -> set[str]:
        if not indices or not ids:
            return set()
        behind = await indices_behind(self._connection, indices)
        return await held_ids(self._connection, behind, list(ids))

    def saved_searches(self) -> ElasticsearchSavedSearches:
        """Where the searches that people save are kept, for every process that reads this store."""
        return ElasticsearchSavedSearches(self._connection)

    async def ready(self) -> None:
        await self._search({**search_body(SearchRequest(All(), limit=0), 5), "size": 0})

    async def close(self) -> None:
        await self._connection.close()

    async def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises Unavailable, also for an answer that is not complete."""
        try:
            answer = await self._asked(body)
        except Unavailable as error:
            log.warning("search_failed", detail=error.detail)
            raise
        if answer.body.get("timed_out") or answer.body.get("_shards", {}).get("failed"):
            raise Unavailable("the store did not answer completely in time")
        return answer.body

    async def _asked(self, body: dict[str, Any]) -> Answer:
        # A day's index that was made a moment ago has no shard to ask yet, and then the whole search is refused.
        for _ in range(_STARTING_TRIES):
            answer = await self._connection.ask(
                "POST", _SEARCH, params=SEARCH_PARAMS, body=body, allowed=frozenset({503})
            )
            if answer.status != 503:
                return answer
            await asyncio.sleep(_STARTING_PAUSE_SECONDS)
        return await self._connection.ask("POST", _SEARCH, params=SEARCH_PARAMS, body=body)


def _hit(found: dict[str, Any]) -> Hit:
    document = found["_source"]
    if document.get("logsync") == {}:  # it held only what is not shown
        del document["logsync"]
    return Hit(index=found["_index"], id=found["_id"], timestamp=found["sort"][0], document=document)
