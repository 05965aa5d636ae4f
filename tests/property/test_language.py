import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import LEVEL_ALIASES, canonical_level
from logsync_streams.query.language import MAX_NESTING, parse, print_query
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.words import words

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(characters, max_size=20)
label_keys = st.text(characters, min_size=1, max_size=8).map("labels.".__add__)
has_words = texts.filter(lambda text: bool(words(text)))
one_word = st.text(characters, min_size=1, max_size=8).map(str.lower).filter(lambda text: words(text) == [text])
keywords = st.sampled_from(["service.name", "host.name", "error.type", "tags"]) | label_keys
text_fields = st.sampled_from([None, "message", "error.message", "error.stack_trace"])
numbers = st.integers(-(2**63), 2**63 - 1).map(str)


def ranges(field: str, bounds: st.SearchStrategy[str]) -> st.SearchStrategy[Query]:
    both = st.builds(Range, st.just(field), bounds, bounds, st.booleans(), st.booleans())
    lower = st.builds(Range, st.just(field), bounds, st.none(), st.booleans())
    upper = st.builds(Range, st.just(field), st.none(), bounds, st.just(True), st.booleans())
    return both | lower | upper


leaves: st.SearchStrategy[Query] = (
    st.just(All())
    | st.builds(Text, has_words, text_fields)
    | st.builds(Prefix, one_word, text_fields)
    | st.builds(Prefix, texts.filter(bool), keywords)
    | st.builds(Equals, keywords, texts)
    | st.builds(Equals, st.just("log.level"), (texts | st.sampled_from(list(LEVEL_ALIASES))).map(canonical_level))
    | st.builds(Equals, st.just("source.port"), numbers)
    | st.builds(Exists, keywords | st.sampled_from(["message", "@timestamp", "source.ip"]))
    | ranges("source.port", numbers)
    | ranges("service.name", texts)
    | ranges("@timestamp", st.datetimes().map(lambda moment: moment.isoformat() + "Z"))
    | ranges("source.ip", st.ip_addresses().map(str))
)


def nested(depth: int) -> st.SearchStrategy[Query]:
    if depth == 0:
        return leaves
    inner = nested(depth - 1)
    some = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return leaves | st.builds(Not, inner) | st.builds(And, some) | st.builds(Or, some)


@given(nested(4))
def test_what_is_printed_is_read_back_as_the_same_query(query):
    assert query == parse(print_query(query), max_clauses=10_000, max_bytes=1_000_000)


# Pieces of the language, so that chance finds its corners.
pieces = st.lists(
    st.sampled_from(
        [
            *("a", "AND", "OR", "NOT", "(", ")", '"', "\\", ":", "*", "-", "[", "]", "{", "}", " TO ", " ", ">=", "<"),
            *("level:", "message:", "source.port:", "labels.x:", "5", "\n", "é", "\u2028", "日", "_", "."),
        ]
    )
).map("".join)


@given(st.text() | pieces | pieces.flatmap(lambda begin: st.text().map(begin.__add__)))
@example("(" * 2048)
@example("-" * 2048)
@example("NOT " * 512)
@example("level:(" * 290)
def test_any_text_is_a_query_that_prints_and_reads_back_or_an_invalid_query_with_a_column_in_it(text):
    try:
        query = parse(text)
    except InvalidQuery as error:
        column = error.column
        query = None
    if query is None:
        assert column is None or 1 <= column <= len(text) + 1
        return

    assert query == parse(print_query(query), max_bytes=1_000_000)
    assert depth(query) <= 2 * (MAX_NESTING + 1) + MAX_NESTING


def depth(query: Query) -> int:
    match query:
        case Not(inner):
            return 1 + depth(inner)
        case And(parts) | Or(parts):
            return 1 + max(map(depth, parts))
        case _:
            return 0


@given(st.text(st.characters(categories=["Cs"]), min_size=1))
def test_half_a_surrogate_pair_is_refused_as_no_text(text):
    with pytest.raises(InvalidQuery):
        parse(text)
