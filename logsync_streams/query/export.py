"""`/api/logs/export`: every log that a query finds, as NDJSON or CSV, page by page as the client takes it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from logsync_streams.query.parameters import (
    MAX_SHOWN_FIELDS,
    WHAT_PARAMETERS,
    check_names,
    names_of,
    number_of,
    order_of,
    query_of,
    time_range,
)
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.shown import cell, shown
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import Hit, Page, SearchRequest

PARAMETERS = (*WHAT_PARAMETERS, "sort", "limit", "fields", "format")
MEDIA_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_CSV_FIELDS = "@timestamp,level,service,host,message"
# A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported. request: the first page. limit: logs in all. fields: stored names; none = all (NDJSON)."""

    request: SearchRequest
    format: str
    fields: tuple[str, ...]
    limit: int


def export_of(parameters: QueryParams, settings: QueryHttpSettings, now: int) -> Export:
    """What the parameters ask for. Raises BadParameter or InvalidQuery."""
    check_names(parameters, PARAMETERS)
    kind = parameters.get("format") or "ndjson"
    if kind not in MEDIA_TYPES:
        raise BadParameter("format", f"format is {kind[:20]!r}: {' or '.join(MEDIA_TYPES)} is expected")
    start, end = time_range(parameters, now, settings.max_range_days)
    limit = number_of(parameters, "limit", settings.max_export_logs, settings.max_export_logs)
    request = SearchRequest(
        query_of(parameters, settings),
        start,
        end,
        order_of(parameters.get("sort")),
        min(limit, settings.max_hits),
    )
    fields = names_of(parameters, "fields", MAX_SHOWN_FIELDS, _CSV_FIELDS if kind == "csv" else "")
    return Export(request, kind, fields, limit)


async def pages(
    export: Export, first: Page, search: Callable[[SearchRequest], Awaitable[Page]]
) -> AsyncIterator[bytes]:
    """The export, a piece for each page. first: the answer to export.request, so that a failure of that can still be
    answered as one. Raises Unavailable in the middle: the answer then breaks off, and the client sees that.
    """
    head = _csv_lines([[_column(field) for field in export.fields]]) if export.format == "csv" else b""
    left, page, request = export.limit, first, export.request
    while True:
        hits = page.hits[:left]
        left -= len(hits)
        yield head + _lines(export, hits)
        head = b""
        if page.cursor is None or left == 0:
            return
        request = replace(request, after=page.cursor, limit=min(request.limit, left))
        page = await search(request)


def _lines(export: Export, hits: Sequence[Hit]) -> bytes:
    if export.format == "csv":
        return _csv_lines([[_cell_text(cell(_named(hit), field)) for field in export.fields] for hit in hits])
    return b"".join(orjson.dumps(shown(hit, export.fields), option=orjson.OPT_APPEND_NEWLINE) for hit in hits)


def _column(field: str) -> str:
    # A spreadsheet would take the @ for the beginning of a formula; this name is an alias in queries.
    return "timestamp" if field == "@timestamp" else field


def _named(hit: Hit) -> dict[str, Any]:
    return {**hit.document, "id": hit.id, "index": hit.index}


def _csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_safe(text) for text in row] for row in rows)
    return out.getvalue().encode(errors="replace")


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _safe(text: str) -> str:
    """A text that no spreadsheet runs: with an apostrophe before it, which they take for "this is text"."""
    text = text.replace("\0", "\ufffd")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
