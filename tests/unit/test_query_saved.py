"""Searches saved under a name: whole or not at all, bounded, and not by another site's page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.saved import FILE, SavedSearches
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.memory import MemoryStore
from tests.query import client_of


@pytest.fixture
def saved(tmp_path: Path) -> SavedSearches:
    return SavedSearches(tmp_path / "data", most=3)


@pytest.fixture
async def client(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, query=QueryHttpSettings(max_saved_searches=2))
    async with client_of(create_app(MemoryStore(), settings)) as client:
        yield client


def test_what_was_saved_is_there_by_name_and_for_another_process_too(saved, tmp_path):
    saved.put("b", {"q": "level:error", "from": "", "columns": "message"})
    saved.put("a", {"q": "x"})
    saved.put("a", {"q": "y"})

    assert {"a": {"q": "y"}, "b": {"q": "level:error", "columns": "message"}} == SavedSearches(
        tmp_path / "data", 3
    ).all()
    assert (True, False) == (saved.delete("a"), saved.delete("a"))
    assert ["b"] == list(saved.all())


def test_no_more_than_so_many_are_kept_but_each_can_be_replaced(saved):
    for name in "abc":
        saved.put(name, {})
    with pytest.raises(BadParameter, match="3 searches"):
        saved.put("d", {})
    saved.put("c", {"q": "new"})


def test_two_that_save_at_once_lose_nothing(tmp_path):
    stores = [SavedSearches(tmp_path, most=100) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: stores[n % 4].put(f"name {n}", {"q": str(n)}), range(40)))

    assert 40 == len(stores[0].all())


def test_a_file_that_cannot_be_read_is_said_and_not_overwritten(saved, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("{")
    with pytest.raises(Unavailable, match="cannot be read"):
        saved.put("a", {})

    assert "{" == (tmp_path / "data" / FILE).read_text()


@pytest.mark.parametrize("search", [[], {"x": "y"}, {"q": 5}, {"q": "x" * 9000}, {"sort": "upwards"}, None])
def test_what_is_no_search_is_refused(saved, search):
    with pytest.raises(BadParameter):
        saved.put("a", search)


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "x" * 81, "\u202e", "\ud800"])
def test_a_name_is_short_and_printable(saved, name):
    with pytest.raises(BadParameter):
        saved.put(name, {})


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
