"""The guard by itself; that it keeps its promise against a real Kafka is in tests/faults."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from logsync_streams import metrics
from logsync_streams.consumer import GuardedConsumer, Records, coalesce

TP0 = TP("logs", 0)


@dataclass
class Message:
    offset: int
    acked: bool = False


@dataclass
class Record:
    offset: int
    value: bytes | None = b"x"
    key: Any = b"k"
    headers: Any = (("h", b"1"),)


def guard(*messages: Any) -> GuardedConsumer:
    consumer = GuardedConsumer.__new__(GuardedConsumer)  # its bookkeeping only: Faust's part needs a broker
    consumer._handed_out = defaultdict(deque, {TP0: deque(messages)})
    consumer._acked, consumer._acked_index = defaultdict(list), defaultdict(set)
    consumer.positions, consumer._committed_offset = {}, {}
    return consumer


def test_nothing_is_committed_while_the_first_message_is_in_flight():
    assert guard(Message(3), Message(4, acked=True), Message(5, acked=True))._new_offset(TP0) is None


def test_the_commit_stops_at_the_first_hole_even_of_one_message():
    assert 11 == guard(Message(10, acked=True), Message(11), Message(12, acked=True))._new_offset(TP0)


def test_compacted_offsets_do_not_hold_the_commit_back():
    assert 91 == guard(Message(2, acked=True), Message(90, acked=True))._new_offset(TP0)


def test_the_settled_position_does_not_pass_what_is_in_flight():
    consumer = guard(Message(10, acked=True), Message(11), Message(12, acked=True))

    assert {TP0: 11} == consumer.settled_positions()
    assert [11, 12][:1] == [message.offset for message in consumer.handed_out_unacked()]


def expired(topic: str) -> float:
    value: float = metrics.expired_unread.labels("logsync-test", topic)._value.get()
    return value


def test_what_expired_before_it_was_read_is_counted_once():
    consumer: Any = guard()
    consumer.app, consumer._expired_to = SimpleNamespace(conf=SimpleNamespace(id="logsync-test")), {}
    tp = TP("expiring", 0)
    for next_offset, begin in ((10, 10), (10, 25), (10, 25), (10, 30), (30, 30)):
        consumer.count_expired(tp, next_offset, begin)

    assert 20 == expired("expiring")


def test_coalesced_records_stand_at_the_last_offset_and_keep_their_own():
    [whole] = coalesce_records([Record(4), Record(5), Record(9)], 10, 100)

    assert 9 == whole.offset
    assert isinstance(whole.value, Records)
    assert [4, 5, 9] == [record.offset for record in whole.value]
    assert [b"k"] * 3 == [record.key for record in whole.value]


def test_coalescing_is_bounded_by_number_and_by_bytes():
    records = [Record(i, b"x" * 40) for i in range(6)]

    assert [2, 2, 2] == [len(part.value) for part in coalesce_records(records, 10, 100)]
    assert [3, 3] == [len(part.value) for part in coalesce_records(records, 3, 1000)]


def test_a_record_larger_than_the_bound_is_alone_and_a_tombstone_costs_nothing():
    records = [Record(0, b"x" * 500), Record(1, None), Record(2)]

    assert [1, 2] == [len(part.value) for part in coalesce_records(records, 10, 100)]


def coalesce_records(records: list[Record], number: int, size: int) -> list[Any]:
    return list(coalesce(records, number, size))
