"""The group `logsync-index`: documents of `logs-enriched` into the store; acknowledged when each one is settled."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import faust
import orjson

from agents.index import EXPIRED, Indexer, Letters, Limits
from agents.targets import Targets, yesterday_of
from logsync_streams import enriched, metrics
from logsync_streams.enriched import Enriched
from logsync_streams.errors import ConfigurationError, DeadLetter, Unavailable
from logsync_streams.events import receive_day
from logsync_streams.storage.api import Document, EventWriter, Outcome, Reaction
from logsync_streams.storage.naming import DEFAULT_DATASET, alias_name, parse_index
from logsync_streams.streams.index_letters import dead_document, received_at, unreadable
from logsync_streams.streams.sending import send_dead
from tables.assignments import Assignments
from tables.erased import ErasedIds
from tables.range_accounts import RangeAccounts

log = logging.getLogger(__name__)

TAKE_MESSAGES = 8
TAKE_WITHIN_SECONDS = 0.02
# While the store answers for one take, the next is read and sent; more would only cost memory.
TAKES_UNDER_WAY = 2
_WAIT_FOR_STORE_SECONDS = 2.0
_DAY_MS = 86_400_000
_TRACE = b'"trace":{"id":"'
_MAX_TRACE = 64
_LOOKED_AT = 16  # documents of a record, for one with a trace: looking at all of them costs more than all other metrics
_TOO_OLD = Outcome(Reaction.DEAD_LETTER, "expired", "its day has no index and is too old to get one", "expired")

Clock = Callable[[], int]
T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """What this process has settled since its start, duplicates and dead letters included."""

    settled_events: int = 0


@dataclass(frozen=True, slots=True)
class _Taken:
    """One record with the ids of its documents."""

    record: Enriched
    ids: list[str]


class IndexStream:
    """Takes records, finds what is stored already, writes the rest until it is settled."""

    def __init__(
        self,
        writer: EventWriter,
        targets: Targets,
        assignments: Assignments,
        limits: Limits,
        *,
        dead_topic: faust.TopicT,
        now: Clock,
        key_window_ms: int,
        erased: ErasedIds,
    ) -> None:
        self._targets, self._assignments = targets, assignments
        self._dead_topic, self._now, self._key_window_ms = dead_topic, now, key_window_ms
        self._erased = erased
        self._indexer = Indexer(
            writer, limits, on_blocked=self._open_next, on_missing=self._dropped, erased=self._erased_among
        )
        self._accounts = RangeAccounts()
        self._generation: int | None = None
        self.progress = Progress()

    async def run(self, stream: Any) -> None:
        """Write documents to the store until each is stored, was there already, was erased, or is a dead letter.

        Leaves only by cancellation: an exception here ends the process with nothing acknowledged.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._make_today())
            keeping_up = group.create_task(self._erased.keep_up())
            under_way: deque[asyncio.Task[None]] = deque()
            async for events in stream.noack_take(TAKE_MESSAGES, within=TAKE_WITHIN_SECONDS):
                while len(under_way) >= TAKES_UNDER_WAY:
                    await asyncio.wait([under_way.popleft()])
                before = under_way[-1] if under_way else None
                under_way.append(group.create_task(self._take(stream, events, before)))
            keeping_up.cancel()

    async def _make_today(self) -> None:
        """The index that most logs of today go to, before the first of them has to wait for it."""
        today = alias_name(DEFAULT_DATASET, receive_day(self._now()))
        await self._when_available(lambda: self._targets.ensure({today}))

    async def _take(self, stream: Any, events: Sequence[Any], before: asyncio.Task[None] | None) -> None:
        """Settle what was taken and acknowledge it, after what was taken `before`."""
        started = perf_counter()
        taken = await self._decode(events)
        number = sum(len(one.ids) for one in taken)
        if number:
            await self._write(taken, before)
        await _ended(before)
        for event in events:
            await stream.ack(event)
        self.progress.settled_events += number
        metrics.batch_events.labels("index").observe(number)
        metrics.batch_seconds.labels("index").observe(perf_counter() - started)
        now = self._now()
        for one in taken:
            if one.ids:
                documents = one.record.documents
                which = next((place for place, body in enumerate(documents[:_LOOKED_AT]) if _TRACE in body), 0)
                seconds = max(0.0, (now - received_at(documents[which])) / 1000)
                metrics.latency_seconds.observe(seconds, exemplar(one.ids[which], documents[which]))

    async def _decode(self, events: Sequence[Any]) -> list[_Taken]:
        taken = []
        for event in events:
            message = event.message
            headers = message.headers.items() if isinstance(message.headers, Mapping) else message.headers or ()
            try:
                record = enriched.decode(message.value, list(headers))
                taken.append(_Taken(record, [enriched.document_id(body) for body in record.documents]))
            except DeadLetter as reason:
                await send_dead(self._dead_topic, [unreadable(message, reason)])
            else:
                self._account(message, record)
        return taken

    def _account(self, message: Any, record: Enriched) -> None:
        """Check that nothing of a range got lost between receiving it and here."""
        if record.attempts and record.parts == 1:
            return  # a document from the dead letters stands outside of the account of the range that it names
        if message.generation_id != self._generation:  # assigned anew: reading began again at the last commit
            self._accounts.clear()
            self._generation = message.generation_id
        verdict = self._accounts.add(record)
        metrics.checked_ranges.inc(verdict.checked)
        if verdict.unaccounted:
            log.error(
                "%d events are unaccounted for, up to %s/%d offset %d; logs-enriched/%d offset %d shows it",
                *(verdict.unaccounted, record.topic, record.partition, record.last, message.partition, message.offset),
            )
            metrics.unaccounted.inc(verdict.unaccounted)

    async def _write(self, taken: list[_Taken], before: asyncio.Task[None] | None) -> None:
        documents: list[Document] = []
        sources: dict[str, Enriched] = {}
        number = 0
        for one in taken:
            record, target = one.record, one.record.target
            for id, body in zip(one.ids, one.record.documents, strict=True):
                number += 1
                if id not in sources:  # else a redelivery, or a request's retry, right behind the first
                    sources[id] = record
                    documents.append(Document(target, id, body))
        dead = partial(self._dead, sources)
        documents = await self._not_erased(documents)
        documents = await self._writable(documents, sources, dead)
        # Asked of the records before the documents, of which there are hundreds in each.
        keyed = any(one.record.keyed for one in taken)
        stored = await self._stored_beside(documents, sources, before) if keyed else set()
        metrics.duplicates.inc(number - len(sources) + len(stored))
        fresh = [document for document in documents if document.id not in stored] if stored else documents
        if any(one.record.attempts for one in taken):
            replayed = [document for document in fresh if sources[document.id].attempts]
            # Much poison among replays is to be expected: it must not hold what comes behind them.
            await self._settle(replayed, dead, poison_share=1.0)
            fresh = [document for document in fresh if not sources[document.id].attempts]
        await self._settle(fresh, dead)

    async def _settle(
        self, documents: list[Document], dead: Callable[[Letters], Awaitable[None]], poison_share: float | None = None
    ) -> None:
        settled = await self._indexer.settle(documents, dead, poison_share=poison_share)
        metrics.stored.inc(settled.stored)
        metrics.duplicates.inc(settled.duplicates)
        metrics.dropped.labels("index", "erased").inc(settled.erased)

    async def _not_erased(self, documents: list[Document]) -> list[Document]:
        """Those that were not erased, the others counted. Asked of what was taken, once more before each write, for a
        write may be tried for hours, and before each letter: an erased log must not become one either.
        """
        erased = await self._erased_among([document.id for document in documents])
        metrics.dropped.labels("index", "erased").inc(len(erased))
        return [document for document in documents if document.id not in erased] if erased else documents

    async def _erased_among(self, ids: Collection[str]) -> set[str]:
        return await self._when_available(lambda: self._erased.among(ids))

    async def _writable(
        self, documents: list[Document], sources: Mapping[str, Enriched], dead: Callable[[Letters], Awaitable[None]]
    ) -> list[Document]:
        """The documents whose target is there. The others are dead letters: those of a dropped day, and replays for a
        day that is past the write horizon and has no index (waiting for one would hold everything behind them).
        """
        expired = set(
            await self._when_available(lambda: self._targets.ensure({document.target for document in documents}))
        )
        replayed = {document.target for document in documents if sources[document.id].attempts} - expired
        closed = await self._when_available(lambda: self._targets.closed(replayed)) if replayed else set()
        if not expired and not closed:
            return documents
        letters: Letters = []
        left = []
        for document in documents:
            if document.target in expired:
                letters.append((document, EXPIRED))
            elif document.target in closed and sources[document.id].attempts:
                letters.append((document, _TOO_OLD))
            else:
                left.append(document)
        if letters:
            await dead(letters)
        return left

    async def _stored_beside(
        self, documents: list[Document], sources: Mapping[str, Enriched], before: asyncio.Task[None] | None
    ) -> set[str]:
        """Ids of retried requests that yesterday's index holds: their first try came before midnight. For a replay
        the retry may have come after it, and is looked up in the next day's index.
        """
        wanted: dict[str, list[str]] = {}
        for document in documents:
            source = sources[document.id]
            name = parse_index(document.target) if source.keyed else None
            if name is None:
                continue
            after = name.day + timedelta(days=1)
            days = [after] if source.attempts and after <= receive_day(self._now()) else []
            if received_at(document.body) % _DAY_MS < self._key_window_ms:
                days.append(yesterday_of(name.day))
            service = (orjson.loads(document.body).get("service") or {}).get("name", "")
            for day in days:
                for dataset in (await self._assignments.of({day}))[day].possible_datasets(service):
                    wanted.setdefault(alias_name(dataset, day), []).append(document.id)
        if wanted:
            await _ended(before)  # the first try may be in there
        found: set[str] = set()
        for alias, ids in wanted.items():
            found |= await self._when_available(partial(self._targets.stored_under, alias, ids))
        return found

    async def _when_available(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store until it answers; nothing is acknowledged meanwhile."""
        while True:
            try:
                return await ask()
            except (Unavailable, ConfigurationError) as error:
                log.warning("waiting for the store: %s", error)
                metrics.retries.labels("unavailable").inc()
                await asyncio.sleep(_WAIT_FOR_STORE_SECONDS)

    async def _open_next(self, target: str) -> bool:
        return await self._when_available(partial(self._targets.open_next, target))

    async def _dropped(self, target: str) -> bool:
        return await self._when_available(partial(self._targets.dropped, target))

    async def _dead(self, sources: Mapping[str, Enriched], letters: Letters) -> None:
        """The door of all letters: asked here again, for the store may have been waited for since the last time."""
        left = {document.id for document in await self._not_erased([document for document, _ in letters])}
        await send_dead(
            self._dead_topic,
            [
                dead_document(document, outcome, sources[document.id])
                for document, outcome in letters
                if document.id in left
            ],
        )


def exemplar(id: str, body: bytes) -> dict[str, str]:
    """What leads from a bucket of the latency histogram to a log in it: its id, and its trace where it has one."""
    begin = body.find(_TRACE) + len(_TRACE)
    trace = body[begin : body.find(b'"', begin)] if begin >= len(_TRACE) else b""
    if len(trace) > _MAX_TRACE or not trace.isalnum():  # OpenMetrics allows 128 characters for all of it
        return {"event_id": id}
    return {"event_id": id, "trace_id": trace.decode("ascii")}


async def _ended(before: asyncio.Task[None] | None) -> None:
    if before is not None:
        await asyncio.wait([before])
        before.result()  # what it raised must keep us from acknowledging what came after it
