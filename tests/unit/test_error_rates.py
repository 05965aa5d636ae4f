from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.counts import Run, ServiceCounts
from logsync_streams.events import ERROR_LEVELS
from logsync_streams.metrics import OTHER
from tables.error_rates import MINUTES, SPANS, ErrorRates
from tables.services import Seen, update

NOW = 29_925_960  # an epoch minute


def one(offset: int, append_time: int, minute: int, levels: dict[str, int]) -> Run:
    """A run of one raw record."""
    return Run(append_time, minute, {level: [offset, number] for level, number in levels.items()})


def counts(*runs: Run, service: str = "auth", partition: int = 0) -> ServiceCounts:
    return ServiceCounts(service, "logs", partition, runs)


def folded(*records: ServiceCounts) -> ErrorRates:
    rates = ErrorRates(max_services=10)
    for record in records:
        rates.apply(record, NOW)
    return rates


def test_errors_and_all_events_are_counted_by_span():
    rates = folded(
        counts(
            one(1, 1, NOW, {"error": 2, "info": 8}),
            one(2, 2, NOW - 3, {"critical": 1}),
            one(3, 3, NOW - 20, {"warn": 5}),
        )
    ).rates("auth", NOW)

    assert {"1m": (10, 2), "5m": (11, 3), "15m": (11, 3), "1h": (16, 3)} == {
        name: (rate.events, rate.errors) for name, rate in rates.items()
    }
    assert 0.2 == rates["1m"].ratio


def test_a_record_sent_again_is_not_counted_again():
    record = counts(one(1, 100, NOW, {"error": 1}), one(2, 101, NOW, {"error": 1}))

    assert 2 == folded(record, record).rates("auth", NOW)["1m"].errors


def test_a_recreated_topic_is_counted_although_its_offsets_are_low_again():
    old, new = counts(one(900, 100, NOW, {"error": 1})), counts(one(0, 200, NOW, {"error": 1}))

    assert 2 == folded(old, new).rates("auth", NOW)["1m"].errors


def test_a_broker_whose_clock_was_set_back_makes_nothing_count_twice():
    before, after = counts(one(1, 200, NOW, {"error": 1})), counts(one(2, 100, NOW, {"error": 1}))

    assert 2 == folded(before, after, before, after).rates("auth", NOW)["1m"].errors


@given(st.lists(st.tuples(st.integers(0, 70), st.sampled_from(["info", "warn", "error", "fatal"]), st.integers(1, 9))))
def test_a_span_holds_the_events_of_its_minutes_and_no_others(given_events):
    records = [counts(one(i, i, NOW - ago, {level: n})) for i, (ago, level, n) in enumerate(given_events)]
    found = folded(*records, counts(service="auth")).rates("auth", NOW)

    for name, minutes in SPANS.items():
        within = [(level, n) for ago, level, n in given_events if ago < minutes]

        assert (found[name].events, found[name].errors) == (
            sum(n for _, n in within),
            sum(n for level, n in within if level in ERROR_LEVELS),
        )


def test_minutes_older_than_the_hour_are_forgotten():
    rates = folded(counts(one(1, 1, NOW, {"info": 1})))
    rates.apply(counts(one(2, 2, NOW + MINUTES, {"info": 1})), NOW + MINUTES)

    assert {"info": 1} == rates.levels("auth", NOW + MINUTES)


def test_services_past_the_bound_are_counted_together():
    rates = ErrorRates(max_services=1)
    for service in ("auth", "pay", "mail"):
        rates.apply(counts(one(1, 1, NOW, {"error": 1}), service=service), NOW)

    assert ["_other", "auth"] == rates.services()
    assert 2 == rates.rates(OTHER, NOW)["1m"].errors


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=12), st.randoms())
def test_batches_cut_anywhere_and_sent_again_after_a_crash_count_exactly(batches, rng: random.Random):
    """The upstream sends in source order and, after a crash, again from some offset it had not committed."""
    truth = [number for batch in batches for number in batch]
    rates, of_a_batch = ErrorRates(max_services=10), ErrorRates(max_services=10)
    committed = sent = 0
    while committed < len(truth):
        end = rng.randint(committed + 1, len(truth))
        rates.apply(counts(*[one(i, i, NOW, {"error": truth[i]}) for i in range(committed, end)]), NOW)
        in_one_run = [number for i in range(committed, end) for number in (i, truth[i])]
        of_a_batch.apply(counts(Run(7, NOW, {"error": in_one_run})), NOW)
        sent = max(sent, end)
        if rng.random() < 0.6:
            committed = end  # else: died before the commit

    assert sum(truth) == rates.rates("auth", NOW)["1m"].errors
    assert sum(truth) == of_a_batch.rates("auth", NOW)["1m"].errors


def test_the_inventory_keeps_the_first_and_the_last_minute():
    row = update(None, counts(one(1, 1, NOW, {}), one(2, 2, NOW - 5, {})))

    assert Seen(first_minute=NOW - 5, last_minute=NOW) == row
    assert Seen(first_minute=NOW - 9, last_minute=NOW) == update(row, counts(one(3, 3, NOW - 9, {})))


def test_an_update_that_says_nothing_new_writes_nothing():
    row = Seen(first_minute=NOW - 5, last_minute=NOW)

    assert update(row, counts(one(1, 1, NOW, {}))) is None
