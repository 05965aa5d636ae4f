"""`service.owner`, `service.team`, …: what the service catalogue knows of a service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agents.enrichments.facts import Facts, read_facts
from agents.enrichments.reloading import Reloading
from logsync_streams.events import Event

Catalogue = Facts

SETTING = "LOGSYNC_PROCESS__CATALOGUE_FILE"
_KEYS = ("owner", "team", "tier", "version", "repository", "runbook")


def add_catalogue(event: Event, *, catalogue: Catalogue) -> None:
    """The catalogue's fields of the event's service; the sender's own values win."""
    known = catalogue.get(event.service)
    if known:
        event.fields["service"] = {**known, **event.fields["service"]}


def watched_catalogue(path: Path) -> Callable[[Event], None]:
    """`add_catalogue` with a file that is read again when it changes. Raises ConfigurationError."""
    catalogue = Reloading("catalogue", path, read_catalogue)

    def add_catalogue(event: Event) -> None:
        known = catalogue.value().get(event.service)
        if known:
            event.fields["service"] = {**known, **event.fields["service"]}

    return add_catalogue


def read_catalogue(path: Path | None) -> Catalogue:
    """The service catalogue: a YAML mapping of service name to owner, team, tier, version, repository, runbook.

    Raises ConfigurationError naming file, line, service and key.
    """
    return {} if path is None else read_facts(path, SETTING, "service", _KEYS)
