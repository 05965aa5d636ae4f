"""`host.*` and `cloud.*`: what the operator's file knows of a host, for senders that only give its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agents.enrichments.facts import read_facts
from agents.enrichments.reloading import Reloading
from logsync_streams.events import Event

SETTING = "LOGSYNC_PROCESS__HOSTS_FILE"
KEYS = (
    "host.type",
    "host.architecture",
    "host.os.name",
    "host.os.version",
    "cloud.provider",
    "cloud.region",
    "cloud.availability_zone",
)

# host name -> fields, nested as they are stored
Hosts = Mapping[str, Mapping[str, Any]]


def watched_hosts(path: Path) -> Callable[[Event], None]:
    """A step that adds the facts of the event's host, from a file that is read again when it changes.

    Raises ConfigurationError.
    """
    hosts = Reloading("hosts", path, read_hosts)

    def add_host_facts(event: Event) -> None:
        host = event.fields.get("host")
        facts = hosts.value().get(host.get("name", "")) if host else None
        if facts:
            event.fields |= {name: _merged(known, event.fields.get(name)) for name, known in facts.items()}

    return add_host_facts


def read_hosts(path: Path) -> Hosts:
    """A YAML mapping of host name to the KEYS. Raises ConfigurationError naming file, line, host and key."""
    hosts: dict[str, dict[str, Any]] = {}
    for name, facts in read_facts(path, SETTING, "host", KEYS).items():
        nested = hosts[name] = {}
        for key, value in facts.items():
            *parents, last = key.split(".")
            inner: dict[str, Any] = nested
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    return hosts


def _merged(known: Any, given: Any) -> Any:
    """The known fields under the sender's, whose own values win."""
    if not isinstance(known, Mapping) or not isinstance(given, Mapping):
        return known if given is None else given
    return {**known, **{key: _merged(known.get(key), value) for key, value in given.items()}}
