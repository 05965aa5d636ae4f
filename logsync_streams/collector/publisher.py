"""What the doors hand their events to: envelopes on the raw topic, acknowledged before a door says yes.

`kafka_publisher.KafkaPublisher` is the real one, `MemoryPublisher` its twin for tests and trials; both pass one suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from logsync_streams import envelope as wire
from logsync_streams.envelope import Envelope
from logsync_streams.errors import Unavailable
from logsync_streams.events import uuid7_hex

Clock = Callable[[], int]  # epoch milliseconds

# What an event costs in an envelope beside its bytes: msgpack's bin32 head, rounded up.
EVENT_OVERHEAD_BYTES = 5


class Sender(NamedTuple):
    """Whose events these are: the kind of door, the parser's key, the sender's address ("" when unknown)."""

    source: str
    format: str
    peer: str


@dataclass(frozen=True, slots=True)
class Status:
    """accepted_events: acknowledged by Kafka. acknowledged: the highest acknowledged offset by topic and partition.
    waiting_events: taken by a door, not acknowledged yet. dropped_events: taken and given up at stop.
    """

    accepted_events: int = 0
    acknowledged: dict[str, dict[int, int]] = field(default_factory=dict)
    waiting_events: int = 0
    dropped_events: int = 0

    def as_json(self) -> dict[str, object]:
        return {
            "accepted_events": self.accepted_events,
            "acknowledged": {
                topic: {str(partition): offset for partition, offset in sorted(offsets.items())}
                for topic, offsets in self.acknowledged.items()
            },
            "waiting_events": self.waiting_events,
            "dropped_events": self.dropped_events,
        }


class Publisher(Protocol):
    async def start(self) -> None:
        """Begin to connect; returns at once, also when Kafka is away."""
        ...

    async def publish(self, sender: Sender, events: Sequence[bytes], *, key: str = "") -> list[str]:
        """The ids of the envelopes that hold the events, in order, after Kafka has acknowledged them all.

        events: each of at most `collector.max_event_bytes`. key: the hash of the sender's idempotency key, 32 hex
        digits, or "": with a key the events are in envelopes of their own, and their ids are the same at every try.
        Raises Unavailable when Kafka does not acknowledge in time or too much is waiting; the events may then have
        been written all the same. No events: no envelopes.
        """
        ...

    def offer(self, sender: Sender, event: bytes) -> None:
        """Take an event of a sender that waits for no answer, and hand it over as soon as Kafka can be reached.

        Raises Unavailable when too much is waiting: the event was not taken.
        """
        ...

    def unavailable(self) -> str:
        """Why nothing can be handed over now, "" when it can."""
        ...

    def status(self) -> Status: ...

    async def stop(self, timeout_seconds: float) -> None:
        """Hand over what was taken, for at most so long; count and log what is left."""
        ...


def envelopes(sender: Sender, events: Sequence[bytes], *, received_at: int, key: str = "") -> list[Envelope]:
    """The events in envelopes within the wire's bounds, in order; an event longer than the bound is alone in one."""
    made: list[Envelope] = []
    start = size = 0
    for position, data in enumerate(events):
        cost = len(data) + EVENT_OVERHEAD_BYTES
        if position > start and (position - start == wire.MAX_EVENTS or size + cost > wire.MAX_BYTES):
            made.append(_envelope(sender, events[start:position], received_at, key, start))
            start, size = position, 0
        size += cost
    if len(events) > start:
        made.append(_envelope(sender, events[start:], received_at, key, start))
    return made


def _envelope(sender: Sender, events: Sequence[bytes], received_at: int, key: str, first: int) -> Envelope:
    return Envelope(
        id=uuid7_hex(received_at),
        received_at=received_at,
        source=sender.source,
        format=sender.format,
        peer=sender.peer,
        events=tuple(events),
        key=key,
        first_index=first if key else 0,
    )


class MemoryPublisher:
    """The twin: keeps the envelopes in a list. `refuse_with` makes it unavailable, with that reason."""

    def __init__(self, clock: Clock, *, topic: str = "logs") -> None:
        self._clock, self._topic = clock, topic
        self.envelopes: list[Envelope] = []
        self.refuse_with = ""
        self._accepted = 0

    async def start(self) -> None:
        return

    async def publish(self, sender: Sender, events: Sequence[bytes], *, key: str = "") -> list[str]:
        if self.refuse_with:
            raise Unavailable(self.refuse_with)
        made = envelopes(sender, events, received_at=self._clock(), key=key)
        self.envelopes += made
        self._accepted += len(events)
        return [envelope.id for envelope in made]

    def offer(self, sender: Sender, event: bytes) -> None:
        if self.refuse_with:
            raise Unavailable(self.refuse_with)
        self.envelopes += envelopes(sender, [event], received_at=self._clock())
        self._accepted += 1

    def unavailable(self) -> str:
        return self.refuse_with

    def status(self) -> Status:
        acknowledged = {self._topic: {0: len(self.envelopes) - 1}} if self.envelopes else {}
        return Status(accepted_events=self._accepted, acknowledged=acknowledged)

    async def stop(self, timeout_seconds: float) -> None:
        return
