"""The query AST -> Elasticsearch's query, out of an allow-list of clauses: a searcher's text is only ever a value.

What a query means is said in `evaluate`; each clause here is chosen to mean exactly that (docs/adr/0004 for words).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from logsync_streams.storage import evaluate, values
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, SearchRequest, Text
from logsync_streams.storage.elasticsearch_templates import LABEL_PAIRS, NOT_SHOWN, PRESENT
from logsync_streams.storage.mapping import FIELDS, LABELS, WORD_FIELDS, FieldType, searchable
from logsync_streams.words import words

Clause = dict[str, Any]
_DATE_FORMAT = "epoch_millis||strict_date_optional_time"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)  # no log is before the year 1
TOTAL_UP_TO = 10_000  # a total is exact up to here: counting further costs every search


def search_body(request: SearchRequest, timeout_seconds: float) -> dict[str, Any]:
    """The body of a search for one page and one hit more. Raises InvalidQuery."""
    body: dict[str, Any] = {
        "size": request.limit + 1,
        "query": found_between(request.query, request.start, request.end),
        "sort": [
            {"@timestamp": {"order": request.order, "unmapped_type": "date"}},
            {"event.id": {"order": request.order, "unmapped_type": "keyword"}},
        ],
        "track_total_hits": TOTAL_UP_TO,
        "_source": {"excludes": list(NOT_SHOWN)},
        "timeout": time_limit(timeout_seconds),
    }
    if request.after is not None:
        body["search_after"] = [request.after.timestamp, request.after.id]
    return body


def found_between(query: Query, start: int | None, end: int | None) -> Clause:
    """One clause that finds what the query finds with start <= @timestamp < end. Raises InvalidQuery."""
    filters = [to_elasticsearch(query)]
    bounds = {"gte": start, "lt": end}
    if any(bound is not None for bound in bounds.values()):
        present = {name: _instant(bound) for name, bound in bounds.items() if bound is not None}
        filters.append({"range": {"@timestamp": {**present, "format": _DATE_FORMAT}}})
    return {"bool": {"filter": filters}}


def time_limit(seconds: float) -> str:
    """How long the server may look, in its own words."""
    return f"{max(1, int(seconds * 1000))}ms"


def to_elasticsearch(query: Query) -> Clause:
    """One clause that finds what `evaluate.matches` finds. Raises InvalidQuery as `evaluate.check` does."""
    evaluate.check(query)
    return _clause(query)


def _clause(query: Query) -> Clause:
    match query:
        case All():
            return {"match_all": {}}
        case Text():
            return _text(query)
        case Prefix():
            return _prefix(query)
        case Equals():
            return _equals(query)
        case Range():
            return _range(query)
        case Exists():
            return _exists(query.field)
        case Not():
            return {"bool": {"must_not": [_clause(query.query)]}}
        case And():
            return {"bool": {"filter": [_clause(part) for part in query.queries]}}
        case Or():
            return _any(_clause(part) for part in query.queries)


def _text(query: Text) -> Clause:
    wanted = words(query.text)
    if not wanted:
        return {"match_none": {}}
    return _in_words(lambda field, text: {"match_phrase": {field: {"query": text}}}, query.field, " ".join(wanted))


def _in_words(clause: Callable[[str, str], Clause], field: str | None, text: str) -> Clause:
    """A clause on each text field: on the words beside it where the document has them, else on the field itself."""
    clauses: list[Clause] = []
    for name in evaluate.text_fields(field):
        beside = WORD_FIELDS[name]
        clauses.append(clause(beside, text))
        if text.isascii():  # a text without words beside it is ASCII
            analysed = name if FIELDS[name] is FieldType.TEXT else f"{name}.text"
            clauses.append(
                {
                    "bool": {
                        "filter": [clause(analysed, text)],
                        "must_not": [{"exists": {"field": beside}}],
                    }
                }
            )
    return _any(clauses)


def _prefix(query: Prefix) -> Clause:
    if evaluate.is_words(query.field):
        return _in_words(_starts, query.field, evaluate.word_prefix(query.text))
    field = query.field or ""
    if field.startswith(LABELS):
        pair = label_pair(field.removeprefix(LABELS), query.text)
        return _any([_starts(field, query.text), _starts(LABEL_PAIRS, pair)])
    return _starts(field, evaluate.keyword_text(field, query.text))


def _starts(field: str, text: str) -> Clause:
    return {"prefix": {field: {"value": text}}}  # short enough for an automaton: evaluate.MAX_PARTIAL_BYTES


def _equals(query: Equals) -> Clause:
    field = query.field
    match searchable(field):
        case FieldType.LONG:
            return {"term": {field: {"value": values.query_long(field, query.value)}}}
        case FieldType.DATE:
            instant = _instant(values.query_date(field, query.value))
            return {"range": {field: {"gte": instant, "lte": instant, "format": _DATE_FORMAT}}}
        case FieldType.IP:
            network = values.query_addresses(field, query.value)
            bounds = {"gte": values.address_text(network.first), "lte": values.address_text(network.last)}
            return {"range": {field: bounds}}
        case _:
            if field.startswith(LABELS):
                pair = label_pair(field.removeprefix(LABELS), query.value)
                return _any([{"term": {field: {"value": query.value}}}, {"term": {LABEL_PAIRS: {"value": pair}}}])
            return {"term": {field: {"value": evaluate.keyword_text(field, query.value)}}}


def _range(query: Range) -> Clause:
    field = query.field
    match searchable(field):
        case FieldType.LONG:
            return _between(query, values.query_long)
        case FieldType.DATE:
            return _between(query, lambda name, text: _instant(values.query_date(name, text)), {"format": _DATE_FORMAT})
        case FieldType.IP:
            return _between(query, lambda name, text: values.address_text(evaluate.single_address(name, text)))
        case _:
            return _between(query, evaluate.keyword_text)


def _between(query: Range, bound: Any, options: Clause | None = None) -> Clause:
    bounds: Clause = {}
    if query.lower is not None:
        bounds["gte" if query.include_lower else "gt"] = bound(query.field, query.lower)
    if query.upper is not None:
        bounds["lte" if query.include_upper else "lt"] = bound(query.field, query.upper)
    return {"range": {query.field: {**bounds, **(options or {})}}}


def _instant(ms: int) -> int | str:
    """Epoch milliseconds in _DATE_FORMAT: 7.10 does not read those just before 1970."""
    if ms >= 0:
        return ms
    at = _EPOCH + timedelta(milliseconds=max(ms, _FIRST_MS))
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exists(field: str) -> Clause:
    if field.startswith(LABELS):
        # Not `exists`, which takes a * in a key for a pattern.
        pair = label_pair(field.removeprefix(LABELS), "")
        return _any(
            [
                _starts(field, ""),
                _starts(LABEL_PAIRS, pair),
                {"term": {PRESENT: {"value": field}}},
            ]
        )
    if searchable(field) is FieldType.TEXT:
        return {"exists": {"field": field}}
    # What is too long or of another type is not indexed; Elasticsearch or the writer keeps the names of such fields.
    return _any(
        [
            {"exists": {"field": field}},
            {"term": {"_ignored": {"value": field}}},
            {"term": {PRESENT: {"value": field}}},
        ]
    )


def label_pair(key: str, value: str) -> str:
    """How the writer keeps a label where there is no `flattened` type. Keys with = cannot be mistaken for others."""
    escaped = key.replace("\\", "\\\\").replace("=", "\\=")
    return f"{escaped}={value}"


def _any(clauses: Iterable[Clause]) -> Clause:
    either = list(clauses)
    return either[0] if len(either) == 1 else {"bool": {"should": either, "minimum_should_match": 1}}
