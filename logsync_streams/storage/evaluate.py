"""What a search means: each node of the query AST over one stored document. Every store does the same, live tail too.

The rules (docs/architecture.md, "What a search means"):
- Text: the words (words.py) adjacent and in order in one text value. No field: in the message, error.type,
  error.message or error.stack_trace. A text without words matches nothing.
- Prefix: without a field or on a text field, one word that starts so; on a keyword, the value starts so.
- Equals, Prefix and Range on a keyword compare exactly, code point by code point; log.level in lower case. A value
  over IGNORE_ABOVE is not found by them. Of an array, any element. A prefix or bound has at most MAX_PARTIAL_BYTES.
- Exists: there is a value, whatever it is, too long or not of the field's type included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import Fields
from logsync_streams.storage import values
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.mapping import LABELS, WORD_FIELDS, FieldType, searchable
from logsync_streams.words import words

Predicate = Callable[[Fields], bool]
LEVEL = "log.level"
# A prefix, a range's bound, and the name of a label of which only a part of the value is given. Elasticsearch makes an
# automaton of them, a state a byte, and refuses one of more than 1,000 states; an escaped label name counts double.
MAX_PARTIAL_BYTES = 300


def matches(query: Query, document: Fields) -> bool:
    """Whether the query finds the stored document. Raises InvalidQuery as `check` does."""
    return compiled(query)(document)


def check(query: Query) -> None:
    """Raises InvalidQuery for a field that cannot be searched, or not so, and for a value that its type cannot read."""
    compiled(query)


def compiled(query: Query) -> Predicate:
    """The query as a function of a document, for use on many. Raises InvalidQuery as `check` does."""
    if isinstance(query, (Equals, Prefix, Range, Exists)):
        _refuse_unreadable(query)
    match query:
        case All():
            return lambda document: True
        case Text():
            return _text(query)
        case Prefix():
            return _prefix(query)
        case Equals():
            return _equals(query)
        case Range():
            return _range(query)
        case Exists():
            searchable(query.field)
            return lambda document: bool(values.leaves(document, query.field))
        case Not():
            inner = compiled(query.query)
            return lambda document: not inner(document)
        case And():
            every = [compiled(part) for part in query.queries]
            return lambda document: all(part(document) for part in every)
        case Or():
            either = [compiled(part) for part in query.queries]
            return lambda document: any(part(document) for part in either)


def _refuse_unreadable(query: Equals | Prefix | Range | Exists) -> None:
    if "\0" in (query.field or ""):
        raise InvalidQuery("a field name with a NUL character cannot be searched")
    try:
        "".join(text for text in astuple(query) if isinstance(text, str)).encode()
    except UnicodeEncodeError:
        raise InvalidQuery("the query holds half of a surrogate pair, which is no character") from None
    if not isinstance(query, Equals):
        for text in astuple(query):
            if isinstance(text, str) and len(text.encode()) > MAX_PARTIAL_BYTES:
                raise InvalidQuery(
                    f"{text[:20]}… is {len(text.encode())} bytes long: at most {MAX_PARTIAL_BYTES} bytes of a name, a "
                    "prefix or a bound can be searched",
                    hint="give a shorter beginning, or the whole value",
                )


def keyword_text(field: str, text: str) -> str:
    """A text of a query as it is compared on a keyword field: levels are stored in lower case."""
    return text.lower() if field == LEVEL else text


def text_fields(field: str | None) -> tuple[str, ...]:
    """The fields that a Text looks into. Raises InvalidQuery for a field that has no words."""
    if field is None:
        return tuple(WORD_FIELDS)
    if searchable(field) is not FieldType.TEXT:
        raise InvalidQuery(
            f"{field} is compared as a whole, not by its words", hint=f"write {field}:value or {field}:val*"
        )
    return (field,)


def word_prefix(text: str) -> str:
    """The text of a Prefix on words, in lower case. Raises InvalidQuery unless it is one word."""
    lowered = text.lower()
    if words(lowered) != [lowered]:
        raise InvalidQuery(f"{text!r}* must begin one word", hint='only letters and digits before the *, or a "phrase"')
    return lowered


def is_words(field: str | None) -> bool:
    """Whether a Prefix on this field is one of words. Raises InvalidQuery for a field that is not indexed."""
    return field is None or searchable(field) is FieldType.TEXT


def prefix_type_checked(query: Prefix) -> None:
    """Raises InvalidQuery for a Prefix on a field that is neither text nor keyword, or of no letters at all."""
    if not query.text:
        raise InvalidQuery("a prefix needs at least one letter", hint="field:* asks whether a field is present")
    if query.field is not None and searchable(query.field) not in (FieldType.TEXT, FieldType.KEYWORD):
        raise InvalidQuery(f"{query.field} has no prefixes", hint="use a range, e.g. >=500")


def equals_type(query: Equals) -> FieldType:
    """The type of the field of an Equals. Raises InvalidQuery for a text field."""
    found = searchable(query.field)
    if found is FieldType.TEXT:
        raise InvalidQuery(f"{query.field} is searched by words, not as a whole", hint='use words or a "phrase"')
    return found


def range_type(query: Range) -> FieldType:
    """The type of the field of a Range. Raises InvalidQuery for text, labels, and a range without bounds."""
    found = searchable(query.field)
    if found is FieldType.TEXT:
        raise InvalidQuery(f"{query.field} is searched by words and has no ranges")
    if query.field.startswith(LABELS):
        raise InvalidQuery(f"{query.field}: labels are compared as text and have no ranges", hint="use label:value")
    if query.lower is None and query.upper is None:
        raise InvalidQuery(f"{query.field}: a range needs a bound", hint="field:* asks whether a field is present")
    return found


def _text(query: Text) -> Predicate:
    fields, wanted = text_fields(query.field), words(query.text)
    if not wanted:
        return lambda document: False

    def found(document: Fields) -> bool:
        return any(
            _adjacent(words(value), wanted)
            for field in fields
            for value in values.leaves(document, field)
            if isinstance(value, str)
        )

    return found


def _adjacent(present: list[str], wanted: list[str]) -> bool:
    first, length = wanted[0], len(wanted)
    return any(word == first and present[i : i + length] == wanted for i, word in enumerate(present))


def _prefix(query: Prefix) -> Predicate:
    prefix_type_checked(query)
    if is_words(query.field):
        fields, start = text_fields(query.field), word_prefix(query.text)
        return lambda document: any(
            word.startswith(start)
            for field in fields
            for value in values.leaves(document, field)
            if isinstance(value, str)
            for word in words(value)
        )
    field = query.field or ""
    begin = keyword_text(field, query.text)
    return lambda document: any(
        text is not None and text.startswith(begin) for text in map(values.keyword, values.leaves(document, field))
    )


def _equals(query: Equals) -> Predicate:
    field = query.field
    match equals_type(query):
        case FieldType.LONG:
            number = values.query_long(field, query.value)
            return lambda document: number in map(values.long, values.leaves(document, field))
        case FieldType.DATE:
            instant = values.query_date(field, query.value)
            return lambda document: instant in map(values.date_ms, values.leaves(document, field))
        case FieldType.IP:
            network = values.query_addresses(field, query.value)
            return lambda document: any(
                one is not None and network.first <= one <= network.last
                for one in map(values.address, values.leaves(document, field))
            )
        case _:
            text = keyword_text(field, query.value)
            return lambda document: text in map(values.keyword, values.leaves(document, field))


def _range(query: Range) -> Predicate:
    match range_type(query):
        case FieldType.LONG:
            return _between(query, values.query_long, values.long)
        case FieldType.DATE:
            return _between(query, values.query_date, values.date_ms)
        case FieldType.IP:
            return _between(query, single_address, values.address)
        case _:
            return _between(query, keyword_text, values.keyword)


def single_address(field: str, text: str) -> int:
    """The one address a range's bound names. Raises InvalidQuery for a network."""
    first, last = values.query_addresses(field, text)
    if first != last:
        raise InvalidQuery(f"{field}: a bound is one address, not the network {text!r}", hint=f"write {field}:{text}")
    return first


def _between(query: Range, bound: Callable[[str, str], object], read: Callable[[object], object]) -> Predicate:
    field = query.field
    lower = None if query.lower is None else bound(field, query.lower)
    upper = None if query.upper is None else bound(field, query.upper)

    def inside(value: object) -> bool:
        if value is None:
            return False
        # The bounds and the values were read by the same type's functions: both numbers, or both texts.
        if lower is not None and not (value >= lower if query.include_lower else value > lower):  # type: ignore[operator]
            return False
        return upper is None or (value <= upper if query.include_upper else value < upper)  # type: ignore[operator]

    return lambda document: any(map(inside, map(read, values.leaves(document, field))))
