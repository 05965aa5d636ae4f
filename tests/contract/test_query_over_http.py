"""The query API over every store: what shows only over HTTP while somebody writes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import httpx
import orjson

from logsync_streams.query.app import create_app
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Document
from tests.browser import serving
from tests.contract.documents import NOON, OTHER_TARGET, SEED, TARGET, make_document
from tests.contract.steps import put
from tests.contract.stores import Opened
from tests.query import client_of

THERE = 12_000  # more than the 10,000 hits up to which Elasticsearch pages by number
AT_ONCE, BATCHES, PAGES = 100, 4, 5  # logs that arrive at once; so often during each of the first pages


async def test_pages_past_ten_thousand_have_no_gap_and_no_repetition_while_logs_arrive(ready: Opened):
    rng = random.Random(SEED)
    there = [_log(rng, "there") for _ in range(THERE)]
    await put(ready.store, there)
    written, may_write, wrote = 0, asyncio.Semaphore(0), asyncio.Event()

    async def arriving() -> None:
        nonlocal written
        for _ in range(BATCHES * PAGES):
            await may_write.acquire()
            await put(ready.store, [_log(rng, "late") for _ in range(AT_ONCE)])
            written += AT_ONCE
            wrote.set()

    seen: list[tuple[str, str, str]] = []
    written_at: list[int] = []
    async with (
        asyncio.timeout(300),
        serving(create_app(ready.store.reader, Settings())) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        asyncio.TaskGroup() as together,
    ):
        together.create_task(arriving())
        cursor: str | None = ""
        while cursor is not None:
            parameters = {"limit": "1000", "highlight": "false", "fields": "message", "cursor": cursor}
            answer = await client.get("/api/logs/search", params=parameters)
            assert 200 == answer.status_code, answer.text
            page = orjson.loads(answer.content)
            seen += [(hit["@timestamp"], hit["id"], hit["message"]) for hit in page["hits"]]
            cursor = page["cursor"]
            written_at.append(written)
            if len(written_at) <= PAGES:
                wrote.clear()
                for _ in range(BATCHES):
                    may_write.release()
                await wrote.wait()  # the next page stands among what has just been written, and more comes during it

    assert Counter(id for _, id, _ in seen).most_common(1)[0][1] == 1
    assert sorted(seen, reverse=True) == seen
    assert {one.id for one in there} == {id for _, id, message in seen if message == "there"}
    assert len(set(written_at)) > PAGES
    assert any(message == "late" for _, _, message in seen)


async def test_saved_searches_are_the_same_in_every_process_that_reads_the_store(opened: Opened, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, query=QueryHttpSettings(max_saved_searches=3))
    one, other = (client_of(create_app(opened.store.reader, settings)) for _ in range(2))
    names = ["errors / today", "..", "Überblick 日本"]
    async with one, other:
        empty = (await other.get("/api/saved-searches")).json()
        saved = [await _save(one, name, {"q": f"words {n}"}) for n, name in enumerate(names)]
        full = await _save(other, "one too many", {"q": "x"})
        replaced = await _save(other, names[0], {"q": "new", "columns": "message"})
        seen = (await other.get("/api/saved-searches")).json()["searches"]
        deleted = [(await one.delete(_saved(names[2]))).status_code for _ in range(2)]
        left = (await other.get("/api/saved-searches")).json()["searches"]

    assert {"searches": []} == empty
    assert ([200] * 3, 400, 200, [204, 404]) == (saved, full, replaced, deleted)
    found = [("..", {"q": "words 1"}), (names[0], {"q": "new", "columns": "message"}), (names[2], {"q": "words 2"})]
    assert [{"name": name, "search": search} for name, search in found] == seen
    assert seen[:2] == left


def _saved(name: str) -> str:
    return f"/api/saved-searches/{quote(name, safe='').replace('.', '%2E')}"


async def _save(client: httpx.AsyncClient, name: str, search: dict[str, str]) -> int:
    return (await client.put(_saved(name), json=search)).status_code


def _log(rng: random.Random, message: str) -> Document:
    # Nine of ten in one millisecond, the ids in no order of time: a late one may stand anywhere.
    at = NOON + (rng.randint(-1, 1) if rng.random() < 0.1 else 0)
    id_ = f"{rng.getrandbits(128):032x}-{rng.randint(0, 99_999):05d}"
    return make_document({"message": message}, id=id_, timestamp=at, target=rng.choice((TARGET, OTHER_TARGET)))
