"""The ledger and the journal on brokers: what is sent back, what is marked, and what happens to what is too large."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace

import aiokafka
import pytest
from aiokafka.errors import KafkaError

from logsync_streams import dead_letter, envelope, kafka_topics, topics
from logsync_streams.cli import dlq
from logsync_streams.cli.dlq import Wanted
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq import journal
from logsync_streams.envelope import RawRecord
from logsync_streams.errors import Unavailable
from logsync_streams.settings import Settings
from tests.pipeline.kafka_truth import records, reset
from tests.unit.test_dlq_letters import LETTER


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("real", marks=pytest.mark.real)]
)
def settings(request):
    embedded = request.param == "embedded"
    bootstrap = request.getfixturevalue("embedded_broker") if embedded else request.getfixturevalue("kafka").bootstrap
    made = Settings(
        kafka={
            "bootstrap": bootstrap,
            "replication_factor": 1,
            "min_insync_replicas": 1,
            "embedded": embedded,
            "compression": "none",
        }
    )
    if not embedded:
        reset(bootstrap)
    asyncio.run(_created(made))
    return made


async def _created(settings: Settings) -> None:
    for attempt in range(100):
        try:
            await kafka_topics.create(settings)
            return
        except (Unavailable, KafkaError):  # the embedded broker takes a moment to listen
            if attempt == 99:
                raise
            await asyncio.sleep(0.2)


async def write(settings: Settings, *letters: DeadLetterRecord) -> None:
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap, acks="all", max_request_size=4_000_000
    )
    await producer.start()
    try:
        for letter in letters:
            key, value, headers = dead_letter.encode(letter)
            await producer.send_and_wait(topics.DEAD_LETTERS, value, key=key, headers=headers)
    finally:
        await producer.stop()


def raw_records(settings: Settings) -> list[RawRecord]:
    return [
        RawRecord(one.topic, one.partition, one.offset, one.timestamp, one.value, one.headers)
        for one in records(",".join(settings.kafka.bootstrap), "logs")
    ]


def letters(number: int) -> list[DeadLetterRecord]:
    return [replace(LETTER, event_id=f"{i:032x}-00003", value=b"{broken %d" % i) for i in range(number)]


def opened(settings: Settings) -> int:
    return len(asyncio.run(journal.read(settings.kafka)).open())


def test_letters_go_back_under_their_own_ids_and_are_not_open_any_more(settings, capsys):
    written = letters(450)  # more than one chunk
    asyncio.run(write(settings, *written, *written[:5]))
    assert 450 == opened(settings)

    assert 0 == dlq.replay(settings, Wanted(category="undecodable"), dry_run=False)
    decoded = [envelope.decode(record) for record in raw_records(settings)]
    assert {letter.event_id: (letter.value, letter.received_at, 1) for letter in written} == {
        one.ids[0]: (one.events[0], one.received_at, one.origin.attempts) for one in decoded
    }
    assert (450, 0) == (len(decoded), opened(settings))
    assert "450 dead letters went back to logs" in capsys.readouterr().out

    # Written again by a redelivery: known to be handled.
    asyncio.run(write(settings, written[0]))
    assert 0 == opened(settings)
    assert 1 == dlq.replay(settings, Wanted(everything=True), dry_run=False)


def test_what_was_dropped_stays_counted(settings, capsys):
    first, second = letters(2)
    asyncio.run(write(settings, first, second))

    assert 0 == dlq.drop(settings, Wanted((first.event_id,)), yes=True)
    assert 1 == opened(settings)
    assert 0 == dlq.list_(settings, Wanted(), as_json=False)
    printed = capsys.readouterr().out
    assert "1 dead letter open:" in printed
    assert "1  dropped for ever: undecodable in parse" in printed
    assert [] == raw_records(settings)


# The embedded broker has no limit on a record's size.
@pytest.mark.parametrize("settings", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_a_letter_that_is_too_large_for_the_raw_topic_stays_and_the_others_go(settings, capsys):
    large = replace(LETTER, event_id=f"{99:032x}-00003", value=random.Random(1).randbytes(1024 * 1024 + 10))
    asyncio.run(write(settings, *letters(3), large))

    assert 1 == dlq.replay(settings, Wanted(everything=True), dry_run=False)
    printed = capsys.readouterr().out
    assert "3 dead letters went back to logs" in printed
    assert "1 dead letter stays" in printed
    assert "too large" in printed
    assert 1 == opened(settings)


def test_a_missing_topic_is_said_in_a_sentence_with_what_to_do(settings, capsys, monkeypatch):
    monkeypatch.setattr(topics, "DEAD_LETTERS", f"not-there-{os.getpid()}")

    assert 2 == dlq.list_(settings, Wanted(), as_json=True)
    assert f"logsync: topic not-there-{os.getpid()} does not exist; run `logsync topics create`\n" == (
        capsys.readouterr().err
    )
