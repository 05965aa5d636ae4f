"""`logsync archive list`, `verify`, `search` and `restore`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date

import orjson
from starlette.datastructures import QueryParams

from logsync_streams.cli.damaged import Damaged
from logsync_streams.cli.printing import escape
from logsync_streams.cli.progress import progress_bar
from logsync_streams.cli.retention import DONE, Say, in_a_sentence, open_objects, opened
from logsync_streams.errors import ConfigurationError, InvalidQuery
from logsync_streams.query.language import parse
from logsync_streams.query.parameters import time_range
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import Settings
from logsync_streams.state import open_state
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.naming import IndexName
from logsync_streams.worker import now_ms
from retention import restore as restoring
from retention.archive import ArchiveDamaged, problems
from retention.objects import ObjectMissing
from retention.policy import read_policies
from retention.prune import receipts
from retention.removed import removed
from retention.restore import Found, Wanted
from tables.erased import ErasedIds

NONE_FOUND = 1  # exit code


@dataclass(frozen=True, slots=True)
class Selection:
    """What the operator named, as typed. first, last: receive days."""

    dataset: str = ""
    first: str = ""
    last: str = ""
    service: str = ""
    q: str = ""
    start: str = ""
    end: str = ""

    def wanted(self) -> Wanted:
        """Raises ConfigurationError for what cannot be meant."""
        given = {name: value for name, value in (("from", self.start), ("to", self.end)) if value}
        try:
            start, end = time_range(QueryParams(given), now_ms())
            return Wanted(self.service, start, end, compiled(parse(self.q)))
        except (BadParameter, InvalidQuery) as error:
            raise ConfigurationError([str(error)]) from error

    def of_day(self, day: date) -> bool:
        """Whether archives of this receive day are meant. Raises ConfigurationError."""
        first, last = (_day(text) for text in (self.first, self.last))
        return (first is None or day >= first) and (last is None or day <= last)

    def takes(self, found: Found) -> bool:
        """Whether an archive of a day that is meant is meant itself."""
        return not self.service or self.service in found.manifest.services


def list_(settings: Settings, selection: Selection, *, as_json: bool, say: Say) -> int:
    """Print the archives; exit code NONE_FOUND when there are none, FAILED when one is damaged."""

    async def act() -> int:
        damaged = Damaged()
        found = await _found(settings, selection, damaged)
        if not found and not as_json and sys.stderr.isatty():  # a person would wonder at the silence
            print("logsync: no archive was found", file=sys.stderr)
        if as_json:
            say(orjson.dumps([_shown(one) for one in found], option=orjson.OPT_INDENT_2).decode())
        else:
            for one in found:
                manifest = one.manifest
                services = ", ".join(sorted(manifest.services)[:5]) + (", …" if len(manifest.services) > 5 else "")
                where = f"s3://{one.destination.bucket}/{one.folder}"
                say(escape(f"{where}  {manifest.documents} documents  {manifest.size_bytes} bytes  {services}"))
        return damaged.or_else(DONE if found else NONE_FOUND)

    return in_a_sentence(act)


def verify(settings: Settings, selection: Selection, *, say: Say) -> int:
    """Read archives back and compare; exit code FAILED when one is damaged or was removed, each object named."""

    async def act() -> int:
        objects, damaged = open_objects(settings.retention), Damaged(say)
        found = await _found(settings, selection, damaged)
        for one in found:
            before = damaged.number
            for error in await asyncio.to_thread(problems, objects(one.destination.bucket), one.manifest):
                damaged(error)
            if damaged.number == before:
                say(escape(f"whole   {one.folder}  {one.manifest.documents} documents"))
        for error in await _removed(settings, selection, found):
            damaged(error)
        return damaged.or_else(DONE)

    return in_a_sentence(act)


def search(settings: Settings, selection: Selection, *, limit: int, say: Say) -> int:
    """Print logs out of the archives, one JSON object a line; exit code NONE_FOUND when there are none.

    What is damaged is named, and left out from where the damage is found; exit code FAILED.
    """

    async def act() -> int:
        objects, wanted, damaged = open_objects(settings.retention), selection.wanted(), Damaged()
        found = await _found(settings, selection, damaged)

        def printing(progress: Callable[[int], None]) -> int:
            number = 0
            for one in found:
                try:
                    for document in restoring.search(objects(one.destination.bucket), one, wanted, progress):
                        say(orjson.dumps(document).decode())
                        number += 1
                        if number >= limit:
                            return number
                except (ArchiveDamaged, ObjectMissing) as error:
                    damaged(error)
            return number

        with progress_bar() as progress:
            number = await asyncio.to_thread(printing, progress)
        return damaged.or_else(DONE if number else NONE_FOUND)

    return in_a_sentence(act)


def restore(settings: Settings, selection: Selection, *, days: int | None, dry_run: bool, say: Say) -> int:
    """Bring logs back; exit code NONE_FOUND when there are none to bring, FAILED when an archive is damaged.

    Of a damaged archive the parts before the damage are brought back, and it is named; the other archives follow.
    """

    async def act() -> int:
        objects, wanted = open_objects(settings.retention), selection.wanted()
        until = restoring.expiry(now_ms(), days or settings.retention.restored_days)
        began, total, damaged = time.monotonic(), 0, Damaged()
        found = await _found(settings, selection, damaged)
        async with opened(settings) as one:
            erased = ErasedIds(one.state.read, now_ms).among
            for archive in found:
                bucket = objects(archive.destination.bucket)
                try:
                    with progress_bar() as progress:
                        done = await restoring.restore(
                            bucket,
                            archive,
                            wanted,
                            one.store,
                            until,
                            dry_run=dry_run,
                            erased=erased,
                            progress=progress,
                        )
                except (ArchiveDamaged, ObjectMissing) as error:
                    damaged(error)
                    continue
                total += done.documents
                there = f", {done.there} are in the store already" if done.there else ""
                there += f", {done.erased} were erased and are refused" if done.erased else ""
                verb = "would be restored" if dry_run else "restored"
                say(escape(f"{archive.manifest.index}: {done.documents} documents {verb}{there}"))
            await one.store.admin.refresh()
        seconds = time.monotonic() - began
        say(f"{total} documents in {seconds:.1f} s; they are kept until the end of {until}")
        return damaged.or_else(DONE if total else NONE_FOUND)

    return in_a_sentence(act)


async def _found(settings: Settings, selection: Selection, damaged: Damaged) -> list[Found]:
    policies = read_policies(settings.retention.policies_file)
    objects = open_objects(settings.retention)

    def look() -> list[Found]:
        every = restoring.archives(policies, objects, selection.dataset, of_day=selection.of_day, damaged=damaged)
        return [one for one in every if selection.takes(one)]

    return await asyncio.to_thread(look)


async def _removed(settings: Settings, selection: Selection, found: list[Found]) -> list[ArchiveDamaged]:
    """What `logs-state` says was archived, and is neither found nor pruned."""
    state = open_state(settings)
    try:
        said = await state.read()
        pruned = {(one.bucket, one.folder) for receipt in await receipts(state) for one in receipt.archives}
    finally:
        await state.close()
    known = pruned | {(one.destination.bucket, one.folder) for one in found}
    objects = open_objects(settings.retention)

    def wanted(day: IndexName) -> bool:
        return selection.of_day(day.day) and selection.dataset in ("", day.dataset)

    return await asyncio.to_thread(lambda: list(removed(said, known, objects, wanted)))


def _shown(one: Found) -> dict[str, object]:
    return {"bucket": one.destination.bucket, "folder": one.folder, **asdict(one.manifest)}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigurationError([f"{text!r}: a day is expected, as 2026-11-24"]) from error
