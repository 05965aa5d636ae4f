"""What travels on `logs-dlq`: one failed event, its reason, and everything that a replay needs (DESIGN §4, Topics).

A letter stays in the compacted topic until a record of the same key says that it was handled (docs/adr/0006).
"""

from __future__ import annotations

from dataclasses import dataclass

from logsync_streams.envelope import Headers

REPLAYED, DROPPED, ERASED = "replayed", "dropped", "erased"


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """One dead letter.

    value: the event's bytes as received where there are any, else the document. holds: "original" or "document",
    which of the two. stage: where it failed. category: of DEAD_LETTER_CATEGORIES; error: for people. target: the
    write alias, "" when it failed before it had one. topic, partition, offset, index: of the raw record.
    attempts: how often this event was tried and failed, this time included. keyed: its sender gave an idempotency
    key, so that a retry may have stored it under the next day's target.
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
    keyed: bool = False

    @property
    def key(self) -> bytes:
        """The Kafka record's key: the same when a redelivery makes the letter again, another when a replay fails."""
        return f"{self.event_id}/{self.stage}/{self.attempts}".encode()


_TEXTS = (
    "event_id",
    "holds",
    "format",
    "source",
    "peer",
    "target",
    "stage",
    "category",
    "error",
    "topic",
    "config_version",
)
_NUMBERS = ("received_at", "partition", "offset", "index", "attempts")
_KEYED = "logsync-keyed"
_HANDLED = "logsync-handled"
MAX_ERROR_LENGTH = 2000


def _header(name: str) -> str:
    return "logsync-" + name.replace("_", "-")


def encode(record: DeadLetterRecord) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of the Kafka record. The error is cut at MAX_ERROR_LENGTH characters."""
    headers = [
        (_header(name), str(getattr(record, name))[:MAX_ERROR_LENGTH].encode(errors="backslashreplace"))
        for name in _TEXTS + _NUMBERS
    ]
    return record.key, record.value, [*headers, (_KEYED, b"1" if record.keyed else b"0")]


def decode(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetterRecord:
    """The record as it was encoded. Raises ValueError for what we did not write, and for a mark."""
    named = dict(headers)
    try:
        texts = {name: named[_header(name)].decode() for name in _TEXTS}
        numbers = {name: int(named[_header(name)]) for name in _NUMBERS}
        keyed = named[_KEYED] == b"1"
    except KeyError as missing:
        raise ValueError(f"not a record of logs-dlq: header {missing} is missing") from missing
    return DeadLetterRecord(value=value or b"", keyed=keyed, **texts, **numbers)  # type: ignore[arg-type]  # names and types are those of the dataclass, by the two tuples above


def encode_handled(record: DeadLetterRecord, how: str) -> tuple[bytes, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of the mark that the letter was handled: REPLAYED, DROPPED or ERASED.

    The mark of a drop stays for ever, for every drop is counted; the others have no value, so that compaction forgets
    them in the end (an erasure has its receipt).
    """
    headers = [
        (_HANDLED, how.encode()),
        ("logsync-stage", record.stage.encode()),
        ("logsync-category", record.category.encode()),
    ]
    return record.key, how.encode() if how == DROPPED else None, headers


def handled(value: bytes | None, headers: Headers) -> str:
    """How the record says that its letter was handled, "" when it is a letter. No value at all is a mark as well."""
    said = dict(headers).get(_HANDLED, b"").decode(errors="replace")
    return said or ("" if value is not None else REPLAYED)
