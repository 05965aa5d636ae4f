"""Erasing logs for ever, wherever they are: the store, restored indices, archives, dead letters.

    found → recorded → archives → waited → store → letters → checked → receipt

First the ids are recorded in `logs-state`, from where `index`, `process` and `restore` refuse them; nothing is removed
from the store before all of these must have heard of it. Each step finds by itself what is left to do, so that the same
erasure, run again after a crash, ends the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import orjson

from logsync_streams.errors import ConfigurationError, LogSyncError, Unavailable
from logsync_streams.events import receive_day
from logsync_streams.state import StateLog
from logsync_streams.storage.api import Query, SearchRequest
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import parse_index
from retention.archive import ArchiveDamaged
from retention.archiver import options
from retention.erase_receipt import Receipt, receipt_key, receipts
from retention.erased_archive import Matched, Rewriter, matched, sweep, unnamed, without_manifest
from retention.objects import ObjectMissing, Objects
from retention.plan import Destination, destination
from retention.policy import Policies
from retention.restore import Wanted, archives
from tables.erased import MAX_AGE_SECONDS, erased_records, ids_in_force

STEPS = ("found", "recorded", "uploaded", "manifest", "tidied", "waited", "store", "letters", "checked", "receipt")
# After this nobody writes an erased log any more: what is known of them is never older than MAX_AGE_SECONDS, and a
# write that was begun before is through.
SETTLE_SECONDS = MAX_AGE_SECONDS + 5
_PAGE = 500
_CHECKS = 3
# For logs that no topic holds any more: as long as a restore that had read its archive before may go on.
_RESTORE_DAYS = 2

OpenObjects = Callable[[str], Objects]


class Letters(Protocol):
    """The dead letters, as an erasure sees them."""

    async def find(self, takes: Callable[[dict[str, Any]], bool], ids: Collection[str]) -> Mapping[str, date]:
        """Those that are taken, or have one of these ids: event.id -> receive day. Raises Unavailable."""
        ...

    async def erase(self, ids: Collection[str]) -> int:
        """Erase all open letters of these events; how many there were. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """Which logs: query over documents with start <= @timestamp < end, epoch ms, None = open."""

    query: Query
    start: int | None = None
    end: int | None = None

    def wanted(self) -> Wanted:
        """The same, for documents that are read. Raises InvalidQuery."""
        return Wanted("", self.start, self.end, compiled(self.query))


@dataclass
class Found:
    """What is to be erased. store: index -> ids; letters: id -> receive day; problems: what cannot be looked into."""

    store: dict[str, set[str]] = field(default_factory=dict)
    archives: list[Matched] = field(default_factory=list)
    letters: dict[str, date] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def days(self) -> dict[str, date]:
        """Each id's receive day."""
        found = dict(self.letters)
        for index, ids in self.store.items():
            name = parse_index(index)
            if name is not None:
                found |= dict.fromkeys(ids, name.day)
        for one in self.archives:
            found |= dict.fromkeys(one.ids, date.fromisoformat(one.found.manifest.day))
        return found


