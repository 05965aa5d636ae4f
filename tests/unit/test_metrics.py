"""The vocabulary of metrics: names with their unit, help, and labels whose values somebody bounds."""

from __future__ import annotations

import re
from collections import Counter

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agents.process import Outcome
from logsync_streams import metrics
from logsync_streams.streams.process import ProcessStream, Progress

DESCRIBED = {
    described.name: (described, metric._labelnames)
    for metric in vars(metrics).values()
    if isinstance(metric, MetricWrapperBase)
    for described in metric.describe()
}
# What bounds the values of a label; a label that is not here may be one that senders can grow.
BOUNDED_BY = {
    "service": "BoundedLabels, web.max_services",
    "level": "events.SEVERITIES",
    "stage": "our stages",
    "source": "our doors",
    "status": "what our doors answer",
    "reason": "names in the code, the operator's rules, and Elasticsearch's own errors",
    "rule": "names in the code",
    "file": "the settings that name files",
    "category": "errors.DEAD_LETTER_CATEGORIES",
    "group": "our three groups",
    "topic": "our topics and kafka.raw_topics",
    "partition": "the topics' partitions",
    "operation": "what the query API asks a store",
}
UNITS = ("seconds", "bytes", "events", "records", "requests", "lines", "messages", "connections", "days", "ranges")
# Counted or told in nothing but themselves; the original's four names stay as they are.
WITHOUT_UNIT = {
    *("log_processed", "log_errors", "log_volume", "log_dropped"),
    *("logsync_udp_kernel_drops", "logsync_rebalances", "logsync_redacted", "logsync_retention_problems"),
    *("logsync_config_last_reload_successful", "logsync_index_bulk_window", "logsync_build"),
}


def test_a_name_begins_with_the_products_and_ends_with_its_unit():
    assert [name for name in DESCRIBED if not re.fullmatch(r"log(sync)?_[a-z_]+", name)] == []
    assert {name for name in DESCRIBED if not name.endswith(UNITS)} == WITHOUT_UNIT


def test_each_metric_has_a_sentence_of_help():
    assert [name for name, (one, _) in DESCRIBED.items() if not re.fullmatch(r"\S.{15,}\.", one.documentation)] == []


def test_each_label_has_somebody_who_bounds_its_values():
    assert BOUNDED_BY.keys() == {label for _, labels in DESCRIBED.values() for label in labels}


def test_senders_who_invent_services_do_not_grow_the_exposition():
    def services() -> set[str]:
        text = generate_latest(metrics.REGISTRY).decode()
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        named = {one.labels.get("service", "") for one in samples}  # other tests' services are among them
        return {service for service in named if service.startswith("flood-") or service == metrics.OTHER}

    def others() -> float:
        labels = {"service": metrics.OTHER, "level": "info"}
        return metrics.REGISTRY.get_sample_value("log_processed_total", labels) or 0.0

    before = others()
    stream = ProcessStream.__new__(ProcessStream)
    stream.progress, stream._service_label = Progress(), metrics.BoundedLabels(10)
    flood = Outcome()
    flood.processed = Counter({(f"flood-{number}", "info"): 1 for number in range(1000)})
    stream._account(flood)

    assert {f"flood-{number}" for number in range(10)} | {metrics.OTHER} == services()
    assert 990 == others() - before
