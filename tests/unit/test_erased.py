"""Erased ids: nothing brings their logs back, neither as a log nor as a dead letter, and each refusal is counted."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from agents.index import Indexer, Limits
from logsync_streams import metrics
from logsync_streams.errors import Unavailable
from logsync_streams.events import receive_day
from logsync_streams.storage.api import DUPLICATE, STORED, All, Outcome, Reaction
from logsync_streams.storage.documents import ALIAS_MISSING
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.streams.process import ProcessStream
from tables.assignments import Assignments
from tables.erased import IDS_IN_A_RECORD, MAX_AGE_SECONDS, ErasedIds, erased_records, ids_in_force
from tests.contract.documents import NOON
from tests.contract.steps import found
from tests.index_path import DeadTopic, Path, record
from tests.retention import AUTH_TARGET, documents, fill
from tests.unit.samples import RECEIVED_AT, OneDataset, enveloped, processor

TODAY = receive_day(NOON)


def refused(stage="index"):
    return metrics.dropped.labels(stage, "erased")._value.get()


def test_ids_are_refused_until_the_end_of_their_last_day_in_records_that_fit():
    ids = [f"{number:032x}-00000" for number in range(2 * IDS_IN_A_RECORD + 1)]
    state = erased_records(ids, TODAY) | {"tombstone/x": b"{}", "assignment/2026-11-24": b"{}"}

    assert 5 == len(state)
    assert max(map(len, state.values())) < 1_000_000
    assert set(ids) == ids_in_force(state, TODAY)
    assert set() == ids_in_force(state, TODAY + timedelta(days=1))
    assert state == state | erased_records(reversed(ids), TODAY)  # writing them again adds nothing


async def test_what_is_known_is_never_older_than_it_may_be():
    state: dict[str, bytes] = {}
    clock = [0.0]
    away: list[bool] = []

    async def read():
        if away:
            raise Unavailable("Kafka is away")
        return dict(state)

    erased = ErasedIds(read, lambda: NOON, monotonic=lambda: clock[0])
    assert set() == await erased.among(["a"])
    state |= erased_records(["a"], TODAY)

    clock[0] = MAX_AGE_SECONDS
    assert set() == await erased.among(["a"])  # as long as this it may be
    clock[0] += 1.0
    assert {"a"} == await erased.among(["a", "b"])

    away.append(True)
    clock[0] += MAX_AGE_SECONDS
    assert {"a"} == await erased.among(["a"])
    clock[0] += 1.0
    with pytest.raises(Unavailable):
        await erased.among(["a"])


async def test_it_is_read_in_time_while_somebody_asks_and_not_else():
    reads, clock, slept = [], [0.0], asyncio.Event()

    async def read():
        reads.append(clock[0])
        return {}

    async def sleep(seconds):
        clock[0] += seconds
        if clock[0] > 60:
            slept.set()
            await asyncio.Event().wait()
        if clock[0] < 30:
            await erased.among(["a"])

    erased = ErasedIds(read, lambda: NOON, monotonic=lambda: clock[0], sleep=sleep)
    task = asyncio.create_task(erased.keep_up())
    await slept.wait()
    task.cancel()

    gaps = [after - before for before, after in pairwise(reads)]
    assert max(gaps) < MAX_AGE_SECONDS
    assert reads[-1] <= 32


async def test_a_redelivered_log_that_was_erased_is_refused_and_counted_and_no_dead_letter():
    one = MemoryStore()
    store = Store(one, one, one)
    logs, (expired,) = documents(10, AUTH_TARGET, "auth"), documents(1, "logsync-old-2026.11.20", "old")
    await fill(store, logs)
    path, before = Path(store, NOON), refused()
    path.tombstones = {expired.target}
    path.state = erased_records([logs[3].id, expired.id], TODAY + timedelta(days=3))
    await store.admin.erase(f"{AUTH_TARGET}-000001", [logs[3].id])

    await path.index(
        [record(AUTH_TARGET, *(log.body for log in logs)), record(expired.target, expired.body)],
    )

    assert {log.id for log in logs} - {logs[3].id} == await found(store.reader, All())
    assert (2, []) == (refused() - before, path.dead.letters)
    assert 11 == path.stream.progress.settled_events


async def test_a_write_that_is_tried_for_long_is_asked_for_before_each_try():
    erased, tried = set(), []
    busy = Outcome(Reaction.RETRY, "busy")

    class Writer:
        async def write(self, documents):
            tried.append([document.id for document in documents])
            erased.add(logs[1].id)  # while the first try is under way
            return [busy, busy, STORED] if len(tried) == 1 else [DUPLICATE for _ in documents]

        async def close(self):
            pass

    async def nothing(*_):
        return False

    async def among(ids):
        return erased & set(ids)

    logs = documents(3, AUTH_TARGET, "auth")
    limits = Limits(10**6, 100, 0.0, 0.0, 0.5)
    settled = await Indexer(Writer(), limits, nothing, nothing, erased=among).settle(logs, nothing)

    assert [[log.id for log in logs], [logs[0].id]] == tried
    assert (1, 1, 1, 0) == (settled.stored, settled.duplicates, settled.erased, settled.dead)


@pytest.mark.parametrize("waits", ["before the write", "after it"])
async def test_a_log_that_is_erased_while_the_store_is_waited_for_becomes_no_dead_letter(waits):
    one = MemoryStore()
    store = Store(one, one, one)
    logs = documents(2, AUTH_TARGET, "auth")
    await store.admin.prepare()
    await store.admin.create(AUTH_TARGET)
    gone = Outcome(Reaction.HOLD, ALIAS_MISSING)

    class Missing:
        async def write(self, documents):
            return [gone for _ in documents]

        async def close(self):
            return None

    path, before = Path(store, NOON, Missing()), refused()
    asked = "dropped" if waits == "after it" else "ensure"

    async def erased_meanwhile(targets):
        if AUTH_TARGET in targets:  # not today's, which is made at the start
            path.state = erased_records([logs[1].id], TODAY)
        return True if asked == "dropped" else targets

    setattr(path.targets, asked, erased_meanwhile)
    await path.index([record(AUTH_TARGET, *(log.body for log in logs))])

    assert [logs[0].id] == [key.partition("/")[0] for key, _, _ in path.dead.letters]
    assert 1 == refused() - before


async def test_a_redelivered_record_makes_no_dead_letter_of_an_erased_one_anew():
    dead: Any = DeadTopic()
    topic: Any = SimpleNamespace(send=_sent)
    raw = enveloped(b"{", b"[", b'{"message": "good"}')

    async def read():
        return erased_records([f"{'0192f3e4a5b67c8d9e0f102030405060'}-00001"], TODAY)

    async def decide(day: date):
        return OneDataset()

    stream = ProcessStream(
        processor(),
        Assignments(decide),
        enriched_topic=topic,
        counts_topic=topic,
        dead_topic=dead,
        partitions=1,
        max_services=10,
        erased=ErasedIds(read, lambda: RECEIVED_AT),
    )
    before = refused("process")
    await stream._batch("logs", 0, [raw])

    assert ["0192f3e4a5b67c8d9e0f102030405060-00000/parse/1"] == [key for key, _, _ in dead.letters]
    assert 1 == refused("process") - before


async def _sent(**_):
    sent = asyncio.get_running_loop().create_future()
    sent.set_result(SimpleNamespace(partition=0, offset=1))
    return sent
