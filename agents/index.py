"""Indexing: documents in, every one of them settled out: stored, a duplicate, or in the dead letters.

The store's answer for each document is one of the three reactions of DESIGN §4. Nothing here knows which store it is.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from logsync_streams import metrics
from logsync_streams.errors import DeadLetter
from logsync_streams.storage.api import Document, EventWriter, Outcome, Reaction

log = logging.getLogger(__name__)

# A smaller batch that is mostly poison says nothing about the store.
MIN_BATCH_FOR_POISON_SHARE = 20

OnDead = Callable[[list[tuple[Document, Outcome]]], Awaitable[None]]
OnBlocked = Callable[[str], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a bulk request and of the pauses between retries (settings.IndexSettings)."""

    bulk_bytes: int
    bulk_documents: int
    retry_first_seconds: float
    retry_longest_seconds: float
    poison_share: float


@dataclass(slots=True)
class Settled:
    """How a batch ended."""

    stored: int = 0
    duplicates: int = 0
    dead: int = 0


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
    """Writes until everything is settled.

    on_dead: takes dead letters and returns when they are in Kafka. on_blocked(target): the archive blocked the
    target's index; opens the next generation. sleep and random: passed in for tests.
    """

    writer: EventWriter
    limits: Limits
    on_dead: OnDead
    on_blocked: OnBlocked
    sleep: Sleep = asyncio.sleep
    jitter: Callable[[float, float], float] = random.uniform
    _held: int = field(default=0, init=False)

    async def settle(self, documents: Sequence[Document]) -> Settled:
        """Return when each document is stored, was there already, or is in the dead letters. Raises nothing but what
        on_dead or cancellation raise: a store that is away or refuses is waited for.
        """
        settled = Settled()
        for bulk in bulks(documents, self.limits):
            await self._settle_bulk(bulk, settled)
        return settled

    async def _settle_bulk(self, bulk: list[Document], settled: Settled) -> None:
        pending, attempt = [bulk], 0
        while pending:
            again: list[list[Document]] = []
            held: list[Outcome] = []
            for part in pending:
                outcomes = await self.writer.write(part)
                await self._sort(part, outcomes, settled, again, held)
            self._alarm(held)
            pending = again
            if pending:
                attempt += 1
                await self.sleep(self._pause(attempt))
        self._alarm([])

    async def _sort(
        self,
        part: list[Document],
        outcomes: list[Outcome],
        settled: Settled,
        again: list[list[Document]],
        held: list[Outcome],
    ) -> None:
        retry: list[Document] = []
        split: list[Document] = []
        poison: list[tuple[Document, Outcome]] = []
        blocked: set[str] = set()
        for document, outcome in zip(part, outcomes, strict=True):
            reaction = outcome.reaction
            if reaction is Reaction.STORED:
                settled.stored += 1
            elif reaction is Reaction.DUPLICATE:
                settled.duplicates += 1
            elif reaction is Reaction.DEAD_LETTER:
                poison.append((document, outcome))
            elif reaction is Reaction.SPLIT:
                split.append(document)
            else:
                retry.append(document)
                metrics.retries.labels(outcome.reason or reaction.value).inc()
                if outcome.reason == "write_blocked":
                    blocked.add(document.target)
                if reaction is Reaction.HOLD:
                    held.append(outcome)
        if len(split) == 1:
            poison.append((split[0], Outcome(Reaction.DEAD_LETTER, "too_large", "too large alone", "too_large")))
        elif split:
            again += halves(split)
        if poison and len(part) >= MIN_BATCH_FOR_POISON_SHARE and len(poison) > self.limits.poison_share * len(part):
            # So many at once is the cluster's fault or ours, not the documents' (DESIGN §4): hold and alarm.
            held += [outcome for _, outcome in poison]
            retry += [document for document, _ in poison]
        elif poison:
            await self.on_dead(poison)
            settled.dead += len(poison)
        for target in sorted(blocked):
            await self.on_blocked(target)
        if retry:
            again.append(retry)

    def _pause(self, attempt: int) -> float:
        # Full jitter (AWS builders' library): workers that failed together do not come back together.
        longest = min(self.limits.retry_longest_seconds, self.limits.retry_first_seconds * 2 ** min(attempt - 1, 20))
        return self.jitter(0, longest) if attempt > 1 else self.jitter(longest / 2, longest)

    def _alarm(self, held: list[Outcome]) -> None:
        if len(held) != self._held:
            self._held = len(held)
            metrics.held.set(len(held))
            if held:
                first = held[0]
                log.error("the store refuses %d documents, holding: %s: %s", len(held), first.reason, first.detail)


def dead_letter_reason(outcome: Outcome) -> DeadLetter:
    """The dead letter's category and text for an outcome of that reaction."""
    return DeadLetter(outcome.category, f"{outcome.reason}: {outcome.detail}" if outcome.detail else outcome.reason)
