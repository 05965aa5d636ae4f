"""Indexing: documents in, every one of them settled out: stored, a duplicate, erased, or in the dead letters.

The store's answer for each document is one of the three reactions of DESIGN §4. Nothing here knows which store it is.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from agents.aside import move_aside
from agents.window import Window
from logsync_streams import metrics
from logsync_streams.errors import DeadLetter
from logsync_streams.storage.api import STORED, Document, EventWriter, Outcome, Reaction
from logsync_streams.storage.documents import ALIAS_MISSING, WRITE_BLOCKED
from tables.erased import Among, nobody_erased

log = logging.getLogger(__name__)

# A smaller batch that is mostly poison says nothing about the store.
MIN_BATCH_FOR_POISON_SHARE = 20
# A document whose fields are refused one after the other is no log of ours.
MAX_MOVED_FIELDS = 16

ERASED = Outcome(Reaction.ERASED)
EXPIRED = Outcome(Reaction.DEAD_LETTER, "expired", "its day was archived and dropped", "expired")
_TOO_LARGE = Outcome(Reaction.DEAD_LETTER, "too_large", "too large alone", "too_large")

Letters = list[tuple[Document, Outcome]]
OnDead = Callable[[Letters], Awaitable[None]]
OnBlocked = Callable[[str], Awaitable[bool]]
OnMissing = Callable[[str], Awaitable[bool]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a bulk request and of the pauses between retries (settings.IndexSettings)."""

    bulk_bytes: int
    bulk_documents: int
    retry_first_seconds: float
    retry_longest_seconds: float
    poison_share: float
    bulks_in_flight: int = 2


@dataclass(slots=True)
class Settled:
    """How a batch ended."""

    stored: int = 0
    duplicates: int = 0
    dead: int = 0
    erased: int = 0


@dataclass(slots=True)
class _Bulk:
    """One bulk request's documents on their way. originals: as they came, of those of which a field was moved."""

    on_dead: OnDead
    poison_share: float
    settled: Settled
    originals: dict[str, Document] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    held: int = 0

    def original(self, document: Document) -> Document:
        return self.originals.get(document.id, document)


@dataclass(slots=True)
class _Answers:
    """What the answers to one request ask for."""

    retry: list[Document] = field(default_factory=list)
    at_once: list[Document] = field(default_factory=list)  # a field was moved aside: nothing to wait for
    split: list[Document] = field(default_factory=list)  # nor here: smaller requests will do
    poison: Letters = field(default_factory=list)
    held: list[Outcome] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


def bulks(documents: Sequence[Document], limits: Limits) -> list[list[Document]]:
    """The documents in order, in bulk requests within the bounds; one that is larger alone is alone."""
    found: list[list[Document]] = []
    size = 0
    for document in documents:
        length = len(document.body)
        if not found or len(found[-1]) >= limits.bulk_documents or size + length > limits.bulk_bytes:
            found.append([])
            size = 0
        found[-1].append(document)
        size += length
    return found


def halves(documents: list[Document]) -> list[list[Document]]:
    """A bulk that was too large, as two; one document cannot be halved."""
    middle = len(documents) // 2
    return [documents[:middle], documents[middle:]] if middle else [documents]


