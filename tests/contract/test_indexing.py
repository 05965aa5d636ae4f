"""What the index stream promises over every store: each log once, whatever is delivered again and in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import orjson
import pytest

from agents.process import Outcome as Processed
from logsync_streams.enriched import Enriched
from logsync_streams.envelope import RawRecord
from logsync_streams.events import event_id, uuid7_hex
from logsync_streams.settings import FilterRule
from logsync_streams.state import FileState
from logsync_streams.storage.api import All, Document, Equals, Outcome, SearchRequest
from logsync_streams.storage.naming import alias_name
from retention.policy import Assignment as Decided
from retention.policy import Policies, Policy, assignment, state_key
from tables.assignments import Assignment, Assignments
from tests.contract.documents import DAY, NOON, TARGET, iso, make_document, new_ids
from tests.contract.steps import all_hits
from tests.contract.stores import Opened
from tests.index_path import Path, ids, record
from tests.unit.samples import OneDataset, enveloped, processor

HOUR_MS = 3_600_000
MIDNIGHT = NOON + 12 * HOUR_MS
NEXT_DAY = DAY + timedelta(days=1)
NEXT_TARGET = alias_name("default", NEXT_DAY)


def bodies(number: int, **fields: object) -> tuple[bytes, ...]:
    return tuple(make_document({"message": f"line {i}", **fields}).body for i in range(number))


def received(id: str, at: int, service: str = "auth") -> bytes:
    """A document of that id as received at that time."""
    event = {"id": id, "ingested": iso(at), "dataset": "default"}
    return orjson.dumps({"event": event, "@timestamp": iso(at), "message": "boom", "service": {"name": service}})


async def counted(opened: Opened) -> dict[str, list[str]]:
    """index -> the ids of all its documents, each as often as it is there."""
    await opened.store.admin.refresh()
    found: dict[str, list[str]] = {}
    for hit in await all_hits(opened.store.reader, SearchRequest(All(), limit=1000)):
        found.setdefault(hit.index, []).append(hit.id)
    return {index: sorted(there) for index, there in sorted(found.items())}


@pytest.mark.every_version
async def test_every_record_is_acknowledged_in_order_and_every_document_stored_once(opened: Opened):
    path = Path(opened.store, NOON)
    given = [bodies(120) for _ in range(6)]
    acked = await path.index(*[[record(TARGET, *part, offset=i), record("", offset=i)] for i, part in enumerate(given)])

    assert list(range(12)) == acked
    assert {f"{TARGET}-000001": sorted(id for part in given for id in ids(part))} == await counted(opened)
    assert (720, []) == (path.stream.progress.settled_events, path.dead.letters)


async def test_what_is_delivered_again_is_stored_once(opened: Opened):
    given = bodies(50)
    await Path(opened.store, NOON).index([record(TARGET, *given), record(TARGET, *given)])
    await Path(opened.store, NOON).index([record(TARGET, *given)], [record(TARGET, *given)])

    assert {f"{TARGET}-000001": sorted(ids(given))} == await counted(opened)


@pytest.mark.every_version
async def test_a_late_event_for_a_blocked_index_opens_a_second_generation_and_is_found_once(opened: Opened):
    early, late = bodies(3), bodies(2)
    path = Path(opened.store, NOON)
    await path.index([record(TARGET, *early)])
    await opened.store.admin.block_writes(f"{TARGET}-000001")
    await path.index([record(TARGET, *late)])
    await path.index([record(TARGET, *late)])

    assert {f"{TARGET}-000001": sorted(ids(early)), f"{TARGET}-000002": sorted(ids(late))} == await counted(opened)


async def test_two_bulks_that_meet_the_same_block_open_one_generation(opened: Opened):
    path = Path(opened.store, NOON)
    await path.index([record(TARGET, *bodies(1))])
    await opened.store.admin.block_writes(f"{TARGET}-000001")
    await path.index([record(TARGET, *bodies(150))], [record(TARGET, *bodies(150))])

    assert [1, 300] == [len(there) for there in (await counted(opened)).values()]
    assert 2 == len(await opened.store.admin.indices())


async def test_an_event_delivered_again_after_its_index_was_blocked_is_found_once(opened: Opened):
    given, late = bodies(20), bodies(5)
    await Path(opened.store, NOON).index([record(TARGET, *given)])
    await opened.store.admin.block_writes(f"{TARGET}-000001")
    await Path(opened.store, NOON).index([record(TARGET, *given, *late)])
    await opened.store.admin.next_generation(TARGET)
    await Path(opened.store, NOON).index([record(TARGET, *late, *given)])
    found = await counted(opened)

    assert (sorted(ids(given)), sorted(ids(late))) == (found[f"{TARGET}-000001"], found[f"{TARGET}-000002"])
    assert 25 == sum(len(there) for there in found.values())


async def test_a_keyed_retry_over_midnight_is_stored_once(opened: Opened):
    in_one_take, in_the_next, much_later, tomorrow_only = new_ids(4)
    before, after = MIDNIGHT - 1000, MIDNIGHT + 1000
    first = record(TARGET, *(received(id, before) for id in (in_one_take, in_the_next, much_later)), keyed=True)
    first_part = record(TARGET, received(in_one_take, before), keyed=True)
    path = Path(opened.store, after)

    await path.index(
        [first_part, record(NEXT_TARGET, received(in_one_take, after), keyed=True)],
        [record(TARGET, received(in_the_next, before), keyed=True)],
        [record(NEXT_TARGET, received(in_the_next, after), received(tomorrow_only, after), keyed=True)],
        [first],
    )
    path.now = MIDNIGHT + HOUR_MS // 2
    await path.index([record(NEXT_TARGET, received(much_later, path.now), keyed=True)])

    assert {
        f"{TARGET}-000001": sorted([in_one_take, in_the_next, much_later]),
        f"{NEXT_TARGET}-000001": [tomorrow_only],
    } == await counted(opened)


async def test_a_retry_is_looked_for_after_the_first_try_that_is_still_being_written(opened: Opened):
    [id] = new_ids(1)
    slow = _Slow(opened)
    await Path(opened.store, MIDNIGHT + 1000, writer=slow).index(  # type: ignore[arg-type]  # as much of a writer
        [record(TARGET, received(id, MIDNIGHT - 1000), keyed=True)],
        [record(NEXT_TARGET, received(id, MIDNIGHT + 1000), keyed=True)],
    )

    assert {f"{TARGET}-000001": [id]} == await counted(opened)


class _Slow:
    """Writes when everything else that could run has run."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        await asyncio.sleep(0.1)
        return await self._opened.store.writer.write(documents)


