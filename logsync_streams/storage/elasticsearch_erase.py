"""Removing documents by id from one index of Elasticsearch, also from one that takes no more writes."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.storage.elasticsearch_client import Connection

_IN_ONE_REQUEST = 2000
_BLOCK = "index.blocks.write"


async def is_blocked(connection: Connection, index: str) -> bool:
    """Whether the index takes no more writes; one that is not there takes some. Raises Unavailable."""
    path, params = f"/{_quoted(index)}/_settings/{_BLOCK}", {"flat_settings": "true"}
    answer = await connection.ask("GET", path, params=params, allowed=frozenset({404}))
    found = (answer.body.get(index) or {}).get("settings", {})
    return str(found.get(_BLOCK, "false")).lower() == "true"


async def lift_block(connection: Connection, index: str) -> None:
    """Let the index take writes. Raises Unavailable."""
    await connection.ask("PUT", f"/{_quoted(index)}/_settings", body={_BLOCK: False}, allowed=frozenset({404}))


async def delete(connection: Connection, index: str, ids: Collection[str]) -> None:
    """Delete these documents, refreshed; those that are not there are no error. Raises Unavailable when one is left."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IN_ONE_REQUEST):
        actions = [{"delete": {"_index": index, "_id": id}} for id in ordered[start : start + _IN_ONE_REQUEST]]
        body = b"".join(orjson.dumps(action) + b"\n" for action in actions)
        params = {"refresh": "true", "filter_path": "items.delete.status,items.delete.error"}
        answer = await connection.ask("POST", "/_bulk", params=params, body=body)
        statuses = [item["delete"]["status"] for item in answer.body.get("items", [])]
        refused = [status for status in statuses if status >= 300 and status != 404]
        if refused or len(statuses) != len(actions):
            raise Unavailable(f"Elasticsearch answered {refused[:1]} for {len(refused)} deletions from {index}")


def _quoted(name: str) -> str:
    return quote(name, safe="")
