"""What only a real Elasticsearch can show, beyond the contract that every store passes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.servers import ElasticsearchServer
from logsync_streams.errors import Unavailable
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.api import All, Document, Equals, Exists, Prefix, Query, Range, Reaction, SearchRequest
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.evaluate import MAX_PARTIAL_BYTES
from logsync_streams.storage.factory import Store
from tests.servers.wiping import request

TARGET = "logsync-default-2026.11.24"
pytestmark = pytest.mark.real


def document(number: int) -> Document:
    id = f"{number:032x}-00000"
    body = f'{{"event":{{"id":"{id}"}},"@timestamp":"2026-11-24T21:56:37.123Z","message":"boom"}}'
    return Document(TARGET, id, body.encode())


def settings(server: ElasticsearchServer, timeout_seconds: float = 30) -> StoreSettings:
    return StoreSettings(elasticsearch_urls=[server.url], replicas=0, request_timeout_seconds=timeout_seconds)


def opened(store: StoreSettings) -> Store:
    connection = connect(store)
    return Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))


@pytest.fixture
async def store(elasticsearch: ElasticsearchServer) -> AsyncIterator[Store]:
    one = opened(settings(elasticsearch))
    await one.admin.prepare()
    yield one
    await one.close()


async def test_what_an_operator_puts_into_the_custom_template_stays_and_wins(elasticsearch, store):
    custom = {"template": {"settings": {"index": {"refresh_interval": "7s"}}}}
    request("PUT", f"{elasticsearch.url}/_component_template/logsync-custom", custom)

    await store.admin.prepare()
    await store.admin.create(TARGET)
    _, made = request("GET", f"{elasticsearch.url}/{TARGET}-000001/_settings?flat_settings=true")

    assert "7s" == made[f"{TARGET}-000001"]["settings"]["index.refresh_interval"]


async def test_an_index_of_somebody_else_is_not_made_from_our_templates(elasticsearch, store):
    for name in ("logsync", "logsync-dashboards", "logs-app-default"):
        status, _ = request("PUT", f"{elasticsearch.url}/{name}")
        _, found = request("GET", f"{elasticsearch.url}/{name}/_mapping")
        request("DELETE", f"{elasticsearch.url}/{name}")

        assert (200, {}) == (status, found[name]["mappings"])


async def test_ten_processes_that_make_the_same_index_make_one(elasticsearch):
    stores = [opened(settings(elasticsearch)) for _ in range(10)]
    try:
        await asyncio.gather(*(one.admin.prepare() for one in stores))
        await asyncio.gather(*(one.admin.create(TARGET) for one in stores))
        await asyncio.gather(*(one.admin.next_generation(TARGET) for one in stores[:3]))
        names = [str(info.name) for info in await stores[0].admin.indices()]
        outcomes = await stores[0].writer.write([document(1)])

        assert f"{TARGET}-000001" == names[0]
        assert 2 <= len(names) <= 4  # each of the three may have come after the one before
        assert [Reaction.STORED] == [outcome.reaction for outcome in outcomes]
    finally:
        for one in stores:
            await one.close()


async def test_two_writers_store_an_id_once_when_a_generation_opens_between_them(elasticsearch, store):
    other = opened(settings(elasticsearch))
    try:
        await store.admin.create(TARGET)
        first = await other.writer.write([document(1)])
        await store.admin.block_writes(f"{TARGET}-000001")
        await store.admin.next_generation(TARGET)

        again = await other.writer.write([document(1), document(2)])
        await store.admin.refresh()
        page = await store.reader.search(SearchRequest(All()))

        assert ["stored", "duplicate", "stored"] == [outcome.reaction.value for outcome in first + again]
        assert [document(2).id, document(1).id] == [hit.id for hit in page.hits]
    finally:
        await other.close()


@pytest.mark.parametrize("version", ["8.19.8", "7.10.2"])
async def test_the_longest_prefix_bound_and_label_name_are_searched(elasticsearch_version, version):
    server = elasticsearch_version(version)
    store = opened(settings(server))
    key, value = "=" * (MAX_PARTIAL_BYTES - len("labels.")), "ü" * (MAX_PARTIAL_BYTES // 2)
    labels = f'"labels":{{"{key}":"{value}z"}},"service":{{"name":"{value}z"}}'
    body = f'{{"event":{{"id":"1"}},"@timestamp":"2026-11-24T21:56:37.123Z",{labels}}}'
    found: list[Query] = [Prefix(value, f"labels.{key}"), Exists(f"labels.{key}"), Prefix(value, "service.name")]
    found += [Range("service.name", lower=value), Equals(f"labels.{key}", f"{value}z")]
    missed: list[Query] = [Range("service.name", upper=value), Exists("labels." + "k" * 293), Prefix("x" * 255)]
    try:
        await store.admin.prepare()
        await store.admin.create(TARGET)
        await store.writer.write([Document(TARGET, "1", body.encode())])
        await store.admin.refresh()
        totals = [(await store.reader.search(SearchRequest(query))).total for query in found + missed]

        assert [1] * len(found) + [0] * len(missed) == totals
    finally:
        await store.close()


async def test_a_frozen_server_is_unavailable_in_time_and_its_answers_come_back_with_it(elasticsearch, store):
    await store.admin.create(TARGET)
    hasty = opened(settings(elasticsearch, timeout_seconds=1))
    try:
        await hasty.reader.ready()
        assert [Reaction.STORED] == [outcome.reaction for outcome in await hasty.writer.write([document(1)])]
        elasticsearch.pause()
        with pytest.raises(Unavailable, match="did not answer in time"):
            await hasty.reader.search(SearchRequest(All()))
        frozen = await hasty.writer.write([document(2)])
        elasticsearch.resume()
        thawed = await _settled(store, document(2))

        assert (Reaction.RETRY, "timeout") == (frozen[0].reaction, frozen[0].reason)
        assert thawed in (Reaction.STORED, Reaction.DUPLICATE)
    finally:
        elasticsearch.resume()
        await hasty.close()


async def test_what_was_stored_survives_a_kill_and_the_same_connection_goes_on(elasticsearch, store):
    await store.admin.create(TARGET)
    await store.writer.write([document(1)])
    elasticsearch.kill()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.reader.ready()
    while_away = await store.writer.write([document(2)])
    elasticsearch.start()

    assert Reaction.RETRY is while_away[0].reaction
    assert Reaction.DUPLICATE is await _settled(store, document(1))
    assert Reaction.STORED is await _settled(store, document(2))


async def _settled(store: Store, one: Document) -> Reaction:
    """The first outcome that is not RETRY."""
    for _ in range(300):
        outcome = (await store.writer.write([one]))[0]
        if outcome.reaction is not Reaction.RETRY:
            return outcome.reaction
        await asyncio.sleep(0.2)
    raise AssertionError(f"still {outcome}")