async def test_a_day_that_was_dropped_is_never_revived(opened: Opened):
    given, others = bodies(3), bodies(2)
    path = Path(opened.store, NOON)
    await path.index([record(TARGET, *bodies(1))])
    await opened.store.admin.drop(f"{TARGET}-000001")
    path.tombstones.add(TARGET)
    await path.index([record(TARGET, *given), record(NEXT_TARGET, *others)])
    await Path(opened.store, NOON).index([record(NEXT_TARGET, *others)])

    assert {f"{NEXT_TARGET}-000001": sorted(ids(others))} == await counted(opened)
    assert [(id, b"expired") for id in ids(given)] == [
        (headers["logsync-event-id"].decode(), headers["logsync-category"]) for _, _, headers in path.dead.letters
    ]


@pytest.mark.every_version
async def test_a_field_of_another_type_costs_no_log(opened: Opened):
    [id] = new_ids(1)
    odd = {"service": "auth", "message": {"text": "boom"}, "host": {"name": "web-1"}}
    strange = Document(
        TARGET, id, orjson.dumps({"event": {"id": id, "ingested": iso(NOON)}, "@timestamp": iso(NOON)} | odd)
    )
    tame = make_document({"message": "tame"})
    path = Path(opened.store, NOON)
    await path.index([record(TARGET, strange.body, tame.body)])
    await path.index([record(TARGET, strange.body, tame.body)])

    assert {f"{TARGET}-000001": sorted([strange.id, tame.id])} == await counted(opened)
    assert [] == path.dead.letters
    hit = await opened.store.reader.get(strange.id)
    assert hit is not None
    assert {"name": "web-1"} == hit.document["host"]


