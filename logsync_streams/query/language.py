r"""The query language: text -> the AST of storage/api.py, and back.

    timeout                      a word of the message or of an error.* text, whatever its case
    "connection refused"         words in this order, next to each other
    service:auth level:error     a field and its value; blanks mean AND
    message:"too many"           words of one field             labels.region:eu-1   a key of the sender's own
    source.port:>=1024           also > < <=, [500 TO 599], {1 TO 5}, [10 TO *]      level:>=warn   by severity
    time*   host:web-*           what starts so                 trace.id:*           the field is there
    -debug   NOT (a OR b)        without; AND binds tighter than OR
    level:(error OR fatal)       several values of one field
    \"   \:   \*   \AND          a backslash takes the next character's meaning away
    "say \"hi\""                 within quotes only " and the backslash itself need one

Any text gives a query or InvalidQuery with the column. Depth is bounded, so that no store is asked to recurse.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import SEVERITIES, canonical_level
from logsync_streams.query.scanner import OPERATORS, Chars, Scanner, plain
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.evaluate import check
from logsync_streams.storage.mapping import ALIASES, FIELDS, FieldType, resolve, searchable
from logsync_streams.words import words

# Parentheses and NOTs within each other. Each may give three levels of AST; Elasticsearch refuses from 20 or 30 on.
MAX_NESTING = 8


def parse(text: str, *, max_clauses: int = 64, max_bytes: int = 2048) -> Query:
    """The query that `text` means; `All` for a blank one. Field names in it are the stored ones.

    max_clauses bounds words, phrases and fields, max_bytes the UTF-8 length of the text. Raises InvalidQuery, nothing
    else, with the 1-based column (in characters) where it went wrong.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidQuery("the query is not valid Unicode", column=error.start + 1) from error
    if size > max_bytes:
        raise InvalidQuery(f"the query has {size} bytes, at most {max_bytes} are allowed", hint="search for less")
    return _Parser(Scanner(text), max_clauses).query()


@dataclass(frozen=True, slots=True)
class _Field:
    name: str  # as stored
    type: FieldType


class _Parser:
    """Recursive descent: query = or; or = and (OR and)*; and = unary (AND? unary)*; unary = NOT unary | primary."""

    def __init__(self, scanner: Scanner, max_clauses: int) -> None:
        self._scan = scanner
        self._left = self._max_clauses = max_clauses

    def query(self) -> Query:
        self._scan.skip_blanks()
        if self._scan.at_end():
            return All()
        query = self._or(None, 0)
        if not self._scan.at_end():  # _or stops at an operator, which it takes, or at a parenthesis
            raise InvalidQuery(
                "this closing parenthesis was never opened", column=self._scan.column, hint="remove it or write \\)"
            )
        return query

    def _or(self, field: _Field | None, depth: int) -> Query:
        alternatives = [self._and(field, depth)]
        while self._scan.take_operator("OR"):
            alternatives.append(self._and(field, depth))
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))

    def _and(self, field: _Field | None, depth: int) -> Query:
        parts = [self._unary(field, depth)]
        while True:
            if not self._scan.take_operator("AND") and (
                self._scan.at_end() or self._scan.peek(")") or self._scan.at_operator("OR")
            ):
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            parts.append(self._unary(field, depth))

    def _unary(self, field: _Field | None, depth: int) -> Query:
        column = self._scan.column
        if depth > MAX_NESTING:
            raise InvalidQuery(f"more than {MAX_NESTING} parentheses or NOTs within each other", column=column)
        if self._scan.take_operator("NOT"):
            query: Query = Not(self._unary(field, depth + 1))
        elif self._scan.take("-"):
            if self._scan.at_blank():
                raise InvalidQuery(
                    "a '-' must stand right before what it excludes",
                    column=column,
                    hint='write -word; a text with a dash in it goes into quotes: "a - b"',
                )
            query = Not(self._unary(field, depth + 1))
        else:
            query = self._primary(field, depth)
        self._scan.skip_blanks()
        return query

    def _primary(self, field: _Field | None, depth: int) -> Query:
        column = self._scan.column
        self._operand_here(column)
        if self._scan.take("("):
            return self._group(field, depth, column)
        if self._scan.peek('"'):
            return self._leaf(column, field, self._scan.quoted())
        name, value = self._scan.word_or_field()
        if name is None:
            return self._leaf(column, field, value)
        if field is not None:
            raise InvalidQuery(
                f"a field within the parentheses of another one: {plain(name)!r}",
                column=column,
                hint="put the whole in quotes if it is a value",
            )
        return self._value(column, _find_field(plain(name), column), depth)

    def _operand_here(self, column: int) -> None:
        """Raise InvalidQuery where something to search for must stand and does not."""
        if self._scan.at_end():
            raise InvalidQuery("the query ends where a word was expected", column=column)
        if self._scan.peek(")"):
            raise InvalidQuery("a word was expected before this parenthesis", column=column)
        for operator in OPERATORS:
            if self._scan.at_operator(operator):
                raise InvalidQuery(
                    f"{operator} needs something to search for on both sides",
                    column=column,
                    hint=f'to find the word itself write "{operator}" or {operator.lower()}',
                )

    def _group(self, field: _Field | None, depth: int, column: int) -> Query:
        self._scan.skip_blanks()
        query = self._or(field, depth + 1)
        if not self._scan.take(")"):
            raise InvalidQuery("this parenthesis is never closed", column=column, hint="add ) or write \\(")
        return query

    def _value(self, column: int, field: _Field, depth: int) -> Query:
        """What stands behind `field:`."""
        self._scan.skip_blanks()
        if self._scan.at_end() or self._scan.peek(")"):
            raise InvalidQuery(
                f"a value is missing after {field.name}:",
                column=self._scan.column,
                hint=f'{field.name}:* finds logs that have the field; a text with a colon goes into quotes: "a: b"',
            )
        if self._scan.take("("):
            return self._group(field, depth, column)
        bounds = self._scan.range()
        if bounds is None:
            value = self._scan.quoted() if self._scan.peek('"') else self._scan.word()
            return self._leaf(column, field, value)
        lower, upper, include_lower, include_upper = bounds
        if lower is None and upper is None:
            return self._clause(column, lambda: Exists(field.name))
        if field.name == "log.level":
            # As words, levels have no useful order; their severities do.
            name = "event.severity"
            lower, upper = _severity(lower, column), _severity(upper, column)
        else:
            name = field.name
        return self._clause(column, lambda: Range(name, lower, upper, include_lower, include_upper))

    def _leaf(self, column: int, field: _Field | None, value: Chars) -> Query:
        return self._clause(column, lambda: _leaf(field, value))

    def _clause(self, column: int, make: Callable[[], Query]) -> Query:
        if self._left == 0:
            raise InvalidQuery(f"more than {self._max_clauses} words, phrases and fields", column=column)
        self._left -= 1
        try:
            query = make()
            check(query)
        except InvalidQuery as error:
            raise InvalidQuery(error.detail, column=error.column or column, hint=error.hint) from error
        return query


