"""What is to be archived and dropped, when, by which policy and why. Pure: everything that decides is passed in.

A receive day of a dataset (a write alias with all its generations) goes as a whole, and only when each log in it is
due. What was archived of one generation would otherwise be stored again by a late redelivery of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from logsync_streams.storage.api import IndexInfo, Portion
from logsync_streams.storage.naming import DEFAULT_DATASET
from retention.policy import DEFAULT, RESTORED, Policies, Policy, dataset_name, policy_of

DAY_MS = 86_400_000


class Destination(NamedTuple):
    """Where an archive goes."""

    bucket: str
    prefix: str


class Committed(NamedTuple):
    """A manifest that is there. created_at: epoch ms; index_documents: of the whole index when it was archived."""

    created_at: int
    index_documents: int


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """One index as it is. archived: the destinations that have a committed archive of it. problems: why of a
    destination it is not known whether it has: a damaged manifest, or a bucket that does not answer.
    """

    info: IndexInfo
    portions: tuple[Portion, ...]
    archived: Mapping[Destination, Committed]
    problems: tuple[str, ...] = ()


class Action(Enum):
    """What a run would do with a day now."""

    KEEP = "keep"  # not due
    HELD = "held"  # due, but something holds it back
    ARCHIVE = "archive"
    WAIT = "wait"  # archived; dropped when the grace time is over
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class ServiceShare:
    """One service's logs within a day. due_at: epoch ms, None = never (legal hold). archive: None = goes unarchived."""

    service: str
    policy: str
    documents: int
    size_bytes: int
    due_at: int | None
    archive: Destination | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One day of a dataset. due_at: when the last of its logs is due, epoch ms, None = never. by: that log's policy."""

    alias: str
    dataset: str
    day: date
    indices: tuple[IndexFacts, ...]
    services: tuple[ServiceShare, ...]
    due_at: int | None
    by: str
    action: Action
    reasons: tuple[str, ...]

    @property
    def documents(self) -> int:
        return sum(index.info.documents for index in self.indices)

    @property
    def size_bytes(self) -> int:
        return sum(index.info.size_bytes for index in self.indices)

    @property
    def problems(self) -> list[str]:
        """What is wrong with its archives: the day is held back until it is mended."""
        return [problem for index in self.indices for problem in index.problems]

    @property
    def restored(self) -> bool:
        """It was brought back from the archive: dropped at its expiry without being archived again."""
        return self.dataset.startswith(RESTORED)


@dataclass(frozen=True, slots=True)
class Plan:
    """All days, in order of day and dataset."""

    entries: tuple[Entry, ...]

    def of(self, *actions: Action) -> list[Entry]:
        """The entries with one of these actions."""
        return [entry for entry in self.entries if entry.action in actions]

    @property
    def due(self) -> bool:
        """Whether a run would do something now."""
        return bool(self.of(Action.ARCHIVE, Action.DROP))


def make_plan(
    policies: Policies,
    indices: Iterable[IndexFacts],
    now: int,
    holds: Mapping[str, Sequence[str]],
    grace_ms: int,
) -> Plan:
    """The plan at `now` (epoch ms). holds: alias -> why it may not be closed yet. grace_ms: from archive to drop."""
    days: dict[str, list[IndexFacts]] = {}
    for facts in indices:
        days.setdefault(facts.info.name.alias, []).append(facts)
    entries = [_entry(policies, found, now, holds.get(alias, ()), grace_ms) for alias, found in days.items()]
    return Plan(tuple(sorted(entries, key=lambda entry: (entry.day, entry.dataset))))


def log_policies(policies: Policies, dataset: str, service: str) -> list[Policy]:
    """The policies that a log falls under: that of its service; in another dataset, to which a route sent it, that
    one's, and its service's as well when that has one of its own.
    """
    routed_to = [policy for name, policy in policies.items() if name != DEFAULT and dataset_name(name) == dataset]
    if dataset == DEFAULT_DATASET or not routed_to:
        return [policy_of(policies, service)]
    own = policies.get(service) if service != DEFAULT else None
    return list({policy.name: policy for policy in (*routed_to, *([own] if own else []))}.values())


def due_at(policies: Policies, dataset: str, day: date, portion: Portion) -> tuple[int | None, Policy]:
    """When a log may go, epoch ms, None = never; and the policy that says so. Days count from the receive day's end."""
    found = log_policies(policies, dataset, portion.service)
    for policy in found:
        if policy.legal_hold:
            return None, policy
    longest = max(found, key=lambda policy: policy.days(portion.level, portion.environment))
    return day_end(day) + longest.days(portion.level, portion.environment) * DAY_MS, longest


def archive_of(policies: Policies, dataset: str, service: str) -> Policy | None:
    """The policy by which a service's logs of a dataset are archived, None: they go unarchived."""
    if dataset.startswith(RESTORED):
        return None
    return next((policy for policy in log_policies(policies, dataset, service) if policy.archive_to_s3), None)


