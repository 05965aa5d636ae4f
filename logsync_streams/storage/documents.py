"""Stored documents in and out, for the stores that read the bodies themselves, and their answers in common words."""

from __future__ import annotations

from typing import Any

import orjson

from logsync_streams.storage import values
from logsync_streams.storage.api import Cursor, Hit, Outcome, Reaction, Stored
from logsync_streams.storage.naming import IndexName, parse_index

ALIAS_MISSING = "alias_missing"
WRITE_BLOCKED = "write_blocked"


def read_body(body: bytes) -> tuple[dict[str, Any], int]:
    """The document and its @timestamp (epoch ms). Raises ValueError when it is no JSON object or has no time."""
    parsed = orjson.loads(body)
    if not isinstance(parsed, dict):
        raise ValueError("a JSON object is expected")
    timestamp = values.date_ms(parsed.get("@timestamp"))
    if timestamp is None:
        raise ValueError(f"@timestamp {parsed.get('@timestamp')!r} is no ISO-8601 time")
    return parsed, timestamp


def hit(index: str, place: Cursor, document: dict[str, Any]) -> Hit:
    """The answer for a stored document, without the fields that only serve the search; `document` is not changed."""
    return Hit(index=index, id=place.id, timestamp=place.timestamp, document=without_words(document))


def without_words(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the fields that only serve the search; the same object where it has none."""
    ours = document.get("logsync")
    if isinstance(ours, dict) and "words" in ours:
        left = {key: value for key, value in ours.items() if key != "words"}
        document = {key: value for key, value in document.items() if key != "logsync"} | (
            {"logsync": left} if left else {}
        )
    return document


def stored(id: str, body: bytes) -> Stored:
    """The answer of a scan for a document as it was written."""
    if b'"words"' not in body:
        return Stored(id, body)
    return Stored(id, orjson.dumps(without_words(orjson.loads(body))))


def event_alias(target: str) -> IndexName:
    """The name of a write alias taken apart (generation 0). Raises ValueError when it is not one of ours."""
    name = parse_index(target)
    if name is None or name.generation:
        raise ValueError(f"{target!r} is not a write alias: logsync-<dataset>-YYYY.MM.DD is expected")
    return name


def alias_missing(target: str) -> Outcome:
    return Outcome(Reaction.HOLD, ALIAS_MISSING, f"there is no index behind {target}")


def write_blocked(index: str) -> Outcome:
    return Outcome(Reaction.RETRY, WRITE_BLOCKED, f"{index} takes no more writes: it is being archived")


def unreadable(error: ValueError) -> Outcome:
    return Outcome(Reaction.DEAD_LETTER, "document_unreadable", str(error), category="mapping")
