"""What travels on `logs-enriched`: documents of one target as NDJSON, and where they came from in the headers.

A range of source offsets may need several records (one a target, split by bytes); each says which of how many it is.
The range's counts stand on its first record. A range of which nothing is left sends one record without documents, so
that in = out + filtered + dead can be checked for every range (DESIGN §4, Topics).
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from logsync_streams.envelope import Headers
from logsync_streams.errors import DeadLetter

_ID_PREFIX = b'{"event":{"id":"'  # how `process` begins every document; the id is then a slice, not a parse
_ID_END = len(_ID_PREFIX) + 38


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of a range: received, dropped by a filter, sent to the dead letters. What is left is in the documents."""

    received: int = 0
    filtered: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Enriched:
    """One record. target: the write alias, "" when there are no documents. first, last: source offsets, inclusive.

    keyed: the ids may have been stored under yesterday's target too. part of parts: 0-based. counts: of the whole
    range, all zero on other than the first part. documents: JSON objects, one line each. attempts: how often these
    documents' events failed before; above 0 when they were replayed from the dead letters.
    """

    target: str
    topic: str
    partition: int
    first: int
    last: int
    keyed: bool
    part: int
    parts: int
    counts: Counts
    documents: tuple[bytes, ...]
    attempts: int = 0


def encode(record: Enriched) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The value and the headers of the Kafka record."""
    counts = record.counts
    replayed = [("logsync-attempts", str(record.attempts).encode())] if record.attempts else []
    return b"\n".join(record.documents), [
        ("logsync-target", record.target.encode()),
        ("logsync-range", f"{record.topic}:{record.partition}:{record.first}:{record.last}".encode()),
        ("logsync-keyed", b"1" if record.keyed else b"0"),
        ("logsync-part", f"{record.part}/{record.parts}".encode()),
        ("logsync-counts", f"{counts.received}/{counts.filtered}/{counts.dead}".encode()),
        *replayed,
    ]


def decode(value: bytes | None, headers: Headers) -> Enriched:
    """The record as it was encoded. Raises DeadLetter("undecodable") for what we did not write."""
    named = dict(headers)
    try:
        topic, partition, first, last = named["logsync-range"].decode().rsplit(":", 3)
        part, parts = named["logsync-part"].decode().split("/")
        received, filtered, dead = named["logsync-counts"].decode().split("/")
        return Enriched(
            target=named["logsync-target"].decode(),
            topic=topic,
            partition=int(partition),
            first=int(first),
            last=int(last),
            keyed=named["logsync-keyed"] == b"1",
            part=int(part),
            parts=int(parts),
            counts=Counts(int(received), int(filtered), int(dead)),
            documents=tuple(value.split(b"\n")) if value else (),
            attempts=int(named.get("logsync-attempts", b"0")),
        )
    except (KeyError, ValueError, AttributeError) as error:  # AttributeError: a header without a value
        raise DeadLetter("undecodable", f"not a record of logs-enriched: {error!r}") from error


def document_id(body: bytes) -> str:
    """`event.id` of a document. Raises DeadLetter("undecodable") when it has none."""
    if body.startswith(_ID_PREFIX) and body[_ID_END : _ID_END + 1] == b'"':
        return body[len(_ID_PREFIX) : _ID_END].decode()
    try:
        found = orjson.loads(body)["event"]["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DeadLetter("undecodable", f"a document without event.id: {error!r}") from error
    if not isinstance(found, str):
        raise DeadLetter("undecodable", f"event.id {found!r} is no text")
    return found
