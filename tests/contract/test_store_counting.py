"""Histograms and facets count what a search finds: the same in every store."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import orjson
import pytest

from logsync_streams.errors import InvalidQuery
from logsync_streams.storage import values
from logsync_streams.storage.api import All, Equals, FacetsRequest, HistogramRequest, Prefix, Query, Text
from logsync_streams.storage.counting import counted, ranked
from logsync_streams.storage.evaluate import matches
from tests.contract.documents import NOON, OTHER_TARGET, SEED, make_document, random_corpus
from tests.contract.queries import random_query
from tests.contract.steps import put
from tests.contract.stores import Opened

FIELDS = (
    *("log.level", "service.name", "host.name", "host.ip", "source.ip", "source.port", "http.response.status_code"),
    *("tags", "error.type", "event.severity", "labels.order", "labels.count", "labels.key=sign", "labels.with space"),
    *("labels.日付", "labels.nowhere", "trace.id"),
)


async def test_each_interval_counts_its_logs_and_the_empty_ones_are_there(ready: Opened):
    at = [0, 999, 1000, 3000, 3001, 3999, 4000]
    documents = [make_document({"log": {"level": "error"}}, timestamp=NOON + t) for t in at]
    documents.append(make_document({"log": {"level": "info"}}, timestamp=NOON + 3500, target=OTHER_TARGET))
    await put(ready.store, documents)

    split = (Equals("log.level", "ERROR"), Equals("log.level", "warn"))
    buckets = await ready.store.reader.histogram(HistogramRequest(All(), NOON + 500, NOON + 4000, 1000, split))

    assert [(0, 1, (1, 0)), (1000, 1, (1, 0)), (2000, 0, (0, 0)), (3000, 4, (3, 0))] == [
        (bucket.start - NOON, bucket.count, bucket.split) for bucket in buckets
    ]


async def test_intervals_before_1970_begin_at_multiples_too(ready: Opened):
    await put(ready.store, [make_document(timestamp=t) for t in (-1, -1000, -1001, 0)])

    buckets = await ready.store.reader.histogram(HistogramRequest(All(), -2000, 1000, 1000))

    assert [(-2000, 1), (-1000, 2), (0, 1)] == [(bucket.start, bucket.count) for bucket in buckets]


async def test_a_facet_counts_a_log_once_for_each_value_and_the_commonest_come_first(ready: Opened):
    fields: list[dict[str, Any]] = [
        {"service": {"name": "b"}, "tags": ["x", "y", "x"], "source": {"port": 80}},
        {"service": {"name": "b"}, "tags": "y", "source": {"port": [80, 80, 443]}},
        {"service": {"name": "a"}, "labels": {"order": {"id": 5}}, "source": {"port": "1000"}},
        {"service": {"name": "c" * 1025}, "labels": {"order": {"id": "5"}}, "source": {"ip": ["::ffff:10.0.0.1"] * 2}},
    ]
    await put(ready.store, [make_document(one) for one in fields])

    names = ("service.name", "tags", "source.port", "labels.order.id", "source.ip", "labels.nothing")
    facets = await ready.store.reader.facets(FacetsRequest(All(), names, limit=2))

    assert [
        ("service.name", [("b", 2), ("a", 1)], False),
        ("tags", [("y", 2), ("x", 1)], False),
        ("source.port", [("80", 2), ("443", 1)], True),
        ("labels.order.id", [("5", 2)], False),
        ("source.ip", [("10.0.0.1", 1)], False),
        ("labels.nothing", [], False),
    ] == [(facet.field, [tuple(one) for one in facet.values], facet.more) for facet in facets]


async def test_random_queries_are_counted_as_the_definition_counts(ready: Opened):
    print(f"LOGSYNC_TEST_SEED={SEED:x}")
    rng = random.Random(SEED + 1)
    documents = random_corpus(rng, 300)
    await put(ready.store, documents)
    parsed = [orjson.loads(document.body) for document in documents]
    start, end, interval = NOON - 3000, NOON + 4000, 700

    wrong: list[tuple[Query, object]] = []
    for _ in range(30):
        query, part = random_query(rng, parsed), random_query(rng, parsed, 1)
        inside = [d for d in parsed if start <= (values.date_ms(d["@timestamp"]) or 0) < end and matches(query, d)]
        facets = await ready.store.reader.facets(FacetsRequest(query, FIELDS, start, end, limit=5))
        expected = [ranked(field, counted(field, inside), 5) for field in FIELDS]
        if facets != expected:
            wrong.append((query, [pair for pair in zip(expected, facets, strict=True) if pair[0] != pair[1]]))
        buckets = await ready.store.reader.histogram(HistogramRequest(query, start, end, interval, (part,)))
        times = Counter((values.date_ms(d["@timestamp"]) or 0) // interval * interval for d in inside)
        both = sum(matches(part, d) for d in inside)
        if {b.start: b.count for b in buckets if b.count} != times or sum(b.split[0] for b in buckets) != both:
            wrong.append((query, buckets))

    assert [] == wrong


@pytest.mark.parametrize(
    "fields",
    [("message",), ("event.id",), ("@timestamp",), ("event.original",), ("nowhere",), ("labels." + "x" * 300,)],
)
async def test_a_field_whose_values_cannot_be_counted_is_refused(ready: Opened, fields: tuple[str, ...]):
    with pytest.raises(InvalidQuery):
        await ready.store.reader.facets(FacetsRequest(All(), fields))


@pytest.mark.parametrize(("query", "start", "end"), [(All(), 5, 5), (All(), 0, 10_000_000), (Prefix("a b"), 0, 10)])
async def test_a_histogram_that_cannot_be_answered_is_refused(ready: Opened, query: Query, start: int, end: int):
    with pytest.raises(InvalidQuery):
        await ready.store.reader.histogram(HistogramRequest(query, start, end, 10))


async def test_without_an_index_everything_is_zero(opened: Opened):
    await opened.store.admin.prepare()

    assert [0, 0] == [
        b.count for b in await opened.store.reader.histogram(HistogramRequest(Text("a"), 0, 20, 10, (All(),)))
    ]
    assert [()] == [f.values for f in await opened.store.reader.facets(FacetsRequest(All(), ("log.level",)))]
