"""What Kibana (7.10 and newer) imports: an index pattern, saved searches, visualizations and a dashboard, as NDJSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logsync_streams.storage.mapping import FIELDS, FieldType

Json = dict[str, Any]

PATTERN_ID = "logsync"
INDICES = "logsync-*"
_INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
# Of the objects' forms as 7.10 writes them; newer versions migrate from these.
_MIGRATIONS = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}
_TYPES = {
    FieldType.TEXT: ("string", "text"),
    FieldType.KEYWORD: ("string", "keyword"),
    FieldType.LONG: ("number", "long"),
    FieldType.DATE: ("date", "date"),
    FieldType.IP: ("ip", "ip"),
}
_LOUD = "log.level:(error OR critical OR fatal)"


@dataclass(frozen=True)
class SavedSearch:
    """query: Lucene's language. columns: beside the time."""

    id: str
    title: str
    query: str
    columns: Sequence[str]


@dataclass(frozen=True)
class Picture:
    """A count of what the query finds. kind: "histogram" over time, "pie" or "table" by a field's values, "metric"."""

    id: str
    title: str
    kind: str
    query: str = ""
    by: str = ""
    width: int = 24


SEARCHES = (
    SavedSearch("logsync-all", "LogSync: all logs", "", ("log.level", "service.name", "host.name", "message")),
    SavedSearch("logsync-errors", "LogSync: errors", _LOUD, ("service.name", "host.name", "error.type", "message")),
)
PICTURES = (
    Picture("logsync-levels", "Logs by level", "histogram", by="log.level"),
    Picture("logsync-services", "Logs by service", "histogram", by="service.name"),
    Picture("logsync-error-services", "Errors by service", "histogram", _LOUD, "service.name"),
    Picture("logsync-environments", "Environments", "pie", by="service.environment", width=12),
    Picture("logsync-error-number", "Errors", "metric", _LOUD, width=12),
    Picture("logsync-error-types", "Kinds of error", "table", _LOUD, "error.type"),
    Picture("logsync-hosts", "Hosts", "table", by="host.name"),
    Picture("logsync-datasets", "Datasets", "table", by="event.dataset", width=24),
)


def objects() -> list[Json]:
    """The saved objects, what is referred to before what refers to it."""
    return [_pattern(), *map(_search, SEARCHES), *map(_picture, PICTURES), _dashboard()]


def ndjson() -> str:
    """The objects as Kibana exports them, its summary last."""
    found = objects()
    summary = {"exportedCount": len(found), "missingRefCount": 0, "missingReferences": []}
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in [*found, summary])


def _object(kind: str, id: str, attributes: Json, references: list[Json]) -> Json:
    return {
        "type": kind,
        "id": id,
        "attributes": attributes,
        "references": references,
        "migrationVersion": {kind: _MIGRATIONS[kind]},
    }


def _pattern() -> Json:
    fields = []
    for name, kind in FIELDS.items():
        if kind is not FieldType.STORED:
            general, own = _TYPES[kind]
            values = kind is not FieldType.TEXT
            fields.append(
                {
                    "name": name,
                    "type": general,
                    "esTypes": [own],
                    "count": 0,
                    "scripted": False,
                    "searchable": True,
                    "aggregatable": values,
                    "readFromDocValues": values,
                }
            )
    attributes = {"title": INDICES, "timeFieldName": "@timestamp", "fields": json.dumps(fields)}
    return _object("index-pattern", PATTERN_ID, attributes, [])


def _source(query: str) -> Json:
    source = {"query": {"query": query, "language": "lucene"}, "filter": [], "indexRefName": _INDEX_REFERENCE}
    return {"searchSourceJSON": json.dumps(source)}


def _pattern_reference() -> list[Json]:
    return [{"name": _INDEX_REFERENCE, "type": "index-pattern", "id": PATTERN_ID}]


