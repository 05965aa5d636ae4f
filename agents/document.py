"""The stored document of an event: ECS names, one JSON object on one line, `event.id` first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from logsync_streams.events import Event, iso_time
from logsync_streams.words import searched_words

_ingested = lru_cache(maxsize=64)(iso_time)  # all events of a record were received at one time
_NOTHING: dict[str, Any] = {}


def document(event: Event, dataset: str, *, keep_original: bool) -> bytes:
    """The bytes that are stored for this event; a pure function, so that redelivery stores the same.

    `event.id` comes first, where `enriched.document_id` finds it without parsing. The event's own fields are used up.
    """
    fields = event.fields
    about: dict[str, Any] = {"id": event.id, "ingested": _ingested(event.received_at), "dataset": dataset}
    for name, value in fields.pop("event", _NOTHING).items():
        about.setdefault(name, value)
    if keep_original:
        about["original"] = event.original.decode("utf-8", "replace")
    timestamp = fields.pop("@timestamp", event.received_at)
    try:
        shown = iso_time(timestamp)
    except ValueError:
        shown = about["ingested"]  # no calendar has the sender's time; it stays in event.original
    searched = searched_words(fields)
    if searched:
        fields.setdefault("logsync", {})["words"] = searched
    return orjson.dumps({"event": about, "@timestamp": shown, **fields})
