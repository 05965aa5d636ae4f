"""The stand-in store answers like Elasticsearch where it is asked, and counts what it is given."""

import asyncio

import httpx
import orjson
import pytest

from bench.generator import checksum
from bench.http_server import Protocol
from bench.standin import Standin


@pytest.fixture
async def store():
    standin = Standin()
    server = await asyncio.get_running_loop().create_server(lambda: Protocol(standin), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.close()


def bulk(ids):
    pairs = [
        b'{"create":{"_index":"logsync-default-2026.01.01","_id":"%b"}}\n{"n":1}\n' % name.encode() for name in ids
    ]
    return b"".join(pairs)


async def write(store, ids, path="/_bulk?filter_path=errors,items.*.status,items.*.error"):
    answer = await store.post(path, content=bulk(ids), headers={"content-type": "application/x-ndjson"})
    return orjson.loads(answer.content)


async def test_each_document_has_an_item_in_order_and_a_second_create_is_a_conflict(store):
    first = await write(store, ["a", "b"])
    second = await write(store, ["b", "c"])

    assert first == {"took": 1, "errors": False, "items": [{"create": {"status": 201}}] * 2}
    assert [item["create"]["status"] for item in second["items"]] == [409, 201]
    assert second["errors"] is True


async def test_an_id_twice_in_one_bulk_is_stored_once(store):
    answer = await write(store, ["a", "a", "b"])
    stats = (await store.get("/_standin/stats")).json()

    assert [item["create"]["status"] for item in answer["items"]] == [201, 409, 201]
    assert (stats["stored"], stats["duplicates"]) == (2, 1)


async def test_stats_carry_the_checksum_of_the_stored_ids(store):
    await write(store, ["a", "b", "c"])
    stats = (await store.get("/_standin/stats?checksum=1")).json()

    assert stats["checksum"] == checksum(["a", "b", "c"])


async def test_without_a_filter_path_items_are_as_long_as_elasticsearchs(store):
    answer = await write(store, ["a"], path="/_bulk")

    assert answer["items"][0]["create"]["_id"] == "a"
    assert answer["items"][0]["create"]["_shards"]["failed"] == 0


async def test_busy_items_are_stored_when_they_are_tried_again(store):
    await store.post("/_standin/reset", content=orjson.dumps({"busy_share": 0.3}))
    wanted = [f"id-{i}" for i in range(500)]
    left, tries = wanted, 0
    while left and tries < 100:
        items = (await write(store, left))["items"]
        assert {item["create"]["status"] for item in items} <= {201, 429}
        left = [name for name, item in zip(left, items, strict=True) if item["create"]["status"] == 429]
        tries += 1
    stats = (await store.get("/_standin/stats?checksum=1")).json()

    assert left == []
    assert tries > 1
    assert stats["checksum"] == checksum(wanted)


async def test_a_poisoned_document_is_refused_at_every_try(store):
    await store.post("/_standin/reset", content=orjson.dumps({"poison_share": 0.1}))
    wanted = [f"id-{i}" for i in range(500)]
    first, second = [(await write(store, wanted))["items"] for _ in range(2)]
    refused = [i for i, item in enumerate(first) if item["create"]["status"] == 400]

    assert 20 < len(refused) < 100
    assert refused == [i for i, item in enumerate(second) if item["create"]["status"] == 400]


async def test_a_reset_forgets_documents_but_not_the_indices(store):
    await store.put("/logsync-default-2026.01.01-000001", json={"aliases": {"logsync-default-2026.01.01": {}}})
    await write(store, ["a"])
    await store.post("/_standin/reset")
    stats = (await store.get("/_standin/stats")).json()
    alias = await store.get("/_alias/logsync-default-2026.01.01")

    assert stats["stored"] == 0
    assert list(alias.json()) == ["logsync-default-2026.01.01-000001"]


async def test_it_shows_itself_as_elasticsearch_and_knows_what_it_was_not_given(store):
    about = await store.get("/_nodes/_local")
    missing = await store.get("/_index_template/logsync")

    assert about.headers["x-elastic-product"] == "Elasticsearch"
    assert next(iter(about.json()["nodes"].values()))["version"].startswith("8.19")
    assert missing.status_code == 404


async def test_items_name_the_index_behind_the_alias_where_they_are_asked_for_it(store):
    await store.put("/logsync-default-2026.01.01-000001", json={"aliases": {"logsync-default-2026.01.01": {}}})
    answer = await write(store, ["a"], path="/_bulk?filter_path=items.create.status,items.create._index")

    assert answer["items"] == [{"create": {"_index": "logsync-default-2026.01.01-000001", "status": 201}}]
