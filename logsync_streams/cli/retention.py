"""What the commands of the retention work on, and `logsync retention plan`: what it asks, prints and answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache

import orjson

from logsync_streams.cli.printing import escape
from logsync_streams.dlq import journal
from logsync_streams.errors import ConfigurationError, LogSyncError, Unavailable
from logsync_streams.events import iso_time, receive_day
from logsync_streams.settings import RetentionSettings, Settings
from logsync_streams.state import StateLog, open_state
from logsync_streams.storage.elasticsearch_errors import NO_ANSWER, StoreUnavailable
from logsync_streams.storage.factory import Store, check_store, open_store_beside
from logsync_streams.storage.naming import parse_index
from logsync_streams.worker import now_ms
from retention.archiver import Archiver, Holds
from retention.lease import Lease, held
from retention.objects import FolderObjects, Objects
from retention.plan import Action, Entry, Plan
from retention.policy import Policies, datasets, read_policies
from retention.run import Receipt, receipts
from retention.settled import behind
from retention.shown import entry_view

DONE, DUE, FAILED = 0, 1, 2  # exit codes
_HOUR_MS = 3_600_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything that the commands work on."""

    settings: Settings
    store: Store
    state: StateLog
    policies: Policies
    archiver: Archiver

    def lease(self) -> AbstractAsyncContextManager[Lease]:
        """The right to change something, held until the block ends. Raises LeaseTaken."""
        return held(self.state, now_ms, self.settings.retention.lease_seconds)

    async def holds(self) -> Holds:
        """Why days may not be closed: what the streams have not settled, and open dead letters."""
        await self.store.admin.refresh()
        aliases = {info.name.alias for info in await self.store.admin.indices()}
        kafka = self.settings.kafka
        try:
            found = (await behind(kafka)).holds(aliases)
            letters = (await journal.read(kafka)).open()
        except Unavailable:
            if not kafka.embedded:
                raise
            return {}  # the embedded broker forgets when it stops: nothing is on its way any more
        for alias, number in _targeted(((one.target, one.received_at) for one in letters), aliases).items():
            found.setdefault(alias, []).append(f"{number} open dead letters are for it (logsync dlq list)")
        return found


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """The store, the state and the archiver. Raises ConfigurationError, Unavailable: a store away with its setting."""
    try:
        async with _opened(settings) as one:
            yield one
    except StoreUnavailable as error:
        if error.outcome.reason != NO_ANSWER:
            raise
        urls = ",".join(settings.store.elasticsearch_urls)
        raise Unavailable(
            f"LOGSYNC_STORE__ELASTICSEARCH_URLS: {urls!r}: {error}: start Elasticsearch, or correct the address"
        ) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Opened]:
    retention = settings.retention
    policies = read_policies(retention.policies_file)
    await check_store(settings, datasets(policies))
    state, store = open_state(settings), open_store_beside(settings)
    work = settings.data_dir / "archive-work"
    archiver = Archiver(
        store.admin,
        open_objects(retention),
        policies,
        state,
        now_ms,
        work,
        retention.part_bytes,
        round(retention.grace_hours * _HOUR_MS),
    )
    try:
        yield Opened(settings, store, state, policies, archiver)
    finally:
        await store.close()
        await state.close()


def open_objects(retention: RetentionSettings) -> Callable[[str], Objects]:
    """bucket -> its objects, by the settings; each is opened once."""

    @cache
    def open_bucket(bucket: str) -> Objects:
        if retention.archive_folder is not None:
            return FolderObjects(retention.archive_folder / bucket)
        from retention.s3 import S3Objects

        return S3Objects(bucket, retention)

    return open_bucket


def plan(settings: Settings, *, as_json: bool, say: Say) -> int:
    """Print the plan; exit code DUE when a run would do something, DONE when not."""

    async def act() -> int:
        async with opened(settings) as one:
            found = await one.archiver.plan(await one.holds())
            last = (await receipts(one.state))[-1:]
        if as_json:
            answer = {
                "due": found.due,
                "days": [entry_view(entry) for entry in found.entries],
                "last_run": asdict(last[0]) if last else None,
            }
            say(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        else:
            for line in lines(found, last):
                say(escape(line))
        return DUE if found.due else DONE

    return in_a_sentence(act)


def _targeted(letters: Iterable[tuple[str, int]], aliases: set[str]) -> dict[str, int]:
    """alias -> dead letters that would go there; one that has no target yet may go anywhere in its day."""
    found: dict[str, int] = {}
    for target, received_at in letters:
        day = None if target else receive_day(received_at)
        for alias in aliases:
            name = parse_index(alias)
            if alias == target or (name is not None and name.day == day):
                found[alias] = found.get(alias, 0) + 1
    return found


def lines(found: Plan, last: list[Receipt]) -> list[str]:
    """The plan for people."""
    shown = []
    for entry in found.entries:
        shown.append(f"{entry.alias}  {entry.action.value:8}{entry.documents:>10} documents  {_size(entry.size_bytes)}")
        shown += [f"    {reason}" for reason in entry.reasons]
        if entry.action is not Action.KEEP:
            for one in entry.services:
                goes = f"archive s3://{one.archive.bucket}/{one.archive.prefix}" if one.archive else "no archive"
                size = _size(one.size_bytes)
                shown.append(f"    {one.service or '(no service)'}: {one.documents} documents, {size}: {goes}")
    archive, drop = found.of(Action.ARCHIVE), found.of(Action.DROP)
    unarchived = sum(one.documents for entry in drop for one in entry.services if one.archive is None)
    shown.append(
        f"due now: {_sum(archive)} documents to archive, {_sum(drop)} to drop, {unarchived} of these without an archive"
    )
    for receipt in last:
        shown.append(f"last run: {iso_time(receipt.begun_at)}, {len(receipt.problems)} problems")
    return shown


def receipt_lines(receipt: Receipt) -> list[str]:
    """What a run did, for people."""
    shown = [f"archived {alias}: {number} documents" for alias, number in receipt.archived.items()]
    shown += [f"dropped {alias}: {number} documents" for alias, number in receipt.dropped.items()]
    shown += [f"held back {alias}: {'; '.join(reasons)}" for alias, reasons in receipt.held.items()]
    shown += [f"could not: {problem}" for problem in receipt.problems]
    if receipt.unfinished:
        shown.append(receipt.unfinished)
    return shown or ["nothing is due"]


def in_a_sentence(act: Callable[[], Awaitable[int]]) -> int:
    """The action's exit code; what an operator can mend is said in a sentence, and is exit code FAILED."""

    async def acting() -> int:
        return await act()

    try:
        return asyncio.run(acting())
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"logsync: {escape(problem)}", file=sys.stderr)
    except LogSyncError as error:
        print(f"logsync: {escape(str(error))}", file=sys.stderr)
    return FAILED


def _sum(entries: list[Entry]) -> int:
    return sum(entry.documents for entry in entries)


def _size(size_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
