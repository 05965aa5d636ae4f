"""What `process` would make of given input, step by step: for `logsync explain`, and for a door that is asked.

It uses the stages' own functions and the same Processor, and leaves out only the counting; pure, as they are.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from typing import Any

import orjson

from agents.document import document
from agents.enrich import Enrichment
from agents.filter import Rule, compiled, deciding_rule, goes_on
from agents.filter_file import compiled_routes
from agents.process import Assignment, Outcome, Processor
from logsync_streams.envelope import Decoded, RawRecord, as_event, decode
from logsync_streams.errors import DeadLetter
from logsync_streams.events import Event, receive_day
from logsync_streams.storage.naming import alias_name

STORED, DROPPED, DEAD = "stored", "dropped", "dead_letter"


@dataclass(slots=True)
class Explanation:
    """What becomes of one event.

    outcome: "stored", "dropped" or "dead_letter". parser: the format's key. redacted: rule -> secrets in the event.
    rules: each that was asked, in order, the last one decided where `matched`. route: the rule that chose the dataset,
    "" when the policies did. enrichments: step -> the fields that it set, dotted. document: as it would be stored.
    category, reason: of a dead letter.
    """

    event_id: str
    outcome: str = STORED
    parser: str = ""
    redacted: dict[str, int] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    route: str = ""
    dataset: str = ""
    target: str = ""
    enrichments: dict[str, dict[str, Any]] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    category: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None, {}, [])}


def explain(
    records: Sequence[RawRecord], processor: Processor, assignments: Mapping[date, Assignment]
) -> list[Explanation]:
    """An explanation for each event of the records, in order. assignments: of all receive days among them. Raises
    nothing for what is in the records.
    """
    return [one for record in records for one in _record(record, processor, assignments)]


def _record(record: RawRecord, processor: Processor, assignments: Mapping[date, Assignment]) -> Iterator[Explanation]:
    outcome = Outcome()
    decoded = processor.decode([record], outcome)
    for dead in outcome.dead:
        yield _dead(Explanation(dead.event_id, redacted=dict(outcome.redacted)), dead.category, dead.error)
    if not decoded:
        return
    whole = decoded[0]
    redacted = _redacted_by_event(record, processor, whole)
    for index in range(len(whole.events)):
        yield _event(whole, index, redacted[index], processor, assignments)


def _redacted_by_event(record: RawRecord, processor: Processor, whole: Decoded) -> list[dict[str, int]]:
    """What was redacted in each event: the counts of a batch are not kept apart, so each event is redacted alone."""
    found = []
    for data in decode(record).events:
        counted: Counter[str] = Counter()
        processor.redactor.data(data, counted)
        found.append(dict(counted))
    return found if len(found) == len(whole.events) else [{} for _ in whole.events]


def _event(
    record: Decoded,
    index: int,
    redacted: dict[str, int],
    processor: Processor,
    assignments: Mapping[date, Assignment],
) -> Explanation:
    one = Explanation(record.ids[index], parser=record.origin.format, redacted=redacted)
    parser = processor.parsers.get(record.origin.format)
    if parser is None:
        return _dead(one, "undecodable", f"no parser for the format {record.origin.format!r}")
    try:
        event = as_event(record, index, parser(record.events[index], record.received_at))
    except DeadLetter as reason:
        return _dead(one, reason.category, reason.reason)
    try:
        for step in processor.reading:
            _enrich(event, step, one)
        if not _passes(event, compiled(processor.rules), one):
            one.outcome = DROPPED
            return one
        _destination(event, assignments[receive_day(event.received_at)], one)
        for step in processor.steps:
            _enrich(event, step, one)
        body = document(event, one.dataset, keep_original=processor.keep_original)
    except Exception as error:  # as in `process`: a stage that fails on an event makes it a dead letter
        return _dead(one, "stage_failed", f"{type(error).__name__}: {error}")
    one.document = orjson.loads(body)
    return one


def _passes(event: Event, rules: Sequence[Rule], one: Explanation) -> bool:
    decided = deciding_rule(event, rules)
    for rule in rules:
        one.rules.append({"name": rule.name, "action": rule.action, "matched": rule is decided})
        if rule is decided:
            return goes_on(event, rule)
    return True


def _destination(event: Event, assignment: Assignment, one: Explanation) -> None:
    for route in compiled_routes(assignment.routes):
        if route.matches(event):
            one.route, event.dataset = route.name, route.dataset
            break
    one.dataset = event.dataset or assignment.dataset(event.service)
    one.target = alias_name(one.dataset, receive_day(event.received_at))


def _enrich(event: Event, step: Enrichment, one: Explanation) -> None:
    before = dict(_leaves(copy.deepcopy(event.fields)))
    step(event)
    changed = {path: value for path, value in _leaves(event.fields) if before.get(path) != value}
    if changed:
        one.enrichments[step_name(step)] = copy.deepcopy(changed)


def step_name(step: Enrichment) -> str:
    """The name of the function that an enrichment is."""
    while isinstance(step, partial):
        step = step.func
    return getattr(step, "__name__", type(step).__name__)


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _dead(one: Explanation, category: str, reason: str) -> Explanation:
    one.outcome, one.category, one.reason = DEAD, category, reason
    return one
