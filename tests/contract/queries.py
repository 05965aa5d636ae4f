"""Random queries about random documents: each takes its values from a document, so that it often finds something."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from logsync_streams.storage import values
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.evaluate import MAX_PARTIAL_BYTES
from logsync_streams.storage.mapping import FIELDS, FieldType
from logsync_streams.words import words
from tests.contract.documents import random_line

_TEXTS = [name for name, kind in FIELDS.items() if kind is FieldType.TEXT]
_BY_VALUE = [
    *("log.level", "service.name", "service.environment", "host.name", "host.ip", "source.ip", "source.port"),
    *("http.response.status_code", "error.type", "tags", "event.id", "event.severity", "event.ingested", "@timestamp"),
]


def random_query(rng: random.Random, documents: list[dict[str, Any]], depth: int = 3) -> Query:
    """A valid query of any nodes, at most `depth` deep."""
    if depth > 1 and rng.random() < 0.45:
        parts = [random_query(rng, documents, depth - 1) for _ in range(rng.randint(2, 3))]
        both, either = And(tuple(parts)), Or(tuple(parts))
        choices: list[Query] = [both, either, Not(parts[0]), And((parts[0], Not(parts[1])))]
        return rng.choice(choices)
    document = rng.choice(documents)
    makers: list[Callable[[random.Random, dict[str, Any]], Query]] = [
        *(_text, _text, _prefix, _value, _value, _range, _label, _exists, _all)
    ]
    return rng.choice(makers)(rng, document)


def _all(rng: random.Random, document: dict[str, Any]) -> Query:
    return All()


def _text(rng: random.Random, document: dict[str, Any]) -> Query:
    field = rng.choice([None, None, *_TEXTS])
    line = _some(rng, values.leaves(document, field or "message"), random_line(rng))
    cut = sorted(rng.choices(range(len(line) + 1), k=2))
    parts = line.split()
    pieces = [line[cut[0] : cut[1]], line, *parts, *words(line), " ".join(words(line)[1:4]), random_line(rng), "..."]
    return Text(rng.choice(pieces), field)


def _prefix(rng: random.Random, document: dict[str, Any]) -> Query:
    if rng.random() < 0.5:
        field = rng.choice([None, *_TEXTS])
        word = rng.choice(words(_some(rng, values.leaves(document, field or "message"), "x")) or ["err"])
        start = word[: rng.randint(1, len(word))]
        return Prefix(start if words(start) == [start] else "e", field)
    field = rng.choice(["service.name", "host.name", "tags", "labels.order", "labels.date", "log.level", "event.id"])
    value = values.keyword(_some(rng, values.leaves(document, field), "a")) or "x"
    return Prefix(_partial(value[: rng.randint(1, len(value))]) if value else "a", field)


def _value(rng: random.Random, document: dict[str, Any]) -> Query:
    field = rng.choice(_BY_VALUE)
    value = _as_text(_some(rng, values.leaves(document, field), _any_of(field)))
    if field.endswith(".ip") and rng.random() < 0.5:
        value += rng.choice(["/8", "/24", "/31"]) if "." in value else rng.choice(["/32", "/112"])
    return Equals(field, value)


def _range(rng: random.Random, document: dict[str, Any]) -> Query:
    field = rng.choice(_BY_VALUE)
    bounds = [_partial(_as_text(_some(rng, values.leaves(document, field), _any_of(field)))), _as_text(_any_of(field))]
    rng.shuffle(bounds)
    lower, upper = rng.choice([(bounds[0], bounds[1]), (bounds[0], None), (None, bounds[1]), (bounds[0], bounds[0])])
    return Range(field, lower, upper, include_lower=rng.random() < 0.5, include_upper=rng.random() < 0.5)


def _label(rng: random.Random, document: dict[str, Any]) -> Query:
    key, value = rng.choice([*values.labels(document), ("order", "5"), ("date", "2026-11-24")])
    return Equals(f"labels.{key}", _as_text(value))


def _exists(rng: random.Random, document: dict[str, Any]) -> Query:
    return Exists(rng.choice([*_BY_VALUE, *_TEXTS, "labels.order", "labels.order.id", "labels.flag", "labels.nowhere"]))


def _any_of(field: str) -> object:
    kind = FIELDS[field]
    if kind is FieldType.LONG:
        return 404
    if kind is FieldType.DATE:
        return "2026-11-24T12:00:00.250Z"
    return "10.0.2.0" if kind is FieldType.IP else "d"


def _some(rng: random.Random, found: list[Any], default: Any) -> Any:
    return rng.choice(found) if found else default


def _partial(text: str) -> str:
    return text.encode()[:MAX_PARTIAL_BYTES].decode(errors="ignore")


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else values.keyword(value) or ""
