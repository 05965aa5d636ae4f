"""The group `logsync-index`: documents of `logs-enriched` into the store; acknowledged when each one is settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, TypeVar

import faust
import orjson

from agents.index import Indexer, Limits, dead_letter_reason
from agents.targets import Targets, yesterday_of
from logsync_streams import enriched, metrics
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.enriched import Enriched
from logsync_streams.errors import ConfigurationError, DeadLetter, Unavailable
from logsync_streams.events import receive_day
from logsync_streams.storage.api import Document, EventWriter, Outcome, Reaction
from logsync_streams.storage.naming import alias_name, parse_index
from logsync_streams.streams.sending import send_dead
from tables.assignments import Assignments

log = logging.getLogger(__name__)

TAKE_MESSAGES = 8
TAKE_WITHIN_SECONDS = 0.02
_WAIT_FOR_STORE_SECONDS = 2.0

Clock = Callable[[], int]
T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """What this process has settled since its start, duplicates and dead letters included."""

    settled_events: int = 0


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
    ) -> None:
        self._targets, self._assignments = targets, assignments
        self._dead_topic, self._now, self._key_window_ms = dead_topic, now, key_window_ms
        self._sources: dict[str, Enriched] = {}
        self._indexer = Indexer(writer, limits, on_dead=self._dead, on_blocked=self._open_next)
        # Much poison among replays is to be expected: it must not hold what comes behind them.
        whatever = replace(limits, poison_share=1.0)
        self._replay_indexer = Indexer(writer, whatever, on_dead=self._dead, on_blocked=self._open_next)
        self.progress = Progress()

    async def run(self, stream: Any) -> None:
        """Write documents to the store until each is stored, was there already, or is a dead letter.

        Leaves only by cancellation: an exception here ends the process with nothing acknowledged.
        """
        async for events in stream.noack_take(TAKE_MESSAGES, within=TAKE_WITHIN_SECONDS):
            started = perf_counter()
            records = await self._decode(events)
            number = sum(len(record.documents) for record in records)
            if number:
                await self._write(records)
            for event in events:
                await stream.ack(event)
            self.progress.settled_events += number
            metrics.batch_events.labels("index").observe(number)
            metrics.batch_seconds.labels("index").observe(perf_counter() - started)
            now = self._now()
            for record in records:
                if record.documents:
                    metrics.latency_seconds.observe(max(0.0, (now - received_at(record.documents[0])) / 1000))

    async def _decode(self, events: Sequence[Any]) -> list[Enriched]:
        records = []
        for event in events:
            message = event.message
            headers = message.headers.items() if isinstance(message.headers, Mapping) else message.headers or ()
            try:
                records.append(enriched.decode(message.value, list(headers)))
            except DeadLetter as reason:
                await send_dead(self._dead_topic, [_unreadable(message, reason)])
        return records

    async def _write(self, records: list[Enriched]) -> None:
        documents: list[Document] = []
        keyed: list[Document] = []
        self._sources = {}
        for record in records:
            for body in record.documents:
                document = Document(record.target, enriched.document_id(body), body)
                documents.append(document)
                self._sources[document.id] = record
                if record.keyed:
                    keyed.append(document)
        expired = set(await self._when_available(lambda: self._targets.ensure({d.target for d in documents})))
        if expired:
            gone = Outcome(Reaction.DEAD_LETTER, "expired", "its day was archived and dropped", "expired")
            await self._dead([(document, gone) for document in documents if document.target in expired])
            documents = [document for document in documents if document.target not in expired]
        documents = await self._without_closed(documents)
        stored = await self._when_available(lambda: self._targets.stored_earlier(documents))
        stored |= await self._stored_beside(keyed)
        fresh = [document for document in documents if document.id not in stored]
        metrics.duplicates.inc(len(documents) - len(fresh))
        replayed = [document for document in fresh if self._sources[document.id].attempts]
        if replayed:
            fresh = [document for document in fresh if not self._sources[document.id].attempts]
            await self._settle(self._replay_indexer, replayed)
        await self._settle(self._indexer, fresh)

    @staticmethod
    async def _settle(indexer: Indexer, documents: list[Document]) -> None:
        settled = await indexer.settle(documents)
        metrics.stored.inc(settled.stored)
        metrics.duplicates.inc(settled.duplicates)

    async def _without_closed(self, documents: list[Document]) -> list[Document]:
        """The documents that can be written. A replay for a day that is past the write horizon and has no index is a
        dead letter again: waiting for an index that nobody will make would hold everything behind it.
        """
        replayed = {document.target for document in documents if self._sources[document.id].attempts}
        if not replayed:
            return documents
        closed = await self._when_available(lambda: self._targets.closed(replayed))
        left = [d for d in documents if not (d.target in closed and self._sources[d.id].attempts)]
        if len(left) < len(documents):
            gone = Outcome(Reaction.DEAD_LETTER, "expired", "its day has no index and is too old to get one", "expired")
            kept = {document.id for document in left}
            await self._dead([(document, gone) for document in documents if document.id not in kept])
        return left

    async def _stored_beside(self, keyed: list[Document]) -> set[str]:
        """Ids of retried requests that yesterday's index holds: their first try came before midnight. For a replay
        the retry may have come after it, and is looked up in the next day's index.
        """
        wanted: dict[str, list[str]] = {}
        for document in keyed:
            name = parse_index(document.target)
            if name is None:
                continue
            after = name.day + timedelta(days=1)
            days = [after] if self._sources[document.id].attempts and after <= receive_day(self._now()) else []
            if received_at(document.body) % 86_400_000 < self._key_window_ms:
                days.append(yesterday_of(name.day))
            service = orjson.loads(document.body).get("service", {}).get("name", "")
            for day in days:
                for dataset in (await self._assignments.of({day}))[day].possible_datasets(service):
                    wanted.setdefault(alias_name(dataset, day), []).append(document.id)
        found: set[str] = set()
        for alias, ids in wanted.items():
            found |= await self._when_available(lambda a=alias, i=ids: self._targets.stored_yesterday(a, i))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
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

    async def _open_next(self, target: str) -> None:
        await self._when_available(lambda: self._targets.open_next(target))

    async def _dead(self, letters: list[tuple[Document, Outcome]]) -> None:
        records = [_dead_document(document, outcome, self._sources[document.id]) for document, outcome in letters]
        await send_dead(self._dead_topic, records)


def received_at(body: bytes) -> int:
    """`event.ingested` of a document as epoch ms."""
    return int(datetime.fromisoformat(orjson.loads(body)["event"]["ingested"]).timestamp() * 1000)


def _dead_document(document: Document, outcome: Outcome, source: Enriched) -> DeadLetterRecord:
    reason = dead_letter_reason(outcome)
    return DeadLetterRecord(
        event_id=document.id,
        value=document.body,
        holds="document",
        received_at=received_at(document.body),
        format="",
        source="",
        peer="",
        target=document.target,
        stage="index",
        category=reason.category,
        error=reason.reason,
        topic=source.topic,
        partition=source.partition,
        offset=source.first,
        index=int(document.id.rpartition("-")[2]),
        attempts=source.attempts + 1,
        keyed=source.keyed,
    )


def _unreadable(message: Any, reason: DeadLetter) -> DeadLetterRecord:
    return DeadLetterRecord(
        event_id=f"{message.topic}/{message.partition}/{message.offset}",
        value=message.value or b"",
        holds="document",
        received_at=int((message.timestamp or 0) * 1000),
        format="",
        source="kafka",
        peer="",
        target="",
        stage="index",
        category=reason.category,
        error=reason.reason,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        index=0,
    )
