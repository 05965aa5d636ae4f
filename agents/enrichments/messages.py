"""Fields out of the message, by service: JSON, logfmt, key=value or grok, as a YAML file says.

    parsers:
      - name: shop
        match: {service: [shop, cart]}     # as in the filter's rules (agents/filter_match.py)
        format: json                       # or logfmt, key_value
      - name: nginx
        match: {service: nginx}
        grok: ['%{COMBINEDAPACHELOG}', '%{IPORHOST:source.ip} %{GREEDYDATA:message}']   # the first that is found
        patterns: {ORDER: 'O-[0-9]+'}      # of one's own

The first parser that matches an event is asked. What it finds goes where a sender's own field of that name would go;
fields that the event has already win, but for the message. An event that is not in the form gets the tag
`message_unparsed` and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agents.enrichments.grok import Grok, WrongGrok
from agents.enrichments.pairs import key_values, logfmt
from agents.filter_match import Matches, WrongMatch, compile_match
from agents.yaml_file import Place, YamlFile, read_yaml, unknown_keys
from logsync_streams.errors import ConfigurationError, DeadLetter
from logsync_streams.events import Event, Fields
from logsync_streams.parsing.json import parse as parse_json

SETTING = "LOGSYNC_PROCESS__MESSAGES_FILE"
UNPARSED = "message_unparsed"
# Reads a message, None when it is not in the form.
Read = Callable[[str], dict[str, Any] | None]
# What logfmt's writers call the fields of a log.
_RENAMED = {"msg": "message", "lvl": "level", "severity": "level", "ts": "timestamp", "time": "timestamp"}
_KEYS = ("name", "match", "format", "grok", "patterns")


@dataclass(frozen=True, slots=True)
class MessageParser:
    """name: for explain and for problems. matches: the events that it is for."""

    name: str
    matches: Matches
    read: Read


def message_parsing(parsers: Sequence[MessageParser]) -> Callable[[Event], None]:
    """The enrichment."""

    def parse_message(event: Event) -> None:
        for parser in parsers:
            if parser.matches(event):
                message = event.fields.get("message")
                if message:
                    _apply(event, parser.read(message))
                return

    return parse_message


def _apply(event: Event, found: dict[str, Any] | None) -> None:
    fields = event.fields
    parsed = None
    if found is not None:
        try:
            parsed = parse_json(orjson.dumps(found), event.received_at)
        except (DeadLetter, TypeError):  # deeper than it can be written: it stays a text
            parsed = None
    if parsed is None:
        fields["tags"] = [*fields.get("tags", ()), UNPARSED]
        return
    message = parsed.pop("message", None)
    _merge(fields, parsed)
    if message:
        fields["message"] = message


def _merge(into: Fields, found: Fields) -> None:
    for name, value in found.items():
        there = into.get(name)
        if there is None:
            into[name] = value
        elif type(there) is dict and type(value) is dict:
            _merge(there, value)


def _json(message: str) -> dict[str, Any] | None:
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _logfmt(message: str) -> dict[str, Any] | None:
    return _renamed(logfmt(message))


def _key_values(message: str) -> dict[str, Any] | None:
    found = _renamed(key_values(message))
    if found:
        found.pop("message", None)  # the sentence around the pairs is the message
    return found


def _renamed(found: dict[str, str] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {_RENAMED.get(name, name) if _RENAMED.get(name) not in found else name: v for name, v in found.items()}


FORMATS: dict[str, Read] = {"json": _json, "logfmt": _logfmt, "key_value": _key_values}


def _first_of(expressions: Sequence[Grok]) -> Read:
    def read(message: str) -> dict[str, Any] | None:
        for expression in expressions:
            found = expression.match(message)
            if found is not None:
                return found
        return None

    return read


def read_message_parsers(path: Path | None) -> list[MessageParser]:
    """The parsers of a file. Raises ConfigurationError with every problem: file:line, parser, what is expected."""
    if path is None:
        return []
    file = read_yaml(path, SETTING)
    listed = file.content.get("parsers") if isinstance(file.content, dict) else None
    if not isinstance(listed, list) or len(file.content) != 1:
        raise ConfigurationError([file.problem((), "a mapping with the one key `parsers`, a list, is expected")])
    problems: list[str] = []
    made = [_parser(file, ("parsers", position), given, problems) for position, given in enumerate(listed)]
    if problems:
        raise ConfigurationError(problems)
    return [parser for parser in made if parser is not None]


def _parser(file: YamlFile, place: Place, given: Any, problems: list[str]) -> MessageParser | None:
    def problem(where: Place, text: str) -> None:
        path = ".".join(str(part) for part in where)
        problems.append(file.problem((*place, *where), f"parser {name}: {path}{': ' * bool(path)}{text}"))

    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(name, str) or not name:
        name = f"number {int(place[-1]) + 1}"
        problem((), f"a mapping of {', '.join(_KEYS)} with a name is expected")
        return None
    for key in unknown_keys(given, _KEYS):
        problem((key,), f"no such key; one of {', '.join(_KEYS)} is expected")
    try:
        matches = compile_match(given.get("match"))
    except WrongMatch as wrong:
        for where, text in wrong.problems:
            problem(("match", *where), text)
        return None
    grok, form, own = given.get("grok"), given.get("format"), given.get("patterns") or {}
    if (grok is None) is (form is None):
        problem((), "either `format` or `grok` is expected")
        return None
    if form is not None:
        if not isinstance(form, str) or form not in FORMATS:
            problem(("format",), f"{form!r}: one of {', '.join(FORMATS)} is expected")
            return None
        return MessageParser(name, matches, FORMATS[form])
    if not isinstance(own, dict) or not all(isinstance(part, str) for pair in own.items() for part in pair):
        problem(("patterns",), f"{own!r}: a mapping of names to expressions is expected")
        return None
    expressions = []
    for number, text in enumerate(grok if isinstance(grok, list) else [grok]):
        try:
            expressions.append(Grok(text if isinstance(text, str) else "", own))
        except WrongGrok as wrong:
            problem(("grok", number), f"{text!r}: {wrong}")
    return MessageParser(name, matches, _first_of(expressions))
