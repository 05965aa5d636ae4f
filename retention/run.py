"""One run: archive what is due, drop what is archived and due, and keep a receipt."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from logsync_streams import metrics
from logsync_streams.errors import LogSyncError
from logsync_streams.events import iso_time
from logsync_streams.state import StateLog
from retention.archiver import Archiver, Changed, Holds
from retention.lease import Lease
from retention.plan import Action, Plan

log = logging.getLogger(__name__)

_RECEIPT = "retention-run/"
_COMPARED_RUNS = 7


@dataclass
class Receipt:
    """What one run did. begun_at, ended_at: epoch ms. problems: what it could not do, with the reason."""

    begun_at: int
    ended_at: int = 0
    archived: dict[str, int] = field(default_factory=dict)  # alias -> documents
    archived_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Guard:
    """When a run's drops are suspicious (settings.RetentionSettings). override: the operator said to go on."""

    factor: float
    documents: int
    override: bool = False

    def refusal(self, plan: Plan, receipts: list[Receipt]) -> str | None:
        """Why nothing may be dropped, None: it may. Without runs to compare with, half of the store is too much."""
        dropping = sum(entry.documents for entry in plan.of(Action.DROP))
        if self.override or dropping <= self.documents:
            return None
        before = [sum(receipt.dropped.values()) for receipt in receipts if receipt.dropped][-_COMPARED_RUNS:]
        allowed = max(before) * self.factor if before else sum(entry.documents for entry in plan.entries) / 2
        if dropping <= allowed:
            return None
        return (
            f"{dropping} documents would be dropped, far more than the runs before ({allowed:.0f} at most): look at "
            "`logsync retention plan`, then run once with --allow-large-drop"
        )


async def run(
    archiver: Archiver,
    state: StateLog,
    lease: Lease,
    guard: Guard,
    holds: Callable[[], Awaitable[Holds]],
) -> Receipt:
    """Archive and drop what is due. A day that fails, or whose archive is damaged, is a problem in the receipt; the
    others go on.

    Raises Unavailable and ConfigurationError when there is no plan to be had at all.
    """
    receipt = Receipt(archiver.now(), problems=await archiver.sweep())
    before = await receipts(state)
    held = await holds()
    plan = await archiver.plan(held)
    for entry in plan.of(Action.ARCHIVE):
        lease.check()
        try:
            manifests = await archiver.archive(entry)
        except LogSyncError as error:
            _problem(receipt, entry.alias, error)
        else:
            receipt.archived[entry.alias] = sum(manifest.documents for manifest in manifests)
            receipt.archived_bytes += sum(manifest.size_bytes for manifest in manifests)
    held = await holds()
    plan = await archiver.plan(held)
    receipt.problems += [f"{entry.alias}: {problem}" for entry in plan.entries for problem in entry.problems]
    receipt.held = {entry.alias: list(entry.reasons) for entry in plan.of(Action.HELD)}
    refusal = guard.refusal(plan, before)
    if refusal is not None:
        receipt.problems.append(refusal)
    for entry in plan.of(Action.DROP) if refusal is None else ():
        lease.check()
        try:
            dropped = await archiver.drop(entry, held)
        except Changed as error:
            log.warning("%s", error)
        except LogSyncError as error:
            _problem(receipt, entry.alias, error)
        else:
            receipt.dropped[entry.alias] = dropped
    receipt.ended_at = archiver.now()
    if receipt.archived or receipt.dropped or receipt.problems or not before:
        await state.decide(f"{_RECEIPT}{iso_time(receipt.begun_at)}", orjson.dumps(asdict(receipt)))
    observe(receipt, plan)
    return receipt


async def receipts(state: StateLog) -> list[Receipt]:
    """All receipts, oldest first."""
    found: Mapping[str, Any] = await state.read()
    return [Receipt(**orjson.loads(found[key])) for key in sorted(found) if key.startswith(_RECEIPT)]


def observe(receipt: Receipt, plan: Plan) -> None:
    """What a run did, and what is left, as metrics."""
    metrics.archived.inc(sum(receipt.archived.values()))
    metrics.archived_bytes.inc(receipt.archived_bytes)
    if receipt.archived:
        metrics.archive_last_success.set(receipt.ended_at / 1000)
    metrics.retention_dropped.inc(sum(receipt.dropped.values()))
    metrics.retention_problems.set(len(receipt.problems))
    metrics.retention_held_days.set(len(receipt.held))
    due = [entry for entry in plan.of(Action.ARCHIVE, Action.DROP) if entry.alias not in receipt.dropped]
    overdue = [receipt.ended_at - entry.due_at for entry in due if entry.due_at is not None]
    metrics.retention_overdue_seconds.set(max(overdue, default=0) / 1000)
    if not receipt.problems:
        metrics.retention_last_success.set(receipt.ended_at / 1000)


def _problem(receipt: Receipt, alias: str, error: LogSyncError) -> None:
    log.error("%s: %s", alias, error)
    receipt.problems.append(f"{alias}: {error}")
