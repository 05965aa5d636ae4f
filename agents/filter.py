"""The filter: rules decide which logs go on and, by receive day, to which dataset; every drop is counted by rule.

Two questions, each answered by the first rule that matches: does this log go on (`drop`, `keep`, `sample`), and where
to (`route`). A log that no rule names goes on, to the dataset of its service's retention policy.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from agents.filter_match import Matches
from logsync_streams.events import Event, receive_day
from logsync_streams.settings import FilterRule

_ALL_HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that decides whether a log goes on. action: "drop", "keep" or "sample"; rate: one in so many is kept."""

    name: str
    matches: Matches
    action: str = "drop"
    rate: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """One rule that sends logs to a dataset."""

    name: str
    matches: Matches
    dataset: str


# event -> the dataset that the routes of its receive day give it, "" for none.
DatasetOf = Callable[[Event], str]


def compiled(rules: Sequence[Rule | FilterRule]) -> list[Rule]:
    """The rules of the settings as rules of the filter."""
    return [rule if isinstance(rule, Rule) else Rule(rule.name, _all_named(rule)) for rule in rules]


def _all_named(rule: FilterRule) -> Matches:
    level, environment, service = rule.level, rule.environment, rule.service

    def matches(event: Event) -> bool:
        return (
            (level is None or level == event.level)
            and (environment is None or environment == event.environment)
            and (service is None or service == event.service)
        )

    return matches


def deciding_rule(event: Event, rules: Sequence[Rule]) -> Rule | None:
    """The first rule that matches the event, None when there is none."""
    for rule in rules:
        if rule.matches(event):
            return rule
    return None


def sampled(event_id: str, rate: int) -> bool:
    """True for one in `rate` events, decided by the id: at redelivery the same, and what a rate keeps every lower rate
    keeps, too.
    """
    digest = hashlib.blake2b(event_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * rate < _ALL_HASHES


def goes_on(event: Event, rule: Rule) -> bool:
    """What a rule that matched decides. A kept sample gets `logsync.sample_rate`, so that counts can be corrected."""
    if rule.action == "keep":
        return True
    if rule.action == "sample" and sampled(event.id, rule.rate):
        event.fields.setdefault("logsync", {})["sample_rate"] = rule.rate
        return True
    return False


async def drop_noise(
    events: AsyncIterable[Event], *, rules: Sequence[Rule | FilterRule], dropped: Counter[str]
) -> AsyncIterator[Event]:
    """The events that go on. `dropped` counts the others by the rule's name."""
    decide = [(rule.matches, rule) for rule in compiled(rules)]
    async for event in events:
        for matches, rule in decide:
            if matches(event):
                if goes_on(event, rule):
                    yield event
                else:
                    dropped[rule.name] += 1
                break
        else:
            yield event


def dataset_by(routes: Sequence[Route]) -> DatasetOf:
    """Asks the routes in their order; the first that matches wins."""

    def dataset_of(event: Event) -> str:
        for route in routes:
            if route.matches(event):
                return route.dataset
        return ""

    return dataset_of


async def route(events: AsyncIterable[Event], *, routes: Mapping[date, DatasetOf]) -> AsyncIterator[Event]:
    """Every event, with the dataset that the routes in force on its receive day give it."""
    async for event in events:
        dataset_of = routes.get(receive_day(event.received_at))
        if dataset_of is not None:
            event.dataset = dataset_of(event)
        yield event
