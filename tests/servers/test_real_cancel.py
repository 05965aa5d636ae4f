"""What becomes of a search in a real Elasticsearch when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote_plus

import pytest

from deploy.servers import ElasticsearchServer
from logsync_streams.query.app import create_app
from logsync_streams.settings import QueryHttpSettings, Settings
from tests.browser import serving
from tests.contract.documents import TARGET, make_document
from tests.contract.steps import put
from tests.servers.test_real_elasticsearch import opened, settings
from tests.servers.wiping import request

pytestmark = pytest.mark.real

# Many long phrases of two words that stand in long texts over and over: seconds of work for the server, and it looks
# whether it may stop only every few thousand documents, so that a search that was told to stop can be seen as such.
DOCUMENTS, WORDS = 150, 20_000
SLOW = " OR ".join(f'message:"{" ".join(["a b"] * length)}"' for length in range(150, 30, -1))
PATIENT = QueryHttpSettings(max_query_bytes=65_536, max_clauses=200, timeout_seconds=100)


async def test_a_client_that_goes_away_cancels_its_search_in_the_store(elasticsearch: ElasticsearchServer):
    store = opened(settings(elasticsearch, timeout_seconds=100))
    try:
        await store.admin.prepare()
        await store.admin.create(TARGET)
        text = " ".join(["a b"] * (WORDS // 2))
        await put(store, [make_document({"message": text}) for _ in range(DOCUMENTS)], at_once=25)
        async with serving(create_app(store.reader, Settings(query=PATIENT))) as url, asyncio.timeout(60):
            host, port = url.removeprefix("http://").split(":")
            _, client = await asyncio.open_connection(host, int(port))
            asked = (
                f"GET /api/logs/search?limit=1&highlight=false&q={quote_plus(SLOW)} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            )
            client.write(asked.encode())
            while not (running := await _searches(elasticsearch)):  # noqa: ASYNC110  # of another process
                await asyncio.sleep(0.02)
            client.close()
            while (left := await _searches(elasticsearch)) and not any(left):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await store.close()

    assert [False] == running
    assert [True] == left


async def _searches(server: ElasticsearchServer) -> list[bool]:
    """Of each search that runs in the server, whether it was told to stop."""
    _, answer = await asyncio.to_thread(request, "GET", f"{server.url}/_tasks?actions=indices:data/read/search")
    nodes: dict[str, Any] = answer.get("nodes", {})
    return [task["cancelled"] for node in nodes.values() for task in node["tasks"].values()]
