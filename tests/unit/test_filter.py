from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agents.filter import Rule, drop_noise, sampled
from agents.filter_file import NO_ROUTES, compiled_routes
from agents.filter_match import WrongMatch, compile_match
from agents.process import Outcome
from logsync_streams.enriched import Counts
from tests.unit.samples import DAY, ENVELOPE_ID, OneDataset, enveloped, event, feed, processor
from tests.unit.test_process import ids

LOG: dict[str, Any] = {
    "log": {"level": "warn"},
    "service": {"name": "auth-service", "environment": "production"},
    "host": {"name": "web-1"},
    "message": "user 42 timed out",
    "labels": {"region": "eu-1", "attempt": "3"},
    "tags": ["slow", "login"],
    "http": {"response": {"status_code": 503}},
}


@pytest.mark.parametrize(
    "match",
    [
        {"level": "warn"},
        {"level": "WARNING"},
        {"level": ["error", "warn"]},
        {"level": {"at_least": "warn"}},
        {"level": {"below": "error"}},
        {"service": "auth-service", "environment": "production"},
        {"host": {"pattern": r"^web-\d+$"}},
        {"message": {"contains": "timed out"}},
        {"message": {"pattern": "(?i)TIMED"}},
        {"labels.region": ["us-1", "eu-1"]},
        {"metadata.attempt": 3},
        {"labels.attempt": {"at_least": 3, "below": 4}},
        {"tags": "login"},
        {"http.response.status_code": {"at_least": 500}},
        {"labels.region": {"exists": True}, "labels.zone": {"exists": False}},
        {"any": [{"level": "debug"}, {"all": [{"level": "warn"}, {"not": {"host": "web-2"}}]}]},
        {"not": {"level": {"at_least": "error"}}},
        {"id": {"pattern": f"^{ENVELOPE_ID}"}},
        {"logsync.source": "http"},
    ],
)
def test_a_log_matches(match):
    assert compile_match(match)(event(**LOG))


@pytest.mark.parametrize(
    "match",
    [
        {"level": {"at_least": "error"}},
        {"level": {"below": "warn"}},
        {"service": "auth-service", "environment": "staging"},
        {"message": "timed out"},
        {"message": {"pattern": "^timed"}},
        {"labels.zone": "eu-1"},
        {"labels.region": {"at_least": 1}},
        {"tags": "log"},
        {"labels.region": {"exists": False}},
        {"any": [{"level": "debug"}, {"host": "web-2"}]},
        {"not": {"level": "warn"}},
    ],
)
def test_a_log_does_not_match(match):
    assert not compile_match(match)(event(**LOG))


def test_an_unknown_level_is_neither_above_nor_below():
    odd = event(log={"level": "audit"})

    assert not compile_match({"level": {"below": "error"}})(odd)
    assert not compile_match({"level": {"at_least": "trace"}})(odd)


@pytest.mark.parametrize(
    ("match", "place", "said"),
    [
        ({"enviroment": "x"}, ("enviroment",), "did you mean environment?"),
        ({"service.owner": "x", "event.ingested": "y"}, ("event.ingested",), "not have this field yet"),
        ({"level": "wran"}, ("level",), "'wran': one of trace"),
        ({"message": {"pattern": "("}}, ("message", "pattern"), "an RE2 expression is expected"),
        ({"message": {"pattern": r"(a)\1"}}, ("message", "pattern"), "an RE2 expression is expected"),
        ({"message": {"patern": "x"}}, ("message", "patern"), "no such condition"),
        ({"any": [{"level": "warn"}, {"host": []}]}, ("any", 1, "host"), "a value or a list"),
        ({"any": {}}, ("any",), "a list of mappings"),
        ({"not": "x"}, ("not",), "a mapping of fields"),
        ({"labels.n": {"below": "x"}}, ("labels.n", "below"), "a number is expected"),
        ({}, (), "a mapping of fields"),
        ({1: 2}, (), "a field's name"),
    ],
)
def test_a_mistake_in_a_match_is_named_with_its_place(match, place, said):
    with pytest.raises(WrongMatch) as wrong:
        compile_match(match)

    assert [place] == [where for where, _ in wrong.value.problems]
    assert said in str(wrong.value)


async def filtered(rules, *events):
    dropped: Counter[str] = Counter()
    return [one async for one in drop_noise(feed(events), rules=rules, dropped=dropped)], dropped


async def test_the_first_rule_that_matches_decides():
    keep = Rule("errors", compile_match({"level": {"at_least": "error"}}), "keep")
    drop = Rule("all_of_pay", compile_match({"service": "pay"}), "drop")
    error = event(log={"level": "error"}, service={"name": "pay"})
    info = event(1, log={"level": "info"}, service={"name": "pay"})
    left, dropped = await filtered([keep, drop], error, info)

    assert [error] == left
    assert Counter(all_of_pay=1) == dropped


async def test_a_sample_keeps_its_rate_and_counts_what_it_drops():
    rule = Rule("tenth", lambda one: True, "sample", 10)
    left, dropped = await filtered([rule], *(event(index) for index in range(2000)))

    assert 2000 == len(left) + dropped["tenth"]
    assert 140 < len(left) < 260
    assert {10} == {one.fields["logsync"]["sample_rate"] for one in left}


def test_a_sample_is_decided_by_the_id_and_a_lower_rate_keeps_what_a_higher_one_keeps():
    names = [f"{ENVELOPE_ID}-{index:05d}" for index in range(1000)]
    tenth = {name for name in names if sampled(name, 10)}

    assert tenth == {name for name in names if sampled(name, 10)}
    assert tenth < {name for name in names if sampled(name, 3)}
    assert all(sampled(name, 1) for name in names)


ROUTES = '[{"name":"audit","match":{"labels.audit":"yes"},"dataset":"audit"}]'


async def test_a_route_of_the_receive_day_chooses_the_dataset_before_the_policies_do():
    stages, outcome = processor(), Outcome()
    logs = [{"message": "a", "service": "auth", "audit": "yes"}, {"message": "b", "service": "auth"}]
    decoded = stages.decode([enveloped(*logs)], outcome)
    await stages.run(decoded, outcome, {DAY: OneDataset(routes=ROUTES, auth="auth")})

    assert ["logsync-audit-2026.11.24", "logsync-auth-2026.11.24"] == [target for target, _, _ in outcome.documents]
    assert [f"{ENVELOPE_ID}-00000", f"{ENVELOPE_ID}-00001"] == ids(outcome)


async def test_what_a_sample_drops_is_among_the_filtered():
    stages = processor(rules=[Rule("half", lambda one: True, "sample", 2)])
    outcome = Outcome()
    decoded = stages.decode([enveloped(*({"message": str(i)} for i in range(100)))], outcome)
    await stages.run(decoded, outcome, {DAY: OneDataset()})
    [record] = stages.enriched(outcome, "logs", 0, 7, 7)

    assert Counts(100, outcome.dropped["half"], 0) == record.counts
    assert 100 == len(record.documents) + record.counts.filtered


def test_a_day_without_routes_has_none_and_what_is_no_route_is_refused():
    assert () == compiled_routes(NO_ROUTES)
    with pytest.raises(ValueError, match="not the routes"):
        compiled_routes('[{"name":"x","match":{"nothing":1},"dataset":"d"}]')
