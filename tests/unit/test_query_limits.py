"""One client's share of the store, and what happens when it goes away."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.query.limits import Slots, TooMany
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Page, SearchRequest
from logsync_streams.storage.memory import MemoryStore
from tests.browser import serving
from tests.query import client_over, log, store_with


class Slow(MemoryStore):
    """Answers when it is let; knows whether it was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.cancelled, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def search(self, request: SearchRequest) -> Page:
        self.asked.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await super().search(request)


@pytest.mark.parametrize("path", ["/api/logs/search", "/api/logs/histogram?from=", "/api/logs/export"])
async def test_a_client_that_goes_away_cancels_its_search(path):
    store = Slow()
    async with serving(create_app(store, Settings())) as url, asyncio.timeout(20):
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await store.asked.wait()
        writer.close()
        await store.cancelled.wait()


async def test_a_client_has_so_many_requests_under_way_and_no_more():
    store = Slow()
    app = create_app(store, Settings(query=QueryHttpSettings(max_concurrent_per_client=1)))
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client, asyncio.timeout(20):
        first = asyncio.create_task(client.get("/api/logs/search"))
        await store.asked.wait()
        refused = await client.get("/api/logs/facets")
        store.go_on.set()
        answered = await first
        again = await client.get("/api/logs/search")

    assert (429, 200, 200) == (refused.status_code, answered.status_code, again.status_code)
    assert ("1", "application/problem+json") == (refused.headers["retry-after"], refused.headers["content-type"])


def test_slots_are_counted_for_each_client_and_for_all_and_given_back_once():
    slots = Slots(2, in_all=3)
    first, _, third = slots.take("a", "x"), slots.take("a", "x"), slots.take("b", "x")
    with pytest.raises(TooMany, match="2 x of your address"):
        slots.take("a", "x")
    with pytest.raises(TooMany, match="3 x are under way"):
        slots.take("c", "x")
    third()
    third()
    slots.take("c", "x")
    first()
    slots.take("a", "x")


@pytest.mark.parametrize("path", ["search", "histogram", "facets", "fields", "export"])
async def test_a_range_that_is_too_long_is_refused_before_the_store_is_asked(path):
    class Never(MemoryStore):
        async def search(self, request: SearchRequest) -> Page:
            raise AssertionError("asked")

    async with client_over(Never(), QueryHttpSettings(max_range_days=1)) as client:
        for query in ("", "from=now-25h", "from=now-3d&to=now-1d"):
            response = await client.get(f"/api/logs/{path}?{query}")

            assert (400, "from") == (response.status_code, response.json()["parameter"])


async def test_of_an_error_of_the_store_only_our_own_words_reach_the_client():
    class Broken(MemoryStore):
        async def search(self, request: SearchRequest) -> Page:
            raise Unavailable("the store does not answer") from ValueError("index logsync-secret at 10.0.0.7")

    async with client_over(Broken()) as client:
        response = await client.get("/api/logs/search")

    assert 503 == response.status_code
    assert "secret" not in response.text


async def test_only_the_fields_asked_for_are_answered():
    document = log(1, service={"name": "a", "version": "2"}, log={"level": "info"})
    async with client_over(await store_with(document)) as client:
        body = (await client.get("/api/logs/search?fields=service,log&highlight=false")).json()

    assert {"@timestamp", "service", "log", "id", "index"} == body["hits"][0].keys()
    assert {"name": "a"} == body["hits"][0]["service"]
    assert "highlights" not in body
