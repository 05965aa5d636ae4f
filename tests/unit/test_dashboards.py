"""The generated dashboards: what Grafana 8.2 and Kibana 7.10 expect of such files, and only what we really emit.

Grafana and Kibana themselves are not run; what is checked here is the form of their files.
"""

from __future__ import annotations

import json
import re

import pytest

from dashboards.generate import FOLDER
from logsync_streams.storage.mapping import FIELDS, FieldType
from tests.dashboard_queries import (
    dashboards,
    elasticsearch_body,
    fields_in_text,
    fields_of,
    kibana,
    kibana_bodies,
    operands,
    targets,
)
from tests.unit.test_alerts_render import exposed_names

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in dashboards()}
each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
PROMETHEUS_OWN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
OPTIONS = {
    "timeseries": {"legend", "tooltip"},
    "stat": {"reduceOptions", "colorMode", "graphMode", "textMode"},
    "table": {"showHeader"},
    "logs": {"showTime", "wrapLogMessage", "sortOrder", "enableLogDetails", "dedupStrategy", "showLabels"},
}
SEARCHABLE = {name for name, kind in FIELDS.items() if kind is not FieldType.STORED}


@each_dashboard
def test_a_dashboard_has_what_schema_31_wants(dashboard):
    assert 31 == dashboard["schemaVersion"]
    assert re.fullmatch(r"[a-z-]{1,40}", dashboard["uid"])
    assert {"title", "panels", "templating", "time", "annotations", "tags", "version"} <= dashboard.keys()
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            assert panel["panels"] == []
            continue
        assert OPTIONS[panel["type"]] <= panel["options"].keys(), panel["title"]
        assert panel["datasource"] in ("$prometheus", "$elasticsearch")
        assert panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0


@each_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard):
    ids = [panel["id"] for panel in dashboard["panels"]]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] >= 0
        assert grid["x"] + grid["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

    assert len(ids) == len(set(ids))


@each_dashboard
def test_every_variable_that_is_used_is_declared_and_the_other_way_round(dashboard):
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", json.dumps([dashboard["panels"], dashboard["templating"]])))

    assert used - {"__rate_interval", "__all"} <= declared
    assert declared - used <= {"prometheus", "elasticsearch"}


def test_every_metric_in_the_dashboards_is_in_the_vocabulary():
    text = json.dumps([target["expr"] for _, target in targets("prometheus")])
    variables = json.dumps([dashboard["templating"] for dashboard in DASHBOARDS.values()])
    named = set(re.findall(r"\b(?:log(?:sync)?_\w+|up|process_\w+)\b", text)) | set(
        re.findall(r"label_values\((\w+),", variables)
    )

    assert named - exposed_names() == PROMETHEUS_OWN


def test_every_field_in_the_dashboards_is_indexed():
    named = set()
    for _, target in targets("elasticsearch"):
        named |= fields_of(elasticsearch_body(target)) | fields_in_text(target["query"])
    for _, body in kibana_bodies():
        text = body["query"]["bool"]["filter"][0].get("query_string", {}).get("query", "")
        named |= fields_of(body) | fields_in_text(text)
    named |= set(re.findall(r'\\"field\\": \\"([^\\]+)\\"', json.dumps(list(DASHBOARDS.values()))))

    assert named - SEARCHABLE == set()


def test_terms_are_taken_of_fields_that_have_values_to_count():
    named = {
        bucket["field"]
        for _, target in targets("elasticsearch")
        for bucket in target["bucketAggs"]
        if bucket["type"] == "terms"
    }

    assert {name for name in named if FIELDS[name] is FieldType.TEXT} == set()


def test_kibanas_objects_have_ids_of_their_own_and_refer_to_what_is_there():
    found = kibana()
    ids = [(one["type"], one["id"]) for one in found]

    assert len(ids) == len(set(ids))
    for one in found:
        assert {(reference["type"], reference["id"]) for reference in one["references"]} <= set(ids)
        assert set(one["migrationVersion"]) == {one["type"]}
        for name in re.findall(r'"(\w+JSON|visState|fields)": "', json.dumps(one)):
            text = one["attributes"].get(name) or one["attributes"]["kibanaSavedObjectMeta"].get(name)
            json.loads(text)


def test_kibanas_export_ends_with_its_summary():
    last = json.loads((FOLDER / "kibana" / "logsync.ndjson").read_text().splitlines()[-1])

    assert {"exportedCount": len(kibana()), "missingRefCount": 0, "missingReferences": []} == last


def test_kibanas_index_pattern_covers_our_indices_by_time():
    (pattern,) = [one for one in kibana() if one["type"] == "index-pattern"]
    attributes = pattern["attributes"]

    assert ("logsync-*", "@timestamp") == (attributes["title"], attributes["timeFieldName"])
    assert SEARCHABLE == {field["name"] for field in json.loads(attributes["fields"])}


def test_kibanas_panels_do_not_overlap_and_each_has_its_reference():
    (dashboard,) = [one for one in kibana() if one["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 48
        assert not cells & taken
        taken |= cells

    assert [panel["panelRefName"] for panel in panels] == [one["name"] for one in dashboard["references"]]


def test_expressions_are_divided_at_their_operators():
    expression = (
        'max by (a) (x{b="c - d"})\n/ on (a) group_left () sum(y) > 0.5\nand time() - (z offset 5m or 0 * z) > 3'
    )

    assert ['max by (a) (x{b="c - d"})', "sum(y)", "time()", "z offset 5m", "z"] == operands(expression)
