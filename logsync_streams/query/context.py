"""`/api/logs/{id}/context`: what came before and after a log, from the same host and service."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from logsync_streams.errors import InvalidQuery
from logsync_streams.query.parameters import all_of, check_names, names_of, number_of
from logsync_streams.query.problems import BadParameter
from logsync_streams.query.shown import shown
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage import values
from logsync_streams.storage.api import Cursor, Equals, EventReader, Hit, Query, SearchRequest
from logsync_streams.storage.counting import facet_type
from logsync_streams.storage.mapping import FieldType

PARAMETERS = ("before", "after", "same")
DEFAULT_SAME = "service,host"
NOTHING = "none"  # for `same`: whoever wrote the logs
_DEFAULT = 10
_SHORT = {"source": "logsync.source"}


async def context(id: str, parameters: QueryParams, settings: QueryHttpSettings, reader: EventReader) -> dict[str, Any]:
    """The log, and in the order of time those before and after it that have the same values of the fields in `same`.

    A field that the log lacks, or has with several values, narrows nothing. Raises BadParameter, Unavailable, and
    HTTPException (404) when there is no such log.
    """
    check_names(parameters, PARAMETERS)
    before = number_of(parameters, "before", _DEFAULT, settings.max_context, least=0)
    after = number_of(parameters, "after", _DEFAULT, settings.max_context, least=0)
    named = names_of(parameters, "same", 5, DEFAULT_SAME)
    fields = () if named == (NOTHING,) else tuple(_SHORT.get(name, name) for name in named)
    for field in fields:
        try:
            facet_type(field)
        except InvalidQuery as error:
            raise BadParameter("same", error.detail, hint="service, host, source, or a keyword field") from error
    hit = await reader.get(id)
    if hit is None:
        raise HTTPException(404, "there is no log with this id")
    same = _same(hit, fields)
    query = all_of(*(Equals(name, value) for name, value in same.items()))
    return {
        "same": same,
        "before": [shown(one) for one in (await _beside(reader, query, hit, before, "desc"))[::-1]],
        "log": shown(hit),
        "after": [shown(one) for one in await _beside(reader, query, hit, after, "asc")],
    }


def _same(hit: Hit, fields: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in fields:
        there = values.leaves(hit.document, field)
        text = values.keyword(there[0]) if len(there) == 1 else None
        if text is not None and _readable(field, text):
            found[field] = text
    return found


def _readable(field: str, text: str) -> bool:
    """Whether a query can name the value: a number may be stored as a word."""
    match facet_type(field):
        case FieldType.LONG:
            return values.long(text) is not None
        case FieldType.IP:
            return values.address(text) is not None
    return True


async def _beside(reader: EventReader, query: Query, hit: Hit, limit: int, order: Any) -> list[Hit]:
    if limit == 0:
        return []
    page = await reader.search(SearchRequest(query, order=order, limit=limit, after=Cursor(hit.timestamp, hit.id)))
    return page.hits
