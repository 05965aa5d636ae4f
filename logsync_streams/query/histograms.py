"""`/api/logs/histogram`: an interval that suits the range, the counts, their split by a field's commonest values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams

from logsync_streams.errors import InvalidQuery
from logsync_streams.query.parameters import (
    UNITS_MS,
    WHAT_PARAMETERS,
    check_names,
    names_of,
    number_of,
    query_of,
    time_range,
)
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import Equals, EventReader, FacetsRequest, HistogramRequest, Query, SearchRequest
from logsync_streams.storage.counting import bucket_start, facet_type

PARAMETERS = (*WHAT_PARAMETERS, "interval", "buckets", "split", "split_limit")
DEFAULT_BUCKETS = 60
_MAX_SPLIT = 20
_DAY = 86_400_000
# What a person reads off an axis without computing.
_ROUND_MS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(n * 1000 for n in (1, 2, 5, 10, 15, 30)),
    *(n * 60_000 for n in (1, 2, 5, 10, 15, 30)),
    *(n * 3_600_000 for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 90, 365)),
)
_INTERVAL = re.compile(r"([1-9]\d{0,8})(ms|s|m|h|d|w)")


async def histogram(
    parameters: QueryParams, settings: QueryHttpSettings, now: int, reader: EventReader
) -> dict[str, Any]:
    """The answer but for the time it took. Without `from` it begins at the oldest log, without `to` it ends now.

    Raises BadParameter, InvalidQuery, Unavailable.
    """
    check_names(parameters, PARAMETERS)
    start, end = time_range(parameters, now, settings.max_range_days)
    query = query_of(parameters, settings)
    wanted = number_of(parameters, "buckets", DEFAULT_BUCKETS, settings.max_buckets)
    split_limit = number_of(parameters, "split_limit", 8, _MAX_SPLIT)
    interval = _interval(parameters.get("interval"))
    split = _split_field(parameters)
    end = now + 1 if end is None else end
    if start is None:
        start = await _oldest(reader, query, end)
    if start >= end:
        start = end - 1
    interval = interval or suitable_interval(start, end, wanted)
    number = -(-(end - bucket_start(start, interval)) // interval)
    if number > settings.max_buckets:
        raise BadParameter(
            "interval",
            f"{number} intervals in this time range: at most {settings.max_buckets} are allowed",
            hint="leave the interval out, or shorten the range",
        )
    values = await _commonest(reader, FacetsRequest(query, (split,), start, end, split_limit)) if split else []
    request = HistogramRequest(query, start, end, interval)
    buckets = await reader.histogram(replace(request, split=tuple(Equals(split or "", value) for value in values)))
    return {
        "from": start,
        "to": end,
        "interval_ms": interval,
        "total": sum(bucket.count for bucket in buckets),
        "split": {"field": split, "values": values} if split else None,
        "buckets": [
            {"start": bucket.start, "count": bucket.count, **({"split": bucket.split} if split else {})}
            for bucket in buckets
        ],
    }


def suitable_interval(start: int, end: int, buckets: int) -> int:
    """The shortest round interval (ms) of which at most `buckets` cover the range."""
    for interval in _ROUND_MS:
        if -(-(end - bucket_start(start, interval)) // interval) <= buckets:
            return interval
    return -(-(end - start) // max(1, buckets - 1) // _DAY) * _DAY + _DAY


def _interval(text: str | None) -> int | None:
    if not text or text == "auto":
        return None
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise BadParameter(
            "interval", f"interval is {text[:20]!r}", hint="auto, or 30s, 5m, 1h, 1d (ms, s, m, h, d, w)"
        )
    return int(found[1]) * ({"ms": 1} | UNITS_MS)[found[2]]


def _split_field(parameters: QueryParams) -> str | None:
    names = names_of(parameters, "split", 1)
    if not names:
        return None
    try:
        facet_type(names[0])
    except InvalidQuery as error:
        raise BadParameter("split", error.detail, hint=error.hint) from error
    return names[0]


async def _oldest(reader: EventReader, query: Query, end: int) -> int:
    page = await reader.search(SearchRequest(query, end=end, order="asc", limit=1))
    return page.hits[0].timestamp if page.hits else end - 1


async def _commonest(reader: EventReader, request: FacetsRequest) -> list[str]:
    (facet,) = await reader.facets(request)
    return [value for value, _ in facet.values]
