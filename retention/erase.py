"""Erasing logs for ever, wherever they are: the store, restored indices, archives, dead letters.

    found → recorded → archives → waited → store → letters → checked → receipt

First the ids are recorded in `logs-state`, from where `index`, `process` and `restore` refuse them; nothing is removed
from the store before all of these must have heard of it. Each step finds by itself what is left to do, so that the same
erasure, run again after a crash, ends the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import orjson

from logsync_streams.errors import Unavailable
from logsync_streams.events import receive_day
from logsync_streams.state import StateLog
from logsync_streams.storage.factory import Store
from retention.archive import ArchiveDamaged, read_manifest
from retention.archiver import options
from retention.erase_find import Finder, Found, Letters, OpenObjects, Where, held_lines
from retention.erase_receipt import Receipt, receipt_key, receipts
from retention.erased_archive import Matched, Rewriter, folders, sweep, unnamed
from retention.objects import ObjectMissing
from retention.plan import Destination, destination
from retention.policy import Policies
from tables.erased import MAX_AGE_SECONDS, erased_records, ids_in_force, last_day_of

STEPS = ("found", "recorded", "uploaded", "manifest", "tidied", "waited", "store", "letters", "checked", "receipt")
_PAGE = 500
_CHECKS = 3


def settling(request_timeout_seconds: float) -> float:
    """After so many seconds nobody writes an erased log any more: what is known of them is never older than
    MAX_AGE_SECONDS, and a write to the store that was begun before has ended.
    """
    return MAX_AGE_SECONDS + request_timeout_seconds


@dataclass
class Eraser:
    """Looks, and erases. now: epoch ms; work: a folder for parts under way; max_ids: so many ids may be refused at a
    time; topic_days: so long a topic may bring back what was appended today; settle_seconds: see `settling`;
    check(): raises when the lease is lost. step(name) is called after each of STEPS, progress(documents) while archives
    are read.
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
    settle_seconds: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic  # the clock may be set while it waits
    check: Callable[[], None] = lambda: None
    step: Callable[[str], None] = lambda _: None
    progress: Callable[[int], None] = lambda _: None

    @property
    def _finder(self) -> Finder:
        return Finder(self.store, self.objects, self.policies, self.letters, self.max_ids, self.progress)

    async def find(self, where: Where) -> Found:
        """All that is to be erased. Raises InvalidQuery, Unavailable; ConfigurationError when it is too much."""
        return await self._finder.find(where)

    async def run(self, found: Found, by: str, proof: str) -> Receipt:
        """Erase what was found; under the lease. What could not be done is among the receipt's problems: mended, and
        run again, it is done. Raises Unavailable, ConfigurationError, LeaseLost: run again, too.
        """
        self.step("found")
        begun = Receipt(self.now(), by, proof, problems=[*found.problems, *held_lines(found)])
        await self.state.decide(receipt_key(begun.begun_at, "begun"), orjson.dumps(asdict(begun)))
        days = found.days()
        await self._record(days)
        recorded_at = self.monotonic()
        self.step("recorded")
        kept = await self._archives(found, begun)
        if days:
            await self.sleep(max(0.0, self.settle_seconds - (self.monotonic() - recorded_at)))
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
        if days:  # what a writer has given up on, the store may still do
            await self.sleep(self.settle_seconds)
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
        known = await self.state.read()
        in_force = ids_in_force(known, today)
        self._finder.bounded(len(in_force | days.keys()))
        # Of logs received long ago, too: a replayed dead letter is appended anew, and keeps its receive day.
        for key, value in erased_records(days, today + timedelta(days=self.topic_days)).items():
            await self.state.decide(key, value)
        expired = [key for key in known if (last_day := last_day_of(key)) is not None and last_day < today]
        if expired:
            await self.state.forget(expired)

    async def _archives(self, found: Found, receipt: Receipt) -> set[str]:
        """Write the archives anew; the indices from which nothing may be removed yet, as theirs could not be."""
        counts = {str(info.name): info.documents for info in await self.store.admin.indices()}
        kept = set(found.damaged)
        for one in found.archives:
            self.check()
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
                    await asyncio.to_thread(self._sweep_unnamed, one)
            except (ArchiveDamaged, ObjectMissing) as error:
                receipt.problems.append(str(error))
                kept.add(manifest.index)
        await asyncio.to_thread(self._sweep_attempts, counts, receipt)
        for index in sorted(kept & found.store.keys()):
            receipt.problems.append(f"{index}: nothing was erased from it, as its archive is damaged: mend that first")
        return kept

    def _sweep_unnamed(self, one: Matched) -> None:
        """What its manifest does not name, as long as it is the one that was looked at."""
        bucket, at = self.objects(one.found.destination.bucket), one.found.folder
        if read_manifest(bucket, at) == one.found.manifest:
            sweep(bucket, unnamed(bucket, at, one.found.manifest), self.check)

    def _sweep_attempts(self, counts: Mapping[str, int], receipt: Receipt) -> None:
        """Parts without a manifest: of an index that is in the store they will be written anew."""
        for goes_to in sorted({destination(policy) for policy in self.policies.values() if policy.archive_to_s3}):
            bucket = self.objects(goes_to.bucket)
            for folder in folders(bucket, goes_to.prefix):
                if folder.has_manifest:
                    continue
                if folder.index in counts:
                    sweep(bucket, folder.keys, self.check)
                else:
                    receipt.problems.append(f"{folder.at}: parts without a manifest are not looked into: remove them")

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
