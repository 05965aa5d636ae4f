"""What a rule's `match` means: plain YAML or JSON values -> a function that says whether an event matches.

A mapping matches when all of its keys do. Keys: `all`, `any` (lists of mappings), `not` (a mapping), `level`,
`service`, `host`, `environment`, `message`, or any field that a sender may set (`labels.region`). To a field belongs a
value, a list of values (any of them), or a mapping of conditions that must all hold:

    is           the value, or one of a list
    contains     a text within the value
    pattern      an RE2 expression found within the value; RE2 needs linear time, whatever a sender writes
    at_least, below   levels by severity, other fields as numbers
    exists       true or false

Of a field with several values (`tags`) one must fit. Values are compared as texts: `labels.attempt: 3` finds "3".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import re2

from logsync_streams.events import SEVERITIES, Event, canonical_level
from logsync_streams.parsing import ecs
from logsync_streams.storage import mapping

Matches = Callable[[Event], bool]
Test = Callable[[str], bool]
# A place in the rule (keys and list positions) and what is wrong there.
Problem = tuple[tuple[str | int, ...], str]

_CONDITIONS = ("is", "contains", "pattern", "at_least", "below", "exists")
# What an event has when it comes to the filter: the fields that a sender may set, and two that the event itself knows.
_KNOWN = frozenset(ecs.FITS) - {"@timestamp"} | {"event.id", "logsync.source"}
_MAX_DEPTH = 20


class WrongMatch(Exception):
    """A rule's `match` cannot be used; all problems of it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(text for _, text in problems))


def compile_match(given: Any) -> Matches:
    """The function for a `match`. Raises WrongMatch with every problem in it."""
    problems: list[Problem] = []
    matches = _mapping(given, (), problems)
    if problems:
        raise WrongMatch(problems)
    return matches


