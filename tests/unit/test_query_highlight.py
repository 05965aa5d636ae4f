"""Highlights: ranges of characters in what is shown, from the query and the text alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.query.highlight import Highlighter
from logsync_streams.query.language import parse
from logsync_streams.words import word_spans, words


def marked(query: str, text: str, field: str = "message") -> list[str]:
    document: dict[str, Any] = {}
    node = document
    *parents, last = field.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = text
    return [text[start:end] for start, end in Highlighter(parse(query))(document).get(field, [])]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("timeout", "TIMEOUT_ms: a timeout", ["TIMEOUT", "timeout"]),
        ('"connection refused"', "connection: refused, connection", ["connection: refused"]),
        ("user-id", "the User ID", ["User ID"]),
        ("time*", "timeout in time", ["time", "time"]),
        ("a OR b", "a c b", ["a", "b"]),
        ("a -b", "a b", ["a"]),
        ("message:x", "x", ["x"]),
        ("error.message:x", "x", []),
        ("*", "anything", []),
        ("连接", "数据库连接失败", ["连接"]),
        ("b", "🔥 İ b", ["b"]),
        ('"a b" "b c"', "a b c", ["a b c"]),
    ],
)
def test_the_words_of_the_query_are_marked_as_they_stand_in_the_text(query, text, expected):
    assert expected == marked(query, text)


def test_values_of_keywords_are_marked():
    assert ["auth"] == marked("service:auth", "auth", "service.name")
    assert ["au"] == marked("service:au*", "auth", "service.name")
    assert [] == marked("service:auth", "authz", "service.name")
    assert ["error"] == marked("level:ERR", "error", "log.level")
    assert ["5"] == marked("labels.n:5", "5", "labels.n")


def test_a_field_with_several_values_is_left_alone():
    assert {} == Highlighter(parse("tag:a"))({"tags": ["a", "b"]})


@given(st.text())
def test_each_word_stands_where_its_span_says(text):
    spans = word_spans(text)

    assert words(text) == [word for word, _, _ in spans]
    assert all(word in text[start:end].lower() or start < end for word, start, end in spans)
    assert all(0 <= start < end <= len(text) for _, start, end in spans)
    assert sorted(spans, key=lambda span: span[1]) == spans
