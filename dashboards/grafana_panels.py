"""Parts of a Grafana dashboard (schemaVersion 31, Grafana 8.2): panels, variables, and the grid they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 31
COLUMNS = 24
_PROMETHEUS, _ELASTICSEARCH = "$prometheus", "$elasticsearch"


@dataclass(frozen=True)
class Panel:
    """A panel that does not know its place yet. width of COLUMNS, height in grid units of 30 pixels."""

    body: Json
    width: int = 8
    height: int = 8


@dataclass(frozen=True)
class Prom:
    """A query to Prometheus. instant: the value now, else over time. exemplars: show them, too."""

    expression: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False


@dataclass(frozen=True)
class Elastic:
    """A query to Elasticsearch in Lucene's language. by: a field by whose values to split; metric: "count", "logs", or
    a kind and a field such as ("min", "event.ingested"); interval: of the time axis, "" for none.
    """

    query: str
    metric: str | tuple[str, str] = "count"
    by: str = ""
    interval: str = "auto"


def series(title: str, *targets: Prom | Elastic, unit: str = "short", stacked: bool = False, help: str = "") -> Panel:
    """Values over time."""
    custom: Json = {"fillOpacity": 20 if stacked else 5, "lineWidth": 1, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return Panel(
        {
            **_base("timeseries", title, targets, help),
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "multi"},
            },
        }
    )


def number(title: str, expression: str, unit: str = "short", *, red_from: float | None = None, help: str = "") -> Panel:
    """One figure, the present one."""
    steps: list[Json] = [{"color": "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    return Panel(
        {
            **_base("stat", title, [Prom(expression, instant=True)], help),
            "fieldConfig": {
                "defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}},
                "overrides": [],
            },
            "options": {
                "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "auto",
            },
        },
        width=4,
        height=4,
    )


def table(
    title: str, *targets: Prom | Elastic, columns: dict[str, str], units: dict[str, str], width: int = 24
) -> Panel:
    """Rows. columns: a field's name -> its heading; units: a heading -> its unit."""
    overrides = [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for heading, unit in units.items()
    ]
    return Panel(
        {
            **_base("table", title, targets, ""),
            "fieldConfig": {"defaults": {"custom": {"align": "auto"}}, "overrides": overrides},
            "options": {"showHeader": True},
            "transformations": [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": columns}},
            ],
        },
        width=width,
        height=9,
    )


def logs(title: str, query: str) -> Panel:
    """The logs themselves."""
    return Panel(
        {
            **_base("logs", title, [Elastic(query, "logs")], ""),
            "options": {
                "showTime": True,
                "wrapLogMessage": True,
                "enableLogDetails": True,
                "sortOrder": "Descending",
                "dedupStrategy": "none",
                "showLabels": False,
            },
        },
        width=24,
        height=14,
    )


def row(title: str) -> Panel:
    """A heading over the panels that follow."""
    return Panel({"type": "row", "title": title, "collapsed": False, "panels": []}, width=COLUMNS, height=1)


@dataclass(frozen=True)
class Dashboard:
    """uid is its address. variables: of `service_variable` and `environment_variable`."""

    uid: str
    title: str
    panels: Sequence[Panel]
    variables: Sequence[Json] = field(default_factory=list)

    def json(self) -> Json:
        """What Grafana imports and provisions."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["logsync"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "",
            "annotations": {"list": []},
            "links": [
                {"type": "dashboards", "tags": ["logsync"], "title": "LogSync", "asDropdown": True, "keepTime": True}
            ],
            "templating": {
                "list": [
                    _source_variable("prometheus", "Prometheus"),
                    _source_variable("elasticsearch", "Elasticsearch"),
                    *self.variables,
                ]
            },
            "panels": placed(self.panels),
        }


def placed(panels: Sequence[Panel]) -> list[Json]:
    """The panels from left to right and top to bottom, with ids."""
    found, ids = [], count(1)
    x = y = height = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        grid = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        found.append({"id": next(ids), "gridPos": grid, **panel.body})
        x, height = x + panel.width, max(height, panel.height)
    return found


def service_variable(*, multi: bool) -> Json:
    """The services of the inventory: silent ones, too."""
    query = "label_values(logsync_service_last_seen_timestamp_seconds, service)"
    return {
        **_variable("service", "Service", multi=multi),
        "datasource": _PROMETHEUS,
        "query": {"query": query, "refId": "service"},
        "definition": query,
        **({"allValue": ".*"} if multi else {}),
    }


def environment_variable() -> Json:
    query = '{"find": "terms", "field": "service.environment"}'
    return {
        **_variable("environment", "Environment", multi=True),
        "datasource": _ELASTICSEARCH,
        "query": query,
        "definition": query,
        "allValue": "*",
    }


def _variable(name: str, label: str, *, multi: bool) -> Json:
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "name": name,
        "label": label,
        "type": "query",
        "multi": multi,
        "includeAll": multi,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "options": [],
        "current": everything if multi else {},
    }


def _source_variable(kind: str, label: str) -> Json:
    return {
        "name": kind,
        "label": label,
        "type": "datasource",
        "query": kind,
        "refresh": 1,
        "hide": 2,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {},
    }


def _base(kind: str, title: str, targets: Sequence[Prom | Elastic], help: str) -> Json:
    elastic = isinstance(targets[0], Elastic)
    return {
        "type": kind,
        "title": title,
        **({"description": help} if help else {}),
        "datasource": _ELASTICSEARCH if elastic else _PROMETHEUS,
        "targets": [_target(target, chr(ord("A") + number), kind) for number, target in enumerate(targets)],
    }


def _target(target: Prom | Elastic, ref: str, kind: str) -> Json:
    if isinstance(target, Elastic):
        return _elastic_target(target, ref)
    return {
        "refId": ref,
        "expr": target.expression,
        "legendFormat": target.legend,
        "instant": target.instant,
        "range": not target.instant,
        "exemplar": target.exemplars,
        **({"format": "table"} if kind == "table" else {}),
    }


def _elastic_target(target: Elastic, ref: str) -> Json:
    kind, name = (target.metric, "") if isinstance(target.metric, str) else target.metric
    buckets: list[Json] = []
    if target.by:
        settings = {"size": "10", "order": "desc", "orderBy": "_count", "min_doc_count": "1"}
        buckets.append({"id": "2", "type": "terms", "field": target.by, "settings": settings})
    if target.interval and kind != "logs":
        settings = {"interval": target.interval, "min_doc_count": "0", "trimEdges": "0"}
        buckets.append({"id": "3", "type": "date_histogram", "field": "@timestamp", "settings": settings})
    return {
        "refId": ref,
        "query": target.query,
        "timeField": "@timestamp",
        "metrics": [{"id": "1", "type": kind, **({"field": name} if name else {})}],
        "bucketAggs": buckets,
    }
