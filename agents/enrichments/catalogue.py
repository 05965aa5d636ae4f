"""`service.owner`, `service.team`, …: what the service catalogue knows of a service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from agents.enrichments.reloading import Reloading
from agents.yaml_file import read_yaml, unknown_keys
from logsync_streams.errors import ConfigurationError
from logsync_streams.events import Event

Catalogue = Mapping[str, Mapping[str, str]]

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
    if path is None:
        return {}
    file = read_yaml(path, SETTING)
    content = file.content or {}
    if not isinstance(content, dict):
        raise ConfigurationError([file.problem((), "a mapping of service names is expected at the top")])
    problems = []
    for service, known in content.items():
        if not isinstance(known, dict):
            text = f"{service}: {known!r}: a mapping of {', '.join(_KEYS)} is expected"
            problems.append(file.problem((service,), text))
            continue
        for key in unknown_keys(known, _KEYS):
            text = f"{service}.{key}: no such key; one of {', '.join(_KEYS)} is expected"
            problems.append(file.problem((service, key), text))
    if problems:
        raise ConfigurationError(problems)
    return {str(service): {key: str(value) for key, value in known.items()} for service, known in content.items()}
