"""What an embedded (Tantivy) index is made of, and a document on its way in.

Keywords and labels are terms `name NUL value` of one field, so that a new keyword or a new label needs no new schema;
names of present fields are terms of another. Words have a field for each text. Dates are milliseconds in integer
fields (Tantivy's dates keep whole seconds). The id is split into three integer columns, because the exact order
(@timestamp, event.id) needs columns and text has none.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import tantivy

from logsync_streams.storage import values
from logsync_streams.storage.mapping import FIELDS, LABELS, WORD_FIELDS, FieldType
from logsync_streams.words import words

BODY = "body"
KEYWORDS = "keywords"
PRESENT = "present"
TIME = "@timestamp"
ID_HIGH, ID_LOW, ID_INDEX = "id.high", "id.low", "id.index"
# The columns of the order, most significant first.
ID_COLUMNS = (ID_HIGH, ID_LOW, ID_INDEX)
PLACE = (TIME, *ID_COLUMNS)
# Without these an index cannot be read at all; the others may be missing in one that an older version made.
REQUIRED = frozenset({BODY, KEYWORDS, PRESENT, *PLACE})

TOKENIZER = "words"
_ID = re.compile(r"([0-9a-f]{16})([0-9a-f]{16})-([0-9]{5})", re.ASCII)
_NUMBERS = {name for name, kind in FIELDS.items() if kind in (FieldType.LONG, FieldType.DATE)}
_ADDRESSES = {name for name, kind in FIELDS.items() if kind is FieldType.IP}


def word_field(field: str) -> str:
    """The Tantivy field of a text's words."""
    return f"words.{field}"


def keyword_term(field: str, value: str) -> str:
    """The term of a keyword or label; a name never holds NUL, so that no two can be taken for each other."""
    return f"{field}\0{value}"


def new_schema() -> tantivy.Schema:
    """The schema of an index made today."""
    builder = tantivy.SchemaBuilder()
    builder.add_bytes_field(BODY, stored=True)
    for name in (KEYWORDS, PRESENT):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in WORD_FIELDS:
        builder.add_text_field(word_field(name), tokenizer_name=TOKENIZER, index_option="position")
    for name in sorted(_NUMBERS):
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in sorted(_ADDRESSES):
        builder.add_ip_addr_field(name, indexed=True, fast=True)
    for name in (ID_HIGH, ID_LOW, ID_INDEX):
        builder.add_unsigned_field(name, indexed=True, fast=True)
    return builder.build()


def register_tokenizer(index: tantivy.Index) -> None:
    """Needed at every opening, of readers too: it is not kept with the index."""
    # Our words hold no white space: this only takes apart what `words` put together.
    index.register_tokenizer(TOKENIZER, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())


def split_id(id: str) -> tuple[int, int, int]:
    """The three columns of an id. Raises ValueError when it has not the form of an event.id."""
    match = _ID.fullmatch(id)
    if match is None:
        raise ValueError(f"event.id {id!r} is not 32 hex digits, '-' and five digits")
    return int(match[1], 16), int(match[2], 16), int(match[3])


def join_id(high: int, low: int, index: int) -> str:
    """The id of its three columns."""
    return f"{high:016x}{low:016x}-{index:05d}"


def to_tantivy(
    id: str, body: bytes, document: dict[str, Any], timestamp: int, known: Collection[str]
) -> tantivy.Document:
    """The document for an index whose schema has the fields `known`. Raises ValueError for an id of another form."""
    out = tantivy.Document()
    out.add_bytes(BODY, body)
    out.add_integer(TIME, timestamp)
    for column, number in zip((ID_HIGH, ID_LOW, ID_INDEX), split_id(id), strict=True):
        out.add_unsigned(column, number)
    out.add_text(KEYWORDS, keyword_term("event.id", id))
    columns: set[tuple[str, int]] = set()  # a value that comes twice in an array must not be counted twice
    for name, leaf in _fields(document):
        kind = FIELDS.get(name, FieldType.KEYWORD)
        if kind is FieldType.KEYWORD:
            text = values.keyword(leaf)
            if text is not None and name != "event.id":
                out.add_text(KEYWORDS, keyword_term(name, text))
        elif kind is FieldType.LONG or kind is FieldType.DATE:
            compared = values.long(leaf) if kind is FieldType.LONG else values.date_ms(leaf)
            if compared is not None and name != TIME and name in known and (name, compared) not in columns:
                columns.add((name, compared))
                out.add_integer(name, compared)
        elif kind is FieldType.IP:
            address = values.address(leaf)
            if address is not None and name in known and (name, address) not in columns:
                columns.add((name, address))
                out.add_ip_addr(name, values.address_text(address))
        if name in WORD_FIELDS and isinstance(leaf, str) and word_field(name) in known:
            out.add_text(word_field(name), " ".join(words(leaf)))
        out.add_text(PRESENT, name)
    return out


def _fields(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """(stored name, value) of all that can be searched for; the elements of arrays one by one."""
    found: list[tuple[str, Any]] = [(LABELS + key, leaf) for key, leaf in values.labels(document) if "\0" not in key]
    stack: list[tuple[str, Any]] = [(key, value) for key, value in document.items() if key != "labels"]
    while stack:
        name, node = stack.pop()
        if isinstance(node, dict):
            stack += [(f"{name}.{key}", value) for key, value in node.items()]
        elif isinstance(node, list):
            stack += [(name, value) for value in reversed(node)]
        elif node is not None and FIELDS.get(name, FieldType.STORED) is not FieldType.STORED:
            found.append((name, node))
    return found
