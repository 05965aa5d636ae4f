"""Every query in the dashboards and rules, asked of a Prometheus and an Elasticsearch that know a running system."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.rules import service_alerts
from dashboards.thresholds import Thresholds
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from tests.dashboard_queries import elasticsearch_bodies, expressions, kibana_bodies, operands, targets, variables
from tests.integration.observed import CANARY, TRACE, Observed, observed
from tests.pipeline.oracle import eventually
from tests.retention import documents, fill
from tests.servers.shared import SharedServers
from tests.servers.wiping import request

pytestmark = pytest.mark.real

OLD_LOGS = 50
LATENCY = "logsync_end_to_end_latency_seconds"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, servers: SharedServers) -> Iterator[Observed]:
    """A system through which a bit of everything has come, scraped long enough for rates."""
    with observed(tmp_path_factory.mktemp("observed"), servers, {}) as made:
        asyncio.run(an_old_day(made.pipeline.elasticsearch_url))
        until = time.monotonic() + 12
        while time.monotonic() < until:
            traffic(made)
            time.sleep(1)
        made.start_retention()  # now that each group has committed something
        eventually(lambda: bool(made.ask("logsync_service_last_seen_timestamp_seconds > 0")), 60, "the inventory")
        eventually(
            lambda: {one["metric"]["service"] for one in made.ask("log_volume_total")} >= {"auth-service", "shop"},
            60,
            "both services' counters in Prometheus",
        )
        yield made


async def an_old_day(url: str) -> None:
    """Logs of a month ago, due for the archive."""
    connection = connect(StoreSettings(elasticsearch_urls=[url], replicas=0))
    store = Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))
    day = datetime.now(UTC).date() - timedelta(days=30)
    await fill(store, documents(OLD_LOGS, alias_name("default", day), "auth-service"))
    await connection.close()


def traffic(made: Observed) -> None:
    """Every level and environment, an error with its kind, noise, a secret, junk."""
    common = {"host": "web-1", "environment": "production"}
    made.send(20, service="auth-service", level="INFO", **common)
    made.send(5, service="auth-service", level="ERROR", error={"type": "java.lang.Boom"}, trace={"id": TRACE}, **common)
    made.send(5, service="shop", level="WARN", environment="staging", host="web-2")
    made.send(2, service="auth-service", level="DEBUG", **common)
    made.send(1, service="auth-service", level="INFO", metadata={"password": "hunter2"}, **common)
    refused = httpx.post(f"{made.collector.url}/api/logs", content=b"{", timeout=20)
    assert refused.status_code == 400, refused.text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"<11>Nov 24 22:00:00 web-1 sshd[42]: failed", ("127.0.0.1", made.pipeline.syslog_port))
    httpx.get(f"{made.query_url}/api/logs/search", params={"q": "boom"}, timeout=20).raise_for_status()


def test_every_expression_in_the_dashboards_returns_data(running: Observed):
    waiting = {(where, one) for where, target in targets("prometheus") for one in expressions(target)}

    def all_answered() -> bool:
        traffic(running)
        waiting.difference_update({(where, one) for where, one in waiting if running.ask(one)})
        return not waiting

    with contextlib.suppress(AssertionError):  # said better below
        eventually(all_answered, 60, "data")

    assert set() == waiting


def test_every_variable_of_the_dashboards_has_values(running: Observed):
    for variable in variables():
        if variable["datasource"] == "$prometheus":
            [(metric, label)] = re.findall(r"^label_values\((\w+), (\w+)\)$", variable["definition"])
            url = f"{running.prometheus.url}/api/v1/label/{label}/values"
            found = httpx.get(url, params={"match[]": metric}, timeout=20).json()["data"]
            assert {"auth-service", "shop"} <= set(found)
        else:
            asked = json.loads(variable["query"])
            assert answered(running, {"size": 0, "aggs": {"1": {asked["find"]: {"field": asked["field"]}}}})


def test_the_retention_tells_of_its_own_runs(running: Observed):
    """Every process shows these metrics; data is what the one shows that runs it."""

    def told(metric: str, condition: str) -> bool:
        return bool(running.ask(f'{metric}{{job="logsync-retention"}} {condition}'))

    for metric in (
        "logsync_retention_last_success_timestamp_seconds",
        "logsync_archive_last_success_timestamp_seconds",
    ):
        eventually(lambda metric=metric: told(metric, "> 1e9"), 60, f"{metric} of the retention")  # type: ignore[misc]
    eventually(lambda: told("logsync_retention_dropped_events_total", f"== {OLD_LOGS}"), 60, "the old day is gone")

    assert told("logsync_archived_events_total", f"== {OLD_LOGS}")
    assert told("logsync_archived_bytes_total", "> 0")
    assert told("logsync_retention_problems", "== 0")
    assert told("logsync_retention_overdue_seconds", "== 0")


def test_every_operand_of_every_rule_returns_data(running: Observed):
    alerts = service_alerts(Thresholds()) + pipeline_alerts(Thresholds())
    wanted = {
        operand
        for alert in alerts
        for operand in operands(
            alert.expression.removeprefix("absent(").removesuffix(")" * ("absent" in alert.expression))
        )
    }
    waiting = {recent(operand) for operand in wanted}

    def all_answered() -> bool:
        waiting.difference_update({operand for operand in waiting if running.ask(operand)})
        return not waiting

    with contextlib.suppress(AssertionError):  # said better below
        eventually(all_answered, 60, "data")

    assert set() == waiting


def recent(expression: str) -> str:
    """This Prometheus has not been up for an hour: what looks back looks back by seconds."""
    return expression.replace("offset 1h", "offset 2s").replace("offset 5m", "offset 2s")


def test_every_elasticsearch_query_of_grafana_returns_data(running: Observed):
    empty = {
        where
        for where, target in targets("elasticsearch")
        if not all(answered(running, body) for body in elasticsearch_bodies(target))
    }

    assert set() == empty


def test_every_elasticsearch_query_of_kibana_returns_data(running: Observed):
    assert set() == {id for id, body in kibana_bodies() if not answered(running, body)}


def answered(running: Observed, body: dict[str, object]) -> bool:
    url = f"{running.pipeline.elasticsearch_url}/logsync-*/_search"
    request("POST", f"{running.pipeline.elasticsearch_url}/logsync-*/_refresh")
    status, answer = request("POST", url, body)
    assert status == 200, f"{body}: {answer}"
    aggregations = answer.get("aggregations", {}).values()
    return answer["hits"]["total"]["value"] > 0 and all(one.get("buckets", True) for one in aggregations)


def test_no_event_is_unaccounted_for_while_ranges_are_checked(running: Observed):
    assert [0.0] == [float(one["value"][1]) for one in running.ask("logsync_unaccounted_events{job='logsync-worker'}")]
    assert running.worker.metric("logsync_checked_ranges_total") > 0


def test_a_bucket_of_the_latency_leads_to_a_log_and_its_trace(running: Observed):
    parameters = {"query": f"{LATENCY}_bucket", "start": str(time.time() - 600), "end": str(time.time() + 60)}

    def labels() -> list[dict[str, str]]:
        found = httpx.get(f"{running.prometheus.url}/api/v1/query_exemplars", params=parameters, timeout=20).json()
        return [one["labels"] for group in found["data"] for one in group["exemplars"]]

    def traced() -> bool:
        # A bucket shows its last one: nothing without a trace may come after it.
        running.send(1, service="auth-service", level="ERROR", trace={"id": TRACE})
        time.sleep(1)
        return any(found.get("trace_id") == TRACE for found in labels())

    eventually(traced, 60, "an exemplar with its trace")
    event_id, *_ = [found["event_id"] for found in labels() if found.get("trace_id") == TRACE]
    address = f"{running.query_url}/api/logs/{event_id}"
    # It is stored, as the exemplar says; to be found it must be refreshed as well.
    eventually(lambda: httpx.get(address, timeout=20).status_code == 200, 30, "the log can be found")

    assert {"id": TRACE} == httpx.get(address, timeout=20).json()["trace"]


def test_our_own_logs_are_json_without_secrets_and_no_event_makes_a_line(running: Observed):
    before = len(own_lines(running))
    for _ in range(5):
        running.send(100, service="loud", level="ERROR", metadata={"password": "hunter2"})
    eventually(lambda: bool(running.ask('log_volume_total{service="loud"} >= 500')), 60, "the events to be counted")
    written = own_lines(running)
    pages = [
        httpx.get(f"{child.url}{path}", timeout=20).text
        for child in (running.collector, running.worker)
        for path in ("/metrics", "/status", "/readyz")
    ]

    assert len(written) - before < 20
    assert [secret for secret in ("hunter2", CANARY) if secret in "\n".join([*written, *pages])] == []
    # Beside our lines, which go to stderr, Faust draws its banner on stdout.
    assert [line for line in written if not line.startswith(("{", "+", "|"))] == []
    assert any('"archived logsync-default-' in line for line in written)


def test_our_own_logs_shipped_into_ourselves_are_found_and_make_no_further_ones(running: Observed):
    shipped = 0
    lines: list[str] = []
    for _ in range(3):
        lines = [line for line in own_lines(running) if line.startswith("{")]
        body = "\n".join(lines[shipped:])
        headers = {"content-type": "application/x-ndjson"}
        if body:
            answer = httpx.post(f"{running.collector.url}/api/logs", content=body, headers=headers, timeout=20)
            assert answer.status_code == 202, answer.text
        shipped = len(lines)
        counted = f'log_volume_total{{service="logsync"}} >= {shipped}'
        eventually(lambda counted=counted: bool(running.ask(counted)), 60, "our lines to be counted")  # type: ignore[misc]

    def found() -> list[str]:
        asked = {"q": "service:logsync", "from": "now-1d", "limit": "1000"}
        hits = httpx.get(f"{running.query_url}/api/logs/search", params=asked, timeout=20).json()["hits"]
        return sorted(hit["message"] for hit in hits)

    eventually(lambda: len(found()) >= shipped, 60, "our lines can be found")

    assert sorted(json.loads(line)["message"].strip() for line in lines) == [message.strip() for message in found()]
    assert shipped > 0
    assert len(own_lines(running)) - shipped < 40  # Faust's banner, and what a minute brings


def own_lines(running: Observed) -> list[str]:
    """What our processes have written."""
    return [line for path in sorted(running.pipeline.folder.glob("*.log")) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("", "text/plain"),
    ],
)
def test_metrics_come_in_the_form_that_was_asked_for(running: Observed, accept: str, expected: str):
    for url in (running.worker.url, running.collector.url, running.query_url):
        answer = httpx.get(f"{url}/metrics", headers={"accept": accept}, timeout=20)

        assert answer.headers["content-type"].startswith(expected)
        assert answer.text.endswith("# EOF\n") == expected.startswith("application")
