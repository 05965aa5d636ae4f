"""What every store promises to those who write."""

from __future__ import annotations

import asyncio

import pytest

from logsync_streams.storage.api import DUPLICATE, STORED, All, Document, Reaction
from tests.contract.documents import NOON, OTHER_TARGET, TARGET, make_document, new_ids, stored
from tests.contract.steps import found, put
from tests.contract.stores import Opened


async def test_a_stored_document_is_found_as_it_was_written(ready: Opened):
    document = make_document({"message": 'user_42 said "it\'s 日志 🔥"', "labels": {"a.b": 5, "": "x", "n": None}})

    await put(ready.store, [document])
    hit = await ready.store.reader.get(document.id)

    assert hit is not None
    assert stored(document) == hit.document
    assert (f"{TARGET}-000001", document.id, NOON) == (hit.index, hit.id, hit.timestamp)


async def test_an_id_twice_in_one_call_is_stored_once_and_the_first_stays(ready: Opened):
    first = make_document({"message": "first"})
    second = make_document({"message": "second"}, id=first.id)

    outcomes = await ready.store.writer.write([first, second])
    await ready.store.admin.refresh()
    hit = await ready.store.reader.get(first.id)

    assert [STORED, DUPLICATE] == outcomes
    assert hit is not None
    assert "first" == hit.document["message"]


async def test_a_second_call_with_the_same_ids_changes_nothing(ready: Opened):
    documents = [make_document({"message": f"line {i}"}) for i in range(100)]
    again = [make_document({"message": "other"}, id=document.id) for document in documents]

    await put(ready.store, documents)
    outcomes = await ready.store.writer.write([*again, make_document({"message": "new"})])
    await ready.store.admin.refresh()
    hit = await ready.store.reader.get(documents[7].id)

    assert [DUPLICATE] * 100 + [STORED] == outcomes
    assert hit is not None
    assert "line 7" == hit.document["message"]
    assert 101 == len(await found(ready.store.reader, All()))


async def test_two_calls_at_once_store_each_id_once(ready: Opened):
    documents = [make_document({"message": f"line {i}"}) for i in range(500)]

    answers = await asyncio.gather(*(ready.store.writer.write(documents) for _ in range(3)))

    for outcomes in zip(*answers, strict=True):
        assert [DUPLICATE, DUPLICATE, STORED] == sorted(outcomes, key=lambda outcome: outcome.reaction.value)


@pytest.mark.needs("durable")
async def test_what_was_acknowledged_is_there_after_opening_again_and_still_unique(ready: Opened):
    documents = [make_document({"message": f"line {i}"}) for i in range(50)]

    await ready.store.writer.write(documents)
    store = await ready.reopen()
    outcomes = await store.writer.write(documents)
    await store.admin.refresh()

    assert [DUPLICATE] * 50 == outcomes
    assert {document.id for document in documents} == await found(store.reader, All())


async def test_a_write_never_creates_an_index(opened: Opened):
    await opened.store.admin.prepare()

    outcomes = await opened.store.writer.write([make_document({"message": "nowhere"})])

    assert [(Reaction.HOLD, "alias_missing")] == [(outcome.reaction, outcome.reason) for outcome in outcomes]
    assert [] == await opened.store.admin.indices()


async def test_a_missing_target_does_not_hold_up_the_others(ready: Opened):
    nowhere = make_document({"message": "nowhere"}, target="logsync-missing-2026.11.24")
    good, other = make_document({"message": "good"}), make_document({"message": "other"}, target=OTHER_TARGET)

    outcomes = await ready.store.writer.write([good, nowhere, other])

    assert [Reaction.STORED, Reaction.HOLD, Reaction.STORED] == [outcome.reaction for outcome in outcomes]


@pytest.mark.parametrize("body", [b'{"event":{"id":', b"not json", b"[1]", b'"text"', b'{"@timestamp":"no time"}'])
async def test_a_body_that_is_no_document_is_a_dead_letter_and_the_others_are_stored(ready: Opened, body: bytes):
    before, after = make_document({"message": "before"}), make_document({"message": "after"})
    poison = Document(TARGET, new_ids(1)[0], body)

    outcomes = await ready.store.writer.write([before, poison, after])
    await ready.store.admin.refresh()

    assert [Reaction.STORED, Reaction.DEAD_LETTER, Reaction.STORED] == [outcome.reaction for outcome in outcomes]
    assert "" != outcomes[1].reason
    assert {before.id, after.id} == await found(ready.store.reader, All())


async def test_no_documents_are_no_outcomes(ready: Opened):
    assert [] == await ready.store.writer.write([])


async def test_existing_knows_what_is_durable_but_not_yet_visible(ready: Opened):
    documents = [make_document({"message": f"line {i}"}) for i in range(30)]
    elsewhere = make_document({"message": "other"}, target=OTHER_TARGET)
    absent = new_ids(5)

    await ready.store.writer.write([*documents, elsewhere])
    ids = [document.id for document in documents]

    assert set(ids) == await ready.store.reader.existing([TARGET], [*ids, *absent, elsewhere.id])
    assert set(ids[:2]) == await ready.store.reader.existing([f"{TARGET}-000001"], ids[:2])
    assert {elsewhere.id} == await ready.store.reader.existing(
        ["logsync-missing-2026.11.24", OTHER_TARGET], [elsewhere.id]
    )
    assert set() == await ready.store.reader.existing(["logsync-missing-2026.11.24"], ids)
    assert set() == await ready.store.reader.existing([], ids)
    assert set() == await ready.store.reader.existing([TARGET], [])


async def test_an_id_that_is_not_stored_has_no_document(ready: Opened):
    assert None is await ready.store.reader.get(new_ids(1)[0])
    assert None is await ready.store.reader.get("no id of ours/at all?*")


async def test_a_ready_store_says_so(ready: Opened):
    await ready.store.reader.ready()
