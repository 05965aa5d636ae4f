"""Searches saved under a name, in an Elasticsearch index of their own: the same list for every query API process."""

from __future__ import annotations

import hashlib
from typing import Any

from logsync_streams.storage.elasticsearch_client import Connection

# No name of an index of logs: searches, templates and retention do not see it.
INDEX = "logsync-saved-searches"
_MOST_LISTED = 10_000  # Elasticsearch's own bound on one page; no setting allows more
_MADE_ALREADY = "resource_already_exists_exception"
_DEFINITION: dict[str, Any] = {
    "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    "mappings": {
        "dynamic": False,
        "properties": {"name": {"type": "keyword"}, "search": {"type": "object", "enabled": False}},
    },
}


class ElasticsearchSavedSearches:
    """Names -> searches. The connection is the reader's, who closes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> dict[str, dict[str, str]]:
        """In order of their names. Raises Unavailable."""
        body = {"size": _MOST_LISTED, "sort": [{"name": "asc"}]}
        params = {"filter_path": "hits.hits._source"}
        answer = await self._connection.ask(
            "POST", f"/{INDEX}/_search", params=params, body=body, allowed=frozenset({404})
        )
        if answer.status == 404:
            return {}  # nothing was ever saved
        sources = [hit["_source"] for hit in answer.body.get("hits", {}).get("hits", [])]
        return {source["name"]: source["search"] for source in sources}

    async def put(self, name: str, search: dict[str, str], most: int) -> bool:
        """Save or replace; False when there are `most` others. Two that save at the same moment may both be the last.

        Raises Unavailable.
        """
        found = await self.all()
        if name not in found and len(found) >= most:
            return False
        if not found:
            made = await self._connection.ask("PUT", f"/{INDEX}", body=_DEFINITION, allowed=frozenset({400}))
            if made.status == 400 and made.error_type != _MADE_ALREADY:
                await self._connection.ask("PUT", f"/{INDEX}", body=_DEFINITION)  # says what is wrong
        await self._connection.ask("PUT", _place(name), params=_VISIBLE, body={"name": name, "search": search})
        return True

    async def delete(self, name: str) -> bool:
        """Whether there was one of this name. Raises Unavailable."""
        answer = await self._connection.ask("DELETE", _place(name), params=_VISIBLE, allowed=frozenset({404}))
        return answer.status != 404


_VISIBLE = {"refresh": "true"}  # the list that the page asks for next has the change


def _place(name: str) -> str:
    # Not the name itself: a path with "." or ".." in it would be another place.
    return f"/{INDEX}/_doc/{hashlib.sha256(name.encode()).hexdigest()}"
