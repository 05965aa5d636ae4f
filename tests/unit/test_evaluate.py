"""The corners of the definition of a search that random documents seldom reach; the whole is in tests/contract."""

from __future__ import annotations

from typing import Any

import pytest

from logsync_streams.errors import InvalidQuery
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Query, Range, Text
from logsync_streams.storage.evaluate import check, compiled, matches


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        (Text("a b"), {"message": ["x a", "b y"]}, False),
        (Text("a b"), {"message": ["x", "a b"]}, True),
        (Text("a b"), {"message": "a", "error": {"message": "b"}}, False),
        (Text("5"), {"message": 5}, False),
        (Text("a a b"), {"message": "a a a b"}, True),
        (Equals("tags", "b"), {"tags": ["a", ["b"]]}, True),
        (Equals("user.id", "5"), {"user": {"id": 5}}, True),
        (Equals("user.id", "1000.0"), {"user": {"id": 1e3}}, True),
        (Equals("user.id", "null"), {"user": {"id": None}}, False),
        (Equals("user.id", "5"), {"user": [{"id": 4}, {"id": 5}]}, True),
        (Equals("user.id", "x"), {"user": "x"}, False),
        (Equals("source.port", "5"), {"source": {"port": "5"}}, True),
        (Equals("source.port", "1"), {"source": {"port": True}}, False),
        (Range("source.port", "1", None), {"source": {"port": "many"}}, False),
        (Exists("source.port"), {"source": {"port": "many"}}, True),
        (Exists("tags"), {"tags": [None, []]}, False),
        (Exists("host.name"), {"host": {"name": ""}}, True),
        (Exists("host.name"), {"host": {"name": {}}}, False),
        (Equals("labels.a.b", "1"), {"labels": {"a": {"b": 1}}}, True),
        (Equals("labels.a.b", "1"), {"labels": {"a.b": 1}}, True),
        (Exists("labels.a"), {"labels": {"a": {"b": 1}}}, False),
        (Equals("labels.e", "🔥" * 512), {"labels": {"e": "🔥" * 512}}, True),
        (Equals("labels.e", "🔥" * 513), {"labels": {"e": "🔥" * 513}}, False),
        (Equals("source.ip", "::ffff:10.0.0.1"), {"source": {"ip": "10.0.0.1"}}, True),
        (Equals("source.ip", "::/0"), {"source": {"ip": "10.0.0.1"}}, True),
        (Equals("source.ip", "10.0.0.7/24"), {"source": {"ip": "10.0.0.1"}}, True),
        (Equals("source.ip", "0.0.0.0/0"), {"source": {"ip": "fe80::1%eth0"}}, False),
        (
            Equals("event.ingested", "2026-11-24T22:56:37.123+01:00"),
            {"event": {"ingested": "2026-11-24T21:56:37.123Z"}},
            True,
        ),
        (Range("@timestamp", None, "1969-12-31T23:59:59.999Z"), {"@timestamp": "1969-12-31T23:59:59.999Z"}, True),
        (Range("service.name", "B", "a", include_upper=False), {"service": {"name": "Z"}}, True),
        (And(()), {}, True),
        (Or(()), {}, False),
    ],
    ids=repr,
)
def test_a_query_means(query: Query, document: dict[str, Any], expected: bool):
    assert expected == matches(query, document)


def test_a_query_is_refused_before_any_document_is_seen():
    query = And((All(), Or((Not(Exists("event.original")), All()))))

    with pytest.raises(InvalidQuery, match=r"'event\.original' is stored but not indexed"):
        check(query)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Text("x", "service.name"), r"service\.name is compared as a whole.*service\.name:value"),
        (Equals("message", "x"), "message is searched by words"),
        (Range("labels.n", "1", "2"), r"labels are compared as text and have no ranges"),
        (Prefix("user-"), r"'user-'\* must begin one word"),
        (Range("source.ip", "10.0.0.0/8", None), "a bound is one address"),
        (Equals("source.port", "many"), "a whole number is expected, not 'many'"),
        (Range("@timestamp", "yesterday", None), "a time is expected, not 'yesterday'"),
    ],
    ids=repr,
)
def test_a_refusal_says_what_would_do(query: Query, says: str):
    with pytest.raises(InvalidQuery, match=says):
        check(query)


def test_a_compiled_query_serves_many_documents():
    found = compiled(Text("disk full"))

    assert [True, False] == [found({"message": "Disk-full!"}), found({"message": "full disk"})]


@pytest.mark.parametrize(
    "query",
    [
        Prefix("x" * 301, "service.name"),
        Range("service.name", lower="é" * 151),
        Exists("labels." + "k" * 300),
    ],
)
def test_a_part_of_a_value_has_a_bounded_length(query):
    with pytest.raises(InvalidQuery, match="at most 300 bytes"):
        check(query)


def test_a_whole_value_has_any_length():
    check(Equals("service.name", "x" * 1000))
