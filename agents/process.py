"""What `process` does with a batch of raw records: redact ▸ parse ▸ count ▸ filter ▸ enrich ▸ document.

Pure but for its stages. To parse is to read the sender's format, and then the message where the operator says in what
form it is; so a level in a message is counted and filtered like any other.

The whole of it is a function of the records, the settings and the assignments in force, so that redelivery makes the
same documents with the same ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from typing import Protocol

from agents.count import Tally, count, counted_level
from agents.document import document
from agents.enrich import Enrichment, enrich
from agents.filter import Rule, dataset_by, drop_noise, route
from agents.filter_file import NO_ROUTES, compiled_routes
from agents.horizon import DAY_MS, ReceiveTime
from agents.parse import Parser, parse
from agents.redact import Redactor, default_redactor
from logsync_streams import envelope
from logsync_streams.counts import NO_SERVICE, ServiceCounts
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.enriched import Counts, Enriched
from logsync_streams.envelope import Decoded, RawRecord
from logsync_streams.errors import DeadLetter
from logsync_streams.events import Origin, event_id, receive_day, receive_days
from logsync_streams.settings import FilterRule
from logsync_streams.storage.naming import alias_name


class Assignment(Protocol):
    @property
    def routes(self) -> str: ...

    def dataset(self, service: str) -> str: ...


@dataclass(slots=True)
class Outcome:
    """What a batch of one partition became."""

    received: int = 0
    foreign: int = 0
    documents: list[tuple[str, bool, bytes]] = field(default_factory=list)  # target, keyed, body; in source order
    replayed: list[tuple[str, bool, int, bytes]] = field(default_factory=list)  # the same with attempts before body
    dropped: Counter[str] = field(default_factory=Counter)  # filter rule -> events
    dead: list[DeadLetterRecord] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    redacted: Counter[str] = field(default_factory=Counter)  # redaction rule -> secrets
    processed: Counter[tuple[str, str]] = field(default_factory=Counter)  # (service, level) left after the filter

    def add(self, other: Outcome) -> None:
        """Take in what another part of the same batch became; its parts come in source order."""
        self.received += other.received
        self.foreign += other.foreign
        self.documents += other.documents
        self.replayed += other.replayed
        self.dropped += other.dropped
        self.dead += other.dead
        self.redacted += other.redacted
        self.processed += other.processed
        self.tally.add(other.tally)


@dataclass(frozen=True)
class Processor:
    """The stages with what they need. receive_time: see agents/horizon.py; reading, steps: agents/enrich.py, Steps."""

    parsers: Mapping[str, Parser]
    rules: Sequence[Rule | FilterRule]
    steps: Sequence[Enrichment]
    keep_original: bool
    max_enriched_bytes: int
    receive_time: ReceiveTime
    redactor: Redactor = field(default_factory=default_redactor)
    reading: Sequence[Enrichment] = ()

    async def run(
        self, decoded: Sequence[Decoded], outcome: Outcome, assignments: Mapping[date, Assignment]
    ) -> Outcome:
        """`outcome` with what these events of one partition become. Never raises for what is in them: an event on
        which a stage fails is among the dead, the others go on. assignments: of all receive days among them.
        """
        try:
            outcome.add(await self._stages(decoded, assignments))
        except Exception:  # a stage failed on some event: find which, so that only that one is a dead letter
            for one in (part for record in decoded for part in _singles(record)):
                outcome.add(await self._alone(one, assignments))
        return outcome

    def decode(self, records: Sequence[RawRecord], outcome: Outcome) -> list[Decoded]:
        """The events of the records, their secrets redacted, with the receive times to use; what cannot be decoded is
        among the dead. Everything that leaves `process` is made of what this returns.
        """
        decoded = []
        for record in records:
            try:
                found = envelope.decode(record)
            except DeadLetter as reason:
                outcome.received += 1
                outcome.dead.append(self._undecodable(record, reason, outcome))
                continue
            if found.origin.attempts:  # a replay keeps the receive time, and with it the index, of its first try
                decoded.append(found)
                continue
            received_at = self.receive_time(found.received_at, record.timestamp)
            decoded.append(found if received_at == found.received_at else found._replace(received_at=received_at))
        return self.redactor.records(decoded, outcome.redacted)

    def _undecodable(self, record: RawRecord, reason: DeadLetter, outcome: Outcome) -> DeadLetterRecord:
        dead = _undecodable(record, reason)
        redact, redacted = self.redactor, outcome.redacted
        return replace(dead, value=redact.data(dead.value, redacted), error=redact.text(dead.error, redacted))

    async def _stages(self, records: Sequence[Decoded], assignments: Mapping[date, Assignment]) -> Outcome:
        outcome = Outcome()
        for record in records:
            outcome.received += len(record.events)
            if record.origin.source == "kafka":
                outcome.foreign += len(record.events)

        def dead(record: Decoded, index: int, reason: DeadLetter) -> None:
            outcome.dead.append(_dead_event(record, index, "parse", reason))

        events = parse(records, parsers=self.parsers, on_dead=dead)
        if self.reading:
            events = enrich(events, steps=self.reading)
        events = count(events, tally=outcome.tally)
        events = drop_noise(events, rules=self.rules, dropped=outcome.dropped)
        days = receive_days(record.received_at for record in records)
        routes = {
            day: dataset_by(compiled_routes(assignments[day].routes))
            for day in days
            if assignments[day].routes != NO_ROUTES
        }
        if routes:
            events = route(events, routes=routes)
        events = enrich(events, steps=self.steps)
        origin: Origin | None = None
        day_number = -1
        processed: dict[tuple[str, str], int] = {}
        async for event in events:
            if event.origin is not origin:  # what the events of a record share is found out once
                origin, keyed = event.origin, event.origin.keyed
                if event.received_at // DAY_MS != day_number:
                    day_number, day = event.received_at // DAY_MS, receive_day(event.received_at)
                    assigned = assignments[day]
                    targets: dict[str, str] = {}  # dataset -> target
            service = event.service
            dataset = event.dataset or assigned.dataset(service)
            target = targets.get(dataset)
            if target is None:
                target = targets[dataset] = alias_name(dataset, day)
            counted = (service or NO_SERVICE, counted_level(event))
            processed[counted] = processed.get(counted, 0) + 1
            body = document(event, dataset, keep_original=self.keep_original)
            if origin.attempts:
                outcome.replayed.append((target, keyed, origin.attempts, body))
            else:
                outcome.documents.append((target, keyed, body))
        outcome.processed.update(processed)
        return outcome

    async def _alone(self, one: Decoded, assignments: Mapping[date, Assignment]) -> Outcome:
        try:
            return await self._stages([one], assignments)
        except Exception as error:
            reason = DeadLetter("stage_failed", f"{type(error).__name__}: {error}")
            outcome = Outcome(received=1, foreign=int(one.origin.source == "kafka"))
            outcome.dead.append(_dead_event(one, 0, "process", reason))
            return outcome

    def enriched(self, outcome: Outcome, topic: str, partition: int, first: int, last: int) -> list[Enriched]:
        """The records of `logs-enriched` for a range of source offsets: by target, split by bytes."""
        groups: dict[tuple[str, bool, int], list[list[bytes]]] = {}
        sizes: dict[tuple[str, bool, int], int] = {}
        fresh = ((target, keyed, 0, body) for target, keyed, body in outcome.documents)
        for target, keyed, attempts, body in chain(fresh, outcome.replayed):
            key = (target, keyed, attempts)
            parts = groups.setdefault(key, [[]])
            size = sizes.get(key, 0) + len(body) + 1
            if parts[-1] and size > self.max_enriched_bytes:
                parts.append([])
                size = len(body) + 1
            parts[-1].append(body)
            sizes[key] = size
        pieces = [(*key, part) for key, parts in groups.items() for part in parts]
        if not pieces:
            pieces = [("", False, 0, [])]
        counts = Counts(outcome.received, outcome.dropped.total(), len(outcome.dead))
        return [
            Enriched(
                target=target,
                topic=topic,
                partition=partition,
                first=first,
                last=last,
                keyed=keyed,
                part=number,
                parts=len(pieces),
                counts=counts if number == 0 else Counts(),
                documents=tuple(part),
                attempts=attempts,
            )
            for number, (target, keyed, attempts, part) in enumerate(pieces)
        ]

    @staticmethod
    def counts(outcome: Outcome, topic: str, partition: int) -> list[ServiceCounts]:
        """The records of `logs-counts`."""
        return outcome.tally.records(topic, partition)


def _singles(record: Decoded) -> list[Decoded]:
    return [
        Decoded(record.origin, record.received_at, [record.ids[i]], [record.events[i]])
        for i in range(len(record.events))
    ]


def _undecodable(record: RawRecord, reason: DeadLetter) -> DeadLetterRecord:
    known = envelope.identity(record)
    return DeadLetterRecord(
        event_id=event_id(known.id, 0),
        value=record.value or b"",
        holds="original",
        received_at=known.received_at,
        format="",
        source="kafka",
        peer="",
        target="",
        stage="decode",
        category=reason.category,
        error=reason.reason,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        index=0,
        attempts=known.attempts + 1,
    )


def _dead_event(record: Decoded, index: int, stage: str, reason: DeadLetter) -> DeadLetterRecord:
    origin = record.origin
    return DeadLetterRecord(
        event_id=record.ids[index],
        value=record.events[index],
        holds="original",
        received_at=record.received_at,
        format=origin.format,
        source=origin.source,
        peer=origin.peer,
        target="",
        stage=stage,
        category=reason.category,
        error=reason.reason,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        index=int(record.ids[index].rpartition("-")[2]),
        attempts=origin.attempts + 1,
        keyed=origin.keyed,
    )