@pytest.mark.every_version
async def test_five_thousand_label_names_are_all_found(opened: Opened):
    documents = [
        make_document({"labels": {f"key{i}.{part}": f"value {i}" for part in "abcde"}}) for i in range(0, 5000, 5)
    ]
    path = Path(opened.store, NOON)
    await path.index([record(TARGET, *(document.body for document in documents))])
    await opened.store.admin.refresh()

    for place in (0, 500, 999):
        page = await opened.store.reader.search(SearchRequest(Equals(f"labels.key{place * 5}.e", f"value {place * 5}")))

        assert [documents[place].id] == [hit.id for hit in page.hits]


# ------------------------------------------------------------------------- from the raw record on, over two processes


ENVELOPE = uuid7_hex(NOON)


def raw(at: int, value: bytes | None = None, offset: int = 7) -> RawRecord:
    """An envelope of two logs that was received then, or a foreign record."""
    if value is not None:
        return RawRecord("logs", 0, offset, at, value, ())
    logs = {"message": "one", "service": "auth"}, {"message": "two", "service": "shop"}
    return replace(enveloped(*logs, received_at=at, envelope_id=ENVELOPE, offset=offset), timestamp=at)


async def processed(given: RawRecord, assigned: Mapping[date, Assignment], *rules: FilterRule) -> Processed:
    stages = processor(rules=rules)
    outcome = Processed()
    return await stages.run(stages.decode([given], outcome), outcome, assigned)


def enriched(outcome: Processed) -> list[Enriched]:
    return processor().enriched(outcome, "logs", 0, 7, 7)


async def test_an_id_stored_before_a_rule_was_edited_and_filtered_after_it_is_stored_once(opened: Opened):
    given, assigned = raw(NOON), {DAY: OneDataset()}
    await Path(opened.store, NOON).index(enriched(await processed(given, assigned)))  # killed before it acknowledged
    outcome = await processed(given, assigned, FilterRule(name="no shop", service="shop"))
    await Path(opened.store, NOON).index(enriched(outcome))

    assert {f"{TARGET}-000001": [event_id(ENVELOPE, i) for i in range(2)]} == await counted(opened)
    assert {"no shop": 1} == outcome.dropped


async def test_a_policy_edited_in_mid_day_takes_effect_on_the_next_and_moves_nothing_delivered_again(
    opened: Opened, tmp_path
):
    async def decide(policies: Policies, day: date) -> Decided:
        state = FileState(tmp_path / "state")
        return Decided.from_value(await state.decide(state_key(day), assignment(policies).as_value()))

    before: dict[str, Policy] = {}
    after = {"auth": Policy("auth", 30)}
    for policies in (before, after, after):  # a process each: the first one's records are delivered again
        assigned = await Assignments(partial(decide, policies)).of({DAY})
        await Path(opened.store, NOON).index(enriched(await processed(raw(NOON), assigned)))
    tomorrow = raw(MIDNIGHT + 1, b'{"message":"three","service":"auth"}')
    assigned = await Assignments(partial(decide, after)).of({NEXT_DAY})
    await Path(opened.store, MIDNIGHT + 1).index(enriched(await processed(tomorrow, assigned)))

    assert {f"{TARGET}-000001": 2, f"{alias_name('auth', NEXT_DAY)}-000001": 1} == {
        index: len(there) for index, there in (await counted(opened)).items()
    }


async def test_records_of_a_topic_that_was_made_anew_are_other_events(opened: Opened):
    for appended in (NOON, NOON + 1000, NOON):  # the last is the first, delivered again
        outcome = await processed(raw(appended, b'{"message":"the same"}', offset=0), {DAY: OneDataset()})
        await Path(opened.store, NOON).index(enriched(outcome))

    assert [2] == [len(there) for there in (await counted(opened)).values()]


async def test_the_index_of_today_is_there_before_the_first_log(opened: Opened):
    await Path(opened.store, NOON).index()

    assert [f"{TARGET}-000001"] == [str(info.name) for info in await opened.store.admin.indices()]
