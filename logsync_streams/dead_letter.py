"""What travels on `logs-dlq`: one failed event, its reason, and everything that a replay needs (DESIGN §4, Topics)."""

from __future__ import annotations

from dataclasses import dataclass

from logsync_streams.envelope import Headers


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """One dead letter.

    value: the event's bytes as received where there are any, else the document. holds: "original" or "document",
    which of the two. stage: where it failed. category: of DEAD_LETTER_CATEGORIES; error: for people. target: the
    write alias, "" when it failed before it had one. topic, partition, offset, index: of the raw record.
    attempts: how often this event was tried and failed, this time included.
    """

    event_id: str
    value: bytes
    holds: str
    received_at: int
    format: str
    source: str
    peer: str
    target: str
    stage: str
    category: str
    error: str
    topic: str
    partition: int
    offset: int
    index: int
    attempts: int = 1
    config_version: str = ""


_TEXTS = ("holds", "format", "source", "peer", "target", "stage", "category", "error", "topic", "config_version")
_NUMBERS = ("received_at", "partition", "offset", "index", "attempts")
MAX_ERROR_LENGTH = 2000


def _header(name: str) -> str:
    return "logsync-" + name.replace("_", "-")


def encode(record: DeadLetterRecord) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of the Kafka record. The error is cut at MAX_ERROR_LENGTH characters."""
    headers = [
        (_header(name), str(getattr(record, name))[:MAX_ERROR_LENGTH].encode(errors="backslashreplace"))
        for name in _TEXTS + _NUMBERS
    ]
    return record.event_id.encode(), record.value, headers


def decode(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetterRecord:
    """The record as it was encoded. Raises ValueError for what we did not write."""
    named = dict(headers)
    try:
        texts = {name: named[_header(name)].decode() for name in _TEXTS}
        numbers = {name: int(named[_header(name)]) for name in _NUMBERS}
    except KeyError as missing:
        raise ValueError(f"not a record of logs-dlq: header {missing} is missing") from missing
    return DeadLetterRecord(event_id=(key or b"").decode(), value=value or b"", **texts, **numbers)  # type: ignore[arg-type]  # names and types are those of the dataclass, by the two tuples above
