"""Where in a log a query's words are: character ranges, by one function for every store.

The stores' own highlighting differs by version and by store; this reads the query and the stored text alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from logsync_streams.storage import values
from logsync_streams.storage.api import And, Equals, Or, Prefix, Query, Text
from logsync_streams.storage.evaluate import is_words, keyword_text, text_fields
from logsync_streams.words import word_spans, words

Range = tuple[int, int]
# A text is looked at up to here: beyond, nobody reads.
_MAX_CHARACTERS = 65_536


class Highlighter:
    """Finds the ranges of one query in any number of documents.

    What a NOT excludes is never marked; of AND and OR, every part that occurs is.
    """

    def __init__(self, query: Query) -> None:
        leaves = list(_leaves(query))
        self._values: list[tuple[str, str, bool]] = []  # field, text, whether it is only the beginning
        self._words: dict[str, list[tuple[list[str], bool]]] = {}  # field -> words in a row, the last only begun
        for leaf in leaves:
            if isinstance(leaf, Text) or (isinstance(leaf, Prefix) and is_words(leaf.field)):
                begun = isinstance(leaf, Prefix)
                wanted = [leaf.text.lower()] if begun else words(leaf.text)
                for field in text_fields(leaf.field) if wanted else ():
                    self._words.setdefault(field, []).append((wanted, begun))
            else:
                text = leaf.value if isinstance(leaf, Equals) else leaf.text
                field = leaf.field or ""
                self._values.append((field, keyword_text(field, text), isinstance(leaf, Prefix)))

    def __call__(self, document: dict[str, Any]) -> dict[str, list[Range]]:
        """By field, in order, without overlap: the first character (Unicode code points, from 0) and the one after the
        last. Of a field with several values nothing is marked.
        """
        found: dict[str, list[Range]] = {}
        for field, patterns in self._words.items():
            value = _only(document, field)
            if isinstance(value, str):
                found[field] = _in_words(value[:_MAX_CHARACTERS], patterns)
        for field, text, begun in self._values:
            value = _only(document, field)
            if isinstance(value, str) and text and (value.startswith(text) if begun else value == text):
                found.setdefault(field, []).append((0, len(text)))
        return {field: _merged(ranges) for field, ranges in found.items() if ranges}


def _leaves(query: Query) -> Iterator[Text | Prefix | Equals]:
    match query:
        case Text() | Prefix() | Equals():
            yield query
        case And(parts) | Or(parts):
            for part in parts:
                yield from _leaves(part)


def _only(document: dict[str, Any], field: str) -> Any:
    there = values.leaves(document, field)
    return there[0] if len(there) == 1 else None


def _in_words(text: str, patterns: list[tuple[list[str], bool]]) -> list[Range]:
    spans = word_spans(text)
    present = [word for word, _, _ in spans]
    ranges: list[Range] = []
    for wanted, begun in patterns:
        first, length = wanted[0], len(wanted)
        for place, word in enumerate(present):
            if word.startswith(first) if begun else word == first and present[place : place + length] == wanted:
                end = spans[place][1] + len(first) if begun else spans[place + length - 1][2]
                ranges.append((spans[place][1], end))
    return ranges


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
