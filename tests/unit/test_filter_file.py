from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from agents.filter_file import compiled_routes, read_rules, rule_set
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import FilterRule, ProcessSettings
from logsync_streams.state import FileState
from logsync_streams.worker import _decide
from retention.policy import Assignment, assignment, datasets, parse_policies
from tests.unit.samples import event

GOOD = """
rules:
  - name: debug_in_production
    match: {level: debug, environment: production}
    action: drop
  - name: audit
    match: {labels.audit: true}
    action: route
    dataset: audit
  - name: chatty
    action: sample
    rate: 10
"""
POLICIES = parse_policies({"retention_policies": {"audit": {"retention_days": 90}}}, "config.json")
DATASETS = datasets(POLICIES)


def file_with(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        read_rules(file_with(tmp_path, text), DATASETS)
    return [problem.removeprefix(f"{tmp_path}/") for problem in error.value.problems]


def test_a_file_gives_rules_in_their_order_and_routes_apart(tmp_path):
    found = read_rules(file_with(tmp_path, GOOD), DATASETS)
    [route] = compiled_routes(found.routes)

    assert [("debug_in_production", "drop", 1), ("chatty", "sample", 10)] == [
        (rule.name, rule.action, rule.rate) for rule in found.rules
    ]
    assert ("audit", "audit", True) == (route.name, route.dataset, route.matches(event(labels={"audit": "true"})))


def test_every_mistake_is_reported_with_line_rule_value_and_what_is_expected(tmp_path):
    text = """rules:
  - name: a
    match: {level: debgu}
    action: dorp
  - name: a
    action: sample
    rate: 0.5
  - name: c
    action: route
    dataset: nowhere
  - match: {host: x}
    action: drop
    rate: 3
    reason: x
  - 7
"""
    assert [
        "rules.yaml:4: rule a: action: 'dorp': one of drop, keep, sample, route is expected",
        "rules.yaml:3: rule a: match.level: 'debgu': one of trace, debug, info, notice, warn, error, critical, fatal "
        "is expected",
        "rules.yaml:5: rule a: name: 'a': another rule has this name",
        "rules.yaml:7: rule a: rate: 0.5: a whole number from 1 to 1000000 (one in so many is kept) is expected",
        "rules.yaml:10: rule c: dataset: 'nowhere': one with a policy: audit, default is expected",
        "rules.yaml:14: rule number 4: reason: no such key; one of name, match, action, rate, dataset is expected",
        "rules.yaml:11: rule number 4: name: None: a name of 1 to 64 characters is expected",
        "rules.yaml:13: rule number 4: rate: only a rule with `action: sample` has a rate",
        "rules.yaml:15: rule number 5: 7: a rule is a mapping of name, match, action, rate, dataset",
    ] == problems(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [", ": not YAML"),
        ("- a", "rules.yaml:1: a mapping with the one key `rules`"),
        ("", "rules.yaml:1: a mapping with the one key `rules`"),
        ("rules:\n  - name: a\n    name: b\n    action: drop\n", "rules.yaml:3: name: this key is there twice"),
    ],
)
def test_what_is_no_list_of_rules_is_refused_with_its_line(tmp_path, text, said):
    assert said in problems(tmp_path, text)[0]


def test_without_a_file_the_rules_are_those_of_the_settings():
    assert ["debug_in_production"] == [rule.name for rule in rule_set(ProcessSettings(), DATASETS).rules]


def test_rules_in_the_settings_and_a_file_at_once_are_refused(tmp_path):
    settings = ProcessSettings(
        filter_file=file_with(tmp_path, GOOD), filter_rules=[FilterRule(name="x", level="trace")]
    )
    with pytest.raises(ConfigurationError, match="give one of the two"):
        rule_set(settings, DATASETS)


def test_a_file_that_is_not_there_is_named_with_its_setting(tmp_path):
    with pytest.raises(ConfigurationError, match="LOGSYNC_PROCESS__FILTER_FILE"):
        read_rules(tmp_path / "none.yaml", DATASETS)


async def test_a_changed_route_holds_from_the_next_receive_day_on(tmp_path):
    state, today, tomorrow = FileState(tmp_path / "state"), date(2026, 11, 24), date(2026, 11, 25)
    old = assignment(POLICIES, read_rules(file_with(tmp_path, GOOD), DATASETS).routes)
    new = assignment(POLICIES, read_rules(file_with(tmp_path, GOOD.replace("true", "false")), DATASETS).routes)
    assert old.routes != new.routes
    await _decide(state, old, today)
    found = [await _decide(state, new, day) for day in (today, tomorrow)]

    assert [old, new] == found


def test_a_day_that_was_decided_before_there_were_routes_has_none():
    found = Assignment.from_value(b'{"datasets":{"auth":"auth"}}')

    assert ("[]", {"auth"}) == (found.routes, found.possible_datasets("auth"))


def test_a_retried_request_is_looked_for_in_every_dataset_that_a_route_may_have_chosen(tmp_path):
    found = assignment(POLICIES, read_rules(file_with(tmp_path, GOOD), DATASETS).routes)

    assert {"default", "audit"} == found.possible_datasets("shop")
