"""Enrichment: what we know about a log beyond what its sender said. Each step is a function that changes one event.

What a message itself holds is read first, before the log is counted and filtered: a level that stands in there must be
the same in the error rates, in the filter and in the document.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from agents.enrichments.catalogue import Catalogue, add_catalogue, read_catalogue, watched_catalogue
from agents.enrichments.correlation import add_correlation_id
from agents.enrichments.exceptions import add_exception
from agents.enrichments.geo import geo
from agents.enrichments.hosts import watched_hosts
from agents.enrichments.messages import message_parsing, read_message_parsers
from agents.enrichments.user_agent import user_agent
from logsync_streams.errors import ConfigurationError
from logsync_streams.events import SEVERITIES, Event
from logsync_streams.settings import ProcessSettings

__all__ = [
    "Catalogue",
    "Enrichment",
    "Steps",
    "add_catalogue",
    "add_correlation_id",
    "add_severity",
    "add_source",
    "configured_enrichments",
    "enrich",
    "enrichments",
    "read_catalogue",
]

Enrichment = Callable[[Event], None]


class Steps(NamedTuple):
    """reading: what finds fields in the message, before the count; enriching: what adds to the logs that go on."""

    reading: list[Enrichment]
    enriching: list[Enrichment]


def add_severity(event: Event) -> None:
    """`event.severity`: the OpenTelemetry number of the level, so that "at least" can be asked for."""
    number = SEVERITIES.get(event.level)
    if number is not None:
        event.fields.setdefault("event", {}).setdefault("severity", number)


def add_source(event: Event) -> None:
    """`logsync.source` (the kind of door) and the sender's address."""
    origin = event.origin
    event.fields.setdefault("logsync", {})["source"] = origin.source
    if origin.peer:
        event.fields.setdefault("source", _address(origin.peer).copy())  # later steps add to it


@lru_cache(maxsize=256)  # all events of a record came from one
def _address(peer: str) -> dict[str, Any]:
    host, _, port = peer.rpartition(":")
    address: dict[str, Any] = {"ip": host.strip("[]") or peer}
    if port.isdigit():
        address["port"] = int(port)
    return address


def enrichments(catalogue: Catalogue, *, after: Sequence[Enrichment] = ()) -> list[Enrichment]:
    """The enrichments in their order; a new one is a file in agents/enrichments/ and a line here.

    after: those that need the others' fields.
    """
    return [
        add_exception,
        add_severity,
        add_source,
        add_correlation_id,
        *([partial(add_catalogue, catalogue=catalogue)] if catalogue else []),
        *after,
    ]


def configured_enrichments(settings: ProcessSettings) -> Steps:
    """The enrichments as the settings want them. Raises ConfigurationError with every problem of their files."""
    problems: list[str] = []

    def made(make: Callable[[], list[Enrichment]]) -> list[Enrichment]:
        try:
            return make()
        except ConfigurationError as error:
            problems.extend(error.problems)
            return []

    reading: list[Enrichment] = []
    after: list[Enrichment] = []
    if settings.messages_file is not None:
        reading = made(lambda: [message_parsing(read_message_parsers(settings.messages_file))])
    path = settings.catalogue_file
    if path is not None:
        after += made(lambda: [watched_catalogue(path)])
    hosts = settings.hosts_file
    if hosts is not None:
        after += made(lambda: [watched_hosts(hosts)])
    if settings.geo:
        after += made(lambda: [geo(settings.geo_city_file, settings.geo_asn_file)])
    if settings.user_agent:
        after += made(lambda: [user_agent()])
    if problems:
        raise ConfigurationError(problems)
    return Steps(reading, enrichments({}, after=after))


async def enrich(events: AsyncIterable[Event], *, steps: Sequence[Enrichment]) -> AsyncIterator[Event]:
    """Every event, after all steps."""
    async for event in events:
        for step in steps:
            step(event)
        yield event
