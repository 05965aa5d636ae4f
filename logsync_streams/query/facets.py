"""`/api/logs/facets` and `/api/logs/fields`: what values there are, and what fields there are to ask about."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.datastructures import QueryParams

from logsync_streams.errors import InvalidQuery
from logsync_streams.query.parameters import (
    WHAT_PARAMETERS,
    all_of,
    check_names,
    names_of,
    number_of,
    query_of,
    time_range,
)
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage import values
from logsync_streams.storage.api import EventReader, FacetsRequest, Prefix, SearchRequest
from logsync_streams.storage.counting import facet_type
from logsync_streams.storage.evaluate import check
from logsync_streams.storage.mapping import ALIASES, FIELDS, LABELS, FieldType

FACET_PARAMETERS = (*WHAT_PARAMETERS, "fields", "limit", "prefix")
DEFAULT_FACETS = "level,service,host,env"
FIELD_PARAMETERS = (*WHAT_PARAMETERS, "sample")
_MAX_VALUES = 100
_DEFAULT_SAMPLE = 200


async def facets(parameters: QueryParams, settings: QueryHttpSettings, now: int, reader: EventReader) -> dict[str, Any]:
    """The answer but for the time it took. Raises BadParameter, InvalidQuery, Unavailable."""
    check_names(parameters, FACET_PARAMETERS)
    start, end = time_range(parameters, now, settings.max_range_days)
    query = query_of(parameters, settings)
    fields = names_of(parameters, "fields", settings.max_facet_fields, DEFAULT_FACETS)
    limit = number_of(parameters, "limit", 10, _MAX_VALUES)
    for field in fields:
        _checked("fields", lambda field=field: facet_type(field))
    prefix = parameters.get("prefix") or ""
    if prefix:
        if len(fields) != 1:
            raise BadParameter("prefix", "prefix completes the values of one field: name it in fields")
        begins = Prefix(prefix, fields[0])
        _checked("prefix", lambda: check(begins))
        query = all_of(query, begins)
    found = await reader.facets(FacetsRequest(query, fields, start, end, limit))
    return {
        "facets": [
            {
                "field": facet.field,
                "values": [
                    {"value": value, "count": count}
                    for value, count in facet.values
                    # A log with several values is found by one of them; the others are not asked for.
                    if value.startswith(prefix)
                ],
                "more": facet.more,
                "exact": facet.exact,
            }
            for facet in found
        ]
    }


async def fields(parameters: QueryParams, settings: QueryHttpSettings, now: int, reader: EventReader) -> dict[str, Any]:
    """Every field that a query may name; of each, in how many of the newest logs that the query finds it is present.

    The senders' own keys (labels.*) are those of these logs. Raises BadParameter, InvalidQuery, Unavailable.
    """
    check_names(parameters, FIELD_PARAMETERS)
    start, end = time_range(parameters, now, settings.max_range_days)
    sample = number_of(parameters, "sample", _DEFAULT_SAMPLE, settings.max_hits)
    page = await reader.search(SearchRequest(query_of(parameters, settings), start, end, limit=sample))
    present: Counter[str] = Counter()
    for hit in page.hits:
        present.update(name for name in FIELDS if values.leaves(hit.document, name))
        present.update({LABELS + key for key, _ in values.labels(hit.document)})
    known = {name: kind for name, kind in FIELDS.items() if kind is not FieldType.STORED}
    known |= {name: FieldType.KEYWORD for name in sorted(present) if name.startswith(LABELS)}
    aliases: dict[str, list[str]] = {}
    for alias, name in ALIASES.items():
        aliases.setdefault(name, []).append(alias)
    return {
        "sampled": len(page.hits),
        "fields": [
            {
                "name": name,
                "type": kind.value,
                "aliases": aliases.get(name, []),
                "facet": _has_facet(name),
                "present": present[name],
            }
            for name, kind in known.items()
        ],
    }


def _has_facet(name: str) -> bool:
    try:
        facet_type(name)
    except InvalidQuery:
        return False
    return True


def _checked(parameter: str, check_it: Any) -> None:
    try:
        check_it()
    except InvalidQuery as error:
        raise BadParameter(parameter, error.detail, hint=error.hint) from error
