"""The event, its level and its id: the words that every part of the pipeline shares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

# An event's document: ECS field names nested as they are stored, e.g. {"log": {"level": "error"}, "message": "…"}.
Fields = dict[str, Any]

EVENT_ID_LENGTH = 38  # 32 hex digits, "-", five digits of index (DESIGN §4, Identity)
MAX_EVENTS_PER_ENVELOPE_ID = 100_000  # what five digits can number

# Canonical level -> OpenTelemetry severity number (log data model, appendix B), kept as `event.severity`.
SEVERITIES: dict[str, int] = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "notice": 10,
    "warn": 13,
    "error": 17,
    "critical": 18,
    "fatal": 21,
}
ERROR_SEVERITY = SEVERITIES["error"]  # from here on a log counts as an error

# What senders write -> our canonical level. Compared in lower case.
LEVEL_ALIASES: dict[str, str] = {
    **{level: level for level in SEVERITIES},
    "verbose": "trace",
    "finest": "trace",
    "dbg": "debug",
    "fine": "debug",
    "information": "info",
    "informational": "info",
    "warning": "warn",
    "wrn": "warn",
    "err": "error",
    "severe": "error",
    "crit": "critical",
    "alert": "critical",
    "emerg": "fatal",
    "emergency": "fatal",
    "panic": "fatal",
}
ERROR_LEVELS = frozenset(level for level, number in SEVERITIES.items() if number >= ERROR_SEVERITY)


def canonical_level(text: str) -> str:
    """Our name of a level as senders write it; an unknown word is kept, in lower case, cut at 32 characters."""
    word = text.strip().lower()[:32].rstrip()  # stripped again: the canonical form of a canonical form is itself
    return LEVEL_ALIASES.get(word, word)


class Origin(NamedTuple):  # made in a third of the time of a frozen dataclass: other producers' events have one each
    """Where the events of one Kafka record came from; shared by all events of that record.

    topic, partition, offset: of the raw record. append_time: the record's timestamp, epoch ms. source: the kind of
    door ("http", "syslog-udp", …, "kafka" for foreign records). peer: the sender's address, "" when unknown.
    format: the key of the parser. key: 32 hex digits when the sender gave an idempotency key, else "".
    attempts: how often the events failed before; above 0 only when they were replayed from the dead letters.
    """

    topic: str
    partition: int
    offset: int
    append_time: int
    source: str
    peer: str
    format: str
    key: str = ""
    attempts: int = 0

    @property
    def keyed(self) -> bool:
        """True when redelivery may fall on another receive day, so that `index` looks at yesterday's index too."""
        return self.key != ""


@dataclass(slots=True)
class Event:
    """One log on its way through `process`. Stages change `fields` in place or leave the event out.

    id: `event.id`, the same at every redelivery. received_at: epoch ms of our clock at the door (or the foreign
    record's append time). fields: the document so far. original: the bytes as received.
    """

    id: str
    received_at: int
    fields: Fields
    original: bytes
    origin: Origin
    dataset: str = field(default="")  # routed explicitly by a filter rule; "" = by the retention policies

    @property
    def service(self) -> str:
        """`service.name`, or "" when the sender did not say."""
        service = self.fields.get("service")
        return service.get("name", "") if service else ""

    @property
    def level(self) -> str:
        """`log.level` (canonical), or "" when the sender did not say."""
        log = self.fields.get("log")
        return log.get("level", "") if log else ""

    @property
    def environment(self) -> str:
        """`service.environment`, or ""."""
        service = self.fields.get("service")
        return service.get("environment", "") if service else ""


def uuid7_hex(now_ms: int) -> str:
    """A UUID version 7 (RFC 9562 section 5.7) as 32 hex digits: sorts by `now_ms`, epoch milliseconds."""
    random = int.from_bytes(os.urandom(10), "big")
    rand_a, rand_b = random >> 68, random & ((1 << 62) - 1)
    value = (now_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    return f"{value:032x}"


def event_id(envelope_id: str, index: int) -> str:
    """`<32 hex digits>-<five-digit index>`: string order is arrival order within an envelope."""
    return f"{envelope_id}-{index:05d}"


def keyed_event_id(key: str, index: int, data: bytes) -> str:
    """The id of event `index` of a request with an idempotency key: the same key with another body is another event.

    key: the 32 hex digits of `idempotency_key_hash`.
    """
    digest = hashlib.blake2b(data, digest_size=16, key=bytes.fromhex(key), salt=index.to_bytes(16, "big"))
    return event_id(digest.hexdigest(), index)


def idempotency_key_hash(scope: str, key: bytes) -> str:
    """32 hex digits of a sender's key within a scope (the door), so that two doors' keys never meet."""
    return hashlib.blake2b(key, digest_size=16, person=scope.encode()[:16]).hexdigest()


def foreign_record_id(topic: str, partition: int, offset: int, timestamp: int, value: bytes) -> str:
    """32 hex digits for a record that carries no envelope: offsets come again when a topic is recreated."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{topic}\0{partition}\0{offset}\0{timestamp}\0".encode())
    digest.update(value)
    return digest.hexdigest()


_DAY_MS = 86_400_000
_FRACTIONS = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))


@lru_cache(maxsize=4096)  # a batch's events share few seconds; formatting is otherwise a tenth of an event's cost
def _second(epoch_seconds: int) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_time(epoch_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, as every time is stored. Raises ValueError outside the years 1 to 9999."""
    seconds, milliseconds = divmod(epoch_ms, 1000)
    try:
        return _second(seconds) + _FRACTIONS[milliseconds]
    except (OverflowError, OSError) as error:
        raise ValueError(f"{epoch_ms} ms is no time that a calendar has") from error


def receive_days(received_at: Iterable[int]) -> set[date]:
    """The UTC days of many receive times: the calendar is asked once a day, not once a time."""
    return {receive_day(number * _DAY_MS) for number in {time // _DAY_MS for time in received_at}}


def receive_day(received_at: int) -> date:
    """The UTC day of an epoch-milliseconds receive time: it decides the index, for ever."""
    return datetime.fromtimestamp(received_at / 1000, UTC).date()