def _find_field(name: str, column: int) -> _Field:
    stored = resolve(name)
    try:
        return _Field(stored, searchable(stored))
    except InvalidQuery as error:
        close = difflib.get_close_matches(name, {*ALIASES, *FIELDS} - {stored}, n=1, cutoff=0.7)
        similar = f"did you mean {close[0]}? " if close else ""
        hint = f'{similar}{error.hint}; a text with a colon in it goes into quotes: "a:b"'
        raise InvalidQuery(error.detail, column=column, hint=hint) from error


def _severity(level: str | None, column: int) -> str | None:
    if level is None:
        return None
    number = SEVERITIES.get(canonical_level(level))
    if number is None:
        raise InvalidQuery(f"{level!r} is no level that can be compared", column=column, hint=", ".join(SEVERITIES))
    return str(number)


def _leaf(field: _Field | None, value: Chars) -> Query:
    """A word, phrase or prefix, of a field or not. Raises InvalidQuery without a column."""
    text, starred = _without_star(value)
    if starred and text == "":
        return All() if field is None else Exists(field.name)
    if field is None or field.type is FieldType.TEXT:
        name = None if field is None else field.name
        return _prefix_of_word(text, name) if starred else _text(text, name)
    if field.name == "log.level":
        # "err" means error when it is the whole value; of a prefix only the case is ours.
        return Prefix(text.lower(), field.name) if starred else Equals(field.name, canonical_level(text))
    if not starred:
        return Equals(field.name, text)
    if field.type is not FieldType.KEYWORD:
        hint = "write a network: 10.0.0.0/8" if field.type is FieldType.IP else "write a range: [a TO b]"
        raise InvalidQuery(f"{field.name} cannot be searched by its beginning", hint=hint)
    return Prefix(text, field.name)


def _without_star(value: Chars) -> tuple[str, bool]:
    starred = bool(value) and value[-1] == ("*", False)
    if starred:
        value = value[:-1]
    if ("*", False) in value:
        raise InvalidQuery(
            "a * may stand at the end of a word only",
            hint="what begins with a word: abc*; the character itself: \\* or quotes",
        )
    return plain(value), starred


def _text(text: str, field: str | None) -> Query:
    if not words(text):
        known = {"&&": "AND", "||": "OR", "!": "NOT"}.get(text)
        raise InvalidQuery(
            f"{text!r} has no letter or digit, so nothing can be found by it",
            hint=f"write {known}" if known else "leave it out, or put the whole text in quotes",
        )
    return Text(text, field)


def _prefix_of_word(text: str, field: str | None) -> Query:
    lowered = text.lower()
    if words(lowered) != [lowered]:
        raise InvalidQuery(
            f"{text + '*'!r}: the beginning of one word is expected before the *",
            hint="letters and digits only; leave the * out to search for the words",
        )
    return Prefix(lowered, field)


# ----------------------------------------------------------------------------------------------------------- printing


def print_query(query: Query) -> str:
    """A text that `parse` reads as this query, for every query that `parse` can give."""
    match query:
        case And(queries):
            return " ".join(_operand(part) for part in queries)
        case Or(queries):
            return " OR ".join(_operand(part) for part in queries)
        case Not(inner):
            return "-" + _operand(inner)
        case All():
            return "*"
        case Text(text, field):
            return _named(field) + _quote(text)
        case Prefix(text, field):
            return _named(field) + _escape(text) + "*"
        case Equals(field, value):
            return _named(field) + _quote(value)
        case Exists(field):
            return _named(field) + "*"
        case Range(field, lower, upper, include_lower, include_upper):
            opening, closing = "[" if include_lower else "{", "]" if include_upper else "}"
            return f"{_named(field)}{opening}{_bound(lower)} TO {_bound(upper)}{closing}"


def _operand(query: Query) -> str:
    text = print_query(query)
    return f"({text})" if isinstance(query, And | Or) else text


def _named(field: str | None) -> str:
    return "" if field is None else _escape(field) + ":"


def _bound(value: str | None) -> str:
    return "*" if value is None else _quote(value)


def _is_plain(character: str) -> bool:
    return character.isalnum() or character in "_."


def _escape(text: str) -> str:
    return "".join(c if _is_plain(c) else "\\" + c for c in text)


def _quote(text: str) -> str:
    if text and text not in OPERATORS and all(map(_is_plain, text)):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
