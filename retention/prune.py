"""Which archives have had their time, and removing them: by archive_days, never under a legal hold, never while their
day is in the store.

The manifest goes first: at every moment a manifest names only what is there. What a crash leaves is a folder without a
manifest, which is no archive; the receipt, which is written before anything is removed, names it, and so the next run
knows it from the parts of an archive that is being made, and ends the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import orjson

from logsync_streams.events import iso_time
from logsync_streams.state import StateLog
from logsync_streams.storage.naming import alias_name
from retention.archive import MANIFEST
from retention.objects import Objects
from retention.plan import DAY_MS, day_end, log_policies
from retention.policy import Policies
from retention.restore import Found

STEPS = ("receipt", "manifest", "parts", "ended")
_RECEIPT, _ENDED = "archive-prune/", "archive-prune-ended/"
_RECEIPT_BYTES = 512 * 1024  # a record of `logs-state` has at most 1 MiB

OpenObjects = Callable[[str], Objects]
Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Pruned:
    """One archive that was removed, or is to be. reason: why it may go."""

    bucket: str
    folder: str
    dataset: str
    day: str
    documents: int
    size_bytes: int
    services: dict[str, int]
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one run set out to remove, and for whom. begun_at: epoch ms."""

    begun_at: int
    by: str
    archives: tuple[Pruned, ...]


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """due: to be removed. held: (archive's folder, why) of those that are past their time and must stay all the same.
    left: folders that an earlier run had begun to remove. kept: how many archives are not past their time.
    """

    due: tuple[Pruned, ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    left: tuple[Pruned, ...] = ()
    kept: int = 0


def kept_until(policies: Policies, dataset: str, day: date, services: Iterable[str]) -> tuple[int | None, str]:
    """When an archive of these services' logs has had its time, epoch ms, None = never; and why.

    Of all policies that any of its logs falls under, the longest archive_days counts; one without it keeps for ever.
    """
    found = {policy.name: policy for service in services for policy in log_policies(policies, dataset, service)}
    if not found:
        found = {policy.name: policy for policy in log_policies(policies, dataset, "")}
    for policy in found.values():
        if policy.legal_hold:
            return None, f"legal hold of the policy {policy.name!r}"
    for policy in found.values():
        if policy.archive_days is None:
            return None, f"the policy {policy.name!r} has no archive_days: it keeps its archive for ever"
    days, name = max((policy.archive_days or 0, policy.name) for policy in found.values())
    until = day_end(day) + days * DAY_MS
    return until, f"kept until {iso_time(until)}: archive_days {days} of the policy {name!r}"


def make_plan(
    policies: Policies, archives: Iterable[Found], aliases: Collection[str], now: int, left: Sequence[Pruned] = ()
) -> PrunePlan:
    """What may go at `now` (epoch ms). aliases: those that are in the store; left: of `unfinished`."""
    due, held, kept = [], [], 0
    for one in archives:
        manifest = one.manifest
        day = date.fromisoformat(manifest.day)
        until, why = kept_until(policies, manifest.dataset, day, manifest.services)
        if until is None or now < until:
            kept += 1
            continue
        alias = alias_name(manifest.dataset, day)
        if alias in aliases:
            held.append((one.folder, f"{alias} is in the store still; it goes after its day was dropped"))
            continue
        due.append(
            Pruned(
                one.destination.bucket,
                one.folder,
                manifest.dataset,
                manifest.day,
                manifest.documents,
                manifest.size_bytes,
                dict(manifest.services),
                why,
            )
        )
    going_on = []
    for pruned in left:
        until, why = kept_until(policies, pruned.dataset, date.fromisoformat(pruned.day), pruned.services)
        if until is None or now < until:
            held.append((pruned.folder, f"its removal had begun, its manifest is gone; now {why}"))
        else:
            going_on.append(pruned)
    return PrunePlan(tuple(due), tuple(held), tuple(going_on), kept)


async def receipts(state: StateLog) -> list[Receipt]:
    """All receipts, oldest first. Raises Unavailable."""
    found = await state.read()
    return [_receipt(found[key]) for key in sorted(found) if key.startswith(_RECEIPT)]


async def unfinished(state: StateLog, objects: OpenObjects) -> list[Pruned]:
    """What runs before had begun to remove and have not: parts without a manifest. Raises Unavailable."""
    found: Mapping[str, bytes] = await state.read()
    left = []
    for key in sorted(found):
        if key.startswith(_RECEIPT) and _ENDED + key.removeprefix(_RECEIPT) not in found:
            for pruned in _receipt(found[key]).archives:
                keys = await asyncio.to_thread(_keys, objects(pruned.bucket), pruned.folder)
                if keys and pruned.folder + MANIFEST not in keys:
                    left.append(pruned)
    return left


@dataclass
class Pruner:
    """Removes archives. now: epoch ms; by: who runs it; check(): raises when the lease is lost.

    step(name) is called after each of STEPS.
    """

    objects: OpenObjects
    state: StateLog
    now: Callable[[], int]
    by: str
    check: Check = lambda: None
    step: Callable[[str], None] = lambda _: None
    progress: Callable[[int], None] = lambda _: None

    async def run(self, plan: PrunePlan) -> list[Pruned]:
        """Remove what is due and what was left; what is gone now. Raises Unavailable, ConfigurationError, LeaseLost:
        what was not removed by then is found by the next run.
        """
        done = []
        for pruned in plan.left:
            await self._remove(pruned)
            done.append(pruned)
        for number, some in enumerate(_receipts_of(plan.due)):
            begun = f"{iso_time(self.now())}/{number:04d}"
            content = orjson.dumps(asdict(Receipt(self.now(), self.by, some)))
            await self.state.decide(_RECEIPT + begun, content)
            self.step("receipt")
            for pruned in some:
                await self._remove(pruned)
                done.append(pruned)
        await self._end()
        self.step("ended")
        return done

    async def _remove(self, pruned: Pruned) -> None:
        self.check()
        objects = self.objects(pruned.bucket)
        await asyncio.to_thread(objects.delete, pruned.folder + MANIFEST)
        self.step("manifest")
        for key in await asyncio.to_thread(_keys, objects, pruned.folder):
            self.check()
            await asyncio.to_thread(objects.delete, key)
            self.step("parts")
        self.progress(pruned.documents)

    async def _end(self) -> None:
        """Write of each receipt of whose archives nothing is left, that this is so."""
        found = await self.state.read()
        for key in sorted(found):
            ended = _ENDED + key.removeprefix(_RECEIPT)
            if not key.startswith(_RECEIPT) or ended in found:
                continue
            for pruned in _receipt(found[key]).archives:
                if await asyncio.to_thread(_keys, self.objects(pruned.bucket), pruned.folder):
                    break
            else:
                await self.state.decide(ended, orjson.dumps({"ended_at": self.now()}))


def _receipts_of(due: Iterable[Pruned]) -> Iterator[tuple[Pruned, ...]]:
    """The archives that one receipt names, by what it takes: an archive may have thousands of services."""
    some: list[Pruned] = []
    size = 0
    for pruned in due:
        needs = len(orjson.dumps(asdict(pruned)))
        if some and size + needs > _RECEIPT_BYTES:
            yield tuple(some)
            some, size = [], 0
        some.append(pruned)
        size += needs
    if some:
        yield tuple(some)


def _keys(objects: Objects, folder: str) -> list[str]:
    return [info.key for info in objects.list(folder)]


def _receipt(content: bytes) -> Receipt:
    found: dict[str, Any] = orjson.loads(content)
    return Receipt(found["begun_at"], found["by"], tuple(Pruned(**one) for one in found["archives"]))
