"""Pages follow each other without a gap or a repetition, whatever the times are and whoever writes meanwhile."""

from __future__ import annotations

import os
import random
from typing import Literal

import orjson
import pytest

from logsync_streams.storage.api import All, Cursor, Equals, SearchRequest
from tests.contract.documents import NOON, OTHER_TARGET, TARGET, iso, make_document, new_ids
from tests.contract.steps import all_hits, next_page, put
from tests.contract.stores import Opened

ORDERS: list[Literal["desc", "asc"]] = ["desc", "asc"]
# 20,000 in one millisecond is what a burst of syslog brings; fewer only to try something quickly.
TIES = int(os.environ.get("LOGSYNC_TEST_TIES", "20000"))


async def test_any_number_of_documents_in_one_millisecond_is_paged_exactly(ready: Opened):
    print(f"documents in one millisecond: {TIES} (LOGSYNC_TEST_TIES)")
    rng = random.Random(1)
    ids = new_ids(TIES // 2) + [f"{rng.getrandbits(128):032x}-{i % 3:05d}" for i in range(TIES - TIES // 2)]
    rng.shuffle(ids)
    before, after = make_document(timestamp=NOON - 1), make_document(timestamp=NOON + 1)
    documents = [make_document({"message": "burst"}, id=id, target=rng.choice((TARGET, OTHER_TARGET))) for id in ids]
    await put(ready.store, [*documents, before, after])

    upwards = await all_hits(ready.store.reader, SearchRequest(All(), order="asc", limit=1000))
    downwards = await all_hits(ready.store.reader, SearchRequest(All(), order="desc", limit=997))

    expected = [before.id, *sorted(ids), after.id]
    assert expected == [hit.id for hit in upwards]
    assert expected[::-1] == [hit.id for hit in downwards]


@pytest.mark.parametrize("order", ORDERS)
async def test_what_was_there_at_the_first_page_comes_once_while_others_are_added(
    ready: Opened, order: Literal["desc", "asc"]
):
    rng = random.Random(order)
    documents = [
        make_document({"message": "there"}, id=id, timestamp=NOON + rng.randint(0, 2)) for id in random_ids(rng, 300)
    ]
    await put(ready.store, documents)

    request = SearchRequest(All(), order=order, limit=40)
    seen: list[tuple[int, str]] = []
    while True:
        page = await ready.store.reader.search(request)
        seen += [(hit.timestamp, hit.id) for hit in page.hits]
        if page.cursor is None:
            break
        late = [
            make_document(
                {"message": "late"},
                id=id,
                timestamp=NOON + rng.randint(0, 2),
                target=rng.choice((TARGET, OTHER_TARGET)),
            )
            for id in random_ids(rng, 20)
        ]
        await put(ready.store, late)
        request = next_page(request, page)

    there = sorted(((int(place(d.body)), d.id) for d in documents), reverse=order == "desc")
    original = {document.id for document in documents}
    assert sorted(seen, reverse=order == "desc") == seen
    assert len(set(seen)) == len(seen)
    assert there == [one for one in seen if one[1] in original]


@pytest.mark.parametrize("order", ORDERS)
async def test_the_total_is_of_all_pages_and_the_last_page_has_no_cursor(ready: Opened, order: Literal["desc", "asc"]):
    await put(ready.store, [make_document({"message": f"line {i}"}, timestamp=NOON + i // 3) for i in range(30)])
    await put(ready.store, [make_document({"log": {"level": "error"}}, timestamp=NOON)])
    request = SearchRequest(Equals("log.level", "error"), order=order, limit=1)
    exact = await ready.store.reader.search(request)

    request = SearchRequest(All(), order=order, limit=20)
    first = await ready.store.reader.search(request)
    second = await ready.store.reader.search(next_page(request, first))

    assert (1, "eq", None) == (exact.total, exact.relation, exact.cursor)
    assert [(31, "eq"), (31, "eq")] == [(page.total, page.relation) for page in (first, second)]
    assert [20, 11] == [len(first.hits), len(second.hits)]
    assert Cursor(first.hits[-1].timestamp, first.hits[-1].id) == first.cursor
    assert None is second.cursor


async def test_the_time_range_has_its_start_and_not_its_end(ready: Opened):
    documents = [make_document({"message": "m"}, timestamp=NOON + i) for i in range(5)]
    await put(ready.store, documents)

    async def between(start: int | None, end: int | None) -> list[int]:
        request = SearchRequest(All(), start=start, end=end, order="asc")
        return [hit.timestamp - NOON for hit in (await ready.store.reader.search(request)).hits]

    assert [1, 2] == await between(NOON + 1, NOON + 3)
    assert [3, 4] == await between(NOON + 3, None)
    assert [0] == await between(None, NOON + 1)
    assert [] == await between(NOON + 3, NOON + 3)
    assert [] == await between(NOON + 3, NOON + 1)


@pytest.mark.parametrize("timestamp", [-62_135_596_800_000, -1, 0, 1, 9_999_999_999_999, 253_402_300_799_999])
async def test_any_time_of_the_calendar_is_kept_and_sorted(ready: Opened, timestamp: int):
    document, noon = make_document({"message": "odd"}, timestamp=timestamp), make_document({"message": "even"})
    await put(ready.store, [document, noon])

    page = await ready.store.reader.search(SearchRequest(All(), order="asc", limit=1))
    rest = await ready.store.reader.search(SearchRequest(All(), order="asc", limit=1, after=page.cursor))

    expected = sorted([(timestamp, document.id), (NOON, noon.id)])
    assert expected == [(hit.timestamp, hit.id) for hit in (*page.hits, *rest.hits)]
    assert iso(timestamp) in [hit.document["@timestamp"] for hit in (*page.hits, *rest.hits)]


def random_ids(rng: random.Random, count: int) -> list[str]:
    return [f"{rng.getrandbits(128):032x}-{rng.randint(0, 99_999):05d}" for _ in range(count)]


def place(body: bytes) -> int:
    shown = orjson.loads(body)["@timestamp"]
    return next(NOON + i for i in range(3) if iso(NOON + i) == shown)
