"""Searches saved under a name: whole or not at all, bounded, and not by another site's page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.saved import FILE, FilePlace, SavedSearches
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.memory import MemoryStore
from tests.query import client_of


@pytest.fixture
def saved(tmp_path: Path) -> SavedSearches:
    return SavedSearches(FilePlace(tmp_path / "data"), most=3)


@pytest.fixture
async def client(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, query=QueryHttpSettings(max_saved_searches=2))
    async with client_of(create_app(MemoryStore(), settings)) as client:
        yield client


async def test_what_was_saved_is_there_by_name_and_for_another_process_too(saved, tmp_path):
    await saved.put("b", {"q": "level:error", "from": "", "columns": "message"})
    await saved.put("a", {"q": "x"})
    await saved.put("a", {"q": "y"})
    other = SavedSearches(FilePlace(tmp_path / "data"), 3)

    assert {"a": {"q": "y"}, "b": {"q": "level:error", "columns": "message"}} == await other.all()
    assert (True, False) == (await saved.delete("a"), await saved.delete("a"))
    assert ["b"] == list(await saved.all())


async def test_no_more_than_so_many_are_kept_but_each_can_be_replaced(saved):
    for name in "abc":
        await saved.put(name, {})
    with pytest.raises(BadParameter, match="3 searches"):
        await saved.put("d", {})
    await saved.put("c", {"q": "new"})


async def test_two_that_save_at_once_lose_nothing(tmp_path):
    places = [SavedSearches(FilePlace(tmp_path), most=100) for _ in range(4)]
    await asyncio.gather(*(places[n % 4].put(f"name {n}", {"q": str(n)}) for n in range(40)))

    assert 40 == len(await places[0].all())


async def test_a_file_that_cannot_be_read_is_said_and_not_overwritten(saved, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("{")
    with pytest.raises(Unavailable, match="cannot be read"):
        await saved.put("a", {})

    assert "{" == (tmp_path / "data" / FILE).read_text()


@pytest.mark.parametrize("search", [[], {"x": "y"}, {"q": 5}, {"q": "x" * 9000}, {"sort": "upwards"}, None])
async def test_what_is_no_search_is_refused(saved, search):
    with pytest.raises(BadParameter):
        await saved.put("a", search)


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "x" * 81, "\u202e", "\ud800"])
async def test_a_name_is_short_and_printable(saved, name):
    with pytest.raises(BadParameter):
        await saved.put(name, {})

    assert not await saved.delete(name)


async def put(client: httpx.AsyncClient, name: str, **options) -> int:
    response = await client.put(f"/api/saved-searches/{name}", **{"json": {"q": "x"}, **options})
    return response.status_code


async def test_over_http_a_search_is_saved_listed_read_and_deleted(client):
    assert 200 == await put(client, "errors%20%2F%20today")
    assert {"searches": [{"name": "errors / today", "search": {"q": "x"}}]} == (
        await client.get("/api/saved-searches")
    ).json()
    assert {"q": "x"} == (await client.get("/api/saved-searches/errors / today")).json()["search"]
    assert 204 == (await client.delete("/api/saved-searches/errors / today")).status_code
    assert 404 == (await client.get("/api/saved-searches/errors / today")).status_code


async def test_a_page_of_another_site_saves_nothing(client):
    assert 403 == await put(client, "a", headers={"Sec-Fetch-Site": "cross-site"})
    assert 415 == await put(client, "a", json=None, content=b'{"q":"x"}', headers={"Content-Type": "text/plain"})
    assert 403 == (await client.delete("/api/saved-searches/a", headers={"Sec-Fetch-Site": "same-site"})).status_code


async def test_what_cannot_be_saved_is_said(client):
    json_type = {"Content-Type": "application/json"}

    assert 413 == await put(client, "a", json=None, content=b" " * 20_000, headers=json_type)
    assert 400 == await put(client, "a", json=None, content=b"{", headers=json_type)
    assert [200, 200, 400] == [await put(client, name) for name in "abc"]
