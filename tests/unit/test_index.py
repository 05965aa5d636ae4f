from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from agents.index import Indexer, Limits, Settled, bulks, halves
from logsync_streams.storage.api import DUPLICATE, STORED, Document, Outcome, Reaction

LIMITS = Limits(bulk_bytes=1000, bulk_documents=50, retry_first_seconds=0.1, retry_longest_seconds=10, poison_share=0.5)
RETRY = Outcome(Reaction.RETRY, "429")
HOLD = Outcome(Reaction.HOLD, "security_exception")
POISON = Outcome(Reaction.DEAD_LETTER, "mapper_parsing_exception", "no such date", "mapping")
SPLIT = Outcome(Reaction.SPLIT, "413")


def documents(number: int, size: int = 10) -> list[Document]:
    return [Document("logsync-default-2026.11.24", f"{i:032x}-00000", b"x" * size) for i in range(number)]


class Script:
    """A writer that answers what it is told for the id's first tries, then STORED; it notes each request."""

    def __init__(self, **answers: list[Outcome]) -> None:
        self.answers = {f"{int(key[1:]):032x}-00000": list(value) for key, value in answers.items()}
        self.requests: list[list[str]] = []

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        self.requests.append([document.id for document in documents])
        return [self.answers[document.id].pop(0) if self.answers.get(document.id) else STORED for document in documents]

    async def close(self) -> None: ...


class Rig:
    def __init__(self, writer: Script) -> None:
        self.writer, self.pauses, self.dead, self.opened = writer, [], [], []  # type: ignore[var-annotated]
        self.dropped: set[str] = set()
        self.indexer = Indexer(
            writer,
            LIMITS,
            on_blocked=self._blocked,
            on_missing=self._missing,
            sleep=self._sleep,
            jitter=lambda low, high: high,
        )

    async def settle(self, documents: Sequence[Document]) -> Settled:
        return await self.indexer.settle(documents, self._dead)

    async def _missing(self, target):
        return target in self.dropped

    async def _dead(self, letters):
        self.dead += [(document.id, outcome.category) for document, outcome in letters]

    async def _blocked(self, target):
        self.opened.append(target)
        return target in self.dropped

    async def _sleep(self, seconds):
        self.pauses.append(seconds)


async def test_only_the_refused_documents_are_written_again():
    rig = Rig(Script(_1=[RETRY, RETRY]))
    settled = await rig.settle(documents(3))

    assert [3, 1, 1] == [len(request) for request in rig.writer.requests]
    assert (3, 0, 0) == (settled.stored, settled.duplicates, settled.dead)


async def test_pauses_grow_to_the_bound_and_no_further():
    rig = Rig(Script(_0=[RETRY] * 10))
    await rig.settle(documents(1))

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10] == rig.pauses


async def test_the_pause_begins_anew_when_the_store_took_some():
    rig = Rig(Script(_0=[RETRY] * 5, _1=[RETRY] * 3))
    await rig.settle(documents(3))

    assert [0.1, 0.2, 0.4, 0.1, 0.2] == rig.pauses


async def test_a_request_that_is_split_is_written_on_without_a_pause():
    rig = Rig(Script(**{f"_{i}": [SPLIT, SPLIT] for i in range(8)}))
    settled = await rig.settle(documents(8))

    assert ([8, 4, 4, 2, 2, 2, 2], [], 8) == ([*map(len, rig.writer.requests)], rig.pauses, settled.stored)


async def test_what_was_split_is_not_sent_as_one_again_when_it_is_refused():
    rig = Rig(Script(**{f"_{i}": [SPLIT, RETRY] for i in range(4)}))
    await rig.settle(documents(4))

    assert [4, 2, 2, 2, 2] == [*map(len, rig.writer.requests)]


async def test_what_is_there_already_counts_as_settled():
    rig = Rig(Script(_0=[DUPLICATE]))

    assert 1 == (await rig.settle(documents(1))).duplicates


async def test_an_error_that_nobody_named_is_held_and_never_dead_lettered():
    rig = Rig(Script(_0=[HOLD] * 5))
    settled = await rig.settle(documents(1))

    assert (1, 0) == (settled.stored, settled.dead)
    assert [] == rig.dead


async def test_a_poison_document_goes_to_the_dead_letters_and_the_others_are_stored():
    rig = Rig(Script(_1=[POISON]))
    settled = await rig.settle(documents(3))

    assert [(f"{1:032x}-00000", "mapping")] == rig.dead
    assert (2, 1) == (settled.stored, settled.dead)


async def test_a_batch_that_is_mostly_poison_is_held():
    rig = Rig(Script(**{f"_{i}": [POISON] for i in range(20)}))
    settled = await rig.settle(documents(20))

    assert ([], 20) == (rig.dead, settled.stored)


async def test_a_request_that_was_too_large_is_halved_until_it_passes():
    rig = Rig(Script(**{f"_{i}": [SPLIT, SPLIT] for i in range(4)}))
    settled = await rig.settle(documents(4))

    assert [4, 2, 2] == [len(request) for request in rig.writer.requests][:3]
    assert 4 == settled.stored + settled.dead


