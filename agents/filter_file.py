"""The filter's rules as a file (YAML), and the routes as they are kept in a day's assignment (JSON).

    rules:
      - name: debug_in_production
        match: {level: debug, environment: production}
        action: drop
      - name: chatty
        match: {service: search-api, level: {below: warn}, not: {message: {pattern: "slow|timeout"}}}
        action: sample
        rate: 10              # one in ten is kept
      - name: audit
        match: {labels.audit: true}
        action: route
        dataset: auth-service # of the retention policies

What a `match` may say: agents/filter_match.py. A rule without `match` matches everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from agents.filter import Route, Rule, compiled
from agents.filter_match import Matches, WrongMatch, compile_match
from agents.yaml_file import Place, YamlFile, read_yaml, unknown_keys
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import ProcessSettings

SETTING = "LOGSYNC_PROCESS__FILTER_FILE"
_ACTIONS = ("drop", "keep", "sample", "route")
_KEYS = ("name", "match", "action", "rate", "dataset")
MAX_RULES = 1000
NO_ROUTES = "[]"


@dataclass(frozen=True)
class RuleSet:
    """What a file says. rules: those that decide whether a log goes on. routes: the others, as JSON to be kept."""

    rules: Sequence[Rule]
    routes: str = NO_ROUTES


def rule_set(settings: ProcessSettings, datasets: Collection[str]) -> RuleSet:
    """The rules in force: those of the file where one is named, else those of the settings. Raises ConfigurationError.

    datasets: that the retention policies define.
    """
    path = settings.filter_file
    if path is None:
        return RuleSet(compiled(settings.filter_rules))
    if settings.filter_rules != ProcessSettings().filter_rules:
        raise ConfigurationError(
            [f"LOGSYNC_PROCESS__FILTER_RULES: the rules are those of {SETTING} ({path}); give one of the two"]
        )
    return read_rules(path, datasets)


def read_rules(path: Path, datasets: Collection[str]) -> RuleSet:
    """The rules of a file. Raises ConfigurationError with every problem: file:line, rule, value, what is expected."""
    file = read_yaml(path, SETTING)
    content = file.content
    listed = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(listed, list) or len(content) != 1:
        raise ConfigurationError([file.problem((), "a mapping with the one key `rules`, a list, is expected")])
    if len(listed) > MAX_RULES:
        raise ConfigurationError([file.problem(("rules",), f"{len(listed)} rules: at most {MAX_RULES} are possible")])
    problems: list[str] = []
    rules: list[Rule] = []
    routes: list[dict[str, Any]] = []
    names: set[str] = set()
    for position, given in enumerate(listed):
        reader = _RuleReader(file, ("rules", position), given, datasets, names)
        made = reader.read()
        problems += reader.problems
        if isinstance(made, Rule):
            rules.append(made)
        elif made is not None:
            routes.append({"name": made.name, "match": given.get("match"), "dataset": made.dataset})
    if problems:
        raise ConfigurationError(problems)
    return RuleSet(rules, orjson.dumps(routes).decode())


@lru_cache(maxsize=64)  # one for each day that is met, most of them the same
def compiled_routes(routes: str) -> tuple[Route, ...]:
    """The routes that a day's assignment holds. Raises ValueError for what `RuleSet.routes` never was."""
    try:
        return tuple(Route(one["name"], _match(one["match"]), one["dataset"]) for one in orjson.loads(routes))
    except (WrongMatch, TypeError, KeyError) as error:
        raise ValueError(f"not the routes of an assignment: {routes[:200]!r}: {error}") from error


def _match(given: Any) -> Matches:
    return compile_match(given) if given is not None else lambda event: True


class _RuleReader:
    """Reads one rule and collects its problems."""

    def __init__(self, file: YamlFile, place: Place, given: Any, datasets: Collection[str], names: set[str]) -> None:
        self._file, self._place, self._given = file, place, given
        self._datasets, self._names = datasets, names
        self._name = ""
        self.problems: list[str] = []

    def read(self) -> Rule | Route | None:
        given = self._given
        if not isinstance(given, dict):
            self._problem((), f"{given!r}: a rule is a mapping of {', '.join(_KEYS)}")
            return None
        for key in unknown_keys(given, _KEYS):
            self._problem((key,), f"no such key; one of {', '.join(_KEYS)} is expected")
        name = self._take("name", _is_name, "a name of 1 to 64 characters")
        if name in self._names:
            self._problem(("name",), f"{name!r}: another rule has this name")
        self._names.add(name)
        self._name = name or ""
        action = self._take("action", lambda value: value in _ACTIONS, f"one of {', '.join(_ACTIONS)}")
        rate = dataset = None
        if action == "sample":
            rate = self._take("rate", _is_rate, "a whole number from 1 to 1000000 (one in so many is kept)")
        elif "rate" in given:
            self._problem(("rate",), "only a rule with `action: sample` has a rate")
        if action == "route":
            known = ", ".join(sorted(self._datasets))
            dataset = self._take("dataset", lambda value: value in self._datasets, f"one with a policy: {known}")
        elif "dataset" in given:
            self._problem(("dataset",), "only a rule with `action: route` has a dataset")
        matches = None
        try:
            matches = _match(given.get("match"))
        except WrongMatch as wrong:
            for place, text in wrong.problems:
                self._problem(("match", *place), text)
        if self.problems or matches is None:
            return None
        if action == "route":
            return Route(name, matches, str(dataset))
        return Rule(name, matches, str(action), rate or 1)

    def _take(self, key: str, good: Callable[[Any], bool], expected: str) -> Any:
        value = self._given.get(key)
        try:
            accepted = good(value)
        except TypeError:  # a list or a mapping where a plain value belongs cannot even be looked up
            accepted = False
        if accepted:
            return value
        self._problem((key,), f"{value!r}: {expected} is expected")
        return None

    def _problem(self, place: Place, text: str) -> None:
        rule = self._name or self._given_name()
        path = ".".join(str(part) for part in place)
        self.problems.append(
            self._file.problem((*self._place, *place), f"rule {rule}: {path}{': ' * bool(path)}{text}")
        )

    def _given_name(self) -> str:
        name = self._given.get("name") if isinstance(self._given, dict) else None
        return name if isinstance(name, str) and name else f"number {int(self._place[-1]) + 1}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isprintable()


def _is_rate(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 1_000_000
