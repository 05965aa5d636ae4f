"""The definition of a search holds for any text, any document and any query."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.errors import InvalidQuery
from logsync_streams.storage import values
from logsync_streams.storage.api import And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.evaluate import compiled, matches
from logsync_streams.storage.mapping import FIELDS
from logsync_streams.words import words

texts = st.text(max_size=60)
fields = st.one_of(st.sampled_from(sorted(FIELDS)), texts, texts.map("labels.{}".format))
bounds = st.one_of(st.none(), texts, st.integers().map(str), st.ip_addresses().map(str), st.datetimes().map(str))
leaves = st.one_of(
    st.builds(Text, texts, st.one_of(st.none(), fields)),
    st.builds(Prefix, texts, st.one_of(st.none(), fields)),
    st.builds(Equals, fields, bounds.map(str)),
    st.builds(Range, fields, bounds, bounds, st.booleans(), st.booleans()),
    st.builds(Exists, fields),
)
queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda *parts: And(parts), inner, inner),
        st.builds(lambda *parts: Or(parts), inner, inner),
    ),
    max_leaves=6,
)
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), texts
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
NAMES = [
    "message",
    "log",
    "level",
    "source",
    "ip",
    "port",
    "labels",
    "@timestamp",
    "error",
    "type",
    "service",
    "name",
    "tags",
]
documents = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(json_values, st.dictionaries(st.sampled_from(NAMES), json_values, max_size=3)),
    max_size=6,
)


@given(texts)
def test_a_text_with_words_finds_itself_and_one_without_finds_nothing(text: str):
    assert bool(words(text)) == matches(Text(text), {"message": text})


@given(texts, st.data())
def test_any_run_of_words_is_found_and_a_longer_one_is_not(text: str, data: st.DataObject):
    present = words(text)
    first = data.draw(st.integers(0, len(present)))
    last = data.draw(st.integers(first, len(present)))
    run = " ".join(present[first:last])

    assert (first < last) == matches(Text(run), {"message": text})
    assert not matches(Text(" ".join([*present, "more"])), {"message": text})


@given(queries, documents)
def test_any_query_over_any_document_is_answered_or_refused(query: Query, document: dict[str, Any]):
    try:
        found = compiled(query)
    except InvalidQuery:
        return
    once = found(document)

    assert (once, not once) == (matches(query, document), matches(Not(query), document))


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62), st.booleans())
def test_a_range_over_numbers_is_the_order_of_numbers(bound: int, number: int, include: bool):
    document = {"source": {"port": number}}
    above = Range("source.port", str(bound), None, include_lower=include)

    assert (number >= bound if include else number > bound) == matches(above, document)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_has_the_addresses_with_its_first_bits(network: Any, bits: int, one: Any):
    shared = int(network) >> (32 - bits) == int(one) >> (32 - bits)

    assert shared == matches(Equals("source.ip", f"{network}/{bits}"), {"source": {"ip": str(one)}})


@given(st.ip_addresses())
def test_an_address_is_written_as_it_is_read(one: Any):
    number = values.address(str(one))

    assert number is not None
    assert number == values.address(values.address_text(number))
