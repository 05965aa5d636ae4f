"""Histograms and facets in Elasticsearch: the requests' bodies, and what their answers say. Pure."""

from __future__ import annotations

import re
from typing import Any

from logsync_streams.storage import values
from logsync_streams.storage.api import Bucket, Facet, FacetsRequest, HistogramRequest
from logsync_streams.storage.counting import check_facets, check_histogram, facet_type, filled, ranked
from logsync_streams.storage.elasticsearch_query import found_between, label_pair, time_limit, to_elasticsearch
from logsync_streams.storage.elasticsearch_templates import LABEL_PAIRS
from logsync_streams.storage.mapping import LABELS, FieldType

Body = dict[str, Any]
# What each shard counts of a field: beyond these values, a count may miss some, and the answer says so.
_SHARD_VALUES = 2000
_NOT_LITERAL = re.compile(r"[^\w]", re.ASCII)


def histogram_body(request: HistogramRequest, timeout_seconds: float) -> Body:
    """The body of a request for a histogram. Raises InvalidQuery."""
    check_histogram(request)
    per_interval: Body = {
        "date_histogram": {
            "field": "@timestamp",
            "fixed_interval": f"{request.interval_ms}ms",
            "min_doc_count": 1,  # the empty ones are ours to add
        }
    }
    if request.split:
        named = {str(number): to_elasticsearch(query) for number, query in enumerate(request.split)}
        per_interval["aggs"] = {"split": {"filters": {"filters": named}}}
    return _counting(request.query, request.start, request.end, {"times": per_interval}, timeout_seconds)


def histogram_of(request: HistogramRequest, aggregations: Body) -> list[Bucket]:
    """What the answer's `aggregations` say; {} when no index was there."""
    counts: dict[int, list[int]] = {}
    for bucket in aggregations.get("times", {}).get("buckets", []):
        parts = bucket.get("split", {}).get("buckets", {})
        split = [parts[str(number)]["doc_count"] for number in range(len(request.split))]
        counts[int(bucket["key"])] = [bucket["doc_count"], *split]
    return filled(request, counts)


def facets_body(request: FacetsRequest, timeout_seconds: float) -> Body:
    """The body of a request for facets. Raises InvalidQuery."""
    check_facets(request)
    counted: Body = {}
    for number, field in enumerate(request.fields):
        counted[str(number)] = _terms(field, request.limit)
        if field.startswith(LABELS):  # of indices on servers that have no `flattened` type
            pairs = _terms(LABEL_PAIRS, request.limit)
            start = _NOT_LITERAL.sub(r"\\\g<0>", label_pair(field.removeprefix(LABELS), ""))
            pairs["terms"]["include"] = f"{start}.*"
            counted[f"{number}.pairs"] = pairs
    return _counting(request.query, request.start, request.end, counted, timeout_seconds)


def facets_of(request: FacetsRequest, aggregations: Body) -> list[Facet]:
    """What the answer's `aggregations` say; {} when no index was there."""
    return [_facet(request, number, field, aggregations) for number, field in enumerate(request.fields)]


def _facet(request: FacetsRequest, number: int, field: str, aggregations: Body) -> Facet:
    kind = facet_type(field)
    pair = label_pair(field.removeprefix(LABELS), "")
    counts: dict[str, int] = {}
    more, exact = False, True
    for name, skipped in ((str(number), 0), (f"{number}.pairs", len(pair))):
        part = aggregations.get(name, {})
        more = more or part.get("sum_other_doc_count", 0) > 0
        exact = exact and part.get("doc_count_error_upper_bound", 0) == 0
        for bucket in part.get("buckets", []):
            value = str(bucket["key"])[skipped:]
            if kind is FieldType.IP and (known := values.address(value)) is not None:
                value = values.address_text(known)
            counts[value] = counts.get(value, 0) + bucket["doc_count"]
    return ranked(field, counts, request.limit, more=more, exact=exact)


def _terms(field: str, limit: int) -> Body:
    order = [{"_count": "desc"}, {"_key": "asc"}]
    return {"terms": {"field": field, "size": limit + 1, "shard_size": max(_SHARD_VALUES, limit + 1), "order": order}}


def _counting(query: Any, start: int | None, end: int | None, counted: Body, timeout_seconds: float) -> Body:
    return {
        "size": 0,
        "track_total_hits": False,
        "query": found_between(query, start, end),
        "aggs": counted,
        "timeout": time_limit(timeout_seconds),
    }
