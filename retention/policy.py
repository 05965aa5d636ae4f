"""Retention policies, and which dataset a service's logs of a receive day go to. Pure; files are read at the edge.

The original's shape stays valid: {"retention_policies": {"auth-service": {"retention_days": 30, "archive_to_s3": true,
"s3_bucket": "…"}, …}}. A service with a policy of its own has a dataset of its own, named after it; all others share
`default`. Which services have one may change only for receive days to come (DESIGN §4, Target), so the assignment in
force on a day is kept and asked for, never computed again from the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from logsync_streams.errors import ConfigurationError
from retention.policy_file import PolicyEntry, parse_entries, read_entries

DEFAULT = "default"
NO_ROUTES = "[]"
RESTORED = "restored-"  # begins the datasets of restored logs


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a service's logs are kept (days after the receive day), and whether they are archived before.

    levels, environments: other days for some of its logs. archive_days: None = for ever. The rest is for the archive.
    """

    name: str
    retention_days: int
    archive_to_s3: bool = False
    s3_bucket: str = ""
    s3_prefix: str = "logsync"
    levels: Mapping[str, int] = field(default_factory=dict)
    environments: Mapping[str, int] = field(default_factory=dict)
    legal_hold: bool = False
    archive_days: int | None = None
    storage_class: str | None = None
    compression_level: int = 3
    encryption: str | None = None
    kms_key_id: str | None = None

    def days(self, level: str, environment: str) -> int:
        """The days for one log: of what is given for its level and its environment the longer, else retention_days."""
        named = [self.levels.get(level), self.environments.get(environment)]
        return max((days for days in named if days is not None), default=self.retention_days)


Policies = Mapping[str, Policy]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What decides the dataset of a log of one receive day.

    datasets: the services that have a dataset of their own: service -> dataset. routes: the filter's routes in force,
    JSON; they are kept whole, not by name, so that a rule that is changed later sends nothing elsewhere.
    """

    datasets: Mapping[str, str]
    routes: str = NO_ROUTES

    def dataset(self, service: str) -> str:
        """The dataset of a service's logs on that day."""
        return self.datasets.get(service, DEFAULT)

    def possible_datasets(self, service: str) -> set[str]:
        """All datasets that a service's logs of that day may be in, by policy or by a route."""
        return {self.dataset(service), *(route["dataset"] for route in orjson.loads(self.routes))}

    def as_value(self) -> bytes:
        """For `logs-state`."""
        content = {"datasets": dict(self.datasets), "routes": orjson.Fragment(self.routes)}
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_value(cls, value: bytes) -> Assignment:
        """From `logs-state`. Raises ValueError for what `as_value` did not write."""
        content = orjson.loads(value)
        if not isinstance(content, dict) or not isinstance(content.get("datasets"), dict):
            raise ValueError(f"not an assignment: {value[:200]!r}")
        routes = content.get("routes", [])  # a day that was decided before there were routes has none
        if not isinstance(routes, list) or not all(isinstance(route, dict) and "dataset" in route for route in routes):
            raise ValueError(f"not the routes of an assignment: {value[:200]!r}")
        datasets = {str(service): str(dataset) for service, dataset in content["datasets"].items()}
        return cls(datasets, orjson.dumps(routes).decode())


def dataset_name(service: str) -> str:
    """A dataset's name for a service: what every store takes in an index name, at most 63 characters."""
    name = re.sub(r"[^a-z0-9_.-]", "_", service.lower()).lstrip("_.-")[:63]
    return name or "service"


def assignment(policies: Policies, routes: str = NO_ROUTES) -> Assignment:
    """What the policies and the filter's routes (JSON) assign from the next day on that has no assignment yet."""
    return Assignment({service: dataset_name(service) for service in policies if service != DEFAULT}, routes)


def policy_of(policies: Policies, service: str) -> Policy:
    """The policy that a service's logs fall under."""
    return policies.get(service, policies[DEFAULT])


def datasets(policies: Policies) -> frozenset[str]:
    """The datasets that the policies define: where a route may send logs."""
    return frozenset(DEFAULT if service == DEFAULT else dataset_name(service) for service in policies)


def state_key(day: date) -> str:
    """The key in `logs-state` of the assignment in force on a receive day."""
    return f"assignment/{day.isoformat()}"


def parse_policies(content: Any, where: str) -> Policies:
    """Policies by service, `default` always among them. Raises ConfigurationError naming the path and the value."""
    return _policies(parse_entries(content, where), where)


def read_policies(path: Path | None) -> Policies:
    """The policies of a file, by default the one beside this module. Raises ConfigurationError."""
    path = path or Path(__file__).with_name("config.json")
    return _policies(read_entries(path), str(path))


def _policies(entries: Mapping[str, PolicyEntry], where: str) -> Policies:
    found = {DEFAULT: Policy(DEFAULT, 7)} | {
        service: Policy(
            service,
            entry.retention_days,
            entry.archive_to_s3,
            entry.s3_bucket,
            **entry.model_dump(exclude={"retention_days", "archive_to_s3", "s3_bucket"}),
        )
        for service, entry in entries.items()
    }
    problems: list[str] = []
    names: dict[str, str] = {}
    for service in found:
        name = dataset_name(service)
        other = names.setdefault(name, service)
        if other != service:
            problems.append(f"{where}: {service!r} and {other!r} would share the dataset {name!r}")
        if name.startswith(RESTORED):
            problems.append(f"{where}: {service!r}: names that begin with {RESTORED!r} are for restored logs")
    if problems:
        raise ConfigurationError(problems)
    return found
