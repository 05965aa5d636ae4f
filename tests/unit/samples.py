"""Events, records and stages for the unit tests: the smallest that make sense."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from datetime import date
from typing import Any

import orjson

from agents.enrich import enrichments
from agents.horizon import by_append_time
from agents.process import Processor
from logsync_streams.envelope import Envelope, RawRecord, encode
from logsync_streams.events import Event, Fields, Origin
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import ProcessSettings

RECEIVED_AT = 1_795_557_600_123  # 2026-11-24T22:00:00.123Z
DAY = date(2026, 11, 24)
ENVELOPE_ID = "0192f3e4a5b67c8d9e0f102030405060"
ORIGIN = Origin("logs", 0, 7, RECEIVED_AT, "http", "127.0.0.1:4711", "json")


def event(index: int = 0, origin: Origin = ORIGIN, **fields: Any) -> Event:
    return Event(f"{ENVELOPE_ID}-{index:05d}", RECEIVED_AT, fields, orjson.dumps(fields), origin)


async def feed(events: Iterable[Event]) -> AsyncIterator[Event]:
    for one in events:
        yield one


def raw(value: bytes | None, offset: int = 7, headers: Any = (), timestamp: int = RECEIVED_AT) -> RawRecord:
    return RawRecord("logs", 0, offset, timestamp, value, headers)


def enveloped(*logs: Fields | bytes, offset: int = 7, envelope_id: str = ENVELOPE_ID, **given: Any) -> RawRecord:
    events = tuple(log if isinstance(log, bytes) else orjson.dumps(log) for log in logs)
    known: dict[str, Any] = {
        "received_at": RECEIVED_AT,
        "source": "http",
        "format": "json",
        "peer": "127.0.0.1:4711",
    } | given
    value, headers = encode(Envelope(id=envelope_id, events=events, **known))
    return raw(value, offset, headers)


class OneDataset:
    """An assignment: `default`, but for the services that have a dataset of their own."""

    def __init__(self, routes: str = "[]", **datasets: str) -> None:
        self.datasets, self.routes = datasets, routes

    def dataset(self, service: str) -> str:
        return self.datasets.get(service, "default")

    def possible_datasets(self, service: str) -> set[str]:
        return {self.dataset(service)}


def processor(**changes: Any) -> Processor:
    settings = ProcessSettings()
    parts: dict[str, Any] = {
        "parsers": PARSERS,
        "rules": settings.filter_rules,
        "steps": enrichments({}),
        "keep_original": True,
        "max_enriched_bytes": settings.max_enriched_bytes,
        "receive_time": by_append_time,
    }
    return Processor(**(parts | changes))


class Terminal(io.StringIO):
    """A standard input that is a terminal, at which this was typed."""

    def isatty(self) -> bool:
        return True
