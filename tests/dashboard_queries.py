"""Every query in the dashboards and rules, as Prometheus and Elasticsearch get it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dashboards.generate import FOLDER

Json = dict[str, Any]

GRAFANA = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
# What Grafana puts in for its variables and ours: one service and all environments; several of each. Lucene's texts
# it escapes.
PROMETHEUS_VARIABLES = (
    {"$__rate_interval": "15s", "$service": "auth-service"},
    {"$__rate_interval": "15s", "$service": "(auth-service|shop)"},
)
ELASTICSEARCH_VARIABLES = (
    {"$service": "auth\\-service", "$environment": "*"},
    {"$service": "auth\\-service", "$environment": '("production" OR "staging")'},
)
# Between operands; a comparison's `bool` and the matching of labels belong to the operator.
_OPERATOR = re.compile(
    r"\s+(?:and|or|unless|==|!=|>=|<=|>|<|/|\*|-|\+)\s+(?:bool\s+)?(?:(?:on|ignoring)\s*\([^)]*\)\s*)?"
    r"(?:group_(?:left|right)\s*(?:\([^)]*\))?\s*)?"
)


def dashboards() -> list[Json]:
    return [json.loads(path.read_text()) for path in GRAFANA]


def targets(kind: str) -> Iterator[tuple[str, Json]]:
    """(dashboard and panel, target) of all panels on a data source: "prometheus" or "elasticsearch"."""
    for dashboard in dashboards():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                if panel["datasource"] == f"${kind}":
                    yield f"{dashboard['uid']}: {panel['title']} {target['refId']}", target


def filled_in(text: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        text = text.replace(name, value)
    return text


def expressions(target: Json) -> set[str]:
    """The PromQL that Grafana makes of a target: with one value of a variable, and with several where it may."""
    several = '=~"$service"' in target["expr"]
    return {filled_in(target["expr"], variables) for variables in PROMETHEUS_VARIABLES[: 2 if several else 1]}


def variables() -> Iterator[Json]:
    """The variables of all dashboards whose values are asked for."""
    for dashboard in dashboards():
        yield from (one for one in dashboard["templating"]["list"] if one["type"] == "query")


def operands(expression: str) -> list[str]:
    """What a PromQL expression combines, down to what no operator at its top divides; without plain numbers."""
    pieces, depth, start, i = [], 0, 0, 0
    while i < len(expression):
        depth += (expression[i] in "([{") - (expression[i] in ")]}")
        found = _OPERATOR.match(expression, i) if depth == 0 else None
        if found:
            pieces.append(expression[start:i])
            start = i = found.end()
        else:
            i += 1
    pieces.append(expression[start:])
    found_operands = []
    for piece in (piece.strip() for piece in pieces):
        if piece.startswith("(") and piece.endswith(")"):
            found_operands += operands(piece[1:-1])
        elif not re.fullmatch(r"[\d.]+", piece):
            found_operands.append(piece)
    return found_operands


def elasticsearch_bodies(target: Json) -> list[Json]:
    """The searches that Grafana makes of a target."""
    return [elasticsearch_body(target, variables) for variables in ELASTICSEARCH_VARIABLES]


def elasticsearch_body(target: Json, variables: dict[str, str] = ELASTICSEARCH_VARIABLES[0]) -> Json:
    """The search with these values of its variables."""
    (metric,) = target["metrics"]
    query = {"query_string": {"query": filled_in(target["query"], variables), "analyze_wildcard": True}}
    body: Json = {"query": {"bool": {"filter": [query, _RANGE]}}, "track_total_hits": True}
    if metric["type"] == "logs":
        return {**body, "size": 10, "sort": [{"@timestamp": "desc"}]}
    aggs: Json = {} if metric["type"] == "count" else {"1": {metric["type"]: {"field": metric["field"]}}}
    for bucket in reversed(target["bucketAggs"]):
        aggs = {bucket["id"]: {**_bucket(bucket), **({"aggs": aggs} if aggs else {})}}
    return {**body, "size": 0, "aggs": aggs}


_RANGE = {"range": {"@timestamp": {"gte": "now-1h", "lte": "now+1m"}}}


def _bucket(bucket: Json) -> Json:
    settings = bucket["settings"]
    if bucket["type"] == "terms":
        return {"terms": {"field": bucket["field"], "size": int(settings["size"]), "order": {"_count": "desc"}}}
    interval = "10s" if settings["interval"] == "auto" else settings["interval"]
    return {"date_histogram": {"field": bucket["field"], "fixed_interval": interval, "min_doc_count": 0}}


def kibana() -> list[Json]:
    """The saved objects; without the summary of the export, which is the last line."""
    lines = (FOLDER / "kibana" / "logsync.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines[:-1]]


def kibana_bodies() -> Iterator[tuple[str, Json]]:
    """(id, the search that Kibana makes of it) of each saved search and visualization."""
    for one in kibana():
        if one["type"] not in ("search", "visualization"):
            continue
        source = json.loads(one["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        text = source["query"]["query"]
        query = {"query_string": {"query": text, "analyze_wildcard": True}} if text else {"match_all": {}}
        body: Json = {"query": {"bool": {"filter": [query, _RANGE]}}, "track_total_hits": True}
        if one["type"] == "search":
            columns = [name for name in one["attributes"]["columns"] if name != "message"]
            yield one["id"], {**body, "size": 10, "docvalue_fields": columns, "sort": [{"@timestamp": "desc"}]}
            continue
        aggs: Json = {}
        for agg in reversed(json.loads(one["attributes"]["visState"])["aggs"]):
            parameters = agg["params"]
            if agg["type"] == "terms":
                made: Json = {"terms": {"field": parameters["field"], "size": parameters["size"]}}
            elif agg["type"] == "date_histogram":
                made = {"date_histogram": {"field": parameters["field"], "fixed_interval": "10s"}}
            else:
                continue
            aggs = {agg["id"]: {**made, **({"aggs": aggs} if aggs else {})}}
        yield one["id"], {**body, "size": 0, **({"aggs": aggs} if aggs else {})}


def fields_of(body: Json) -> set[str]:
    """The fields that a search names outside of its query text."""
    text = json.dumps({key: value for key, value in body.items() if key != "docvalue_fields"})
    return set(re.findall(r'"field": "([^"]+)"', text)) | set(body.get("docvalue_fields", ()))


def fields_in_text(query: str) -> set[str]:
    """The fields that a Lucene query names."""
    names = set(re.findall(r"(?<![\w\".])([a-z@_][\w.]*):", query))
    return names - {"_exists_"} | set(re.findall(r"_exists_:([\w.]+)", query))
