"""Which dead letters are open, whatever the order of letters and marks, and how they are grouped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from logsync_streams import dead_letter
from logsync_streams.dead_letter import DROPPED, REPLAYED, DeadLetterRecord
from logsync_streams.dlq.letters import MAX_REASON_LENGTH, Ledger, Place, Selection, groups, reason
from tests.unit.samples import ENVELOPE_ID, RECEIVED_AT

LETTER = DeadLetterRecord(
    event_id=f"{ENVELOPE_ID}-00003",
    value=b'{"broken',
    holds="original",
    received_at=RECEIVED_AT,
    format="json",
    source="http",
    peer="127.0.0.1:4711",
    target="",
    stage="parse",
    category="undecodable",
    error="not JSON: unexpected end of data: line 1 column 9 (char 8)",
    topic="logs",
    partition=0,
    offset=41,
    index=3,
)


class Topic:
    """`logs-dlq` as a ledger reads it: each record at the next offset, a second later than the one before."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.offset = 0

    def add(self, key: bytes, value: bytes | None, headers) -> None:
        self.ledger.add(Place(0, self.offset, key), 1000 * self.offset, value, headers)
        self.offset += 1

    def letter(self, record: DeadLetterRecord) -> None:
        self.add(*dead_letter.encode(record))

    def mark(self, record: DeadLetterRecord, how: str) -> None:
        self.add(*dead_letter.encode_handled(record, how))

    def open(self) -> list[tuple[str, str, int]]:
        return [(letter.event_id[-5:], letter.stage, letter.attempts) for letter in self.ledger.open()]


@pytest.fixture
def topic() -> Topic:
    return Topic()


def test_a_redelivered_failure_is_listed_once_with_its_first_and_last_time(topic):
    for _ in range(3):
        topic.letter(LETTER)
    [letter] = topic.ledger.open()

    assert (0, 2000, 2) == (letter.first, letter.last, letter.place.offset)


def test_a_failure_of_the_same_event_in_another_stage_is_another_letter(topic):
    topic.letter(LETTER)
    topic.letter(replace(LETTER, stage="index"))

    assert [("00003", "parse", 1), ("00003", "index", 1)] == topic.open()


@pytest.mark.parametrize("how", [REPLAYED, DROPPED])
def test_a_handled_letter_is_not_open_even_when_a_redelivery_writes_it_after_its_mark(topic, how):
    topic.letter(LETTER)
    topic.mark(LETTER, how)
    topic.letter(LETTER)

    assert [] == topic.open()


def test_a_replay_that_fails_again_is_open_though_its_letter_came_before_the_mark_of_the_first(topic):
    topic.letter(LETTER)
    topic.letter(replace(LETTER, attempts=2))
    topic.mark(LETTER, REPLAYED)

    assert [("00003", "parse", 2)] == topic.open()


def test_of_a_replay_whose_mark_was_lost_only_the_latest_attempt_is_open_and_the_other_goes_with_it(topic):
    topic.letter(LETTER)
    topic.letter(replace(LETTER, attempts=2))
    [letter] = topic.ledger.open()

    assert (2, (0,)) == (letter.attempts, tuple(place.offset for place in letter.superseded))


def test_an_earlier_attempt_does_not_come_back_once_a_later_one_is_handled(topic):
    topic.letter(LETTER)
    topic.letter(replace(LETTER, attempts=2))
    topic.mark(replace(LETTER, attempts=2), REPLAYED)

    assert [] == topic.open()


def test_a_drop_is_counted_once_by_stage_and_category_and_a_replay_is_no_drop(topic):
    other = replace(LETTER, event_id=f"{ENVELOPE_ID}-00004")
    topic.letter(LETTER)
    topic.letter(other)
    topic.mark(LETTER, DROPPED)
    topic.mark(LETTER, DROPPED)
    topic.mark(other, REPLAYED)

    assert Counter({("parse", "undecodable"): 1}) == topic.ledger.dropped()


def test_what_is_no_letter_of_ours_is_counted_and_not_listed(topic):
    topic.add(b"somebody's", b"something", [])

    assert ([], 1) == (topic.open(), topic.ledger.unreadable)


def test_a_tombstone_by_hand_handles_a_letter_as_well(topic):
    topic.letter(LETTER)
    topic.add(LETTER.key, None, [])

    assert [] == topic.open()


def test_letters_of_one_reason_are_one_group_whatever_their_numbers_and_values(topic):
    for number in range(3):
        error = f"document_parsing_exception: [1:{number}5] failed to parse field [http.status] in document '{number}'"
        topic.letter(replace(LETTER, event_id=f"{number:032x}-00000", error=error, stage="index", category="mapping"))
    topic.letter(LETTER)
    first, second = groups(topic.ledger.open())

    assert (3, "mapping", "index", 0, 2000) == (first.letters, first.category, first.stage, first.first, first.last)
    assert "document_parsing_exception: [#] failed to parse field [http.status] in document '…'" == first.reason
    assert f"{2:032x}-00000" == first.example
    assert 1 == second.letters


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("RuntimeError: shard 17 of 42", "RuntimeError: shard # of #"),
        (f"id {ENVELOPE_ID}-00001 is odd", "id <id> is odd"),
        ("trace 550e8400-e29b-41d4-a716-446655440000 ended", "trace <id> ended"),
        ("at 0x7f3a in utf8 sha256", "at # in utf8 sha256"),
        ("two\nlines\t and 'a \\' quote'", "two lines and '…'"),
    ],
)
def test_a_reason_is_the_error_without_what_varies(error, expected):
    assert expected == reason(error)


def test_a_reason_has_a_bound():
    assert MAX_REASON_LENGTH == len(reason("word " * 1000))


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(ids=frozenset({LETTER.event_id})), True),
        (Selection(ids=frozenset({"another"})), False),
        (Selection(category="undecodable", stage="parse"), True),
        (Selection(category="mapping"), False),
        (Selection(stage="index"), False),
        (Selection(since=0), True),
        (Selection(since=1), False),
    ],
)
def test_a_selection_takes_what_has_all_that_it_names(topic, selection, taken):
    topic.letter(LETTER)
    [letter] = topic.ledger.open()

    assert taken == selection.takes(letter)
