"""The query AST -> Tantivy's queries, for one index. Semantics: `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from os.path import commonprefix
from typing import Any

import tantivy

from logsync_streams.storage import evaluate, values
from logsync_streams.storage.api import All, And, Cursor, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.embedded_schema import (
    ID_COLUMNS,
    KEYWORDS,
    PLACE,
    PRESENT,
    TIME,
    keyword_term,
    split_id,
    word_field,
)
from logsync_streams.storage.mapping import FieldType
from logsync_streams.words import words

_MUST, _SHOULD, _NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot
_EVERYTHING, _NOTHING = tantivy.Query.all_query, tantivy.Query.empty_query


class Translator:
    """Translates for one index as it is now.

    schema: of the index; known: the names of its fields (an index of an older version has fewer: nothing is found in
    the missing ones). searcher: for ranges over keywords, which need the terms that there are.
    """

    def __init__(self, schema: tantivy.Schema, known: Collection[str], searcher: tantivy.Searcher) -> None:
        self._schema, self._known, self._searcher = schema, known, searcher

    def translate(self, query: Query) -> tantivy.Query:
        """Tantivy's query. The query must have passed `evaluate.check`."""
        match query:
            case All():
                return _EVERYTHING()
            case Text(text, field):
                return any_of([self._adjacent(name, words(text)) for name in evaluate.text_fields(field)])
            case Prefix():
                return self._prefix(query)
            case Equals():
                return self._equals(query)
            case Range():
                return self._range(query)
            case Exists(field):
                return self._term(PRESENT, field)
            case Not(inner):
                # Tantivy finds nothing for a pure NOT.
                return tantivy.Query.boolean_query([(_MUST, _EVERYTHING()), (_NOT, self.translate(inner))])
            case And(parts):
                return all_of([self.translate(part) for part in parts])
            case Or(parts):
                return any_of([self.translate(part) for part in parts])

    def between(self, start: int | None, end: int | None) -> tantivy.Query:
        """start <= @timestamp < end."""
        if start is None and end is None:
            return _EVERYTHING()
        return self._numbers(TIME, start, end, True, False)

    def beyond(self, cursor: Cursor, *, upwards: bool) -> tantivy.Query:
        """What comes after the cursor's place in the order: lexicographic over the columns."""
        return self._beyond(PLACE, (cursor.timestamp, *split_id(cursor.id)), upwards)

    def beyond_id(self, id: str) -> tantivy.Query:
        """Documents with an id above this one; "" is below all."""
        return self._beyond(ID_COLUMNS, split_id(id), True) if id else _EVERYTHING()

    def keyword(self, term: str) -> tantivy.Query:
        """Documents with this term among the keywords."""
        return self._term(KEYWORDS, term)

    def without(self, start: str) -> tantivy.Query:
        """Documents with no keyword that starts so."""
        return tantivy.Query.boolean_query([(_MUST, _EVERYTHING()), (_NOT, self._starting(KEYWORDS, start))])

    def _beyond(self, columns: tuple[str, ...], place: tuple[int, ...], upwards: bool) -> tantivy.Query:
        cases = []
        for depth, column in enumerate(columns):
            equal = [self.column(name, place[i]) for i, name in enumerate(columns[:depth])]
            low, high = (place[depth], None) if upwards else (None, place[depth])
            cases.append(all_of([*equal, self._numbers(column, low, high, False, False)]))
        return any_of(cases)

    def column(self, name: str, number: int) -> tantivy.Query:
        """Documents whose column has this number."""
        return self._term(name, number)

    def ids(self, ids: Collection[str]) -> tantivy.Query:
        """The documents with these ids."""
        return tantivy.Query.term_set_query(self._schema, KEYWORDS, [keyword_term("event.id", id) for id in ids])

    def _adjacent(self, field: str, wanted: list[str]) -> tantivy.Query:
        name = word_field(field)
        if not wanted or name not in self._known:
            return _NOTHING()
        if len(wanted) == 1:  # Tantivy panics at a phrase of one word
            return self._term(name, wanted[0])
        return tantivy.Query.phrase_query(self._schema, name, list(wanted))

    def _prefix(self, query: Prefix) -> tantivy.Query:
        if evaluate.is_words(query.field):
            start = evaluate.word_prefix(query.text)
            names = [word_field(field) for field in evaluate.text_fields(query.field)]
            return any_of([self._starting(name, start) for name in names if name in self._known])
        field = query.field or ""
        return self._starting(KEYWORDS, keyword_term(field, evaluate.keyword_text(field, query.text)))

    def _equals(self, query: Equals) -> tantivy.Query:
        field = query.field
        kind = evaluate.equals_type(query)
        if kind is FieldType.KEYWORD:
            return self._term(KEYWORDS, keyword_term(field, evaluate.keyword_text(field, query.value)))
        if field not in self._known:
            return _NOTHING()
        if kind is FieldType.IP:
            first, last = values.query_addresses(field, query.value)
            return self._addresses(field, first, last, True, True)
        read = values.query_long if kind is FieldType.LONG else values.query_date
        return self._term(field, read(field, query.value))

    def _range(self, query: Range) -> tantivy.Query:
        kind = evaluate.range_type(query)
        if kind is FieldType.KEYWORD:
            return self._keywords_between(query)
        if query.field not in self._known:
            return _NOTHING()
        inclusive = query.include_lower, query.include_upper
        if kind is FieldType.IP:
            lower, upper = _bounds(query, evaluate.single_address)
            return self._addresses(query.field, lower, upper, *inclusive)
        lower, upper = _bounds(query, values.query_long if kind is FieldType.LONG else values.query_date)
        return self._numbers(query.field, lower, upper, *inclusive)

    def _keywords_between(self, query: Range) -> tantivy.Query:
        # Tantivy has no ranges over text: name the terms that lie between. They all start as both bounds do.
        lower, upper = _bounds(query, evaluate.keyword_text)
        shared = commonprefix([lower, upper]) if lower and upper else ""  # noqa: RUF071 - texts, not paths
        start = keyword_term(query.field, "")
        inside = [
            term
            for term, _ in self._searcher.terms_with_prefix(KEYWORDS, start + shared)
            if _inside(query, term[len(start) :], lower, upper)
        ]
        return tantivy.Query.term_set_query(self._schema, KEYWORDS, inside) if inside else _NOTHING()

    def _term(self, name: str, value: str | int) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, name, value)

    def _starting(self, name: str, start: str) -> tantivy.Query:
        return tantivy.Query.fuzzy_term_query(self._schema, name, start, distance=0, prefix=True)

    def _numbers(
        self, name: str, lower: int | None, upper: int | None, with_lower: bool, with_upper: bool
    ) -> tantivy.Query:
        kind = tantivy.FieldType.Unsigned if name in PLACE[1:] else tantivy.FieldType.Integer
        # Tantivy takes no open side as exclusive.
        return tantivy.Query.range_query(
            self._schema, name, kind, lower, upper, with_lower or lower is None, with_upper or upper is None
        )

    def _addresses(
        self, name: str, lower: int | None, upper: int | None, with_lower: bool, with_upper: bool
    ) -> tantivy.Query:
        low, high = (None if bound is None else values.address_text(bound) for bound in (lower, upper))
        kind = tantivy.FieldType.IpAddr
        return tantivy.Query.range_query(
            self._schema, name, kind, low, high, with_lower or low is None, with_upper or high is None
        )


def all_of(queries: list[tantivy.Query]) -> tantivy.Query:
    """Documents that every query finds."""
    if not queries:
        return _EVERYTHING()
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(_MUST, query) for query in queries])


def any_of(queries: list[tantivy.Query]) -> tantivy.Query:
    """Documents that one of the queries finds."""
    if not queries:
        return _NOTHING()
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(_SHOULD, query) for query in queries])


def _bounds(query: Range, read: Callable[[str, str], Any]) -> tuple[Any, Any]:
    lower = None if query.lower is None else read(query.field, query.lower)
    upper = None if query.upper is None else read(query.field, query.upper)
    return lower, upper


def _inside(query: Range, value: str, lower: str | None, upper: str | None) -> bool:
    if lower is not None and (value < lower or (value == lower and not query.include_lower)):
        return False
    return upper is None or value < upper or (value == upper and query.include_upper)
