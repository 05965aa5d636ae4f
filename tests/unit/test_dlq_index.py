"""What `index` does with replays: they are stored once and never hold what comes behind them."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from agents.targets import Targets
from logsync_streams import dead_letter
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq.replay import replayed
from logsync_streams.events import iso_time
from logsync_streams.settings import Settings
from logsync_streams.storage.api import Document
from logsync_streams.storage.memory import MemoryStore
from logsync_streams.storage.naming import alias_name
from logsync_streams.streams.index import IndexStream
from logsync_streams.worker import _limits
from tables.assignments import Assignments
from tables.erased import ErasedIds

NOW = 1_795_557_600_123  # 2026-11-24T22:00:00.123Z
HOUR_MS = 3_600_000
SETTINGS = Settings()


class Default:
    """An assignment of a day: everything in one dataset."""

    routes = "[]"

    def dataset(self, service: str) -> str:
        return "default"

    def possible_datasets(self, service: str) -> set[str]:
        return {"default"}


class DeadTopic:
    """Takes what is sent to `logs-dlq`."""

    def __init__(self) -> None:
        self.letters: list[DeadLetterRecord] = []

    async def send(self, *, key, value, partition, headers):
        self.letters.append(dead_letter.decode(key, value, headers))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer.set_result(None)
        return answer


class Message:
    def __init__(self, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        self.message = self
        self.value, self.headers = value, headers
        self.topic, self.partition, self.offset, self.timestamp = "logs-enriched", 0, 12, NOW / 1000
        self.generation_id = 1
        self.generation_id = 1


class Stream:
    """One batch of messages, and which were acknowledged."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages, self.acked = messages, 0

    async def noack_take(self, number: int, within: float) -> Any:
        yield self.messages

    async def ack(self, message: Message) -> None:
        self.acked += 1


async def _decide(_: date) -> Any:
    return Default()


async def _nothing() -> dict[str, bytes]:
    return {}


class Rig:
    def __init__(self) -> None:
        self.store, self.dead = MemoryStore(), DeadTopic()
        targets = Targets(self.store, self.store, 3, lambda: NOW, tombstone=lambda _: False)
        self.stream = IndexStream(
            self.store,
            targets,
            Assignments(_decide),
            _limits(SETTINGS),
            dead_topic=self.dead,  # type: ignore[arg-type]  # only `send` is used
            now=lambda: NOW,
            key_window_ms=HOUR_MS,
            erased=ErasedIds(_nothing, lambda: NOW),
        )

    async def run(self, letters: list[DeadLetterRecord]) -> None:
        out = [replayed(letter, SETTINGS) for letter in letters]
        stream = Stream([Message(one.value, one.headers) for one in out])
        await asyncio.wait_for(self.stream.run(stream), 20)

        assert len(letters) == stream.acked


def letter(number: int = 1, received_at: int = NOW, *, whole: bool = True, keyed: bool = False) -> DeadLetterRecord:
    """A document that its index refused; not whole: it will be refused again."""
    id_ = f"{number:032x}-00000"
    body: dict[str, Any] = {"event": {"id": id_, "ingested": iso_time(received_at)}}
    if whole:
        body["@timestamp"] = iso_time(received_at)
    return DeadLetterRecord(
        event_id=id_,
        value=orjson.dumps(body),
        holds="document",
        received_at=received_at,
        format="",
        source="",
        peer="",
        target=alias_name("default", datetime.fromtimestamp(received_at / 1000, UTC).date()),
        stage="index",
        category="mapping",
        error="refused",
        topic="logs",
        partition=0,
        offset=7,
        index=0,
        keyed=keyed,
    )


async def stored(store: MemoryStore, number: int = 1) -> int:
    """In how many indices."""
    names = [str(info.name) for info in await store.indices()]
    return sum([len(await store.existing([name], [f"{number:032x}-00000"])) for name in names])


async def test_a_document_replayed_twice_is_stored_once():
    rig = Rig()
    await rig.run([letter()])
    await rig.run([letter()])

    assert (1, []) == (await stored(rig.store), rig.dead.letters)


async def test_many_replays_that_fail_again_are_letters_again_and_hold_nothing():
    rig = Rig()
    await rig.run([letter(number, whole=False) for number in range(1, 60)] + [letter(99)])

    assert [2] * 59 == [again.attempts for again in rig.dead.letters]
    assert ("mapping", "logs", 7) == (
        rig.dead.letters[0].category,
        rig.dead.letters[0].topic,
        rig.dead.letters[0].offset,
    )
    assert 1 == await stored(rig.store, 99)


async def test_a_replay_for_a_day_past_the_write_horizon_without_an_index_is_a_letter_again_and_nobody_waits():
    rig = Rig()
    await rig.run([letter(1, NOW - 30 * 24 * HOUR_MS), letter(2)])

    assert [("expired", 2)] == [(again.category, again.attempts) for again in rig.dead.letters]
    assert (0, 1) == (await stored(rig.store, 1), await stored(rig.store, 2))


async def test_a_replay_for_an_old_day_whose_index_is_there_is_stored():
    rig = Rig()
    old = letter(1, NOW - 30 * 24 * HOUR_MS)
    await rig.store.create(old.target)
    await rig.run([old])

    assert (1, []) == (await stored(rig.store), rig.dead.letters)


async def test_an_event_of_a_keyed_request_whose_retry_the_next_day_has_is_not_stored_again():
    rig = Rig()
    yesterday = letter(1, NOW - 24 * HOUR_MS, keyed=True)
    today = alias_name("default", datetime.fromtimestamp(NOW / 1000, UTC).date())
    retried = letter(1, NOW, keyed=True)
    await rig.store.create(today)
    await rig.store.write([Document(today, retried.event_id, retried.value)])
    await rig.run([yesterday])

    assert 1 == await stored(rig.store)


async def test_the_day_after_today_is_not_asked_for_its_datasets_have_not_been_decided():
    decided: list[date] = []

    async def decide(day: date) -> Any:
        decided.append(day)
        return Default()

    rig = Rig()
    rig.stream._assignments = Assignments(decide)
    await rig.run([letter(keyed=True)])
    tomorrow = datetime.fromtimestamp(NOW / 1000, UTC).date() + timedelta(days=1)

    assert tomorrow not in decided
    assert 1 == await stored(rig.store)