@dataclass
class Eraser:
    """Looks, and erases. now: epoch ms; work: a folder for parts under way; max_ids: so many ids may be refused at a
    time; topic_days: so long, after its receive day, a topic may bring a log back; check(): raises when the lease is
    lost. step(name) is called after each of STEPS, progress(documents) while archives are read.
    """

    store: Store
    objects: OpenObjects
    policies: Policies
    letters: Letters
    state: StateLog
    now: Callable[[], int]
    work: Path
    max_ids: int
    topic_days: int
    settle_seconds: float = SETTLE_SECONDS
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    check: Callable[[], None] = lambda: None
    step: Callable[[str], None] = lambda _: None
    progress: Callable[[int], None] = lambda _: None

    # --------------------------------------------------------------------------------------------------------- looking

    async def find(self, where: Where) -> Found:
        """All that is to be erased. Raises InvalidQuery, Unavailable; ConfigurationError when it is too much."""
        wanted, found = where.wanted(), Found()
        await self.store.admin.refresh()
        request = SearchRequest(where.query, where.start, where.end, "asc", _PAGE)
        number = 0
        while True:
            page = await self.store.reader.search(request)
            for hit in page.hits:
                found.store.setdefault(hit.index, set()).add(hit.id)
            number += len(page.hits)
            self._bounded(number)
            if page.cursor is None:
                break
            request = replace(request, after=page.cursor)
        await asyncio.to_thread(self._find_archived, wanted, found)
        ids = found.days().keys()
        found.letters = dict(await self.letters.find(wanted.takes, ids))
        self._bounded(len(found.days()))
        return found

    def _find_archived(self, wanted: Wanted, found: Found) -> None:
        def damaged(error: LogSyncError) -> None:
            found.problems.append(str(error))

        number = 0
        for archive in archives(self.policies, self.objects, damaged=damaged):
            bucket = self.objects(archive.destination.bucket)
            try:
                one = matched(bucket, archive, wanted, self.progress)
            except (ArchiveDamaged, ObjectMissing) as error:
                damaged(error)
                continue
            # One without matches as well: its index may have some, of services that are archived elsewhere.
            found.archives.append(one)
            number += len(one.ids)
            self._bounded(number)

    def _bounded(self, number: int) -> None:
        if number > self.max_ids:
            raise ConfigurationError(
                [
                    f"LOGSYNC_RETENTION__MAX_ERASED_IDS: {self.max_ids}: more logs than this are meant, and each id "
                    "has to be remembered; erase less at a time (--from, --to), or raise it"
                ]
            )

    # --------------------------------------------------------------------------------------------------------- erasing

    async def run(self, found: Found, by: str, proof: str) -> Receipt:
        """Erase what was found; under the lease. What could not be done is among the receipt's problems: mended, and
        run again, it is done. Raises Unavailable, ConfigurationError, LeaseLost: run again, too.
        """
        self.step("found")
        begun = Receipt(self.now(), by, proof, problems=list(found.problems))
        await self.state.decide(receipt_key(begun.begun_at, "begun"), orjson.dumps(asdict(begun)))
        days = found.days()
        await self._record(days)
        recorded_at = self.now()
        self.step("recorded")
        kept = await self._archives(found, begun)
        if days:
            await self.sleep(max(0.0, self.settle_seconds - (self.now() - recorded_at) / 1000))
        self.step("waited")
        for index, ids in sorted(found.store.items()):
            if index not in kept:
                self.check()
                await self.store.admin.erase(index, ids)
                begun.store[index] = len(ids)
                self.step("store")
        self.check()
        begun.dead_letters = await self.letters.erase(days.keys())
        self.step("letters")
        await self._make_sure(days, kept, begun)
        self.step("checked")
        begun.ended_at = self.now()
        await self.state.decide(receipt_key(begun.begun_at, "ended"), orjson.dumps(asdict(begun)))
        await self._close_others(begun)
        self.step("receipt")
        return begun

    async def _close_others(self, mine: Receipt) -> None:
        """Erasures that were cut off: of what they left in the buckets nothing is there any more."""
        for other in await receipts(self.state):
            if not other.ended_at and other.begun_at != mine.begun_at:
                other.ended_at = self.now()
                other.problems.append("it was cut off: the same erasure has to be run again, unless it was")
                await self.state.decide(receipt_key(other.begun_at, "ended"), orjson.dumps(asdict(other)))

    async def _record(self, days: Mapping[str, date]) -> None:
        today = receive_day(self.now())
        in_force = ids_in_force(await self.state.read(), today)
        self._bounded(len(in_force | days.keys()))
        oldest = today - timedelta(days=self.topic_days)
        recent = [id for id, day in days.items() if day >= oldest]
        old = [id for id, day in days.items() if day < oldest]
        records = erased_records(recent, today + timedelta(days=self.topic_days))
        records |= erased_records(old, today + timedelta(days=_RESTORE_DAYS))
        for key, value in records.items():
            await self.state.decide(key, value)

    async def _archives(self, found: Found, receipt: Receipt) -> set[str]:
        """Write the archives anew; the indices from which nothing may be removed yet, as theirs could not be."""
        counts = {str(info.name): info.documents for info in await self.store.admin.indices()}
        kept: set[str] = set()
        for one in found.archives:
            manifest, goes_to = one.found.manifest, one.found.destination
            in_index = len(found.store.get(manifest.index, ()))
            left = manifest.index_documents - len(one.ids)
            if manifest.index in counts:
                left = counts[manifest.index] - in_index
            try:
                if one.ids or manifest.index_documents != left:
                    expected = (left, left + in_index, left + len(one.ids))
                    if manifest.index in counts and manifest.index_documents not in expected:
                        raise ArchiveDamaged(
                            f"{one.found.folder}: {manifest.index_documents} documents were in the index when it was "
                            f"archived, now there are {left + in_index}"
                        )
                    await asyncio.to_thread(self._rewriter(goes_to).rewrite, one, left)
                    if one.ids:
                        receipt.archives[one.found.folder] = len(one.ids)
                else:
                    bucket = self.objects(goes_to.bucket)
                    keys = await asyncio.to_thread(unnamed, bucket, one.found.folder, manifest)
                    await asyncio.to_thread(sweep, bucket, keys)
            except (ArchiveDamaged, ObjectMissing) as error:
                receipt.problems.append(str(error))
                kept.add(manifest.index)
        await asyncio.to_thread(self._sweep_attempts, counts, receipt)
        for index in sorted(kept & found.store.keys()):
            receipt.problems.append(f"{index}: nothing was erased from it, as its archive is damaged: mend that first")
        return kept

    def _sweep_attempts(self, counts: Mapping[str, int], receipt: Receipt) -> None:
        """Parts without a manifest: of an index that is in the store they will be written anew."""
        for goes_to in sorted({destination(policy) for policy in self.policies.values() if policy.archive_to_s3}):
            bucket = self.objects(goes_to.bucket)
            for index, keys in without_manifest(bucket, goes_to.prefix).items():
                if index in counts:
                    sweep(bucket, keys)
                else:
                    receipt.problems.append(f"{keys[0]}: parts without a manifest are not looked into: remove them")

    def _rewriter(self, goes_to: Destination) -> Rewriter:
        policy = next(one for one in self.policies.values() if one.archive_to_s3 and destination(one) == goes_to)
        bucket = self.objects(goes_to.bucket)
        return Rewriter(bucket, options(policy), self.work, policy.compression_level, self.now, self.step, self.check)

    async def _make_sure(self, days: Mapping[str, date], kept: Collection[str], receipt: Receipt) -> None:
        """Look once more whether one is there: a restore, or a write that hung for long, may have been on its way."""
        by_day: dict[date, list[str]] = {}
        for id, day in days.items():
            by_day.setdefault(day, []).append(id)
        for _ in range(_CHECKS):
            left = {}
            for info in await self.store.admin.indices():
                index, day = str(info.name), info.name.day
                # A request that is retried after midnight keeps its ids.
                ids = [*by_day.get(day, ()), *by_day.get(day - timedelta(days=1), ())] if index not in kept else []
                some = await self._existing(index, ids)
                if some:
                    left[index] = some
            if not left:
                return
            for index, some in left.items():
                self.check()
                await self.store.admin.erase(index, some)
                receipt.store[index] = receipt.store.get(index, 0) + len(some)
        raise Unavailable("erased logs are there again and again: somebody writes them; stop it, and erase again")

    async def _existing(self, index: str, ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(ids), _PAGE):
            found |= await self.store.reader.existing([index], ids[start : start + _PAGE])
        return found
