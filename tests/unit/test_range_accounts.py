"""The live identity, record by record."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from logsync_streams.enriched import Counts, Enriched
from logsync_streams.streams.index import exemplar
from tables.range_accounts import MAX_OPEN, RangeAccounts, Verdict

ID = "0" * 32 + "-00000"


def part(documents: int, number: int = 0, of: int = 1, *, received: int = 0, filtered: int = 0, dead: int = 0, **where):
    first = where.get("first", 0)
    return Enriched(
        target="logsync-default-2026.11.24",
        topic=where.get("topic", "logs"),
        partition=0,
        first=first,
        last=where.get("last", first + 9),
        keyed=False,
        part=number,
        parts=of,
        counts=Counts(received, filtered, dead),
        documents=(b"{}",) * documents,
    )


def total(*records: Enriched) -> Verdict:
    accounts = RangeAccounts()
    verdicts = [accounts.add(record) for record in records]
    return Verdict(sum(verdict.checked for verdict in verdicts), sum(verdict.unaccounted for verdict in verdicts))


def test_a_range_that_adds_up_is_checked_and_nothing_is_unaccounted_for():
    assert Verdict(1, 0) == total(part(7, received=10, filtered=2, dead=1))


def test_a_range_of_which_nothing_is_left_adds_up():
    assert Verdict(1, 0) == total(part(0, received=3, filtered=3))


@pytest.mark.parametrize("documents", [6, 8])
def test_too_few_and_too_many_documents_are_unaccounted_for(documents):
    assert Verdict(1, 1) == total(part(documents, received=7))


def test_the_parts_of_a_range_are_added_up():
    assert Verdict(1, 0) == total(part(5, 0, 3, received=9, dead=1), part(2, 1, 3), part(1, 2, 3))


def test_a_part_that_came_twice_counts_once():
    assert Verdict(1, 0) == total(part(5, 0, 2, received=6), part(5, 0, 2, received=6), part(1, 1, 2))


def test_a_range_seen_from_its_middle_on_is_not_judged():
    assert Verdict(1, 0) == total(part(2, 1, 3), part(1, 2, 3), part(4, received=4, first=10))


def test_a_part_that_never_came_is_unaccounted_for_when_the_next_range_begins():
    assert Verdict(2, 3) == total(part(5, 0, 3, received=9), part(1, 2, 3), part(4, received=4, first=10))


def test_a_range_that_is_sent_again_in_other_pieces_is_judged_by_the_last_try():
    again = [part(3, received=3, first=0, last=4), part(6, received=6, first=5, last=9)]

    assert Verdict(2, 0) == total(part(5, 0, 2, received=9), *again)


def test_topics_do_not_mix():
    mixed = [part(5, 0, 2, received=6), part(3, received=3, topic="foreign", first=50), part(1, 1, 2)]

    assert Verdict(2, 0) == total(*mixed)


def test_after_a_rebalance_nothing_is_expected_to_go_on():
    accounts = RangeAccounts()
    accounts.add(part(5, 0, 2, received=6))
    accounts.clear()

    assert Verdict(1, 0) == accounts.add(part(4, received=4, first=10))


def test_what_is_remembered_is_bounded():
    accounts = RangeAccounts()
    for number in range(MAX_OPEN + 10):
        accounts.add(part(5, 0, 2, received=6, topic=f"topic-{number}"))

    assert MAX_OPEN == len(accounts._open)


def test_an_exemplar_leads_to_a_log_and_its_trace():
    body = b'{"event":{"id":"..."},"trace":{"id":"4bf92f3577b34da6a3ce929d0e0e4736"}}'

    assert {"event_id": ID, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"} == exemplar(ID, body)


@pytest.mark.parametrize("trace", ["", '"trace":{"id":"%s"}' % ("a" * 100), '"trace":{"id":"a b"}', '"trace":{"id":"'])
def test_an_exemplar_never_breaks_the_exposition(trace):
    assert {"event_id": ID} == exemplar(ID, b'{"event":{},' + trace.encode() + b"}")


async def test_the_index_stream_counts_what_does_not_add_up_and_begins_anew_with_a_generation():
    from logsync_streams import metrics
    from logsync_streams.streams.index import IndexStream

    stream = IndexStream.__new__(IndexStream)
    stream._accounts, stream._generation = RangeAccounts(), None
    before = metrics.unaccounted._value.get()
    message = SimpleNamespace(generation_id=1, partition=0, offset=4)
    stream._account(message, part(2, received=5))
    stream._account(message, part(2, 0, 2, received=5, first=10))
    message.generation_id = 2
    stream._account(message, part(5, received=5, first=20))

    assert before + 3 == metrics.unaccounted._value.get()