def _search(search: SavedSearch) -> Json:
    attributes = {
        "title": search.title,
        "description": "",
        "columns": list(search.columns),
        "sort": [["@timestamp", "desc"]],
        "version": 1,
        "kibanaSavedObjectMeta": _source(search.query),
    }
    return _object("search", search.id, attributes, _pattern_reference())


def _picture(picture: Picture) -> Json:
    aggs: list[Json] = [{"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}}]
    if picture.kind == "histogram":
        times = {"field": "@timestamp", "interval": "auto", "min_doc_count": 1, "drop_partials": False}
        aggs.append({"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment", "params": times})
    if picture.by:
        terms = {"field": picture.by, "size": 10, "order": "desc", "orderBy": "1", "otherBucket": False}
        schema = {"histogram": "group", "pie": "segment", "table": "bucket"}[picture.kind]
        aggs.append({"id": "3", "enabled": True, "type": "terms", "schema": schema, "params": terms})
    state = {"title": picture.title, "type": picture.kind, "params": _parameters(picture.kind), "aggs": aggs}
    attributes = {
        "title": f"LogSync: {picture.title.lower()}",
        "description": "",
        "version": 1,
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": _source(picture.query),
    }
    return _object("visualization", picture.id, attributes, _pattern_reference())


def _parameters(kind: str) -> Json:
    if kind == "pie":
        return {"type": "pie", "isDonut": True, "addLegend": True, "addTooltip": True, "legendPosition": "right"}
    if kind == "table":
        return {"perPage": 10, "showPartialRows": False, "showTotal": False, "totalFunc": "sum"}
    if kind == "metric":
        style = {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 48}
        metric = {
            "colorSchema": "Green to Red",
            "metricColorMode": "None",
            "colorsRange": [{"from": 0, "to": 10000}],
            "labels": {"show": True},
            "invertColors": False,
            "percentageMode": False,
            "useRanges": False,
            "style": style,
        }
        return {"type": "metric", "addLegend": False, "addTooltip": True, "metric": metric}
    axis = {"show": True, "style": {}, "title": {}}
    return {
        "type": "histogram",
        "addLegend": True,
        "addTooltip": True,
        "addTimeMarker": False,
        "legendPosition": "right",
        "times": [],
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {
                **axis,
                "id": "CategoryAxis-1",
                "type": "category",
                "position": "bottom",
                "scale": {"type": "linear"},
                "labels": {"show": True, "filter": True, "truncate": 100},
            },
        ],
        "valueAxes": [
            {
                **axis,
                "id": "ValueAxis-1",
                "name": "LeftAxis-1",
                "type": "value",
                "position": "left",
                "scale": {"type": "linear", "mode": "normal"},
                "labels": {"show": True, "rotate": 0, "filter": False, "truncate": 100},
                "title": {"text": "Logs"},
            },
        ],
        "seriesParams": [
            {
                "show": True,
                "type": "histogram",
                "mode": "stacked",
                "data": {"label": "Logs", "id": "1"},
                "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True,
                "showCircles": True,
            },
        ],
    }


def _dashboard() -> Json:
    shown = [("visualization", picture.id, picture.width, 12) for picture in PICTURES]
    shown.append(("search", "logsync-errors", 48, 20))
    panels, references = [], []
    x = y = 0
    for number, (kind, id, width, height) in enumerate(shown):
        if x + width > 48:
            x, y = 0, y + 12
        place = {"x": x, "y": y, "w": width, "h": height, "i": str(number)}
        name = f"panel_{number}"
        panels.append(
            {
                "version": "7.10.0",
                "gridData": place,
                "panelIndex": str(number),
                "embeddableConfig": {},
                "panelRefName": name,
            }
        )
        references.append({"name": name, "type": kind, "id": id})
        x += width
    attributes = {
        "title": "LogSync: overview",
        "description": "What was stored. Rates, latency and the pipeline itself are in Grafana.",
        "hits": 0,
        "version": 1,
        "timeRestore": True,
        "timeFrom": "now-24h",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 60_000},
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "lucene"}, "filter": []})
        },
    }
    return _object("dashboard", "logsync-overview", attributes, references)
