"""What every store promises to those who make, block and drop indices."""

from __future__ import annotations

import asyncio

import pytest

from logsync_streams.storage.api import STORED, All, Reaction, SearchRequest, Text
from tests.contract.documents import DAY, OTHER_TARGET, TARGET, make_document
from tests.contract.steps import found, put
from tests.contract.stores import Opened

FIRST, SECOND = f"{TARGET}-000001", f"{TARGET}-000002"


async def names(opened: Opened) -> list[str]:
    return [str(info.name) for info in await opened.store.admin.indices()]


async def test_a_store_without_indices_finds_nothing(opened: Opened):
    await opened.store.admin.prepare()
    page = await opened.store.reader.search(SearchRequest(All()))

    assert ([], 0, "eq", None) == (page.hits, page.total, page.relation, page.cursor)
    assert None is await opened.store.reader.get("0" * 32 + "-00000")


async def test_creating_a_target_again_and_from_two_sides_makes_one_index(opened: Opened):
    await opened.store.admin.prepare()
    await opened.store.admin.prepare()
    await asyncio.gather(opened.store.admin.create(TARGET), opened.store.admin.create(TARGET))
    await opened.store.admin.create(TARGET)

    assert [FIRST] == await names(opened)


async def test_the_indices_tell_their_name_documents_and_size(ready: Opened):
    await put(ready.store, [make_document({"message": f"line {i}"}) for i in range(7)])

    (default,) = [info for info in await ready.store.admin.indices() if str(info.name) == FIRST]

    assert ("default", DAY, 1, 7, False) == (
        default.name.dataset,
        default.name.day,
        default.name.generation,
        default.documents,
        default.write_blocked,
    )
    assert default.size_bytes > 0


async def test_a_blocked_index_is_read_but_not_written(ready: Opened):
    kept = make_document({"message": "kept"})
    late, other = make_document({"message": "late"}), make_document({"message": "other"}, target=OTHER_TARGET)
    await put(ready.store, [kept])

    await ready.store.admin.block_writes(FIRST)
    await ready.store.admin.block_writes(FIRST)
    outcomes = await ready.store.writer.write([late, other])
    await ready.store.admin.refresh()

    assert [(Reaction.RETRY, "write_blocked"), (Reaction.STORED, "")] == [
        (one.reaction, one.reason) for one in outcomes
    ]
    assert {kept.id, other.id} == await found(ready.store.reader, All())
    assert {kept.id} == await ready.store.reader.existing([TARGET], [kept.id, late.id])
    assert {FIRST: True, f"{OTHER_TARGET}-000001": False} == {
        str(info.name): info.write_blocked for info in await ready.store.admin.indices()
    }


async def test_the_next_generation_takes_the_writes_and_both_are_read(ready: Opened):
    early, late = make_document({"message": "early"}), make_document({"message": "late"})
    await put(ready.store, [early])
    await ready.store.admin.block_writes(FIRST)

    await ready.store.admin.next_generation(TARGET)
    await put(ready.store, [late])
    hit = await ready.store.reader.get(late.id)

    assert hit is not None
    assert SECOND == hit.index
    assert [f"{OTHER_TARGET}-000001", FIRST, SECOND] == await names(ready)
    assert {early.id, late.id} == await found(ready.store.reader, All())
    assert {early.id, late.id} == await ready.store.reader.existing([TARGET], [early.id, late.id])


async def test_a_dropped_index_is_gone_and_its_alias_goes_with_the_last(ready: Opened):
    early, late = make_document({"message": "early"}), make_document({"message": "late"})
    await put(ready.store, [early])
    await ready.store.admin.next_generation(TARGET)
    await put(ready.store, [late])

    await ready.store.admin.drop(FIRST)
    await ready.store.admin.drop(FIRST)

    assert {late.id} == await found(ready.store.reader, All())
    assert None is await ready.store.reader.get(early.id)
    assert [STORED] == await ready.store.writer.write([make_document({"message": "still open"})])

    await ready.store.admin.drop(SECOND)
    outcomes = await ready.store.writer.write([make_document({"message": "closed"})])

    assert [(Reaction.HOLD, "alias_missing")] == [(one.reaction, one.reason) for one in outcomes]
    assert [f"{OTHER_TARGET}-000001"] == await names(ready)
    assert set() == await ready.store.reader.existing([TARGET], [early.id, late.id])


async def test_a_dropped_target_can_be_made_anew(ready: Opened):
    document = make_document({"message": "again"})
    await put(ready.store, [document])
    await ready.store.admin.drop(FIRST)

    await ready.store.admin.create(TARGET)
    await put(ready.store, [document])

    assert {document.id} == await found(ready.store.reader, All())


@pytest.mark.needs("durable")
async def test_blocks_and_generations_outlive_opening_again(ready: Opened):
    await ready.store.admin.block_writes(FIRST)
    await ready.store.admin.next_generation(TARGET)
    await ready.store.admin.block_writes(SECOND)

    store = await ready.reopen()
    outcomes = await store.writer.write([make_document({"message": "late"})])

    assert [Reaction.RETRY] == [outcome.reaction for outcome in outcomes]
    assert [f"{OTHER_TARGET}-000001", FIRST, SECOND] == await names(ready)


@pytest.mark.parametrize("blocked", [False, True])
async def test_erased_documents_are_gone_for_ever_and_the_others_and_the_block_stay(ready: Opened, blocked: bool):
    logs = [make_document({"message": f"line_{i}", "user": {"id": str(i)}}) for i in range(30)]
    other = make_document({"message": "of another target"}, target=OTHER_TARGET)
    await put(ready.store, [*logs, other])
    if blocked:
        await ready.store.admin.block_writes(FIRST)
    gone, left = {log.id for log in logs[::3]}, {log.id for log in logs if log not in logs[::3]}

    await ready.store.admin.erase(FIRST, gone | {"f" * 32 + "-00000"})
    await ready.store.admin.erase(FIRST, gone)

    assert left | {other.id} == await found(ready.store.reader, All())
    assert left == await ready.store.reader.existing([TARGET], [log.id for log in logs])
    assert sorted(left) == [stored.id for stored in await ready.store.admin.scan(FIRST)]
    (info,) = [info for info in await ready.store.admin.indices() if str(info.name) == FIRST]
    assert (20, blocked) == (info.documents, info.write_blocked)
    late = make_document({"message": "late"})
    assert [Reaction.RETRY if blocked else Reaction.STORED] == [
        outcome.reaction for outcome in await ready.store.writer.write([late])
    ]
    assert {logs[1].id} == await found(ready.store.reader, Text("line_1"))


async def test_erasing_from_an_index_that_is_not_there_is_no_error(ready: Opened):
    await ready.store.admin.erase(SECOND, ["f" * 32 + "-00000"])

    assert [f"{OTHER_TARGET}-000001", FIRST] == await names(ready)
