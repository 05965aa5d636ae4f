"""The index stream without Kafka: records handed over by the take, acknowledgements and dead letters noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from itertools import count
from types import SimpleNamespace
from typing import Any

from agents.index import Limits
from agents.targets import Targets
from logsync_streams import enriched
from logsync_streams.enriched import Counts, Enriched, document_id
from logsync_streams.storage.api import EventWriter
from logsync_streams.storage.factory import Store
from logsync_streams.streams.index import IndexStream
from tables.assignments import Assignment, Assignments
from tables.erased import ErasedIds
from tests.unit.samples import OneDataset

LIMITS = Limits(
    bulk_bytes=1_000_000, bulk_documents=100, retry_first_seconds=0.01, retry_longest_seconds=0.05, poison_share=0.5
)
KEY_WINDOW_MS = 3_600_000


class Takes:
    """A Faust stream of these takes. acked: the offsets acknowledged, in order."""

    def __init__(self, *takes: Sequence[Enriched]) -> None:
        self._takes = takes
        self.acked: list[int] = []

    async def noack_take(self, max_: int, within: float) -> AsyncIterator[list[Any]]:
        offset = 0
        for take in self._takes:
            events = []
            for record in take:
                value, headers = enriched.encode(record)
                message = SimpleNamespace(
                    value=value,
                    headers=headers,
                    topic="logs-enriched",
                    partition=0,
                    offset=offset,
                    timestamp=0.0,
                    generation_id=1,
                )
                events.append(SimpleNamespace(message=message))
                offset += 1
            yield events

    async def ack(self, event: Any) -> None:
        self.acked.append(event.message.offset)


class DeadTopic:
    """Notes what is sent to it: event id -> (value, headers)."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, bytes, dict[str, bytes]]] = []

    async def send(self, *, key: Any, value: Any, partition: Any, headers: Any) -> Any:
        self.letters.append((key.decode(), value, dict(headers)))
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


class Path:
    """An index stream over a store. now: epoch ms, may be changed; tombstones: targets dropped for ever; state:
    `logs-state`, read again each time.
    """

    def __init__(self, store: Store, now: int, writer: EventWriter | None = None, **limits: Any) -> None:
        self.now, self.dead, self.tombstones = now, DeadTopic(), set[str]()
        self.state: dict[str, bytes] = {}
        self._seconds = count(step=60)  # a minute between any two looks: all that is known is old
        self.decided: Callable[[date], Assignment] = lambda day: OneDataset()
        self.targets = Targets(store.admin, store.reader, 3, lambda: self.now, lambda alias: alias in self.tombstones)
        self.stream = IndexStream(
            writer or store.writer,
            self.targets,
            Assignments(self._decide),
            Limits(**({name: getattr(LIMITS, name) for name in LIMITS.__slots__} | limits)),
            dead_topic=self.dead,  # type: ignore[arg-type]  # the part of a topic that is used
            now=lambda: self.now,
            key_window_ms=KEY_WINDOW_MS,
            erased=ErasedIds(self._read_state, lambda: self.now, monotonic=lambda: next(self._seconds)),
        )

    async def _read_state(self) -> dict[str, bytes]:
        return self.state

    async def _decide(self, day: date) -> Assignment:
        return self.decided(day)

    async def index(self, *takes: Sequence[Enriched]) -> list[int]:
        """Settle the takes; the offsets acknowledged, in order."""
        stream = Takes(*takes)
        await asyncio.wait_for(self.stream.run(stream), 60)
        return stream.acked


def record(target: str, *bodies: bytes, keyed: bool = False, offset: int = 0, attempts: int = 0) -> Enriched:
    """A record of `logs-enriched` with these documents."""
    return Enriched(target, "logs", 0, offset, offset, keyed, 0, 1, Counts(len(bodies)), bodies, attempts)


def ids(bodies: Sequence[bytes]) -> list[str]:
    return [document_id(body) for body in bodies]
