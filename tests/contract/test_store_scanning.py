"""What every store promises to the archive: an index whole, page by page, and what it is made of."""

from __future__ import annotations

import random
from collections import Counter

import orjson

from logsync_streams.storage.api import Portion
from logsync_streams.storage.portions import counted_portions, portion_of
from tests.contract.documents import OTHER_TARGET, SEED, TARGET, make_document, random_corpus, stored
from tests.contract.steps import put
from tests.contract.stores import Opened

INDEX = f"{TARGET}-000001"


async def test_a_scan_gives_every_document_of_one_index_once_and_by_id(ready: Opened):
    documents = random_corpus(random.Random(SEED + 8), 700)
    await put(ready.store, documents)
    await ready.store.admin.block_writes(INDEX)

    found, after = [], ""
    while page := await ready.store.admin.scan(INDEX, after, 64):
        found += page
        after = page[-1].id

    expected = sorted((one.id, stored(one)) for one in documents if one.target == TARGET)

    assert expected == [(one.id, orjson.loads(one.body)) for one in found]


async def test_a_scan_of_one_id_after_the_other_misses_none_of_an_envelope(ready: Opened):
    documents = [make_document({"message": str(i)}, id=f"{'0' * 31}{i // 7:x}-{i % 7:05d}") for i in range(40)]
    await put(ready.store, documents)

    ids, after = [], ""
    while page := await ready.store.admin.scan(INDEX, after, 1):
        ids.append(page[0].id)
        after = page[0].id

    assert sorted(document.id for document in documents) == ids


async def test_the_portions_of_an_index_are_its_documents_by_service_level_and_environment(ready: Opened):
    documents = random_corpus(random.Random(SEED + 9), 700)
    await put(ready.store, documents)
    parsed = [orjson.loads(one.body) for one in documents if one.target == TARGET]

    portions = await ready.store.admin.portions(INDEX)

    assert counted_portions(parsed) == portions
    assert len(parsed) == sum(portion.documents for portion in portions)


async def test_an_empty_index_has_no_portions_and_nothing_to_scan(ready: Opened):
    assert [] == await ready.store.admin.portions(f"{OTHER_TARGET}-000001")
    assert [] == await ready.store.admin.scan(f"{OTHER_TARGET}-000001")


def test_a_document_without_names_counts_under_empty_ones():
    documents = [{}, {"service": {"name": "a" * 1025}}, {"service": {"name": "a"}, "log": {"level": "info"}}]

    assert [Portion("", "", "", 2), Portion("a", "info", "", 1)] == counted_portions(documents)
    assert Counter(map(portion_of, documents)).total() == 3