async def test_a_document_that_is_too_large_alone_is_a_dead_letter():
    rig = Rig(Script(_0=[SPLIT]))
    await rig.settle(documents(1))

    assert [(f"{0:032x}-00000", "too_large")] == rig.dead


async def test_our_archives_write_block_opens_the_next_generation_before_the_retry():
    rig = Rig(Script(_0=[Outcome(Reaction.RETRY, "write_blocked")]))
    settled = await rig.settle(documents(1))

    assert ["logsync-default-2026.11.24"] == rig.opened
    assert 1 == settled.stored


def test_bulks_keep_the_order_and_their_bounds():
    found = bulks(documents(7, size=400), LIMITS)

    assert [2, 2, 2, 1] == [len(bulk) for bulk in found]
    assert documents(7, size=400) == [document for bulk in found for document in bulk]


def test_a_document_larger_than_a_bulk_is_alone():
    assert [1, 1] == [len(bulk) for bulk in bulks(documents(2, size=5000), LIMITS)]


def test_halving_loses_nothing():
    all_of_them = documents(5)

    assert all_of_them == [document for half in halves(all_of_them) for document in half]


async def test_a_document_of_a_dropped_day_is_expired_and_the_others_wait_on():
    missing = Outcome(Reaction.HOLD, "alias_missing")
    rig = Rig(Script(_0=[missing], _1=[missing, missing]))
    gone, held = documents(2)
    rig.dropped = {"logsync-gone-2026.11.24"}
    settled = await rig.settle([gone._replace(target="logsync-gone-2026.11.24"), held])

    assert [(gone.id, "expired")] == rig.dead
    assert (1, 1) == (settled.stored, settled.dead)


def refused(field: str) -> Outcome:
    return Outcome(Reaction.DEAD_LETTER, "document_parsing_exception", "", "mapping", field)


def log(**fields: object) -> Document:
    id = f"{0:032x}-00000"
    body = {"event": {"id": id, "ingested": "2026-11-24T22:00:00.000Z"}, "@timestamp": "2026-11-24T22:00:00.000Z"}
    return Document("logsync-default-2026.11.24", id, orjson.dumps(body | fields))


async def test_a_document_is_written_again_at_once_without_the_fields_that_are_refused_and_with_the_same_id():
    rig = Rig(Script(_0=[refused("service"), refused("host")]))
    settled = await rig.settle([log(service="auth", host=[1])])

    assert ([], [], 1, 0) == (rig.dead, rig.pauses, settled.stored, settled.dead)
    assert [[f"{0:032x}-00000"]] * 3 == rig.writer.requests


async def test_what_still_fails_is_a_dead_letter_as_it_came():
    given = log(service="auth")
    letters = []

    async def on_dead(found):
        letters.extend(found)

    await Rig(Script(_0=[refused("service"), POISON])).indexer.settle([given], on_dead)

    assert [(given, POISON)] == letters


async def test_a_field_that_is_refused_over_and_over_ends_in_the_dead_letters():
    rig = Rig(Script(_0=[refused("labels")] * 1000))
    settled = await rig.settle([log(labels="no object")])

    assert (0, 1) == (settled.stored, settled.dead)


class Gate:
    """A writer whose requests wait until they are let through; it notes how many were under way at once."""

    def __init__(self, answer: Outcome = STORED) -> None:
        self.open, self.under_way, self.most, self.answer = asyncio.Event(), 0, 0, answer

    async def write(self, documents: Sequence[Document]) -> list[Outcome]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.open.wait()
        self.under_way -= 1
        answer, self.answer = self.answer, STORED
        return [answer] * len(documents)

    async def close(self) -> None: ...


async def test_two_bulks_are_in_flight_and_no_more():
    gate = Gate()
    settling = asyncio.create_task(Rig(gate).settle(documents(250)))  # type: ignore[arg-type]  # as much of a writer
    for _ in range(20):
        await asyncio.sleep(0)
    under_way = gate.under_way
    gate.open.set()

    assert (2, 250, 2) == (under_way, (await settling).stored, gate.most)


async def test_an_overloaded_store_gets_fewer_bulks_at_once_and_more_when_it_takes_them():
    rig = Rig(Script(_0=[RETRY]))
    seen = []

    async def sleep(seconds):
        seen.append(rig.indexer.window.limit)

    rig.indexer.sleep = sleep
    await rig.settle(documents(50))

    assert ([1], 2) == (seen, rig.indexer.window.limit)


async def test_a_write_block_is_no_overload():
    rig = Rig(Script(_0=[Outcome(Reaction.RETRY, "write_blocked")]))
    seen = []

    async def sleep(seconds):
        seen.append(rig.indexer.window.limit)

    rig.indexer.sleep = sleep
    await rig.settle(documents(1))

    assert [2] == seen