def pattern(text: str) -> Any:
    """An RE2 expression. Raises re2.error; never writes to stderr by itself."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def _never(event: Event) -> bool:
    return False


def _all(parts: list[Matches]) -> Matches:
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:  # the common case, without a generator
        first, second = parts
        return lambda event: first(event) and second(event)
    return lambda event: all(part(event) for part in parts)


def _mapping(given: Any, path: tuple[str | int, ...], problems: list[Problem]) -> Matches:
    if not isinstance(given, dict) or not given:
        problems.append((path, f"{given!r}: a mapping of fields to values is expected"))
        return _never
    if len(path) > _MAX_DEPTH:
        problems.append((path, "nested too deeply"))
        return _never
    parts: list[Matches] = []
    for key, value in given.items():
        here = (*path, key)
        if not isinstance(key, str):
            problems.append((path, f"{key!r}: a field's name is expected"))
            continue
        if key in ("all", "any"):
            if not isinstance(value, list) or not value:
                problems.append((here, f"{value!r}: a list of mappings is expected"))
                continue
            inner = [_mapping(item, (*here, position), problems) for position, item in enumerate(value)]
            parts.append(_all(inner) if key == "all" else _any(inner))
        elif key == "not":
            parts.append(_not(_mapping(value, here, problems)))
        else:
            parts.append(_field(key, value, here, problems))
    return _all(parts) if parts else _never


def _any(parts: list[Matches]) -> Matches:
    return lambda event: any(part(event) for part in parts)


def _not(part: Matches) -> Matches:
    return lambda event: not part(event)


def _field(key: str, given: Any, path: tuple[str | int, ...], problems: list[Problem]) -> Matches:
    name = mapping.resolve(key)
    is_label = name.startswith(mapping.LABELS) and name != mapping.LABELS
    if name not in _KNOWN and not is_label:
        if name in mapping.FIELDS:
            problems.append((path, "an event does not have this field yet when it comes to the filter"))
        else:
            problems.append((path, f"no such field{_similar(key)}; a sender's own keys are labels.{key}"))
        return _never
    conditions = given if isinstance(given, dict) else {"is": given}
    if not conditions:
        problems.append((path, f"{given!r}: a value or one of {', '.join(_CONDITIONS)} is expected"))
    values = _getter(name)
    parts = []
    for condition, value in conditions.items():
        made = _condition(name, str(condition), value, (*path, condition) if given is conditions else path, problems)
        if made is not None:
            parts.append(made)
    exists = [part for part in parts if isinstance(part, bool)]
    tests = [part for part in parts if not isinstance(part, bool)]

    def matches(event: Event) -> bool:
        found = values(event)
        if any(wanted is not bool(found) for wanted in exists):
            return False
        return not tests or any(all(test(text) for test in tests) for text in found)

    if len(tests) == 1 and not exists:
        [test] = tests
        if name == "log.level":
            return lambda event: test(event.level)
        return lambda event: any(test(text) for text in values(event))
    return matches


def _condition(
    name: str, condition: str, value: Any, path: tuple[str | int, ...], problems: list[Problem]
) -> Test | bool | None:
    """A test of one value; a boolean for `exists`; None for a problem."""
    level = name == "log.level"
    match condition:
        case "is":
            wanted = [_text(item) for item in (value if isinstance(value, list) else [value])]
            if not wanted or None in wanted:
                problems.append((path, f"{value!r}: a value or a list of values is expected"))
                return None
            if level:
                unknown = [item for item in wanted if canonical_level(str(item)) not in SEVERITIES]
                if unknown:
                    problems.append((path, f"{unknown[0]!r}: one of {', '.join(SEVERITIES)} is expected"))
                    return None
                wanted = [canonical_level(str(item)) for item in wanted]
            if len(wanted) == 1:
                only = wanted[0]
                return lambda text: text == only
            several = frozenset(wanted)
            return lambda text: text in several
        case "contains":
            if not isinstance(value, str) or not value:
                problems.append((path, f"{value!r}: a text is expected"))
                return None
            return lambda text: value in text
        case "pattern":
            try:
                found = pattern(value if isinstance(value, str) else "")
            except re2.error as error:
                problems.append((path, f"{value!r}: an RE2 expression is expected: {_said(error)}"))
                return None
            if not isinstance(value, str) or not value:
                problems.append((path, f"{value!r}: an RE2 expression is expected"))
                return None
            return lambda text: found.search(text) is not None
        case "at_least" | "below":
            return _order(level, condition == "at_least", value, path, problems)
        case "exists":
            if isinstance(value, bool):
                return value
            problems.append((path, f"{value!r}: true or false is expected"))
            return None
    problems.append((path, f"no such condition; one of {', '.join(_CONDITIONS)} is expected"))
    return None


def _order(
    level: bool, at_least: bool, value: Any, path: tuple[str | int, ...], problems: list[Problem]
) -> Test | None:
    number: Callable[[str], float | None]
    if level:
        limit: float | None = SEVERITIES.get(canonical_level(str(value)))
        number = SEVERITIES.get
        expected = f"one of {', '.join(SEVERITIES)}"
    else:
        limit = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        number = _number
        expected = "a number"
    if limit is None:
        problems.append((path, f"{value!r}: {expected} is expected"))
        return None
    bound = limit

    def test(text: str) -> bool:
        # A level that nobody knows, or a text that is no number, is neither above nor below.
        found = number(text)
        return found is not None and (found >= bound if at_least else found < bound)

    return test


def _getter(name: str) -> Callable[[Event], list[str]]:
    """The texts of a field of an event, [] when it has none."""
    if name == "event.id":
        return lambda event: [event.id]
    if name == "logsync.source":
        return lambda event: [event.origin.source]
    if name.startswith(mapping.LABELS):
        key = name.removeprefix(mapping.LABELS)

        def label(event: Event) -> list[str]:
            found = event.fields.get("labels")
            return _texts(found[key]) if found and key in found else []

        return label
    *parents, leaf = name.split(".")

    def nested(event: Event) -> list[str]:
        node: Any = event.fields
        for parent in parents:
            node = node.get(parent)
            if type(node) is not dict:
                return []
        return _texts(node[leaf]) if leaf in node else []

    return nested


def _texts(value: Any) -> list[str]:
    if type(value) is str:
        return [value]
    return [text for item in (value if isinstance(value, list) else [value]) if (text := _text(item)) is not None]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _similar(key: str) -> str:
    close = difflib.get_close_matches(key, [*_KNOWN, *mapping.ALIASES, "all", "any", "not"], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