@dataclass
class Indexer:
    """Writes until everything is settled, a few bulk requests at a time.

    on_blocked(target): the archive blocked the target's index; opens the next generation, or answers true when the day
    is being dropped for ever. on_missing(target): the target is not there any more; true when it was dropped for ever.
    erased(ids): those that were erased for ever, asked before each write: they are refused. sleep and jitter: passed in
    for tests.
    """

    writer: EventWriter
    limits: Limits
    on_blocked: OnBlocked
    on_missing: OnMissing
    erased: Among = nobody_erased
    sleep: Sleep = asyncio.sleep
    jitter: Callable[[float, float], float] = random.uniform
    _held: int = field(default=0, init=False)
    window: Window = field(init=False)

    def __post_init__(self) -> None:
        self.window = Window(self.limits.bulks_in_flight, metrics.bulk_window.set)

    async def settle(
        self, documents: Sequence[Document], on_dead: OnDead, *, poison_share: float | None = None
    ) -> Settled:
        """Return when each document is stored, was there already, was erased, or is in the dead letters: a store that
        is away or refuses is waited for. on_dead takes dead letters and returns when they are in Kafka. poison_share:
        another than the limits'. May be called again before it has returned. Raises what on_dead raises, alone or in a
        group.
        """
        settled = Settled()
        share = self.limits.poison_share if poison_share is None else poison_share
        parts = bulks(documents, self.limits)
        if len(parts) == 1:
            await self._settle_bulk(parts[0], _Bulk(on_dead, share, settled))
        else:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self._settle_bulk(part, _Bulk(on_dead, share, settled)))
        return settled

    async def _settle_bulk(self, documents: list[Document], bulk: _Bulk) -> None:
        pending, left, attempt = [documents], len(documents), 0
        try:
            while pending:
                again: list[list[Document]] = []
                held: list[Outcome] = []
                parts = deque(pending)
                while parts:
                    part = parts.popleft()
                    answers = self._sorted(part, await self._write(part), bulk)
                    await self._react(part, answers, bulk)
                    held += answers.held
                    again += [answers.retry] if answers.retry else []
                    parts.extend(smaller for smaller in (*halves(answers.split), answers.at_once) if smaller)
                self._alarm(bulk, held)
                pending, before, left = again, left, sum(map(len, again))
                if pending:
                    # A store that takes some of them needs a moment, not ever longer ones.
                    attempt = 1 if left < before else attempt + 1
                    await self.sleep(self._pause(attempt))
        finally:
            self._alarm(bulk, [])

    async def _write(self, part: list[Document]) -> list[Outcome]:
        permit = await self.window.enter()
        overloaded = True  # an answer that never came
        try:
            erased = await self.erased([document.id for document in part])
            fresh = [document for document in part if document.id not in erased] if erased else part
            outcomes = await self.writer.write(fresh) if fresh else []
            overloaded = outcomes.count(STORED) < len(fresh) and any(
                one.reaction is Reaction.RETRY and one.reason != WRITE_BLOCKED for one in outcomes
            )
        finally:
            self.window.leave(permit, overloaded=overloaded)
        if not erased:
            return outcomes
        answered = iter(outcomes)
        return [ERASED if document.id in erased else next(answered) for document in part]

    def _sorted(self, part: list[Document], outcomes: list[Outcome], bulk: _Bulk) -> _Answers:
        answers = _Answers()
        if outcomes.count(STORED) == len(outcomes) == len(part):  # as nearly always
            bulk.settled.stored += len(part)
            return answers
        for document, outcome in zip(part, outcomes, strict=True):
            reaction = outcome.reaction
            if reaction is Reaction.STORED:
                bulk.settled.stored += 1
            elif reaction is Reaction.DUPLICATE:
                bulk.settled.duplicates += 1
            elif reaction is Reaction.ERASED:
                bulk.settled.erased += 1
            elif reaction is Reaction.DEAD_LETTER:
                moved = self._moved(document, outcome, bulk)
                if moved is None:
                    answers.poison.append((document, outcome))
                else:
                    answers.at_once.append(moved)
            elif reaction is Reaction.SPLIT:
                answers.split.append(document)
            else:
                answers.retry.append(document)
                metrics.retries.labels(outcome.reason or reaction.value).inc()
                if reaction is Reaction.HOLD:
                    answers.held.append(outcome)
                if outcome.reason == WRITE_BLOCKED:
                    answers.blocked.add(document.target)
                elif outcome.reason == ALIAS_MISSING:
                    answers.missing.add(document.target)
        return answers

    @staticmethod
    def _moved(document: Document, outcome: Outcome, bulk: _Bulk) -> Document | None:
        """The document without the field that the store refuses, None when it is the document that it refuses."""
        times = bulk.moved.get(document.id, 0)
        body = move_aside(document.body, outcome.field) if outcome.field and times < MAX_MOVED_FIELDS else None
        if body is None:
            return None
        if not bulk.moved:  # one line a bulk: there may be thousands
            log.warning("the store refuses fields of some logs, they are moved to labels: %s", outcome.detail)
        if not times:
            metrics.moved_fields.inc()
        bulk.moved[document.id] = times + 1
        bulk.originals.setdefault(document.id, document)
        return document._replace(body=body)

    async def _react(self, part: list[Document], answers: _Answers, bulk: _Bulk) -> None:
        poison = answers.poison
        if len(answers.split) == 1:
            poison.append((answers.split.pop(), _TOO_LARGE))
        if len(part) >= MIN_BATCH_FOR_POISON_SHARE and len(poison) > bulk.poison_share * len(part):
            # So many at once is the cluster's fault or ours, not the documents' (DESIGN §4): hold and alarm.
            answers.held += [outcome for _, outcome in poison]
            answers.retry += [document for document, _ in poison]
            poison = []
        expired = {target for target in sorted(answers.missing) if await self.on_missing(target)}
        expired |= {target for target in sorted(answers.blocked) if await self.on_blocked(target)}
        if expired:
            poison += [(document, EXPIRED) for document in answers.retry if document.target in expired]
            answers.retry = [document for document in answers.retry if document.target not in expired]
        if poison:
            await bulk.on_dead([(bulk.original(document), outcome) for document, outcome in poison])
            bulk.settled.dead += len(poison)

    def _pause(self, attempt: int) -> float:
        # Full jitter (AWS builders' library): workers that failed together do not come back together.
        longest = min(self.limits.retry_longest_seconds, self.limits.retry_first_seconds * 2 ** min(attempt - 1, 20))
        return self.jitter(0, longest) if attempt > 1 else self.jitter(longest / 2, longest)

    def _alarm(self, bulk: _Bulk, held: list[Outcome]) -> None:
        if len(held) == bulk.held:
            return
        self._held += len(held) - bulk.held
        bulk.held = len(held)
        metrics.held.set(self._held)
        if held:
            first = held[0]
            log.error("the store refuses %d documents, holding: %s: %s", len(held), first.reason, first.detail)


def dead_letter_reason(outcome: Outcome) -> DeadLetter:
    """The dead letter's category and text for an outcome of that reaction."""
    return DeadLetter(outcome.category, f"{outcome.reason}: {outcome.detail}" if outcome.detail else outcome.reason)