def destination(policy: Policy) -> Destination:
    """Where the policy's archive is."""
    return Destination(policy.s3_bucket, policy.s3_prefix.strip("/"))


def day_end(day: date) -> int:
    """The end of a receive day, epoch ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) + DAY_MS


def restored_until(dataset: str) -> date | None:
    """The last day of a restored dataset, which its name says; None when it is not a restored one."""
    if not dataset.startswith(RESTORED):
        return None
    try:
        return date.fromisoformat(dataset[len(RESTORED) : len(RESTORED) + 8])
    except ValueError:
        return None


def destinations(policies: Policies, facts: IndexFacts) -> set[Destination]:
    """Where an index must be archived before it goes."""
    dataset = facts.info.name.dataset
    found = (archive_of(policies, dataset, portion.service) for portion in facts.portions)
    return {destination(policy) for policy in found if policy is not None}


def _entry(policies: Policies, found: list[IndexFacts], now: int, holds: Sequence[str], grace_ms: int) -> Entry:
    name = found[0].info.name
    ordered = tuple(sorted(found, key=lambda facts: facts.info.name.generation))
    until = restored_until(name.dataset)
    if until is not None:
        due: int | None = day_end(until)
        by, why = "restored", f"restored logs are kept until the end of {until}"
        services: tuple[ServiceShare, ...] = ()
    else:
        services = tuple(_shares(policies, name.dataset, name.day, ordered))
        due, by, why = _latest(policies, name.dataset, name.day, ordered)
    problems = [problem for facts in ordered for problem in facts.problems]
    action, reasons = Action.KEEP, [why, *problems]
    if due is not None and now >= due:
        action, reasons = (
            (Action.HELD, problems)
            if problems
            else _due(policies, ordered, now, holds if until is None else (), grace_ms)
        )
    return Entry(name.alias, name.dataset, name.day, ordered, services, due, by, action, tuple(reasons))


def _due(
    policies: Policies, indices: tuple[IndexFacts, ...], now: int, holds: Sequence[str], grace_ms: int
) -> tuple[Action, list[str]]:
    missing = [facts for facts in indices if destinations(policies, facts) - set(facts.archived)]
    if missing:
        if holds:
            return Action.HELD, list(holds)
        return Action.ARCHIVE, [f"{facts.info.name} is not archived yet" for facts in missing]
    if holds:
        return Action.HELD, list(holds)
    committed = [one for facts in indices for one in facts.archived.values()]
    if committed:
        over = max(one.created_at for one in committed) + grace_ms
        if now < over:
            return Action.WAIT, [f"archived; dropped after the grace time, from {_time(over)} on"]
        return Action.DROP, ["archived, and the grace time is over"]
    return Action.DROP, ["its policies keep no archive"]


def _latest(
    policies: Policies, dataset: str, day: date, indices: tuple[IndexFacts, ...]
) -> tuple[int | None, str, str]:
    """When the last log is due, by which policy, and why."""
    portions = [portion for facts in indices for portion in facts.portions] or [Portion("", "", "", 0)]
    found: list[tuple[int, Policy, Portion]] = []
    for portion in portions:
        due, policy = due_at(policies, dataset, day, portion)
        if due is None:
            return None, policy.name, f"legal hold of the policy {policy.name!r}"
        found.append((due, policy, portion))
    due, policy, portion = max(found, key=lambda one: one[0])
    what = ", ".join(part for part in (portion.service, portion.level, portion.environment) if part) or "unnamed logs"
    days = policy.days(portion.level, portion.environment)
    return due, policy.name, f"kept until {_time(due)}: {what}: {days} days by the policy {policy.name!r}"


def _shares(policies: Policies, dataset: str, day: date, indices: tuple[IndexFacts, ...]) -> Iterable[ServiceShare]:
    documents: dict[str, int] = {}
    sizes: dict[str, float] = {}
    dues: dict[str, tuple[int | None, Policy]] = {}
    for facts in indices:
        total = sum(portion.documents for portion in facts.portions) or 1
        for portion in facts.portions:
            service = portion.service
            documents[service] = documents.get(service, 0) + portion.documents
            sizes[service] = sizes.get(service, 0) + facts.info.size_bytes * portion.documents / total
            due = due_at(policies, dataset, day, portion)
            known = dues.get(service)
            if known is None or (known[0] is not None and (due[0] is None or due[0] > known[0])):
                dues[service] = due
    for service, number in sorted(documents.items()):
        archive = archive_of(policies, dataset, service)
        due_time, policy = dues[service]
        goes_to = destination(archive) if archive else None
        yield ServiceShare(service, policy.name, number, round(sizes[service]), due_time, goes_to)


def _time(epoch_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)).strftime("%Y-%m-%d %H:%M UTC")
