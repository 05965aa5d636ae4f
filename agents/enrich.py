"""Enrichment: what we know about a log beyond what its sender said. Each `add_…` is a function on one event."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from logsync_streams.errors import ConfigurationError
from logsync_streams.events import SEVERITIES, Event

Enrichment = Callable[[Event], None]
Catalogue = Mapping[str, Mapping[str, str]]

# Where senders put the id that ties a request's logs together, in the order of trust.
_CORRELATION_LABELS = ("correlation_id", "correlationId", "request_id", "requestId", "x-request-id", "x-correlation-id")
_CATALOGUE_KEYS = frozenset({"owner", "team", "tier", "version", "repository", "runbook"})


def add_correlation_id(event: Event) -> None:
    """`logsync.correlation_id`: the trace or request id that the sender gave, else the event's own id (DESIGN §4)."""
    fields = event.fields
    trace = fields.get("trace")
    found = trace.get("id") if isinstance(trace, dict) else None
    if not found:
        labels = fields.get("labels")
        if labels:
            for name in _CORRELATION_LABELS:
                if found := labels.get(name):
                    break
    fields.setdefault("logsync", {})["correlation_id"] = str(found or event.id)


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
        host, _, port = origin.peer.rpartition(":")
        source: dict[str, Any] = {"ip": host.strip("[]") or origin.peer}
        if port.isdigit():
            source["port"] = int(port)
        event.fields.setdefault("source", source)


def add_catalogue(event: Event, *, catalogue: Catalogue) -> None:
    """`service.owner`, `service.team`, …: what the catalogue knows of the service; the sender's own values win."""
    known = catalogue.get(event.service)
    if known:
        event.fields["service"] = {**known, **event.fields["service"]}


def enrichments(catalogue: Catalogue) -> list[Enrichment]:
    """The enrichments in their order. A new one is a function, here or in a file of its own, and a line here."""
    return [add_severity, add_source, add_correlation_id, partial(add_catalogue, catalogue=catalogue)]


async def enrich(events: AsyncIterable[Event], *, steps: Sequence[Enrichment]) -> AsyncIterator[Event]:
    """Every event, after all steps."""
    async for event in events:
        for step in steps:
            step(event)
        yield event


def read_catalogue(path: Path | None) -> Catalogue:
    """The service catalogue: a YAML mapping of service name to owner, team, tier, version, repository, runbook.

    Raises ConfigurationError naming the file, the service and the key.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise ConfigurationError([f"LOGSYNC_PROCESS__CATALOGUE_FILE: {str(path)!r}: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"LOGSYNC_PROCESS__CATALOGUE_FILE: {str(path)!r} is not YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise ConfigurationError([f"{str(path)!r}: a mapping of service names is expected at the top"])
    problems = []
    for service, known in content.items():
        if not isinstance(known, dict):
            problems.append(f"{str(path)!r}: {service}: {known!r}: a mapping of {sorted(_CATALOGUE_KEYS)} is expected")
            continue
        for key in set(known) - _CATALOGUE_KEYS:
            problems.append(
                f"{str(path)!r}: {service}.{key}: no such key; one of {sorted(_CATALOGUE_KEYS)} is expected"
            )
    if problems:
        raise ConfigurationError(problems)
    return {str(service): {key: str(value) for key, value in known.items()} for service, known in content.items()}
