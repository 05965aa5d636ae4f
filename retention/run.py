"""One run: archive what is due, drop what is archived and due, and keep a receipt."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from logsync_streams import metrics
from logsync_streams.errors import LogSyncError
from logsync_streams.events import iso_time
from logsync_streams.state import StateLog
from retention.archiver import Archiver, Changed, Holds
from retention.lease import Lease, LeaseLost
from retention.plan import Action, Plan
from retention.shown import PLAN, RECEIPT, plan_view

log = logging.getLogger(__name__)

_COMPARED_RUNS = 7
MAX_RECEIPTS = 1000


@dataclass
class Receipt:
    """What one run did. begun_at, ended_at: epoch ms. problems: what it could not do, with the reason.
    unfinished: why it ended before its end, "" when it did not.
    """

    begun_at: int
    ended_at: int = 0
    archived: dict[str, int] = field(default_factory=dict)  # alias -> documents
    archived_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unfinished: str = ""


class Watch:
    """Told of what a run does; does nothing with it."""

    def begin(self, what: str, documents: int) -> None:
        """The next thing begins, of so many documents."""

    def advance(self, documents: int) -> None:
        """So many more of it are done."""

    def pause(self) -> None:
        """A question is asked now."""


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


Agree = Callable[[int], Awaitable[bool]]


async def agree(documents: int) -> bool:
    """Whoever runs it wants so many documents dropped: always."""
    return True


class Stopped(LogSyncError):
    """Go home: the run was asked to stop, and did at a safe point; the next one goes on from there."""


async def run(
    archiver: Archiver,
    state: StateLog,
    lease: Lease,
    guard: Guard,
    holds: Callable[[], Awaitable[Holds]],
    stopping: Callable[[], bool] = lambda: False,
    agreed: Agree = agree,
    watch: Watch | None = None,
) -> Receipt:
    """Archive and drop what is due. A day that fails, or whose archive is damaged, is a problem in the receipt; the
    others go on. stopping() is asked between pages and before each thing that cannot be taken back, like the lease;
    agreed(documents) before anything is dropped.

    Raises Unavailable and ConfigurationError when there is no plan to be had at all; LeaseLost, Stopped: what was done
    until then has its receipt.
    """

    def proceed() -> None:
        lease.check()
        if stopping():
            raise Stopped("stopped before the end; the next run goes on from here")

    watch = watch or Watch()
    archiver = replace(archiver, proceed=proceed, progress=watch.advance)
    receipt = Receipt(archiver.now(), problems=await archiver.sweep())
    before = await receipts(state)
    try:
        await _archive(archiver, await archiver.plan(await holds()), receipt, watch)
        held = await holds()
        plan = await archiver.plan(held)
        receipt.problems += [f"{entry.alias}: {problem}" for entry in plan.entries for problem in entry.problems]
        receipt.held = {entry.alias: list(entry.reasons) for entry in plan.of(Action.HELD)}
        refusal = guard.refusal(plan, before)
        if refusal is not None:
            receipt.problems.append(refusal)
        elif (going := plan.of(Action.DROP)) and not await agreed(sum(entry.documents for entry in going)):
            receipt.unfinished = "nothing was dropped: it was not wanted"
        else:
            await _drop(archiver, plan, await holds() if going else held, receipt, watch)
    except (LeaseLost, Stopped) as error:
        receipt.unfinished = str(error)
        await _keep(state, receipt, archiver.now())
        raise
    await _keep(state, receipt, archiver.now())
    left = Plan(tuple(entry for entry in plan.entries if entry.alias not in receipt.dropped))
    await _keep_plan(state, left, receipt.ended_at)
    observe(receipt, plan)
    return receipt


async def _archive(archiver: Archiver, plan: Plan, receipt: Receipt, watch: Watch) -> None:
    for entry in plan.of(Action.ARCHIVE):
        archiver.proceed()
        watch.begin(f"archiving {entry.alias}", entry.documents)
        try:
            manifests = await archiver.archive(entry)
        except (LeaseLost, Stopped):
            raise
        except LogSyncError as error:
            _problem(receipt, entry.alias, error)
        else:
            receipt.archived[entry.alias] = sum(manifest.documents for manifest in manifests)
            receipt.archived_bytes += sum(manifest.size_bytes for manifest in manifests)


async def _drop(archiver: Archiver, plan: Plan, held: Holds, receipt: Receipt, watch: Watch) -> None:
    for entry in plan.of(Action.DROP):
        archiver.proceed()
        watch.begin(f"dropping {entry.alias}", entry.documents)
        try:
            dropped = await archiver.drop(entry, held)
        except (LeaseLost, Stopped):
            raise
        except Changed as error:
            log.warning("%s", error)
        except LogSyncError as error:
            _problem(receipt, entry.alias, error)
        else:
            receipt.dropped[entry.alias] = dropped
            watch.advance(dropped)


async def _keep(state: StateLog, receipt: Receipt, now: int) -> None:
    receipt.ended_at = now
    await state.decide(f"{RECEIPT}{iso_time(receipt.begun_at)}", orjson.dumps(asdict(receipt)))
    kept = sorted(key for key in await state.read() if key.startswith(RECEIPT))
    if len(kept) > MAX_RECEIPTS:
        await state.forget(kept[:-MAX_RECEIPTS])


async def _keep_plan(state: StateLog, plan: Plan, made_at: int) -> None:
    """What is left to be done, for the page."""
    newest = f"{PLAN}{iso_time(made_at)}"
    await state.decide(newest, orjson.dumps(plan_view(plan, made_at)))
    await state.forget(key for key in await state.read() if key.startswith(PLAN) and key < newest)


async def receipts(state: StateLog) -> list[Receipt]:
    """All receipts, oldest first."""
    found: Mapping[str, Any] = await state.read()
    return [Receipt(**orjson.loads(found[key])) for key in sorted(found) if key.startswith(RECEIPT)]


def observe(receipt: Receipt, plan: Plan) -> None:
    """What a run did, and what is left, as metrics."""
    metrics.archived.inc(sum(receipt.archived.values()))
    metrics.archived_bytes.inc(receipt.archived_bytes)
    if receipt.archived:
        metrics.archive_last_success.set(receipt.ended_at / 1000)
    metrics.retention_dropped.inc(sum(receipt.dropped.values()))
    metrics.retention_problems.set(len(receipt.problems))
    metrics.retention_held_days.set(len(receipt.held))
    # A day held back is overdue like any other: somebody has to see to what holds it. Under a legal hold none is due.
    due = [entry for entry in plan.of(Action.HELD, Action.ARCHIVE, Action.DROP) if entry.alias not in receipt.dropped]
    overdue = [receipt.ended_at - entry.due_at for entry in due if entry.due_at is not None]
    metrics.retention_overdue_seconds.set(max(overdue, default=0) / 1000)
    if not receipt.problems:
        metrics.retention_last_success.set(receipt.ended_at / 1000)


def _problem(receipt: Receipt, alias: str, error: LogSyncError) -> None:
    log.error("%s: %s", alias, error)
    receipt.problems.append(f"{alias}: {error}")
